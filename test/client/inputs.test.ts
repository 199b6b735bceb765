import { schema, t } from "@colyseus/schema";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { scene, until } from "./scene.ts";

const Stick = schema({ thrust: t.number(), honk: t.boolean() }, "Stick");

for (const mode of ["reliable", "unreliable"] as const) {
  test(`[Y80] the wrapper sends no ${mode} input between two nodes, says so, and begins anew with a whole one`, async () => {
    await scene(async ({ nodes, room, failovers, cluster }) => {
      const stick = room.input({ type: Stick, mode, historySize: 1 });
      assert.is(room.input(), stick);
      stick.data.thrust = 1;
      stick.data.honk = true;
      assert.is(stick.send(), 1);
      stick.data.thrust = 2;
      assert.is(stick.send(), 2);
      await until(() => cluster.inputs.length === 2, "two inputs");
      const [whole, change] = cluster.inputs as [Uint8Array, Uint8Array];
      assert.ok(change.length < whole.length);
      let sentBetween = 0;
      room.onDrop(() => {
        stick.data.thrust = 3;
        sentBetween = stick.send();
      });
      const before = stick.sentCount;
      await nodes[0].kill();
      await until(() => failovers.length === 1, "a failover");
      assert.is(sentBetween, 0);
      const isReliable = mode === "reliable";
      assert.is(stick.send(), isReliable ? 1 : before + 1);
      await until(() => cluster.inputs.length === 3, "an input at the next node");
      assert.is(cluster.inputs[2]?.length, whole.length);
      assert.is(room.unacknowledged, 0);
    });
  });
}

test.run();

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

test("[W26, Y80] inputs go on until the next connection takes over, and begin anew there", async () => {
  await scene(async ({ nodes, room, failovers, cluster }) => {
    const stick = room.input({ type: Stick });
    stick.data.thrust = 1;
    assert.is(stick.send(), 1);
    let open = () => {};
    nodes[1].attachesAfter = new Promise((resolve) => (open = resolve));
    nodes[0].draining = true;
    nodes[0].askToMoveOn();
    await until(() => nodes[1].attachments.length === 1, "the next connection");
    stick.data.thrust = 2;
    assert.is(stick.send(), 2);
    const { epoch } = stick;
    open();
    await until(() => failovers.length === 1, "the move");
    assert.is(stick.epoch, epoch + 1);
    assert.is(stick.send(), 1);
    await until(() => cluster.inputs.length === 3, "all inputs");
    assert.is(cluster.inputs[2]?.length, cluster.inputs[0]?.length);
  });
});

test.run();

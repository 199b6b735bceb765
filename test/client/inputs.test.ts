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

test("[W29, Y80] before a planned move what was sent is acknowledged, and none is lost between the two nodes", async () => {
  await scene(async ({ nodes, room, failovers, cluster }) => {
    const stick = room.input({ type: Stick });
    stick.data.thrust = 1;
    assert.is(stick.send(), 1);
    let acknowledged = 0;
    Object.defineProperty(stick, "pendingCount", { get: () => stick.sentCount - acknowledged });
    let open = () => {};
    nodes[1].attachesAfter = new Promise((resolve) => (open = resolve));
    nodes[0].draining = true;
    nodes[0].askToMoveOn();
    await until(() => stick.send() === 0, "inputs pause");
    assert.is(nodes[1].attachments.length, 0, "not before the last one is acknowledged");
    acknowledged = stick.sentCount;
    await until(() => nodes[1].attachments.length === 1, "the next connection");
    stick.data.thrust = 2;
    assert.is(stick.send(), 0, "the seat changes hands");
    const { epoch } = stick;
    const { length: sent } = cluster.inputs;
    assert.is(sent, acknowledged);
    open();
    await until(() => failovers.length === 1, "the move");
    assert.is(stick.epoch, epoch + 1);
    acknowledged = 0;
    assert.is(stick.send(), 1);
    await until(() => cluster.inputs.length === sent + 1, "what was staged");
    assert.is(cluster.inputs.at(-1)?.length, cluster.inputs[0]?.length, "a whole one");
  });
});

test("[W29] a node that gives no acknowledgement, and one that does not take the seat, hold nobody's inputs for long", async () => {
  await scene(async ({ nodes, room, failovers, cluster }) => {
    const stick = room.input({ type: Stick });
    stick.data.thrust = 1;
    assert.is(stick.send(), 1);
    nodes[1].frozen = true;
    nodes[2].frozen = true;
    nodes[0].draining = true;
    nodes[0].askToMoveOn();
    await until(() => stick.send() === 0, "inputs pause");
    await until(() => stick.send() > 0, "they go on at the node that still serves");
    nodes[1].frozen = false;
    await until(() => failovers.length === 1, "the move");
    assert.is(stick.send(), 1);
    await until(() => cluster.inputs.length > 2, "and at the next one");
  });
});

test.run();

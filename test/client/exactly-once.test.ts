import { Protocol } from "@colyseus/core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { LatestMessages } from "../../client/latest-messages.ts";
import { Client, OutboxFullError } from "../../client/testudo-client.ts";
import { quick, type StubRoom, scene, until } from "./scene.ts";

test("[W5] commands are numbered, applied in order, acknowledged and forgotten", async () => {
  await scene(async ({ room, cluster }) => {
    room.send("fire", { n: 1 });
    room.send(7);
    room.sendBytes("raw", new Uint8Array([1, 2, 3]));
    assert.equal(await room.request("fire", { n: 2 }), { shots: 4 });
    await until(() => room.unacknowledged === 0, "acknowledgements");
    assert.equal(cluster.applied, [
      { code: Protocol.ROOM_DATA, type: "fire", payload: { n: 1 } },
      { code: Protocol.ROOM_DATA, type: 7, payload: undefined },
      { code: Protocol.ROOM_DATA_BYTES, type: "raw", payload: [1, 2, 3] },
      { code: Protocol.ROOM_REQUEST, type: "fire", payload: { n: 2 } },
    ]);
  });
});

test("[W5] commands that died with their node are sent again, each is applied once and in order", async () => {
  await scene(async ({ room, cluster, nodes }) => {
    room.send("fire", 0);
    await until(() => cluster.applied.length === 1, "the first command");
    nodes[0].applies = false;
    for (let n = 1; n <= 10; n++) room.send("fire", n);
    const asked = room.request("fire", 11);
    await nodes[0].kill();
    room.send("fire", 12);
    assert.equal(await asked, { shots: 12 });
    await until(() => room.unacknowledged === 0, "acknowledgements");
    assert.equal(
      cluster.applied.map(({ payload }) => payload),
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
    );
  });
});

test("[W5] a request that was applied but not answered gets its remembered answer elsewhere, and is not applied again", async () => {
  await scene(async ({ room, cluster, nodes }) => {
    nodes[0].answers = false;
    const asked = room.request("fire", 1);
    await until(() => cluster.applied.length === 1, "the command");
    await nodes[0].kill();
    room.send("fire", 2);
    assert.equal(await asked, { shots: 1 });
    await until(() => cluster.applied.length === 2, "the second command");
    await until(() => room.unacknowledged === 0, "acknowledgements");
    assert.is(cluster.applied.length, 2);
  });
});

test("[W5] requests are taken while the room is moving", async () => {
  await scene(async ({ room, cluster, nodes }) => {
    let asked: Promise<unknown> | null = null;
    room.onDrop(() => {
      asked ??= room.request("fire", 1);
    });
    await nodes[0].kill();
    await until(() => asked !== null, "the drop");
    assert.equal(await asked, { shots: 1 });
    assert.is(cluster.applied.length, 1);
  });
});

test("[W5] a request that timed out is not asked again", async () => {
  await scene(async ({ room, cluster, nodes, failovers }) => {
    nodes[0].answers = false;
    const asked = room.request("fire", 1, { timeout: 30 }).then(
      () => "answered",
      (error: Error) => error.message,
    );
    await until(() => cluster.applied.length === 1, "the command");
    assert.match(await asked, /timed out/);
    await until(() => room.unacknowledged === 0, "nothing kept");
    await nodes[0].kill();
    await until(() => failovers.length === 1, "a failover");
    assert.is(cluster.applied.length, 1);
  });
});

test("[W6] numbers go on from the seat's last one when another page takes the seat", async () => {
  await scene(async ({ room, cluster, nodes }) => {
    for (let n = 0; n < 3; n++) room.send("fire", n);
    await until(() => room.unacknowledged === 0, "acknowledgements");
    const token = room.reconnectionToken;
    room.reconnection.enabled = false;
    await room.leave(false);
    const again = (await new Client(nodes[1].url, quick).reconnect(token)) as StubRoom;
    // At once, before the node has told the seat's last number.
    again.send("fire", 3);
    await until(() => cluster.applied.length === 4, "the command of the new page");
    assert.equal(
      cluster.applied.map(({ payload }) => payload),
      [0, 1, 2, 3],
    );
    await again.leave();
  });
});

test("[W8] latest commands carry no number; while moving only the newest of each waits", async () => {
  await scene(
    async ({ room, cluster, nodes }) => {
      room.send("steer", 0);
      await until(() => cluster.unnumbered.length === 1, "the first");
      room.onDrop(() => {
        for (let n = 1; n <= 600; n++) room.send("steer", n);
        room.send("look", 7);
      });
      await nodes[0].kill();
      await until(() => cluster.unnumbered.length >= 3, "the newest");
      assert.equal(
        cluster.unnumbered.map(({ type, payload }) => [type, payload]),
        [
          ["steer", 0],
          ["steer", 600],
          ["look", 7],
        ],
      );
      assert.is(room.unacknowledged, 0);
      assert.is(cluster.applied.length, 0);
    },
    { latest: { arena: ["steer", "look"] } },
  );
});

for (const planned of [true, false]) {
  const how = planned ? "that drains" : "that dies";
  test(`[W30] the newest of each latest type goes to the next node, too, if the one ${how} may not have taken it`, async () => {
    await scene(
      async ({ room, cluster, nodes, failovers }) => {
        nodes[0].applies = false;
        for (const n of [1, 2]) room.send("steer", n);
        nodes[0].draining = true;
        if (planned) nodes[0].askToMoveOn();
        else await nodes[0].kill();
        await until(() => failovers.length === 1, "the move");
        await until(() => cluster.unnumbered.length === 1, "the newest");
        room.send("fire", 0);
        await until(() => room.unacknowledged === 0, "what was said behind it");
        await nodes[1].kill();
        await until(() => failovers.length === 2, "the second move");
        room.send("fire", 1);
        await until(() => room.unacknowledged === 0, "all is taken");
        assert.equal(
          cluster.unnumbered.map(({ payload }) => payload),
          [2],
          "it surely was: what came behind it is acknowledged",
        );
      },
      { latest: { arena: ["steer"] } },
    );
  });
}

test("[W30] what the last node has surely taken is not sent again", () => {
  const latest = new LatestMessages();
  const [old, newer, newest] = [1, 2, 3].map((byte) => Uint8Array.of(byte)) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  latest.add("aim", old, 1_000);
  latest.add("steer", newer, 4_500);
  assert.equal(latest.resend(5_000, 6_000), [newer], "the other one it had long before it was heard of last");
  assert.equal(latest.resend(6_500, 7_000), [newer], "sent again at 6,000");
  latest.follow(7);
  latest.add("aim", newest, 7_100);
  latest.acknowledge(6);
  latest.follow(8);
  latest.acknowledge(7);
  assert.equal(latest.resend(7_000, 7_200), [newest]);
  // Behind it nothing has been sent over this connection yet.
  latest.acknowledge(8);
  assert.equal(latest.resend(7_200, 7_300), [newest]);
});

test("[W7] past the outbox's limits send throws OUTBOX_FULL and nothing that was taken is lost", async () => {
  await scene(
    async ({ room, cluster, nodes }) => {
      nodes[0].applies = false;
      for (let n = 0; n < 5; n++) room.send("fire", n);
      assert.throws(
        () => room.send("fire", 5),
        (error: unknown) => error instanceof OutboxFullError && error.code === "OUTBOX_FULL",
      );
      const refused = await room.request("fire", 6).then(
        () => null,
        (error: unknown) => error,
      );
      assert.instance(refused, OutboxFullError);
      await nodes[0].kill();
      await until(() => cluster.applied.length === 5, "what was taken");
      await until(() => room.unacknowledged === 0, "acknowledgements");
      assert.equal(await room.request("fire", 7), { shots: 6 });
    },
    { outboxCommandsMax: 5 },
  );
});

test("[W1, W5] three kills in a row lose and double nothing", async () => {
  await scene(async ({ room, cluster, nodes, failovers }) => {
    let sent = 0;
    const timer = setInterval(() => room.send("fire", sent++), 2);
    for (let kill = 0; kill < 3; kill++) {
      const at = nodes.find(({ url }) => url === room.endpoint?.url);
      await at?.kill();
      await until(() => failovers.length === kill + 1, `failover ${kill + 1}`);
      await at?.listen();
    }
    clearInterval(timer);
    await until(() => room.unacknowledged === 0, "acknowledgements");
    assert.equal(
      cluster.applied.map(({ payload }) => payload),
      Array.from({ length: sent }, (_, n) => n),
    );
  });
});

test.run();

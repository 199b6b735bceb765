import { test } from "uvu";
import * as assert from "uvu/assert";
import { Client, type Failover } from "../../client/testudo-client.ts";
import { quick, type StubRoom, scene, until } from "./scene.ts";
import { StubCluster } from "./stub-node.ts";

test("[W1] a room goes on at the next node when its node is killed: same room, same state object", async () => {
  await scene(async ({ nodes, room, failovers, cluster }) => {
    const { state, sessionId } = room;
    let drops = 0;
    let left = 0;
    room.onDrop(() => drops++);
    room.onLeave(() => left++);
    await nodes[0].kill();
    await until(() => failovers.length === 1, "a failover");
    assert.is(room.state, state, "the state object is another");
    assert.is(room.sessionId, sessionId);
    assert.is(failovers[0]?.from.node, "n0");
    assert.is(failovers[0]?.to.node, "n1");
    assert.ok((failovers[0]?.gapMs ?? -1) >= 0);
    assert.is(room.endpoint?.url, nodes[1].url);
    assert.is(drops, 1);
    cluster.state.shots = 41;
    nodes[1].sendStates();
    await until(() => state.shots === 41, "a patch in the old state object");
    assert.is(left, 0);
    const [attachment] = nodes[1].attachments;
    assert.is(attachment?.get("testudo"), "1");
    assert.is(attachment?.get("skipHandshake"), "true");
    assert.is(attachment?.get("sessionId"), sessionId);
  });
});

for (const code of [1001, 4010]) {
  test(`[W1] a room goes on when its node closes it with ${code}`, async () => {
    await scene(async ({ nodes, failovers }) => {
      nodes[0].closeClients(code);
      await until(() => failovers.length === 1, "a failover");
      assert.is(failovers[0]?.to.node, "n1");
    });
  });
}

test("[W2] a consented leave and a refused seat end the room", async () => {
  for (const code of [4000, 4001, 4002]) {
    await scene(async ({ nodes, room, failovers }) => {
      const codes: number[] = [];
      room.onLeave((code) => codes.push(code));
      nodes[0].closeClients(code);
      await until(() => codes.length === 1, "onLeave");
      assert.equal(codes, [code]);
      assert.is(failovers.length, 0);
    });
  }
});

test("[W3] a frozen node is noticed and left; a silent but living one is not", async () => {
  await scene(async ({ nodes, failovers }) => {
    // Nothing happens in the room: only the answers to pings keep it.
    await until(() => nodes[0].pings >= 5, "pings to the quiet node");
    assert.is(failovers.length, 0);
    nodes[0].frozen = true;
    await until(() => failovers.length === 1, "a failover");
    assert.is(failovers[0]?.to.node, "n1");
    assert.ok((failovers[0]?.gapMs ?? 0) >= 200, "the gap counts from the last frame");
  });
});

test("[W3] what a node says after it was given up does not count", async () => {
  await scene(async ({ nodes, failovers, room, cluster }) => {
    nodes[0].frozen = true;
    await until(() => failovers.length === 1, "a failover");
    const { shots } = room.state;
    cluster.state.shots = 77;
    nodes[0].sendStates();
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.is(room.state.shots, shots);
  });
});

test("[W4, W10] nodes that are dead, frozen or refuse are passed over", async () => {
  await scene(async ({ nodes, failovers, cluster }) => {
    const last = await cluster.add();
    nodes[1].frozen = true;
    nodes[2].closeWith = 4010;
    await nodes[0].kill();
    // The fourth node is learned from no one yet: only the frozen and the refusing one are known.
    await until(() => nodes[2].attachments.length >= 2, "tries at the refusing node");
    nodes[2].closeWith = null;
    await until(() => failovers.length === 1, "a failover");
    assert.is(failovers[0]?.to.node, "n2");
    // The move told the client of the new node.
    nodes[2].closeWith = 4010;
    await nodes[2].kill();
    await until(() => failovers.length === 2, "a second failover");
    assert.is(failovers[1]?.to.url, last.url);
  });
});

test("[W4] a room comes back to its only node", async () => {
  const cluster = new StubCluster();
  const node = await cluster.add();
  const client = new Client(node.url, quick);
  const room = (await client.joinOrCreate("arena")) as StubRoom;
  const failovers: Failover[] = [];
  room.onFailover((failover) => failovers.push(failover));
  await node.kill();
  room.send("fire", { n: 1 });
  await node.listen();
  await until(() => failovers.length === 1, "a failover");
  assert.is(failovers[0]?.from.url, failovers[0]?.to.url);
  await until(() => cluster.applied.length === 1, "the command");
  await room.leave();
  await cluster.close();
});

test("[W4] after moveMsMax without a node the room is left, and what was asked is rejected", async () => {
  await scene(
    async ({ nodes, room, cluster }) => {
      for (const node of nodes) node.answers = false;
      const asked = room.request("fire", { n: 1 }).then(
        () => "answered",
        (error: Error) => error.message,
      );
      await until(() => cluster.applied.length === 1, "the request");
      const codes: number[] = [];
      room.onLeave((code) => codes.push(code));
      await cluster.close();
      await until(() => codes.length === 1, "onLeave");
      assert.equal(codes, [4003]);
      assert.match(await asked, /connection closed/);
      assert.is(room.connection.isOpen, false);
    },
    { moveMsMax: 250 },
  );
});

test("[W2] a used or forged token ends the room", async () => {
  await scene(async ({ nodes, room, cluster }) => {
    const codes: number[] = [];
    room.onError(() => {});
    room.onLeave((code) => codes.push(code));
    for (const seat of cluster.seats.values()) seat.token = "another";
    await nodes[0].kill();
    await until(() => codes.length === 1, "onLeave");
    assert.equal(codes, [4003]);
  });
});

test("[W2] leaving while moving leaves at the next node", async () => {
  await scene(async ({ nodes, room }) => {
    let left: Promise<number> | null = null;
    room.onDrop(() => {
      left = room.leave();
    });
    await nodes[0].kill();
    await until(() => left !== null, "the drop");
    assert.is(await left, 4000);
    assert.is(nodes[1].attachments.length, 1);
  });
});

test.run();

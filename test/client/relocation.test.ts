import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { StubRoom } from "./scene.ts";
import { type Scene, scene, until } from "./scene.ts";

const test = suite("a node that is about to end");

/** What the game hears of it. */
function heard(room: StubRoom) {
  const told = { drops: 0, left: 0, errors: 0 };
  room.onDrop(() => told.drops++);
  room.onLeave(() => told.left++);
  room.onError(() => told.errors++);
  return told;
}

function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

/** The numbers that the room says, as the game hears them. */
function said(room: StubRoom): number[] {
  const numbers: number[] = [];
  room.onMessage("said", (n: number) => numbers.push(n));
  return numbers;
}

async function drain({ nodes: [first] }: Scene): Promise<void> {
  first.draining = true;
  first.askToMoveOn();
}

for (const noticesLate of [false, true]) {
  const order = noticesLate ? "after the new one was told" : "before the new one is told";
  test(`[W26] a room that is asked to move on is attached elsewhere first; the old connection serves till then, and is closed ${order}`, async () => {
    await scene(async (given) => {
      const { nodes, room, failovers, cluster } = given;
      const told = heard(room);
      const { state } = room;
      const { opened, open } = gate();
      nodes[0].noticesLate = noticesLate;
      nodes[1].attachesAfter = opened;
      await drain(given);
      await until(() => nodes[1].attachments.length === 1, "the next connection");
      cluster.state.shots = 41;
      nodes[0].sendStates();
      await until(() => state.shots === 41, "a state over the old connection");
      const reply = await room.request("fire", { n: 1 });
      assert.equal(reply, { shots: 1 });
      room.send("fire", { n: 2 });
      open();
      room.send("fire", { n: 3 });
      await until(() => failovers.length === 1, "the move");
      room.send("fire", { n: 4 });
      await until(() => cluster.applied.length === 4, "all commands");
      assert.equal(
        cluster.applied.map(({ payload }) => payload),
        [1, 2, 3, 4].map((n) => ({ n })),
      );
      await until(() => nodes[0].clients === 0, "the end of the old connection");
      assert.is(room.state, state, "the state object is another");
      assert.is(room.endpoint?.url, nodes[1].url);
      const { from, to, planned, messagesLost } = failovers[0] ?? {};
      assert.equal([from?.node, to?.node, planned, messagesLost], ["n0", "n1", true, 0]);
      assert.equal(told, { drops: 0, left: 0, errors: 0 });
      await until(() => room.unacknowledged === 0, "all acknowledgements");
      // Whatever becomes of that node: the room goes on as ever.
      await nodes[1].kill();
      await until(() => failovers.length === 2, "a failover");
      assert.is(failovers[1]?.planned, false);
      assert.is(told.drops, 1);
    });
  });
}

test("[W27] what the room says while two connections are there comes once, and in order", async () => {
  await scene(async (given) => {
    const { nodes, room, failovers, cluster } = given;
    const numbers = said(room);
    const { opened, open } = gate();
    cluster.say(1);
    await until(() => numbers.length === 1, "the first message");
    nodes[1].attachesAfter = opened;
    await drain(given);
    await until(() => nodes[1].attachments.length === 1, "the next connection");
    assert.is(nodes[1].attachments[0]?.get("received"), "1");
    for (const n of [2, 3, 4]) cluster.say(n);
    await until(() => numbers.length === 4, "messages over the old connection");
    // Said, but never sent by the node that is about to end.
    nodes[0].delivers = false;
    for (const n of [5, 6]) cluster.say(n);
    open();
    await until(() => failovers.length === 1, "the move");
    cluster.say(7);
    await until(() => numbers.length >= 7, "the rest");
    assert.equal(numbers, [1, 2, 3, 4, 5, 6, 7]);
    assert.is(failovers[0]?.messagesLost, 0);
  });
});

test("[W27] what the nodes had to forget counts as lost only if it has not come", async () => {
  await scene(async (given) => {
    const { nodes, room, failovers, cluster } = given;
    const numbers = said(room);
    const { opened, open } = gate();
    nodes[1].attachesAfter = opened;
    await drain(given);
    await until(() => nodes[1].attachments.length === 1, "the next connection");
    for (const n of [1, 2]) cluster.say(n);
    await until(() => numbers.length === 2, "messages over the old connection");
    nodes[0].delivers = false;
    for (const n of [3, 4, 5]) cluster.say(n);
    for (const seat of cluster.seats.values()) seat.forgotten = 4;
    open();
    await until(() => failovers.length === 1, "the move");
    await until(() => numbers.length === 3, "the last one");
    assert.equal(numbers, [1, 2, 5]);
    assert.is(failovers[0]?.messagesLost, 2);
  });
});

test("[W28] nodes that drain are tried last, for joining too", async () => {
  await scene(async (given) => {
    const { nodes, client, failovers } = given;
    nodes[1].draining = true;
    await drain(given);
    await until(() => failovers.length === 1, "the move");
    assert.is(failovers[0]?.to.node, "n2");
    assert.equal(
      client.endpoints.map(({ node }) => node),
      ["n2", "n0", "n1"],
    );
  });
});

test("[W28] as long as no other node takes the seat the room stays where it is; once that ends it goes on as ever", async () => {
  await scene(async (given) => {
    const { nodes, room, failovers, cluster } = given;
    const told = heard(room);
    for (const node of nodes.slice(1)) node.closeWith = 1001;
    nodes[2].frozen = true;
    await drain(given);
    await until(() => nodes[1].attachments.length >= 2, "tries elsewhere");
    assert.equal(await room.request("fire", { n: 1 }), { shots: 1 });
    assert.equal([failovers.length, told.drops], [0, 0]);
    nodes[1].closeWith = null;
    nodes[0].closeClients(4010);
    await until(() => failovers.length === 1, "a move");
    room.send("fire", { n: 2 });
    await until(() => cluster.applied.length === 2, "the commands");
    assert.is(told.left, 0);
  });
});

test("[W28] a move that has no time comes to nothing, and the end of the old connection is a drop as ever", async () => {
  await scene(
    async (given) => {
      const { nodes, room } = given;
      const told = heard(room);
      await drain(given);
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.equal(await room.request("fire", { n: 1 }), { shots: 1 });
      nodes[0].closeClients(4010);
      await until(() => told.left === 1, "the end of the room");
      assert.is(told.drops, 1);
    },
    { moveMsMax: 0 },
  );
});

test("[W28] a room that is left on the way is left", async () => {
  await scene(async (given) => {
    const { nodes, room } = given;
    const told = heard(room);
    const { opened, open } = gate();
    nodes[1].attachesAfter = opened;
    await drain(given);
    await until(() => nodes[1].attachments.length === 1, "the next connection");
    assert.is(await room.leave(), 4000);
    open();
    await until(() => nodes.every(({ clients }) => clients === 0), "the end of all connections");
    assert.is(told.drops, 0);
  });
});

test.run();

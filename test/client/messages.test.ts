import { getMessageBytes, Protocol } from "@colyseus/core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Client } from "../../client/testudo-client.ts";
import {
  decodeResumption,
  decodeSequenced,
  encodeResumption,
  encodeUnnumbered,
} from "../../shared/wrapper-protocol.ts";
import { quick, type StubRoom, scene, until } from "./scene.ts";

function heardBy(room: StubRoom): number[] {
  const heard: number[] = [];
  room.onMessage("said", (n: number) => heard.push(n));
  return heard;
}

const upTo = (last: number) => Array.from({ length: last }, (_, at) => at + 1);

test("[W20] what the room said while its node was gone comes from the next one, each message once and in order", async () => {
  await scene(async ({ room, cluster, nodes, failovers }) => {
    const heard = heardBy(room);
    for (let n = 1; n <= 3; n++) cluster.say(n);
    await until(() => heard.length === 3, "the first messages");
    nodes[0].delivers = false;
    for (let n = 4; n <= 6; n++) cluster.say(n);
    await nodes[0].kill();
    for (let n = 7; n <= 9; n++) cluster.say(n);
    await until(() => heard.length === 9, "the others");
    cluster.say(10);
    await until(() => heard.length === 10, "a new one");
    assert.equal(heard, upTo(10));
    assert.is(nodes[1].attachments[0]?.get("received"), "3");
    assert.equal([failovers.length, failovers[0]?.messagesLost], [1, 0]);
  });
});

test("[W20] a node that falls before it has sent what was missed: the next one sends it", async () => {
  await scene(async ({ room, cluster, nodes, failovers }) => {
    const heard = heardBy(room);
    for (const node of nodes) node.delivers = false;
    for (let n = 1; n <= 5; n++) cluster.say(n);
    await nodes[0].kill();
    await until(() => failovers.length === 1, "the first move");
    await nodes[1].kill();
    nodes[2].delivers = true;
    await until(() => heard.length === 5, "all of them");
    assert.equal(heard, upTo(5));
    assert.equal(
      [nodes[1], nodes[2]].map(({ attachments }) => attachments[0]?.get("received")),
      ["0", "0"],
    );
  });
});

test("[W21] how many messages no node has any more is told by onFailover, once, also if the node that knew fell at once", async () => {
  await scene(async ({ room, cluster, nodes, failovers }) => {
    const heard = heardBy(room);
    nodes[0].delivers = false;
    for (let n = 1; n <= 8; n++) cluster.say(n);
    for (const seat of cluster.seats.values()) seat.forgotten = 5;
    // Attaches, tells, and is gone before its state arrives.
    nodes[1].dropsAfterJoin = true;
    await nodes[0].kill();
    await until(() => heard.length === 3 && failovers.length === 1, "the rest");
    assert.equal(heard, [6, 7, 8]);
    assert.is(nodes[1].attachments.length, 1);
    assert.is(nodes[2].attachments[0]?.get("received"), "5");
    assert.equal(
      failovers.map(({ messagesLost }) => messagesLost),
      [5],
    );
    await nodes[2].kill();
    nodes[1].dropsAfterJoin = false;
    await until(() => failovers.length === 2, "the next move");
    assert.is(failovers[1]?.messagesLost, 0);
  });
});

test("[W22] another page that takes the seat says of no message that it has come, and goes on where the node says", async () => {
  await scene(async ({ room, cluster, nodes }) => {
    const heard = heardBy(room);
    for (let n = 1; n <= 4; n++) cluster.say(n);
    await until(() => heard.length === 4, "the first page's");
    const token = room.reconnectionToken;
    room.reconnection.enabled = false;
    await room.leave(false);
    const again = (await new Client([nodes[1].url, nodes[2].url], quick).reconnect(token)) as StubRoom;
    const heardAgain = heardBy(again);
    cluster.say(5);
    await until(() => heardAgain.length === 1, "the second page's");
    nodes[1].delivers = false;
    cluster.say(6);
    await nodes[1].kill();
    await until(() => heardAgain.length === 2, "what it missed");
    assert.equal(heardAgain, [5, 6]);
    assert.is(nodes[1].attachments[0]?.get("received"), null);
    assert.is(nodes[2].attachments[0]?.get("received"), "5");
    await again.leave();
  });
});

test("[W24] eventual messages carry no number, and are dropped while the room moves", async () => {
  await scene(
    async ({ room, cluster, nodes, failovers }) => {
      room.send("emote", 1);
      await until(() => cluster.unnumbered.length === 1, "the first");
      room.onDrop(() => {
        for (let n = 2; n <= 600; n++) room.send("emote", n);
      });
      await nodes[0].kill();
      await until(() => failovers.length === 1, "the move");
      room.send("emote", 601);
      await until(() => cluster.unnumbered.length === 2, "the next");
      const sent = cluster.unnumbered.map(({ type, payload }) => [type, payload]);
      assert.equal(sent, [
        ["emote", 1],
        ["emote", 601],
      ]);
      assert.equal([room.unacknowledged, cluster.applied.length], [0, 0]);
    },
    { eventual: { arena: ["emote"] } },
  );
});

test("[W24] what the room says without a number is handed on, and not counted", async () => {
  await scene(async ({ room, cluster, nodes, failovers }) => {
    const heard = heardBy(room);
    const unnumbered = (n: number) =>
      nodes[0].deliver(encodeUnnumbered(getMessageBytes.raw(Protocol.ROOM_DATA, "said", n)));
    cluster.say(1);
    unnumbered(100);
    cluster.say(2);
    unnumbered(101);
    await until(() => heard.length === 4, "all of them");
    assert.equal(heard, [1, 100, 2, 101]);
    await nodes[0].kill();
    cluster.say(3);
    await until(() => failovers.length === 1 && heard.length === 5, "what was missed");
    assert.is(nodes[1].attachments[0]?.get("received"), "2");
    assert.equal([heard.at(-1), failovers[0]?.messagesLost], [3, 0]);
  });
});

test("[W23] of a node that does not tell where the messages stand nothing is claimed", async () => {
  await scene(async ({ room, cluster, nodes, failovers }) => {
    const heard = heardBy(room);
    for (const node of nodes) node.tells = false;
    await nodes[0].kill();
    await until(() => failovers.length === 1, "a move");
    cluster.say(1);
    await until(() => heard.length === 1, "a message");
    assert.is(nodes[1].attachments[0]?.get("received"), "0", "the first node had told");
    const other = (await new Client([nodes[1].url, nodes[2].url], quick).joinOrCreate("arena")) as StubRoom;
    await nodes[1].kill();
    await until(() => nodes[2].clients === 2, "both there");
    const claims = nodes[2].attachments.map((query) => [query.get("sessionId"), query.get("received")]);
    assert.equal(claims.sort(), [
      ["s1", "1"],
      ["s2", null],
    ]);
    await other.leave();
  });
});

test("[W23] an attachment's first acknowledgement is told from the others", () => {
  const frame = encodeResumption({ sequence: 7, received: 2 ** 40, lost: 3 });
  const { sequence, frame: rest } = decodeSequenced(frame) ?? { sequence: -1, frame };
  assert.is(sequence, 7);
  assert.equal(decodeResumption(rest), { received: 2 ** 40, lost: 3 });
  assert.is(decodeResumption(new Uint8Array()), null);
});

test.run();

// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { type Client, Protocol, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { sessionLimits } from "../../server/session/limits.ts";
import { defineTestRoom } from "./machine-harness.ts";
import { type Player, Scene } from "./scene.ts";

const HeraldState = schema({ said: t.number().default(0) }, "HeraldState");

/** Says what it is asked to say, in every way that a room can say something. */
class HeraldRoom extends Room<{ state: InstanceType<typeof HeraldState> }> {
  override state = new HeraldState();
  override autoDispose = false;

  override onCreate(): void {
    this.patchRate = 50;
  }

  override onJoin(client: Client): void {
    client.send("welcome", client.sessionId);
  }

  override onDrop(client: Client): void {
    this.allowReconnection(client, 60);
    this.broadcast("gone", client.sessionId);
  }

  override onReconnect(client: Client): void {
    this.broadcast("back", client.sessionId);
  }

  say(n: number): void {
    this.state.said = n;
    this.broadcast("said", n);
  }

  sayLater(n: number): void {
    this.state.said = n;
    this.broadcast("said", n, { afterNextPatch: true });
    for (const client of this.clients) client.send("told", n, { afterNextPatch: true });
  }

  sayBut(sessionId: string, n: number, isLater: boolean): void {
    const except = this.clients.getById(sessionId);
    this.broadcast("said", n, { ...(except && { except }), afterNextPatch: isLater });
  }

  sayRaw(n: number): void {
    this.broadcast("bytes", Uint8Array.of(n));
    for (const client of this.clients) client.sendBytes("own bytes", Uint8Array.of(n));
  }

  sayMuch(length: number): void {
    this.broadcast("much", "x".repeat(length));
  }
}

await defineTestRoom("herald", HeraldRoom);

const played: Scene[] = [];

/** A wrapper client and a stock one on A, another one on B. */
async function heraldScene(): Promise<Scene> {
  const scene = new Scene();
  played.push(scene);
  await scene.create("herald");
  await scene.join("wrapper", "A", {}, true);
  await scene.join("stock", "A");
  await scene.join("other", "B");
  return scene;
}

async function said(scene: Scene, from: number, to: number): Promise<void> {
  for (let n = from; n <= to; n++) await scene.call("say", n);
}

/** What it heard by this connection, in order. */
function heard(player: Player): unknown[] {
  return player.messages.map(([name, payload]) => (name === "said" ? payload : `${name} ${payload}`));
}

function equalReplicas(scene: Scene): void {
  const hashes = scene.replicas.map(({ machine }) => {
    const replica = machine.rooms.get(scene.roomId);
    return [replica?.program.hash(), [...(replica?.seats.values() ?? [])].map((seat) => seat.state)];
  });
  for (const each of hashes) assert.equal(each, hashes[0]);
}

test("[Y50] a wrapper client whose node was killed gets what the room said meanwhile, once and in order", async () => {
  const scene = await heraldScene();
  const player = scene.player("wrapper");
  await said(scene, 1, 2);
  assert.equal(heard(player), ["welcome wrapper", 1, 2]);
  scene.kill("A");
  await said(scene, 3, 5);
  await scene.reconnect("wrapper", "C");
  await said(scene, 6, 6);
  assert.equal(heard(player), [3, 4, 5, "back wrapper", 6]);
  assert.is(player.lost, 0);
  // What is behind the reattachment comes from there; the next node has nothing to add.
  await scene.drop("wrapper");
  await said(scene, 7, 7);
  await scene.reconnect("wrapper", "B");
  assert.equal(heard(player), ["back wrapper"], "what was said while it was known to be away was not for it");
  equalReplicas(scene);
});

test("[Y50] what was missed comes behind the whole state, before anything newer", async () => {
  const scene = await heraldScene();
  scene.kill("A");
  await said(scene, 1, 2);
  await scene.reconnect("wrapper", "B", { falls: true });
  await said(scene, 3, 3);
  assert.equal(
    scene.player("wrapper").frames.map(({ type }) => type),
    ["joined", "ack"],
  );
  await scene.frame("wrapper", Uint8Array.of(Protocol.JOIN_ROOM));
  const codes = scene
    .player("wrapper")
    .socket.frames.slice(2)
    .map(([code]) => code);
  assert.equal(codes.slice(0, 2), [Protocol.ROOM_STATE, Protocol.ROOM_DATA]);
  assert.equal(heard(scene.player("wrapper")), [1, 2, "back wrapper", 3]);
});

test("[Y50] two nodes fall one after the other, the second one before the client has joined there", async () => {
  const scene = await heraldScene();
  scene.kill("A");
  await said(scene, 1, 2);
  await scene.reconnect("wrapper", "B", { falls: true });
  await said(scene, 3, 4);
  scene.kill("B");
  await said(scene, 5, 5);
  await scene.reconnect("wrapper", "C");
  assert.equal(heard(scene.player("wrapper")), [1, 2, "back wrapper", 3, 4, 5, "back wrapper"]);
});

test("[Y50] it is so for bytes, for what is said to one client, to all but some, and behind a patch", async () => {
  const scene = await heraldScene();
  const player = scene.player("wrapper");
  scene.kill("A");
  await scene.call("sayRaw", 1);
  await scene.call("sayBut", "wrapper", 2, false);
  await scene.call("sayBut", "other", 3, false);
  await scene.call("sayLater", 4);
  await scene.call("sayBut", "wrapper", 5, true);
  await scene.call("say", 6);
  await scene.tick(60);
  await scene.reconnect("wrapper", "C");
  const bytes = player.socket.frames.filter(([code]) => code === Protocol.ROOM_DATA_BYTES);
  assert.equal(
    bytes.map((frame) => frame.at(-1)),
    [1, 1],
  );
  assert.equal(heard(player), [3, 6, "told 4", 4, "back wrapper"]);
  equalReplicas(scene);
});

test("[Y51] what is too old, too many or too big is told to be lost", async () => {
  const scene = await heraldScene();
  const player = scene.player("wrapper");
  scene.kill("A");
  await said(scene, 1, sessionLimits.outboxMessagesMax + 3);
  await scene.reconnect("wrapper", "B");
  assert.is(player.lost, 3);
  assert.equal(heard(player).slice(0, 2), [4, 5]);
  await scene.call("say", 1);
  scene.kill("B");
  await scene.call("say", 2);
  await scene.call("sayMuch", sessionLimits.outboxBytesMax);
  await scene.call("say", 3);
  await scene.reconnect("wrapper", "C");
  assert.is(player.lost, 2);
  assert.equal(heard(player), [3, "back wrapper"]);
  await scene.call("say", 4);
  const received = player.received;
  await scene.attach("wrapper", "C", { presentedToken: player.token, received: (received ?? 0) - 1 });
  assert.equal([player.lost, heard(player)], [0, [4, "back wrapper"]]);
  await scene.tick(sessionLimits.outboxMsMax);
  await scene.attach("wrapper", "C", { presentedToken: player.token, received });
  assert.equal([player.lost, heard(player)], [1, ["back wrapper"]]);
});

test("[Y52] what a seat lacks goes through a checkpoint, and so does what waits for the next patch", async () => {
  const scene = await heraldScene();
  scene.kill("A");
  await said(scene, 1, 3);
  await scene.call("sayLater", 4);
  await scene.call("sayBut", "wrapper", 5, true);
  assert.is(await scene.restore("C"), true);
  equalReplicas(scene);
  await scene.tick(60);
  await said(scene, 6, 6);
  equalReplicas(scene);
  await scene.reconnect("wrapper", "C");
  assert.equal(heard(scene.player("wrapper")), [1, 2, 3, "told 4", 4, 6, "back wrapper"]);
  await scene.tick(60);
  equalReplicas(scene);
});

test("[Y52] a checkpoint in the middle of a join: what waits for it is the same on every replica", async () => {
  const scene = await heraldScene();
  scene.kill("A");
  await said(scene, 1, 2);
  await scene.reconnect("wrapper", "B", { falls: true });
  await said(scene, 3, 3);
  assert.is(await scene.restore("C"), true);
  await scene.frame("wrapper", Uint8Array.of(Protocol.JOIN_ROOM));
  await said(scene, 4, 4);
  assert.equal(heard(scene.player("wrapper")), [1, 2, "back wrapper", 3, 4]);
  equalReplicas(scene);
  await scene.attach("wrapper", "C", { presentedToken: scene.player("wrapper").token, received: 3 });
  assert.equal(heard(scene.player("wrapper")), ["back wrapper", 3, 4, "back wrapper"]);
});

test("[Y53] a stock client is sent nothing twice: what was said before its seat changed hands may have come", async () => {
  const scene = await heraldScene();
  const player = scene.player("stock");
  await said(scene, 1, 2);
  await scene.reconnect("stock", "B");
  assert.equal(heard(player), ["back stock"], "its node lives, its socket broke");
  await scene.drop("stock");
  await said(scene, 3, 3);
  await scene.reconnect("stock", "C");
  assert.equal(heard(player), ["back stock"]);
});

test("[Y53] what waits for a stock client's acknowledgement of its join was surely not sent: it gets it elsewhere", async () => {
  const scene = await heraldScene();
  const player = scene.player("stock");
  await scene.reconnect("stock", "B", { falls: true });
  await said(scene, 1, 2);
  scene.kill("B");
  await scene.reconnect("stock", "C");
  assert.equal(heard(player), ["back stock", 1, 2, "back stock"]);
  await scene.reserve("late");
  await scene.attach("late", "C", { falls: true });
  await said(scene, 3, 3);
  await scene.attach("late", "A", { presentedToken: scene.player("late").token });
  equalReplicas(scene);
});

test.run();

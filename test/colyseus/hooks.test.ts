// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { type Client, Protocol, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { z } from "zod";
import { bytesFrame, defineTestRoom, joinAck, leaveFrame, messageFrame } from "./machine-harness.ts";
import { type Player, Scene } from "./scene.ts";

const Diary = schema({ count: t.number() }, "Diary");

/** Writes down everything that happens to it. */
class DiaryRoom extends Room<{ state: InstanceType<typeof Diary> }> {
  override state = new Diary();
  diary: unknown[] = [];

  override onCreate(options: object) {
    this.state.count = 0;
    this.autoDispose = (options as { stays?: boolean }).stays !== true;
    this.diary.push(["onCreate", options]);
    this.onMessage("note", (client, text) => this.diary.push(["note", client.sessionId, text]));
    this.onMessage("sum", z.object({ a: z.number(), b: z.number() }), (_client, { a, b }) => a + b);
    this.onMessage("later", async (_client, ms: number) => {
      await this.clock.duration(ms);
      return `after ${ms}`;
    });
    this.onMessage("refuse", (_client, _message, context) => context?.reject("not now"));
    this.onMessage("tell", (client, text) => {
      client.send("told", text);
      this.broadcast("all told", text);
      this.broadcast("others told", text, { except: client });
    });
    this.onMessage("tell later", (client, text) => {
      this.state.count += 1;
      client.send("told later", text, { afterNextPatch: true });
      client.sendBytes("bytes later", Uint8Array.of(7), { afterNextPatch: true });
      this.broadcast("others told later", text, { except: [client], afterNextPatch: true });
      client.send("told", text);
    });
    this.onMessage("leave me", (client) => client.leave(4100));
    this.onMessage("close all", () => void this.disconnect());
    this.onMessageBytes("bytes", (_client, bytes: Uint8Array) => this.diary.push(["bytes", [...bytes]]));
    this.onMessageBytes("slow bytes", async () => {
      await this.clock.duration(100);
      this.diary.push(["slow bytes"]);
    });
  }

  override async onJoin(client: Client, options: { fails?: boolean; slow?: boolean; failsLate?: boolean }) {
    this.diary.push(["onJoin", client.sessionId, options, client.auth]);
    if (options.fails === true) throw new Error("no room for you");
    if (options.slow === true || options.failsLate === true) await this.clock.duration(100);
    if (options.failsLate === true) throw new Error("too late for you");
    this.state.count++;
    this.diary.push(["joined", client.sessionId]);
  }

  override onDrop(client: Client, code?: number) {
    this.diary.push(["onDrop", client.sessionId, code]);
    if (client.sessionId.startsWith("keep")) this.allowReconnection(client, 3);
  }

  override onReconnect(client: Client) {
    this.diary.push(["onReconnect", client.sessionId, client.userData]);
  }

  override async onLeave(client: Client, code?: number) {
    this.diary.push(["onLeave", client.sessionId, code]);
    if (client.sessionId.endsWith("slow")) await this.clock.duration(80);
    this.diary.push(["left", client.sessionId]);
  }

  override onDispose() {
    DiaryRoom.disposed.push(this.roomId);
    this.diary.push(["onDispose"]);
  }

  static disposed: string[] = [];
}

await defineTestRoom("diary", DiaryRoom);

async function diaryScene(
  options: object = { stays: true },
): Promise<{ scene: Scene; since: () => unknown[] }> {
  const scene = new Scene();
  await scene.create("diary", options);
  const room = scene.room<DiaryRoom>();
  const { diary } = room;
  let read = 0;
  return {
    scene,
    since: () => {
      const fresh = diary.slice(read);
      read = diary.length;
      return fresh;
    },
  };
}

test("[Y3] hooks run in Colyseus's order with Colyseus's arguments, on every replica", async () => {
  const { scene, since } = await diaryScene({ stays: true, mode: "ctf" });
  assert.equal(since(), [["onCreate", { stays: true, mode: "ctf" }]]);
  await scene.reserve("keep1", { team: "red" }, { auth: { user: 7 } });
  await scene.attach("keep1", "B");
  assert.equal(since(), [
    ["onJoin", "keep1", { team: "red" }, { user: 7 }],
    ["joined", "keep1"],
  ]);
  (scene.room().clients[0] as Client).userData = "kept";
  await scene.drop("keep1", 1006);
  assert.equal(since(), [["onDrop", "keep1", 1006]]);
  await scene.reconnect("keep1", "C");
  assert.equal(since(), [["onReconnect", "keep1", "kept"]]);
  await scene.drop("keep1", 1001);
  await scene.tick(3_100);
  assert.equal(since(), [
    ["onDrop", "keep1", 1001],
    ["onLeave", "keep1", 1001],
    ["left", "keep1"],
  ]);
  const diaries = scene.replicas.map((replica) => replica.room<DiaryRoom>(scene.roomId).diary.length);
  assert.equal(diaries, [diaries[0], diaries[0], diaries[0]]);
});

test("[Y33] who shows its token had joined, also if its word of that was lost with its node", async () => {
  const { scene, since } = await diaryScene();
  await scene.reserve("keep1");
  // Its node dies before the client's acknowledgement is agreed; nobody knows yet that it has.
  await scene.value(scene.log.attach("A", scene.roomId, "keep1", { attachId: 77, token: "the first token" }));
  scene.player("keep1").token = "the first token";
  since();
  const { epoch } = (await scene.reconnect("keep1", "B")) as { epoch: number };
  assert.is(epoch, 2);
  assert.equal(since(), [
    ["onDrop", "keep1", 1006],
    ["onReconnect", "keep1", undefined],
  ]);
  assert.is((await scene.request("keep1", "sum", { a: 1, b: 2 }))?.payload, 3);
  const [a, b, c] = scene.hashes();
  assert.equal([b, c], [a, a]);
});

test("[Y4] a consented leave goes to onLeave alone, by frame or by close code; a lost connection to onDrop first", async () => {
  const { scene, since } = await diaryScene();
  for (const sessionId of ["keepA", "keepB", "gone"]) await scene.join(sessionId);
  since();
  await scene.frame("keepA", leaveFrame());
  assert.equal(since(), [
    ["onLeave", "keepA", 4000],
    ["left", "keepA"],
  ]);
  assert.is(scene.player("keepA").socket.closed?.code, 4000);
  await scene.drop("keepB", 4000);
  assert.equal(since(), [
    ["onLeave", "keepB", 4000],
    ["left", "keepB"],
  ]);
  await scene.drop("gone", 1006);
  assert.equal(since(), [
    ["onDrop", "gone", 1006],
    ["onLeave", "gone", 1006],
    ["left", "gone"],
  ]);
  assert.is(scene.seat("gone"), undefined);
});

test("[Y5] an onJoin that throws frees the seat and tells the client why", async () => {
  const { scene } = await diaryScene();
  await scene.reserve("s1", { fails: true });
  const refused = (await scene.attach("s1", "A")) as { refused: string; message: string };
  assert.equal([refused.refused, refused.message], ["APPLICATION", "no room for you"]);
  assert.is(scene.seat("s1"), undefined);
  assert.is(scene.room().clients.length, 0);
  assert.is(await scene.reserve("s1"), true, "the same id may try again");
  await scene.attach("s1", "A");
  assert.is(scene.room().clients.length, 1);
});

test("[Y5] an asynchronous onJoin is waited for: not at rest, then joined, or refused with its words", async () => {
  const { scene, since } = await diaryScene();
  await scene.reserve("slow", { slow: true });
  const answer = (await scene.attach("slow", "A")) as { joined: Promise<void> };
  assert.instance(answer.joined, Promise);
  assert.match(scene.first.machine.rooms.get(scene.roomId)?.restlessBecause() ?? "", "has not finished");
  await scene.tick(150, 3);
  await answer.joined;
  assert.ok(since().some((line) => (line as unknown[])[0] === "joined"));
  await scene.frame("slow", joinAck());
  await scene.reserve("late", { failsLate: true });
  const late = (await scene.attach("late", "A")) as { joined: Promise<void> };
  await scene.tick(150, 3);
  const words = await late.joined.then(
    () => "joined",
    (error: Error) => error.message,
  );
  assert.is(words, "too late for you");
  assert.is(scene.room().clients.length, 1);
  assert.is(scene.seat("late"), undefined);
});

test("[Y6] requests get what the handler returns, what it rejects with, what it throws, and what it resolves later", async () => {
  const { scene } = await diaryScene();
  const player = await scene.join("s1", "B");
  assert.equal(await scene.request("s1", "sum", { a: 2, b: 3 }), { status: 0, payload: 5 });
  assert.equal(await scene.request("s1", "refuse"), { status: 1, payload: "not now" });
  const invalid = await scene.request("s1", "sum", { a: "2" });
  assert.is(invalid?.status, 2);
  const unknown = await scene.request("s1", "nothing");
  assert.is(unknown?.status, 2);
  assert.is((unknown?.payload as { name: string } | undefined)?.name, "no_handler");
  assert.is(await scene.request("s1", "later", 120), undefined);
  await scene.tick(100, 3);
  assert.equal(player.reply(player.requestId), { status: 0, payload: "after 120" });
});

test("[Y7] an unknown message type and one that fails its schema send their client away, and nobody else", async () => {
  const { scene, since } = await diaryScene();
  for (const sessionId of ["a", "b", "c"]) await scene.join(sessionId);
  since();
  await scene.send("a", "nothing");
  await scene.send("b", "sum", { a: "x" });
  assert.equal([scene.player("a").socket.closed?.code, scene.player("b").socket.closed?.code], [4002, 4002]);
  assert.is(scene.player("c").socket.closed, null);
  await scene.send("c", "note", "still here");
  assert.equal(since().at(-1), ["note", "c", "still here"]);
});

test("[Y8] a client gets what it is sent once, from the replica that it is attached to and no other", async () => {
  const { scene } = await diaryScene();
  for (const [sessionId, nodeId] of [
    ["a", "A"],
    ["b", "B"],
    ["c", "C"],
  ] as const)
    await scene.join(sessionId, nodeId);
  await scene.send("b", "tell", "salve");
  const others = [
    ["others told", "salve"],
    ["all told", "salve"],
  ];
  const sorted = (sessionId: string) =>
    scene
      .player(sessionId)
      .messages.map(([name]) => name)
      .sort();
  assert.equal(sorted("b"), ["all told", "told"]);
  for (const sessionId of ["a", "c"])
    assert.equal(sorted(sessionId), others.map(([name]) => name as string).sort());
  const patches = (sessionId: string) =>
    scene
      .player(sessionId)
      .frames.filter((frame) => frame.type === "other" && frame.code === Protocol.ROOM_STATE_PATCH).length;
  await scene.tick(60);
  const before = ["a", "b", "c"].map(patches);
  await scene.join("d", "A");
  assert.equal(["a", "b", "c"].map(patches), before, "not before its time");
  await scene.tick(60);
  assert.equal(
    ["a", "b", "c"].map(patches),
    before.map((count) => count + 1),
  );
});

test("[Y31] what is said afterNextPatch comes right behind the patch, once, wherever its clients are", async () => {
  const { scene } = await diaryScene();
  const one = await scene.join("p1", "A");
  const other = await scene.join("p2", "B");
  await scene.tick(60);
  const heard = (player: Player, from: number) =>
    player.frames.slice(from).flatMap((frame) => {
      if (frame.type === "message") return [frame.name];
      return frame.type === "other" && frame.code === Protocol.ROOM_STATE_PATCH ? ["patch"] : [];
    });
  const [ofOne, ofOther] = [one.frames.length, other.frames.length];
  await scene.send("p1", "tell later", "salve");
  assert.equal([heard(one, ofOne), heard(other, ofOther)], [["told"], []]);
  await scene.tick(60);
  await scene.tick(60);
  assert.equal(heard(one, ofOne), ["told", "patch", "told later"]);
  assert.equal(heard(other, ofOther), ["patch", "others told later"]);
  assert.ok(one.frames.some((frame) => frame.type === "other" && frame.code === Protocol.ROOM_DATA_BYTES));
  const [a, b, c] = scene.hashes();
  assert.equal([b, c], [a, a]);
});

test("[Y8] what was said before is not said again when a log is replayed, or a checkpoint restored", async () => {
  const { scene } = await diaryScene();
  await scene.join("a", "B");
  await scene.send("a", "tell", "once");
  const count = scene.player("a").socket.frames.length;
  assert.is(await scene.restore("B"), true);
  assert.is(scene.player("a").socket.closed?.code, 4010, "its node began again: it goes on elsewhere");
  await scene.send("a", "tell", "twice");
  assert.is(scene.player("a").socket.frames.length, count);
  assert.equal(scene.hashes()[0], scene.hashes()[1]);
});

test("[Y9] client.leave() and disconnect() in a handler close the sockets with their codes; hooks that wait are waited for", async () => {
  const { scene, since } = await diaryScene();
  for (const sessionId of ["a", "b", "c.slow"]) await scene.join(sessionId, "B");
  since();
  await scene.send("a", "leave me");
  assert.is(scene.player("a").socket.closed?.code, 4100);
  since();
  await scene.send("b", "close all");
  assert.is(scene.player("b").socket.closed?.code, 4000);
  assert.is(scene.isGone, false, "onLeave of c waits on the clock");
  assert.equal(since().at(-1), ["left", "b"]);
  await scene.tick(60, 3);
  assert.equal(since(), [["left", "c.slow"], ["onDispose"]]);
  assert.is(scene.player("c.slow").socket.closed?.code, 4000);
  for (const replica of scene.replicas) assert.is(replica.machine.rooms.has(scene.roomId), false);
});

class LateRoom extends Room {
  override autoDispose = false;

  override async onDrop(client: Client) {
    await this.clock.duration(100);
    if (client.sessionId !== "unwanted") void this.allowReconnection(client, 20);
  }
}

await defineTestRoom("late", LateRoom);

test("[Y9] a seat whose onDrop decides later is kept until it has decided", async () => {
  const scene = new Scene();
  await scene.create("late");
  await scene.join("s1");
  await scene.join("unwanted");
  await scene.drop("s1");
  await scene.drop("unwanted");
  await scene.tick(50);
  assert.ok(scene.seat("s1"), "nothing is decided yet");
  await scene.tick(200);
  await scene.tick(50);
  assert.is(scene.seat("unwanted"), undefined);
  await scene.reconnect("s1", "B");
  assert.equal(scene.seat("s1")?.attachment?.nodeId, "B");
});

test("[Y10] an empty room is disposed by the log's time, on every replica at the same command, once", async () => {
  DiaryRoom.disposed = [];
  const { scene } = await diaryScene({});
  await scene.join("a");
  await scene.drop("a", 4000);
  await scene.tick(50);
  assert.is(scene.isGone, true);
  assert.equal(DiaryRoom.disposed.filter((roomId) => roomId === scene.roomId).length, 3);
  for (const replica of scene.replicas) {
    assert.is(replica.machine.rooms.has(scene.roomId), false);
    assert.is(replica.programs.listings.has(scene.roomId), false);
  }
  const never = new Scene();
  await never.create("diary", {});
  await never.tick(14_000);
  assert.is(never.isGone, false);
  await never.tick(1_100);
  assert.is(never.isGone, true, "nobody came within seatReservationTimeout");
});

test("[Y10] a seat that is reserved and never taken is free again by the log's time", async () => {
  const { scene } = await diaryScene();
  await scene.reserve("never", {}, { seconds: 2 });
  const listed = () => scene.first.programs.listings.query({ roomId: scene.roomId })[0]?.clients;
  assert.is(listed(), 1);
  await scene.tick(1_900);
  assert.is(listed(), 1);
  await scene.tick(200);
  assert.is(listed(), 0);
  assert.is(((await scene.attach("never", "A")) as { refused?: string }).refused, "SEAT_EXPIRED");
});

test("[Y11] messages of bytes work, and an asynchronous handler of them keeps the room from rest", async () => {
  const { scene, since } = await diaryScene();
  await scene.join("a");
  await scene.frame("a", bytesFrame("bytes", Uint8Array.of(1, 2, 3)));
  assert.equal(since().at(-1), ["bytes", [1, 2, 3]]);
  await scene.frame("a", bytesFrame("slow bytes", Uint8Array.of(1)));
  assert.match(
    scene.first.machine.rooms.get(scene.roomId)?.restlessBecause() ?? "",
    'the handler of "slow bytes"',
  );
  await scene.tick(60, 3);
  assert.equal(since().at(-1), ["slow bytes"]);
  assert.is(scene.first.machine.rooms.get(scene.roomId)?.restlessBecause(), null);
});

test("[Y12] a frame that is no message of Colyseus's changes nothing and hurts nobody", async () => {
  const { scene, since } = await diaryScene();
  await scene.join("a");
  await scene.join("b");
  since();
  const hash = scene.hashes()[0];
  for (const frame of [
    Uint8Array.of(31),
    Uint8Array.of(13),
    Uint8Array.of(13, 0xa5, 1),
    messageFrame("sum").subarray(0, 3),
    Uint8Array.of(21, 1),
  ]) {
    if (scene.seat("a") === undefined) await scene.join("a");
    await scene.frame("a", frame);
  }
  await scene.send("b", "note", 1);
  assert.equal(since().at(-1), ["note", "b", 1]);
  assert.type(hash, "string");
  assert.equal(scene.hashes(), [scene.hashes()[0], scene.hashes()[0], scene.hashes()[0]]);
});

test.run();

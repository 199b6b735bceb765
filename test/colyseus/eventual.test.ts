import { Room } from "@colyseus/core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { sessionLimits } from "../../server/session/limits.ts";
import { inMacrotask } from "../../server/session/macrotask.ts";
import { type Message, messageCodec } from "../../server/session/message-codec.ts";
import { decodeUnnumbered } from "../../shared/wrapper-protocol.ts";
import { bytesFrame, defineTestRoom, messageFrame, readFrame } from "./machine-harness.ts";
import { Scene } from "./scene.ts";
import { does, heard, type StageRoom, stage } from "./stage-room.ts";

test("[Y120] each client gets an eventual message once, from its own node, and nothing of it is in the log", async () => {
  const { scene, say, settled, told, eventuals } = await stage();
  const before = scene.hashes();
  say("ann", messageFrame("emote", "waves"));
  say("ann", messageFrame("emote", "bows"));
  say("cleo", bytesFrame("raw", Uint8Array.of(5, 6)));
  await settled();
  for (const name of ["ann", "ben", "cleo"])
    assert.equal(heard(scene.player(name), "emote"), ["ann waves", "ann bows"], name);
  for (const { socket } of scene.players.values())
    assert.is(socket.frames.filter(([code]) => code === 17).length, 1, "bytes, too");
  assert.is(told.length, 6);
  assert.equal(scene.hashes(), before);
  assert.is(new Set(scene.hashes()).size, 1);
  assert.equal(eventuals("B").counts, { run: 3, dropped: 0 });
  // Nothing of it is kept for who comes back, either.
  assert.is(scene.seat("ann")?.outbox.sent, 0);
});

test("[Y120] only nodes with clients of the room are told, in its epoch, by the node that has the client", async () => {
  const { scene, say, settled, told, eventuals } = await stage();
  await scene.drop("cleo");
  say("ann", messageFrame("emote", "waves"));
  await settled();
  assert.equal(
    told.map(({ to }) => to),
    ["B"],
  );
  const [{ body } = { body: new Uint8Array() }] = told;
  eventuals("B").heard(0, "A", body);
  eventuals("B").heard(0, "C", Uint8Array.from(body));
  await settled();
  assert.is(heard(scene.player("ben"), "emote").length, 1, "twice, and from a stranger");
  await scene.reconnect("ann", "C");
  say("ann", messageFrame("emote", "from before"), { epoch: 1 });
  say("ann", messageFrame("emote", "since"));
  await settled();
  assert.equal(heard(scene.player("ben"), "emote"), ["ann waves", "ann since"]);
});

/** As another node tells it. */
function asTold(message: Message, index: number): Uint8Array {
  const body = messageCodec.encode(message, 9);
  body[0] = 0xc1;
  new DataView(body.buffer, body.byteOffset).setFloat64(1, index, true);
  return body;
}

for (const wrapper of [true, false]) {
  const who = wrapper ? "a wrapper" : "a stock client";
  test(`[Y158] ${who} that moves hears an eventual message once, though one of its nodes hears of it late`, async () => {
    const wire = await stage(wrapper);
    const { scene, say, settled, told, eventuals } = wire;
    const ben = scene.player("ben");
    const emotes = () => {
      const frames = ben.socket.frames.map((frame) => readFrame(decodeUnnumbered(frame) ?? frame));
      return frames.flatMap((frame) =>
        frame.type === "message" && frame.name === "emote" ? [frame.payload] : [],
      );
    };
    wire.drops = true;
    say("ann", messageFrame("emote", "waves"));
    await settled();
    const bodyFor = (nodeId: string) => told.findLast(({ to }) => to === nodeId)?.body ?? new Uint8Array();
    const [forOld, forNew] = [bodyFor("B"), bodyFor("C")];
    eventuals("B").heard(0, "A", forOld);
    await settled();
    assert.equal(emotes(), ["ann waves"]);
    await scene.reconnect("ben", "C");
    eventuals("C").heard(0, "A", forNew);
    await settled();
    assert.equal(emotes(), [], "it was told by the node before");
    assert.is(heard(scene.player("cleo"), "emote").length, 1, "the others are");
    say("ann", messageFrame("emote", "bows"));
    await settled();
    eventuals("C").heard(0, "A", bodyFor("C"));
    await settled();
    assert.equal(emotes(), ["ann bows"]);
    assert.is(new Set(scene.hashes()).size, 1);
  });
}

test("[Y120] what a node tells is looked at before it counts", async () => {
  const { scene, say, settled, told, eventuals } = await stage();
  say("ann", messageFrame("emote", "waves"));
  await settled();
  const body = told.find(({ to }) => to === "B")?.body ?? new Uint8Array();
  const { warnings } = scene.node("B");
  const message = { roomId: scene.roomId, sessionId: "ann", epoch: 1, stream: "epoch", sequence: 9 } as const;
  const tooLong = asTold({ ...message, frame: new Uint8Array(sessionLimits.frameBytesMax + 1) }, 9);
  const nowhere = asTold({ ...message, frame: messageFrame("emote", "waves") }, Number.NaN);
  for (const garbled of [...[1, 9, 12, 28].map((bytes) => body.subarray(0, bytes)), tooLong, nowhere])
    assert.is(eventuals("B").heard(0, "A", garbled), true);
  assert.is(warnings.length, 6);
  assert.is(eventuals("B").heard(0, "A", Uint8Array.of(0x81, 1)), false, "another word");
  eventuals("B").heard(0, "A", asTold({ ...message, sequence: 10, frame: messageFrame("counted") }, 9));
  await settled();
  assert.is(warnings.length, 7, "it is no eventual message of the room");
  assert.is(scene.room<StageRoom>("B").count, 0);
});

test("[Y122] its time is the replica's, its chance the message's own, and none of the room's", async () => {
  const { scene, say, settled } = await stage();
  does(function (client) {
    this.broadcast("dice", [client.sessionId, Math.random(), crypto.randomUUID(), Date.now()]);
  });
  const world = () =>
    scene.replicas.map(({ machine }) => machine.rooms.get(scene.roomId)?.world.state.random.join());
  const before = world();
  say("ann", messageFrame("act"));
  say("ann", messageFrame("act"));
  say("ben", messageFrame("act"));
  await settled();
  const dice = heard(scene.player("ann"), "dice") as [string, number, string, number][];
  for (const name of ["ben", "cleo"]) {
    const theirs = (heard(scene.player(name), "dice") as typeof dice).map((each) => each.join());
    assert.equal(theirs.sort(), dice.map((each) => each.join()).sort());
  }
  assert.is(new Set(dice.map(([, chance]) => chance)).size, 3);
  assert.equal(world(), before);
  assert.is(dice[0]?.[3], 1_700_000_000_000 + scene.log.logTimeMs);
});

test("[Y123] asked for an answer, an eventual message says that it has none; an asynchronous handler is refused", async () => {
  const { scene, settled, say } = await stage();
  const answer = await scene.request("ann", "emote", "waves");
  assert.match(JSON.stringify(answer?.payload), /\\"emote\\" is an eventual message: it has no answer/);
  assert.is.not(answer?.status, 0);
  assert.is(new Set(scene.hashes()).size, 1);
  assert.equal(heard(scene.player("ben"), "emote"), []);
  does(() => Promise.resolve());
  say("ann", messageFrame("act"));
  await settled();
  assert.match((scene.first.warnings[0] as { error: string }).error, /asynchronous handler of "act"/);
  assert.is(scene.first.machine.rooms.get(scene.roomId)?.restlessBecause(), null);
  class AsyncRoom extends Room {
    override messages = { emote: async () => {} };
  }
  await defineTestRoom("async stage", AsyncRoom, { messages: { emote: "eventual" } });
  const other = new Scene(["A"]);
  const refused = (await other.create("async stage")) as { refused: string; message: string };
  assert.match(refused.message, /AsyncRoom cannot be replicated with an asynchronous handler of "emote"/);
});

test("[Y124] a message that its schema refuses sends its client away and is told to nobody", async () => {
  const { scene, say, settled, told, refused } = await stage();
  say("ann", messageFrame("say", { words: "much too long" }));
  await settled();
  assert.match(refused[0] ?? "", /the message "say" is refused: .*5 characters/);
  assert.equal(told, []);
  say("ann", messageFrame("say", { words: "salve" }));
  await settled();
  assert.equal(refused.length, 1);
  assert.equal(heard(scene.player("ben"), "said"), ["salve"]);
  assert.equal(heard(scene.player("ann"), "said"), [], "except");
});

test("[Y124] what waits here, and what is told to one node at once, is limited; more is dropped and counted", async () => {
  const { scene, say, settled, eventuals, busy, told } = await stage();
  busy.add("C");
  say("ann", messageFrame("emote", "waves"));
  await settled();
  assert.equal(eventuals("A").counts, { run: 1, dropped: 1 });
  assert.equal(
    [heard(scene.player("ben"), "emote").length, heard(scene.player("cleo"), "emote").length],
    [1, 0],
  );
  busy.clear();
  const bytes = new Uint8Array(sessionLimits.eventualBytesPerTurnMax / 4);
  for (let n = 0; n < 8; n++) say("ann", bytesFrame("raw", bytes));
  await settled();
  const large = told.filter(({ to, body }) => to === "B" && body.length > bytes.length).length;
  assert.is(large, 3, "one turn of them");
  assert.is(eventuals("A").counts.dropped, 1 + 2 * 5);
  const before = eventuals("B").counts;
  for (let n = 0; n < sessionLimits.eventualWaitingMax + 7; n++) say("ben", messageFrame("late"));
  assert.is(eventuals("B").counts.dropped - before.dropped, 7);
  does(() => {});
  for (let turn = 0; turn < 40; turn++) await settled();
  assert.is(eventuals("B").counts.run - before.run, sessionLimits.eventualWaitingMax);
});

test("[Y125] a wrapper's count of the room's messages is not disturbed", async () => {
  const { scene, say, settled } = await stage(true);
  const ben = scene.player("ben");
  await scene.send("ann", "counted");
  say("ann", messageFrame("emote", "waves"));
  await settled();
  await scene.send("ann", "counted");
  assert.equal(heard(ben, "counted"), [1, 2]);
  assert.equal(heard(ben, "emote"), [], "not as one of the numbered ones");
  const unnumbered = ben.socket.frames.map(decodeUnnumbered).filter((each) => each !== null);
  assert.equal(unnumbered.map(readFrame), [{ type: "message", name: "emote", payload: "ann waves" }]);
  assert.is(scene.seat("ben")?.outbox.sent, 2);
  await scene.reconnect("ben", "C");
  await scene.send("ann", "counted");
  assert.equal([heard(scene.player("ben"), "counted"), scene.player("ben").lost], [[3], 0]);
});

test("[Y125] one that its client numbers is in the log, counts once, and may do no more than others", async () => {
  const { scene } = await stage(true);
  const ben = scene.player("ben");
  await scene.send("ben", "emote", "bows");
  assert.equal(heard(scene.player("ann"), "emote"), ["ben bows"]);
  assert.equal(heard(scene.player("cleo"), "emote"), ["ben bows"]);
  const { clientSequence: sequence } = ben;
  await scene.frameAs("ben", { stream: "client", sequence, frame: messageFrame("emote", "bows") });
  assert.equal(heard(scene.player("ann"), "emote"), ["ben bows"], "it came again");
  does(function () {
    this.count++;
  });
  await scene.send("ben", "act");
  for (const { warnings } of scene.replicas)
    assert.match((warnings[0] as { error: string }).error, /room\.count was assigned/);
  assert.is(scene.room<StageRoom>().count, 0);
  assert.is(scene.seat("ben")?.clientSequence, sequence + 1);
  assert.is(new Set(scene.hashes()).size, 1);
  await scene.send("ben", "say", { words: "much too long" });
  assert.is(ben.socket.closed?.code, 4002);
  assert.is(new Set(scene.hashes()).size, 1);
});

test("[Y126] a replica that stands still, or has no such room, runs none; a throw hurts nobody", async () => {
  const { scene, say, settled, eventuals } = await stage();
  const { witness } = scene.node("B").machine.rooms.get(scene.roomId) as { witness: object };
  Object.defineProperty(witness, "frozen", { configurable: true, value: {} });
  say("ann", messageFrame("emote", "waves"));
  await settled();
  Reflect.deleteProperty(witness, "frozen");
  assert.equal(heard(scene.player("ben"), "emote"), []);
  assert.equal(heard(scene.player("cleo"), "emote"), ["ann waves"]);
  await inMacrotask(() => scene.node("C").restore(new Map()));
  does(() => {
    throw new Error("a slip");
  });
  say("ann", messageFrame("act"));
  say("ann", messageFrame("emote", "bows"));
  await settled();
  assert.equal(heard(scene.player("ben"), "emote"), ["ann bows"]);
  assert.is((scene.first.warnings[0] as { error: string }).error, "a slip");
  assert.equal(scene.node("C").warnings, []);
  assert.is(eventuals("C").counts.run, 1);
});

test.run();

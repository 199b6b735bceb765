// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { Room } from "@colyseus/core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Effects } from "../../server/colyseus/effects.ts";
import type { ReplicatedRoom } from "../../server/colyseus/replicated.ts";
import { sessionLimits } from "../../server/session/limits.ts";
import { inMacrotask } from "../../server/session/macrotask.ts";
import { AskingRoom, agree, attempt, attempts, lead, same, scene, turns } from "./asking-room.ts";
import { defineTestRoom } from "./machine-harness.ts";
import { Scene } from "./scene.ts";

class EagerRoom extends Room {
  declare effect: ReplicatedRoom["effect"];
  effects = { look: { run: attempt } };
  override async onCreate() {
    await this.effect("look", null);
  }
}

class LastWordsRoom extends Room {
  declare effect: ReplicatedRoom["effect"];
  effects = { save: { timeoutMs: 1_000, run: attempt } };
  override async onDispose() {
    await this.effect("save", "the score");
  }
}

/** Its effects are for the eye. */
class SparklingRoom extends Room {
  effects: unknown = [{ kind: "spark", x: 1 }];
  override onCreate() {
    this.autoDispose = false;
    this.onMessage("more", () => (this.effects as unknown[]).push({ kind: "smoke" }));
  }
}

class LateRoom extends AskingRoom {
  override onCreate() {
    super.onCreate();
    this.onMessage("add", () => {
      (this.effects as Effects)["more"] = { run: attempt };
    });
    this.onMessage("replace", () => {
      this.effects = { ...this.effects };
    });
  }
}

const misdeclared: Record<string, [unknown, RegExp]> = {
  "no time": [{ look: { timeoutMs: "soon", run: attempt } }, /effects\.look of \w+ is no effect/],
  "no end": [{ look: { timeoutMs: Number.POSITIVE_INFINITY, run: attempt } }, /effects\.look/],
  "one without run": [{ look: { run: attempt }, other: {} }, /effects\.other/],
  "a function alone": [{ look: attempt }, /room\.effects\.look/],
};

for (const [name, roomClass] of Object.entries({
  eager: EagerRoom,
  "last words": LastWordsRoom,
  sparkling: SparklingRoom,
  late: LateRoom,
}))
  await defineTestRoom(name, roomClass);
for (const [name, [effects]] of Object.entries(misdeclared)) {
  class MisdeclaredRoom extends Room {
    effects = effects;
  }
  await defineTestRoom(name, MisdeclaredRoom);
}

test("[Y43] room code may cancel one, and whoever runs it is told", async () => {
  const made = await scene();
  await made.join("p1", "A");
  await made.request("p1", "cancel");
  await turns();
  await made.tick(50, 6);
  await turns();
  assert.equal(made.player("p1").reply(1)?.payload, [
    ...["EffectError", "EFFECT_CANCELLED"],
    "the room's code has cancelled the effect",
  ]);
  assert.ok(attempts[0]?.signal.aborted);
  assert.equal(
    made.replicas.map(({ warnings }) => warnings),
    [[], [], []],
  );
  same(made);
});

test("[Y43] one that is cancelled at once never runs, and is nobody's failure", async () => {
  const made = await scene();
  await made.join("p1", "A");
  await made.send("p1", "regret");
  await turns();
  assert.is(attempts.length, 0);
  for (const { warnings } of made.replicas) assert.equal(warnings, []);
  same(made);
});

test("[Y43] whoever runs one is told when the room is ended for it, and when its node stops", async () => {
  const made = await scene();
  await made.join("p1", "A");
  await made.send("p1", "forgetful");
  await turns();
  await made.apply(made.log.quarantine("A", { roomId: made.roomId }));
  await turns();
  assert.ok(made.isGone);
  assert.ok(attempts[0]?.signal.aborted);
  const other = await scene();
  await other.join("p1", "A");
  await other.send("p1", "forgetful");
  await turns();
  other.node("B").effects.stop();
  assert.ok(attempts[0]?.signal.aborted);
});

test("[Y43] a room ends after what it still waits for, in onDispose too; nobody joins it meanwhile", async () => {
  const made = await scene("last words");
  await made.join("p1", "A");
  await made.drop("p1");
  await turns();
  assert.is(await made.reserve("p2"), false);
  assert.is(attempts[0]?.argument, "the score");
  assert.is(made.isGone, false);
  attempts[0]?.answer(null);
  await agree(made);
  assert.ok(made.isGone);
  assert.equal(
    made.replicas.map(({ programs }) => programs.listings.query({ roomId: made.roomId }).length),
    [0, 0, 0],
  );
  const silent = await scene("last words");
  await silent.join("p1", "A");
  await silent.drop("p1");
  await silent.tick(1_000);
  assert.ok(silent.isGone, "also when nobody answers");
});

test("[Y44] what an effect cannot be given, or is not known, is refused with what to do, and nothing is made", async () => {
  const made = await scene();
  for (const [method, code, words] of [
    ["giveMap", "NOT_PLAIN_DATA", 'the argument of effect "look".deck is a Map'],
    ["giveMuch", "EFFECT_ARGUMENT_TOO_BIG", 'the argument of effect "look" has'],
    ["giveUnknown", "EFFECT_UNKNOWN", 'AskingRoom has no effect "lok": it has look, quick, nothing'],
    ["giveInherited", "EFFECT_UNKNOWN", 'AskingRoom has no effect "toString"'],
  ] as const) {
    const told = (await made.call("told", method)) as [string, string, string];
    assert.equal(told.slice(0, 2), ["SessionError", code]);
    assert.match(told[2], words);
  }
  await turns();
  assert.is(attempts.length, 0);
  assert.equal(made.first.machine.rooms.get(made.roomId)?.world.effects.state, { made: 0, open: [] });
  same(made);
});

test(`[Y44] a room waits for ${sessionLimits.effectsMax} at once; more are refused`, async () => {
  const made = await scene();
  await made.join("p1", "A");
  await made.send("p1", "try", { times: sessionLimits.effectsMax });
  assert.equal(made.room<AskingRoom>().found, []);
  await made.send("p1", "try", {});
  const [[name, code, words]] = made.room<AskingRoom>("C").found as [[string, string, string]];
  assert.equal([name, code], ["SessionError", "EFFECTS_TOO_MANY"]);
  assert.match(words, "at most 128 effects at once");
  await turns();
  assert.is(attempts.length, sessionLimits.effectsMax);
  await made.tick(1_000);
  await made.send("p1", "try", {});
  await turns();
  assert.is(attempts.length, sessionLimits.effectsMax + 1, "there is room again");
  same(made);
});

test(`[Y44] a node runs ${sessionLimits.effectsRunningMax} at once; the rest wait for their turn`, async () => {
  const made = await scene();
  const roomIds = [made.roomId];
  while (roomIds.length * sessionLimits.effectsMax <= sessionLimits.effectsRunningMax) {
    roomIds.push(new Scene([]).roomId);
    await made.apply(made.log.allocate("A", roomIds.at(-1) as string, "asking"));
  }
  for (const roomId of roomIds)
    await made.apply(made.log.call("A", roomId, "askMany", sessionLimits.effectsMax));
  await turns();
  assert.is(attempts.length, sessionLimits.effectsRunningMax);
  for (const { answer } of attempts) answer(null);
  await agree(made);
  await lead(made, "B", 1);
  assert.is(attempts.length, roomIds.length * sessionLimits.effectsMax);
});

test("[Y44] in onCreate there is nobody to wait; from outside there is no such thing", async () => {
  const made = await scene("eager");
  assert.ok(made.isGone);
  const refused = (await new Scene(["A"]).create("eager")) as { refused: string; message: string };
  assert.is(refused.refused, "ROOM_CREATE_FAILED");
  assert.match(refused.message, /effect "look" in onCreate.*pass it as an option; or from onJoin/);
  const other = await scene();
  const room = other.room<AskingRoom>();
  assert.throws(() => room.ask("x"), /effect\(\) was called outside of the room; .*room\.propose/);
  await other.call("holds");
  await inMacrotask(() =>
    assert.throws(() => room.asking?.(), /an effect of room asking \w+ was cancelled outside of the room/),
  );
});

for (const [name, [, words]] of Object.entries(misdeclared)) {
  test(`[Y44] effects that are declared with ${name} are an error when the room is made`, async () => {
    const refused = (await new Scene(["A"]).create(name)) as { refused: string; message: string };
    assert.is(refused.refused, "ROOM_CREATE_FAILED");
    assert.match(refused.message, words);
  });
}

test("[Y45] a room that waits is not at rest and says for what; its count goes through checkpoints", async () => {
  const made = await scene();
  await made.join("p1", "A");
  await made.send("p1", "look", "Livia");
  assert.is(await made.restore("C"), false);
  assert.is(made.first.machine.rooms.get(made.roomId)?.restlessBecause(), 'effect "look" has not finished');
  await turns();
  attempts[0]?.answer(1);
  await agree(made);
  assert.is(made.first.machine.rooms.get(made.roomId)?.restlessBecause(), null);
  assert.ok(await made.restore("C"));
  same(made);
  await lead(made, "C", 1);
  await made.send("p1", "look", "Drusus");
  await turns();
  assert.equal(
    attempts.map(({ key }) => key),
    [`${made.roomId}:1`, `${made.roomId}:2`],
  );
  attempts[1]?.answer(2);
  await agree(made, "C");
  same(made);
});

test("[Y45] a hash tells replicas apart that have not made the same effects", async () => {
  const made = await scene();
  const world = made.node("B").machine.rooms.get(made.roomId)?.world;
  world?.effects.restore({ made: 5, open: [] });
  assert.not.equal(world?.state, made.first.machine.rooms.get(made.roomId)?.world.state);
});

test("[Y45] a field called effects that has no run in it is data like any other", async () => {
  const made = await scene("sparkling");
  await made.join("p1", "A");
  await made.send("p1", "more");
  assert.ok(await made.restore("B"));
  assert.equal(made.room<SparklingRoom>("B").effects, [{ kind: "spark", x: 1 }, { kind: "smoke" }]);
  same(made);
});

test("[Y45] what a room can ask for does not change while it lives", async () => {
  const made = await scene("late");
  await made.join("p1", "A");
  await made.send("p1", "add");
  assert.match(JSON.stringify(made.first.warnings), "object is not extensible");
  await made.send("p1", "replace");
  assert.is(await made.restore("B"), false);
  assert.match(JSON.stringify(made.node("B").warnings), "room.fields.effects.look.run is a function");
});

test.run();

// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { ServerError } from "@colyseus/core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { sessionLimits } from "../../server/session/limits.ts";
import { inMacrotask } from "../../server/session/macrotask.ts";
import {
  type AskingRoom,
  type Attempt,
  agree,
  attempts,
  bytes,
  lead,
  same,
  scene,
  turns,
} from "./asking-room.ts";
import { Replica } from "./machine-harness.ts";

test("[Y40] an effect runs once, on the leader's node and outside of the room; what it says is told in the log", async () => {
  const made = await scene();
  await made.join("p1", "A");
  assert.is(await made.request("p1", "look", "Livia"), undefined);
  await turns();
  assert.is(attempts.length, 1);
  const [{ argument, key, isOutside, signal, answer }] = attempts as [Attempt];
  assert.equal([argument, key, isOutside], [{ id: "Livia" }, `${made.roomId}:1`, true]);
  same(made);
  answer({ gold: 7 });
  await turns();
  assert.is(made.player("p1").reply(1), undefined, "nothing is told before it is agreed");
  await made.tick(100);
  await agree(made);
  assert.equal(made.player("p1").reply(1), { status: 0, payload: { gold: 7 } });
  assert.is(made.player("p1").frames.filter(({ type }) => type === "reply").length, 1);
  for (const { nodeId } of made.replicas)
    assert.equal(made.room<AskingRoom>(nodeId).found, made.room<AskingRoom>().found);
  assert.is(signal.aborted, false, "one that has come to its end is not given up");
  same(made);
});

test("[Y40] onJoin may wait for one; others go on meanwhile", async () => {
  const made = await scene();
  await made.join("p1", "A");
  await made.reserve("p2", { looksUp: "Livia" });
  await made.attach("p2", "C");
  await made.send("p1", "forgetful");
  assert.equal(made.room<AskingRoom>().found, []);
  await agree(made);
  assert.equal(made.room<AskingRoom>("C").found, [["joins", "Livia"]]);
  assert.is(made.room("C").clients.length, 2);
  same(made);
});

test("[Y40] a proposed method may wait for one, and one may say nothing", async () => {
  const made = await scene();
  const [called] = await made.apply(made.log.call("A", made.roomId, "ask", "Livia"));
  await turns();
  attempts[0]?.answer("found");
  await agree(made);
  assert.is(called?.type === "done" ? await called.value : null, "found");
  await made.join("p1", "A");
  await made.request("p1", "nothing");
  await agree(made);
  assert.is(made.player("p1").reply(1)?.status, 0);
});

test("[Y40] what it was given is as it was then", async () => {
  const made = await scene();
  await made.join("p1", "A");
  await made.send("p1", "changing");
  await turns();
  assert.equal(attempts[0]?.argument, { id: "before" });
});

test("[Y41] who replays a log runs nothing that was settled in it, and what is still open only when it has all of it", async () => {
  const made = await scene();
  await made.join("p1", "A");
  await made.send("p1", "look", "settled");
  await turns();
  attempts[0]?.answer(1);
  await agree(made);
  await made.send("p1", "look", "open");
  await turns();
  assert.is(attempts.length, 2);
  attempts.length = 0;
  const late = new Replica("D");
  late.leadsTerm = 2;
  let caughtUp = () => {};
  late.caughtUp = new Promise((resolve) => {
    caughtUp = resolve;
  });
  await inMacrotask(() => made.first.restore(new Map()));
  for (const entry of made.entries) {
    await inMacrotask(() => late.apply(entry));
    await inMacrotask(() => late.effects.sweep());
  }
  await turns();
  assert.is(attempts.length, 0);
  late.leadsTerm = 4;
  caughtUp();
  await turns();
  assert.is(attempts.length, 0, "what it had then may be less than what it leads with now");
  await inMacrotask(() => late.effects.sweep());
  await turns();
  assert.equal(
    attempts.map(({ key, argument }) => [key, argument]),
    [[`${made.roomId}:2`, { id: "open" }]],
  );
});

test("[Y41] each later leader runs what is open once more, with the same key; who leads no more gives it up", async () => {
  const made = await scene();
  await made.join("p1", "A");
  await made.send("p1", "look", "Livia");
  await turns();
  await lead(made, "C", 2);
  assert.is(attempts.length, 2);
  const [first, second] = attempts as [Attempt, Attempt];
  assert.equal([first.signal.aborted, second.signal.aborted], [true, false]);
  assert.equal([second.key, second.argument], [first.key, first.argument]);
  first.fail(new Error("aborted"));
  await lead(made, "C", 2);
  assert.is(attempts.length, 2, "once in each lead");
  assert.equal(made.node("B").effectsDone, [], "what it says to that is nobody's answer");
  await made.send("p1", "look", "Drusus");
  await lead(made, "C", 2);
  assert.equal(
    attempts.map(({ key }) => key.split(":")[1]),
    ["1", "1", "2"],
  );
  await lead(made, "B", 3);
  assert.is(attempts.length, 5);
  attempts[3]?.answer("third");
  await agree(made);
  assert.equal(made.player("p1").reply(1), undefined);
  for (const { nodeId } of made.replicas)
    assert.equal((made.room<AskingRoom>(nodeId).found[0] as unknown[])[1], "third");
  same(made);
});

test("[Y41] the first outcome counts; others, and those of effects that never were, change nothing", async () => {
  const made = await scene();
  await made.join("p1", "A");
  await made.send("p1", "look", "Livia");
  const done = (number: number, value: string) =>
    made.apply(made.log.effectDone("C", made.roomId, number, { type: "result", value }));
  await done(2, "never made");
  await done(1, "first");
  await done(1, "second");
  assert.equal(
    made.room<AskingRoom>("C").found.map((found) => (found as unknown[])[1]),
    ["first"],
  );
  same(made);
});

test("[Y41] an outcome that was not taken is proposed again, as long as somebody waits", async () => {
  const made = await scene();
  await made.join("p1", "A");
  await made.send("p1", "look", "Livia");
  await turns();
  attempts[0]?.answer("x");
  made.node("B").refusesEffects = true;
  await turns();
  made.node("B").effectsDone.splice(0);
  await lead(made, null, 2);
  assert.is(made.node("B").effectsDone.length, 1, "also where another node leads by now");
  await agree(made);
  await lead(made, null, 2);
  assert.is(made.node("B").effectsDone.length, 0);
  assert.is(attempts.length, 1);
});

test("[Y41] while a room stands still nothing is proposed to it; then it is", async () => {
  const made = await scene();
  await made.join("p1", "A");
  await made.send("p1", "look", "Livia");
  const { index } = made.log;
  const verdict = { roomId: made.roomId, index, hash: null, hashes: [] };
  await made.apply(made.log.next("A", "verdicts", { verdicts: [verdict] }));
  assert.ok(made.node("B").machine.rooms.get(made.roomId)?.witness.frozen);
  await turns();
  attempts[0]?.answer("x");
  made.node("B").refusesEffects = true;
  await turns();
  made.node("B").effectsDone.splice(0);
  await lead(made, "B", 1);
  assert.equal(made.node("B").effectsDone, []);
});

test("[Y40] a wrapper has its answer also if another client has had its seat when it came", async () => {
  const made = await scene();
  await made.join("p1", "A", {}, true);
  await made.request("p1", "look", "Livia");
  const { token } = made.player("p1");
  await made.attach("p1", "B", { presentedToken: token, wrapper: false });
  await turns();
  attempts[0]?.answer("found");
  await agree(made);
  assert.is(made.player("p1").reply(1), undefined, "that one has asked nothing of that number");
  await made.attach("p1", "C", { presentedToken: made.player("p1").token, wrapper: true });
  assert.is(made.player("p1").reply(1)?.payload, "found");
  same(made);
});

const failures: [string, (attempt: Attempt) => void, unknown][] = [
  [
    "an error",
    ({ fail }) => fail(new Error("no such player")),
    ["EffectError", "EFFECT_FAILED", "no such player"],
  ],
  [
    "a code of Colyseus",
    ({ fail }) => fail(new ServerError(4_303, "banned")),
    ["EffectError", 4_303, "banned"],
  ],
  [
    "a code of Node",
    ({ fail }) => fail(Object.assign(new Error("gone"), { code: "ENOENT" })),
    ["EffectError", "ENOENT", "gone"],
  ],
  ["nothing", ({ fail }) => fail(null), ["EffectError", "EFFECT_FAILED", "null"]],
  [
    "very much",
    ({ fail }) => fail(Object.assign(new Error("x".repeat(5_000)), { code: "y".repeat(100) })),
    ["EffectError", "y".repeat(64), "x".repeat(1_000)],
  ],
];
for (const [what, end, expected] of failures) {
  test(`[Y42] an effect that fails with ${what} fails alike on every replica`, async () => {
    const made = await scene();
    await made.join("p1", "A");
    await made.send("p1", "try", {});
    await turns();
    end(attempts[0] as Attempt);
    await agree(made);
    for (const { nodeId } of made.replicas) assert.equal(made.room<AskingRoom>(nodeId).found, [expected]);
    same(made);
  });
}

test("[Y42] what is no plain data, or too much of it, is the effect's failure", async () => {
  const made = await scene();
  await made.join("p1", "A");
  for (const value of [{ deck: new Map() }, bytes(sessionLimits.effectBytesMax), bytes(40_000)]) {
    await made.send("p1", "try", {});
    await turns();
    attempts.at(-1)?.answer(value);
    await agree(made);
  }
  const [first, second, third] = made.room<AskingRoom>("C").found as [unknown[], unknown[], object];
  assert.is(first[1], "EFFECT_RESULT_NOT_PLAIN");
  assert.match(first[2] as string, /what effect "look" resolves with\.deck is a Map/);
  assert.is(second[1], "EFFECT_RESULT_TOO_BIG");
  assert.match(second[2] as string, /has \d+ bytes, at most 49152/);
  assert.is((third as Uint8Array).length, 40_000);
  same(made);
});

test("[Y42] it is given up in log time, on every replica at once; what comes later counts for nothing", async () => {
  const made = await scene();
  await made.join("p1", "A");
  await made.send("p1", "try", {});
  await turns();
  await made.tick(999);
  assert.equal(made.room<AskingRoom>().found, []);
  await made.tick(1);
  const late = ["EffectError", "EFFECT_TIMEOUT", 'effect "look" took more than 1000 ms'];
  for (const { nodeId } of made.replicas) assert.equal(made.room<AskingRoom>(nodeId).found, [late]);
  await turns();
  assert.ok(attempts[0]?.signal.aborted);
  attempts[0]?.answer("too late");
  await agree(made);
  await made.apply(made.log.effectDone("B", made.roomId, 1, { type: "result", value: "too late" }));
  assert.equal(made.room<AskingRoom>().found, [late]);
  same(made);
});

test("[Y42] one that nobody waits for and that fails is a line in the log", async () => {
  const made = await scene();
  await made.join("p1", "A");
  await made.send("p1", "forgetful");
  await made.tick(1_000);
  for (const { warnings } of made.replicas) assert.match(JSON.stringify(warnings), "took more than 1000 ms");
});

test.run();

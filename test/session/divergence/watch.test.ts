// test-run: seconds=120 node=--import=./server/colyseus/register.ts
import { test } from "uvu";
import * as assert from "uvu/assert";
import { divergenceTimes } from "../../../server/session/divergence/divergence-watch.ts";
import { healingTimes } from "../../../server/session/divergence/healing.ts";
import { healingLimits } from "../../../server/session/divergence/healings.ts";
import { encodeWord } from "../../../server/session/divergence/peer-words.ts";
import { copyLimits } from "../../../server/session/divergence/room-copies.ts";
import { inMacrotask } from "../../../server/session/macrotask.ts";
import type { Checkpoint } from "../../../server/storage/storage.ts";
import { Replica } from "../../colyseus/machine-harness.ts";
import { Jury } from "./jury.ts";
import type { DivergingRoom } from "./trial.ts";

const begin = async (nodeIds?: readonly string[]) => (await new Jury(nodeIds).begin()) as Jury;

/** From now on this node's replica is another. */
function bend(jury: Jury, nodeId: string, bias = 1): void {
  jury.room<DivergingRoom>(nodeId).bias = bias;
}

test("[V7] replicas that agree: one entry for all rooms of a group, now and then", async () => {
  const jury = await begin();
  await jury.apply(jury.log.allocate("A", `${jury.roomId}-b`, "diverging"));
  await jury.seconds(31);
  const entries = jury.entries.length;
  assert.ok(jury.verdicts.length > 0);
  for (const { hash, hashes } of jury.verdicts) {
    assert.type(hash, "string");
    assert.equal(hashes, [], "nobody has another");
  }
  const agreed = new Set(jury.verdicts.map(({ roomId }) => roomId));
  assert.equal([...agreed].sort(), [jury.roomId, `${jury.roomId}-b`]);
  const most = Math.ceil(31_000 / divergenceTimes.agreementMs) + 1;
  assert.ok(jury.verdicts.length <= most * 2, `${jury.verdicts.length} verdicts of ${entries} entries`);
  const { agreed: last } = jury.replica("C").witness;
  assert.ok(last !== null && last.index > jury.log.index - 60);
  // A room that nothing happens to is compared no more, and nothing is said about it.
  await jury.apply(jury.log.forget("A", "nobody"));
  for (let turn = 0; turn < 60; turn++) await jury.turn();
  const [verdicts, said] = [jury.verdicts.length, jury.said.length];
  for (let turn = 0; turn < 60; turn++) await jury.turn();
  assert.equal([jury.verdicts.length, jury.said.length], [verdicts, said]);
});

for (const odd of ["A", "B", "C"]) {
  test(`[V7, V8] ${odd} of A, B and C differs, A leads: named at once, put right, counted, served again`, async () => {
    const jury = await begin();
    await jury.seconds(2);
    bend(jury, odd);
    await jury.seconds(2);
    const [found, ...more] = jury.watch(odd).book.counts.newest;
    assert.ok(found && more.length === 0);
    assert.is(found.roomId, jury.roomId);
    assert.is(found.firstDifference, "room.bias: 1 against 0");
    assert.type(found.healedAtMs, "number");
    assert.is(found.waitsFor, null);
    assert.equal(jury.standings(), "serving,serving,serving");
    await jury.equal();
    for (const nodeId of ["A", "B", "C"]) {
      const { count, healed } = jury.watch(nodeId).book.counts;
      assert.equal([count, healed], nodeId === odd ? [1, 1] : [0, 0]);
      const closed = jury.player(nodeId.toLowerCase()).socket.closed?.code;
      assert.is(closed, nodeId === odd ? 4010 : undefined, `${nodeId}'s client`);
    }
    const contested = jury.verdicts.filter(({ hashes }) => hashes.length > 0);
    assert.is(contested.length, 1, "one verdict is enough");
    const told = jury.logged.filter(({ nodeId }) => nodeId === odd).map(({ event }) => event);
    assert.equal(told, ["room-diverged", "room-healed"]);
    await jury.reconnect(odd.toLowerCase(), odd);
    await jury.send(odd.toLowerCase(), "fire");
    await jury.seconds(12);
    await jury.equal();
    assert.is(jury.replica(odd).witness.source, odd, "it is a witness of its own again");
  });
}

test("[V7] two of five differ, each in its own way", async () => {
  const jury = await begin(["A", "B", "C", "D", "E"]);
  bend(jury, "D", 1);
  bend(jury, "E", 2);
  await jury.seconds(2);
  assert.equal(jury.standings(), "serving,serving,serving,serving,serving");
  assert.is(jury.watch("D").book.counts.newest[0]?.firstDifference, "room.bias: 1 against 0");
  assert.is(jury.watch("E").book.counts.newest[0]?.firstDifference, "room.bias: 2 against 0");
  await jury.equal();
});

test("[V7] what was said is said again to another leader, and after a loss", async () => {
  const jury = await begin();
  await jury.seconds(1);
  jury.passes = (_from, _to, word) => word.type !== "statements";
  bend(jury, "C");
  await jury.seconds(2);
  assert.is(jury.watch("C").book.counts.count, 0);
  jury.passes = () => true;
  for (let turn = 0; turn <= divergenceTimes.restateMs / 250; turn++) await jury.turn();
  assert.is(jury.watch("C").book.counts.count, 1, "after a loss");

  const other = await begin();
  other.passes = (_from, to) => to !== "A";
  bend(other, "C");
  await other.seconds(2);
  assert.is(other.watch("C").book.counts.count, 0);
  other.leaderId = "B";
  other.term++;
  await other.turn();
  await other.turn();
  assert.is(other.watch("C").book.counts.count, 1, "to another leader");
});

test("[V7] only voters' replicas are counted, and none of a room that there is not", async () => {
  const jury = await begin();
  const forged = {
    type: "statements" as const,
    statements: [{ roomId: jury.roomId, source: "X", since: 0, points: [{ index: 3, hash: "f" }] }],
  };
  const machine = jury.node("A").machine;
  for (const from of ["X", "Y"]) await inMacrotask(() => machine.heard(from, encodeWord(forged)));
  const nowhere = {
    ...forged,
    statements: [{ ...forged.statements[0], roomId: "nowhere" }],
  } as typeof forged;
  for (const from of ["B", "C"]) await inMacrotask(() => machine.heard(from, encodeWord(nowhere)));
  await inMacrotask(() => machine.heard("B", Buffer.from("garbled")));
  await jury.seconds(12);
  assert.equal([...new Set(jury.verdicts.map(({ roomId }) => roomId))], [jury.roomId]);
  assert.equal(
    jury.logged.map(({ message }) => message),
    ["what a node says about its rooms is garbled"],
  );
});

test("[V8] one against one: the third is waited for, for a while", async () => {
  const jury = await begin();
  await jury.seconds(1);
  jury.down.add("B");
  bend(jury, "C");
  await jury.seconds(divergenceTimes.splitPatienceMs / 1_000 - 1);
  assert.ok(jury.verdicts.every(({ hash }) => hash !== null));
  assert.is(jury.standing("A"), "serving");
  jury.down.delete("B");
  await jury.seconds(2);
  assert.equal(jury.standings(), "serving,serving,serving");
  assert.is(jury.watch("C").book.counts.count, 1);
  await jury.equal();
});

test("[V8] one against one for too long: the room stands still until the third comes back and decides", async () => {
  const jury = await begin();
  await jury.seconds(1);
  jury.down.add("B");
  bend(jury, "C");
  await jury.seconds(divergenceTimes.splitPatienceMs / 1_000 + 2);
  assert.is(jury.standing("A"), "frozen");
  assert.is(jury.standing("C"), "frozen");
  const frozen = jury.verdicts.length;
  await jury.seconds(20);
  assert.is(jury.verdicts.length, frozen, "that is said once");
  const standing = jury.node("C").machine.standing(jury.roomId);
  assert.ok(standing?.type === "frozen");
  assert.equal(standing.hashes.map(([nodeId]) => nodeId).sort(), ["A", "C"]);
  jury.down.delete("B");
  await jury.seconds(1);
  for (let turn = 0; turn <= divergenceTimes.restateMs / 250 + 2; turn++) await jury.turn();
  assert.equal(jury.standings(), "serving,serving,serving");
  assert.is(jury.watch("C").book.counts.healed, 1);
  await jury.seconds(2);
  await jury.equal();
  const events = jury.logged.filter(({ nodeId }) => nodeId === "C").map(({ event }) => event);
  assert.equal(events, ["room-frozen", "room-thawed", "room-diverged", "room-healed"]);
});

test("[V8] one against one against one: the room stands still at once", async () => {
  const jury = await begin();
  await jury.seconds(1);
  bend(jury, "B", 1);
  bend(jury, "C", 2);
  await jury.seconds(2);
  assert.equal(jury.standings(), "frozen,frozen,frozen");
  for (const name of ["a", "b", "c"]) assert.is(jury.player(name).socket.closed?.code, 4010);
});

test("[V8] a replica that was copied from the one that differs gives it no majority", async () => {
  const jury = await begin();
  await jury.seconds(1);
  bend(jury, "C");
  await jury.tick(10);
  const saved = (await inMacrotask(() => jury.node("C").save())) as Map<string, Checkpoint>;
  const copy = new Replica("B", 2);
  await inMacrotask(() => copy.restore(saved));
  jury.restarted(copy, jury.entries.length);
  await jury.seconds(2);
  assert.equal(jury.standings(), "frozen,frozen,frozen");
  const [verdict] = jury.verdicts.filter(({ hash }) => hash === null);
  assert.ok(verdict);
  const hashes = new Map(verdict.hashes);
  assert.is(hashes.get("B"), hashes.get("C"));
  assert.is.not(hashes.get("A"), hashes.get("C"));
});

test("[V9] holders are asked one after the other, ever later, and the status says what is waited for", async () => {
  const jury = await begin();
  await jury.seconds(1);
  jury.passes = (_from, _to, word) => word.type !== "copyWanted";
  bend(jury, "C");
  await jury.seconds(1.25);
  assert.is(jury.standing("C"), "diverged");
  const from = jury.said.length;
  await jury.seconds(30);
  const asked = jury.said.slice(from).filter(({ word }) => word.type === "copyWanted");
  assert.equal([...new Set(asked.map(({ to }) => to))].sort(), ["A", "B"]);
  const { answerMsMax, backoffMsMax } = healingTimes;
  assert.ok(asked.length >= 30_000 / (2 * answerMsMax + backoffMsMax), `asked ${asked.length} times`);
  assert.ok(asked.length <= 30_000 / answerMsMax, `asked ${asked.length} times`);
  assert.match(jury.watch("C").book.counts.newest[0]?.waitsFor ?? "", /does not answer$/);
  jury.passes = () => true;
  await jury.seconds(backoffMsMax / 1_000 + 3);
  assert.is(jury.standing("C"), "serving");
  await jury.equal();
});

test("[V9] a room that is not at rest is copied once it is", async () => {
  const jury = await begin();
  await jury.seconds(1);
  await jury.request("a", "wait", 6_000);
  bend(jury, "C");
  await jury.seconds(3);
  assert.is(jury.standing("C"), "diverged");
  assert.match(jury.watch("C").book.counts.newest[0]?.waitsFor ?? "", /^[AB]: not at rest: /);
  await jury.seconds(9);
  assert.is(jury.standing("C"), "serving");
  await jury.equal();
});

test("[V9] a copy comes in chunks, waits for busy links, and is begun anew elsewhere if its holder dies", async () => {
  const jury = await begin();
  const big = "x".repeat(3 * copyLimits.chunkBytes);
  for (const { nodeId } of jury.replicas) Object.assign(jury.room(nodeId), { big });
  await jury.seconds(1);
  const chunks = () => jury.said.filter(({ word }) => word.type === "copyChunk");
  jury.busy.add("C");
  bend(jury, "C");
  await jury.seconds(1.5);
  assert.equal(chunks(), [], "the link is busy");
  jury.busy.delete("C");
  let holder = "";
  jury.passes = (from, _to, word) => {
    if (word.type !== "copyChunk" || word.chunk !== 1 || holder !== "") return true;
    holder = from;
    jury.down.add(from);
    return false;
  };
  if (jury.leaderId === "A") jury.leaderId = "B";
  await jury.seconds(4);
  assert.is(jury.standing("C"), "serving");
  assert.ok(holder !== "");
  const senders = new Set(chunks().map(({ from }) => from));
  assert.is(senders.size, 2);
  assert.ok(
    chunks().every(({ word }) => word.type === "copyChunk" && word.bytes.length <= copyLimits.chunkBytes),
  );
  jury.down.clear();
  await jury.seconds(1);
  await jury.equal();
});

test("[V9] copies on their way from a node are limited, and so are those that one asks for", async () => {
  const jury = await begin();
  await jury.seconds(1);
  const rooms = Array.from({ length: 12 }, (_, at) => `${jury.roomId}-${at}`);
  for (const roomId of rooms) await jury.apply(jury.log.allocate("A", roomId, "diverging"));
  await jury.seconds(1);
  for (const roomId of rooms) jury.node("C").room<DivergingRoom>(roomId).bias = 1;
  jury.busy.add("C");
  await jury.seconds(1.5);
  const asked = jury.said.filter(({ word }) => word.type === "copyWanted");
  assert.is(asked.length, healingLimits.askingMax);
  jury.busy.delete("C");
  await jury.seconds(2);
  assert.is(jury.watch("C").book.counts.healed, rooms.length);
});

test("[V9] a replica that differs again and again is put right ever later", async () => {
  const jury = await begin();
  await jury.seconds(1);
  const downMs: number[] = [];
  for (let time = 0; time < 4; time++) {
    bend(jury, "C");
    while (jury.standing("C") === "serving") await jury.seconds(0.25);
    const fromMs = jury.nowMs;
    while (jury.standing("C") === "diverged") await jury.seconds(0.25);
    downMs.push(jury.nowMs - fromMs);
  }
  const { againMsMin } = healingLimits;
  assert.ok((downMs[0] ?? 0) < againMsMin, downMs.join());
  for (const [at, factor] of [1, 2, 4].entries()) {
    const ms = downMs[at + 1] ?? 0;
    assert.ok(ms >= factor * againMsMin && ms < (factor + 1) * againMsMin, downMs.join());
  }
});

test.run();

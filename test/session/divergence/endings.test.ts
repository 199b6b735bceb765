// test-run: seconds=120 node=--import=./server/colyseus/register.ts
import { test } from "uvu";
import * as assert from "uvu/assert";
import { divergenceTimes } from "../../../server/session/divergence/divergence-watch.ts";
import { DivergenceWatches } from "../../../server/session/divergence/divergence-watches.ts";
import { inMacrotask } from "../../../server/session/macrotask.ts";
import type { SessionGroups } from "../../../server/session/session-groups.ts";
import { sessionMenu } from "../../../server/session/session-menu.ts";
import type { Checkpoint } from "../../../server/storage/storage.ts";
import { Replica } from "../../colyseus/machine-harness.ts";
import { Jury } from "./jury.ts";
import type { DivergingRoom } from "./trial.ts";

const begin = async (nodeIds?: readonly string[]) => (await new Jury(nodeIds).begin()) as Jury;

/** This node's replica ends, behind the log's back. */
async function endOn(jury: Jury, nodeId: string): Promise<void> {
  const { world } = jury.replica(nodeId);
  const room = jury.room<DivergingRoom>(nodeId);
  await inMacrotask(() => world.run(() => room.end(), "behind the log's back"));
  // That it has is seen at the next command for it.
  await jury.send("a", "fire");
}

const ended = (jury: Jury, nodeId = jury.leaderId) => [...jury.watch(nodeId).ended];
const holders = (jury: Jury) =>
  jury.replicas.filter(({ machine }) => machine.rooms.has(jury.roomId)).map(({ nodeId }) => nodeId);

/** At a node's command line; the others in `lost` cannot be reached. */
function operatorOf(jury: Jury, nodeId: string): DivergenceWatches {
  const log = { warn: () => {}, error: () => {} };
  const groups = {
    propose: async (_group: number, command: Uint8Array) => {
      const { argument } = sessionMenu.decode(command);
      await jury.apply(jury.log.next(nodeId, "verdicts", argument as object));
    },
  } as unknown as SessionGroups;
  return new DivergenceWatches({
    ...{ nodeId, log, machines: [jury.node(nodeId).machine] },
    nowMs: () => jury.nowMs,
    groups: () => groups,
  });
}

const refusal = (asked: Promise<unknown>) =>
  asked.then(
    () => null,
    (error: { code?: string }) => error.code,
  );

test("[V11] a room that has ended is forgotten once a quorum says so", async () => {
  const jury = await begin();
  jury.down.add("B");
  jury.passes = (_from, _to, word) => word.type !== "ended";
  await jury.apply(jury.log.call("A", jury.roomId, "end"));
  await jury.turn();
  assert.equal(holders(jury), ["B"]);
  assert.equal(ended(jury), [], "the leader alone is no quorum");
  jury.passes = () => true;
  for (let turn = 0; turn <= divergenceTimes.restateMs / 250; turn++) await jury.turn();
  assert.equal(ended(jury), [jury.roomId]);
  jury.down.delete("B");
  await jury.apply(jury.log.forget("A", jury.roomId));
  assert.equal(ended(jury), []);
  for (const { machine } of jury.replicas) assert.equal([...machine.gone()], []);
});

test("[V11] what a node said of a room that it has again, or to an earlier leader, counts no more", async () => {
  const jury = await begin();
  await endOn(jury, "B");
  await endOn(jury, "C");
  await jury.turn();
  assert.equal(ended(jury), [jury.roomId]);
  jury.term += 1;
  jury.down.add("B").add("C");
  await jury.turn();
  assert.equal(ended(jury), []);
});

test("[V11] a leader whose replica differs has the room forgotten all the same, and keeps nothing of it", async () => {
  const jury = await begin();
  jury.passes = (_from, _to, word) => word.type === "statements" || word.type === "ended";
  jury.room<DivergingRoom>("A").bias = 1;
  await jury.seconds(2);
  assert.equal(jury.standings(), "diverged,serving,serving");
  await jury.apply(jury.log.call("B", jury.roomId, "end"));
  await jury.turn();
  assert.equal(holders(jury), ["A"]);
  assert.equal(ended(jury), [jury.roomId]);
  await jury.apply(jury.log.forget("A", jury.roomId));
  assert.equal(holders(jury), []);
  assert.is(jury.node("A").machine.standing(jury.roomId), undefined);
  assert.equal([...jury.node("A").machine.dirty()].map(({ key }) => key).includes(jury.roomId), true);
  assert.is(await inMacrotask(() => jury.node("A").machine.save(jury.roomId)), "deleted");
});

for (const odd of ["A", "B"]) {
  test(`[V11] ${odd}'s replica ends by itself, A leads: the room goes on, and ${odd} gets it back`, async () => {
    const jury = await begin();
    await jury.seconds(6);
    await endOn(jury, odd);
    assert.is(holders(jury).includes(odd), false);
    await jury.turn();
    assert.equal(ended(jury), [], "one of three is no quorum");
    await jury.seconds(12);
    assert.equal(jury.standings(), "serving,serving,serving");
    const { count, newest } = jury.watch(odd).book.counts;
    assert.is(count, 1);
    assert.is(newest[0]?.ownHash, "ended");
    assert.match(newest[0]?.firstDifference ?? "", /^room: here it had ended at entry \d+$/);
    await jury.seconds(2);
    await jury.equal();
  });
}

test("[V11] what nodes propose to the room while one replica of it has ended is in what replaces it", async () => {
  const jury = await begin();
  await jury.seconds(6);
  await endOn(jury, "B");
  const call = (nodeId: string) => jury.apply(jury.log.call(nodeId, jury.roomId, "drawn"));
  for (let turn = 0; turn < 60 && jury.standing("B") !== "diverged"; turn++) {
    await call("C");
    await jury.seconds(0.25);
  }
  const odd = jury.node("B").machine.odd.get(jury.roomId);
  if (odd === undefined) throw new Error("B's replica is not found to differ");
  const { index, hash } = odd.divergence;
  const copied = await jury.copy("A", { roomId: jury.roomId, index, hash, notBefore: odd.index, code: "" });
  if (copied.type === "refused") throw new Error(copied.reason);
  await call("C");
  await inMacrotask(() => jury.node("B").machine.heal(jury.roomId, copied.checkpoint));
  assert.equal(jury.standings(), "serving,serving,serving");
  await call("C");
  await jury.equal();
});

test("[V11] one that has ended says so before long: with no majority against it the room stands still, and an operator decides", async () => {
  const jury = await begin();
  await jury.seconds(6);
  jury.room<DivergingRoom>("B").bias = 1;
  for (let turn = 0; turn < 12 && jury.replica("B").witness.source === "B"; turn++) await jury.seconds(0.25);
  assert.is(jury.replica("B").witness.source, "A", "B's is a copy of A's, and no second witness");
  await endOn(jury, "C");
  for (let second = 0; second < 15 && jury.standing("A") === "serving"; second++) await jury.seconds(1);
  assert.equal(
    ["A", "B"].map((nodeId) => jury.standing(nodeId)),
    ["frozen", "frozen"],
  );
  const { frozen } = jury.replica("A").witness;
  assert.is(new Map(frozen?.hashes).get("C"), "ended");

  const operator = operatorOf(jury, "A");
  assert.is(await refusal(operator.thaw("nowhere", "A")), "ROOM_NOT_FROZEN");
  assert.is(await refusal(operator.thaw(jury.roomId, "X")), "HOLDER_UNKNOWN");
  assert.is(await refusal(operator.thaw(jury.roomId, "C")), "HOLDER_ENDED");
  // A has the same.
  await operator.thaw(jury.roomId, "B");
  await jury.seconds(3);
  assert.equal(jury.standings(), "serving,serving,serving");
  await jury.equal();
});

test("[V12] an operator lets a frozen room go on with what one node has; only that node says what it has", async () => {
  const jury = await begin();
  await jury.seconds(6);
  for (const [at, nodeId] of ["B", "C"].entries()) jury.room<DivergingRoom>(nodeId).bias = at + 1;
  await jury.seconds(3);
  assert.equal(jury.standings(), "frozen,frozen,frozen");
  assert.is(await refusal(operatorOf(jury, "A").thaw(jury.roomId, "B")), "HOLDER_ELSEWHERE");
  const shots = jury.room<DivergingRoom>("C").state.shots;
  const { hash } = await operatorOf(jury, "C").thaw(jury.roomId, "C");
  assert.is(hash, jury.replica("C").witness.agreed?.hash);
  await jury.seconds(3);
  assert.equal(jury.standings(), "serving,serving,serving");
  for (const nodeId of ["A", "B", "C"]) {
    assert.is(jury.room<DivergingRoom>(nodeId).bias, 2, `${nodeId} has what C has`);
    assert.is(jury.room<DivergingRoom>(nodeId).state.shots, shots);
  }
  assert.is(await refusal(operatorOf(jury, "A").thaw(jury.roomId, "C")), "ROOM_NOT_FROZEN", "once is enough");
  // The leader, who was not asked, looks on as before.
  for (const [at, nodeId] of ["B", "C"].entries()) jury.room<DivergingRoom>(nodeId).bias = at + 3;
  await jury.seconds(3);
  assert.equal(jury.standings(), "frozen,frozen,frozen");
});

test("[V11] a majority's verdict that the room has ended is none against a replica that has ended", async () => {
  const jury = await begin();
  await jury.seconds(6);
  for (const nodeId of ["B", "C"]) await endOn(jury, nodeId);
  const verdict = { roomId: jury.roomId, index: jury.log.index, hash: "ended", hashes: [] };
  await jury.apply(jury.log.next("A", "verdicts", { verdicts: [verdict] }));
  assert.equal(jury.standings(), "diverged,serving,serving");
  assert.equal(holders(jury), ["A"]);
  await jury.turn();
  assert.equal(ended(jury), [jury.roomId]);
  await jury.apply(jury.log.forget("A", jury.roomId));
  assert.equal(holders(jury), []);
});

test("[V12] the state that a room goes on with may be a learner's alone", async () => {
  const jury = await begin();
  await jury.seconds(6);
  for (const [at, nodeId] of ["B", "C"].entries()) jury.room<DivergingRoom>(nodeId).bias = at + 1;
  await jury.seconds(3);
  assert.equal(jury.standings(), "frozen,frozen,frozen");
  jury.learners.add("C");
  await operatorOf(jury, "C").thaw(jury.roomId, "C");
  await jury.seconds(3);
  assert.equal(jury.standings(), "serving,serving,serving");
});

test("[V11] a room whose only replica that does not differ has ended is forgotten, and nobody waits for its state", async () => {
  const jury = await begin();
  await jury.seconds(6);
  for (const [at, nodeId] of ["B", "C"].entries()) jury.room<DivergingRoom>(nodeId).bias = at + 1;
  await jury.seconds(3);
  await operatorOf(jury, "C").thaw(jury.roomId, "C");
  await endOn(jury, "C");
  jury.down.add("B");
  await jury.seconds(2);
  assert.equal(jury.standing("A"), "diverged");
  assert.equal(ended(jury), [], "B may have it still");
  jury.down.delete("B");
  await jury.seconds(4);
  assert.equal(ended(jury), [jury.roomId]);
  await jury.apply(jury.log.forget("A", jury.roomId));
  for (const { machine } of jury.replicas) assert.is(machine.standing(jury.roomId), undefined);
});

test("[V14] the state that was agreed is lost with the only node that had it: all are compared anew, and an operator decides again", async () => {
  const jury = await begin();
  await jury.seconds(6);
  for (const [at, nodeId] of ["B", "C"].entries()) jury.room<DivergingRoom>(nodeId).bias = at + 1;
  await jury.seconds(3);
  await operatorOf(jury, "C").thaw(jury.roomId, "C");
  jury.down.add("C");
  await jury.seconds(4);
  assert.equal([jury.standing("A"), jury.standing("B")], ["diverged", "diverged"], "C may come back");
  jury.removed.add("C");
  await jury.seconds(5);
  assert.equal([jury.standing("A"), jury.standing("B")], ["frozen", "frozen"]);
  const { frozen } = jury.replica("A").witness;
  assert.equal(
    frozen?.hashes.map(([nodeId]) => nodeId),
    ["A", "B"],
  );
  const shots = jury.room<DivergingRoom>("B").state.shots;
  await operatorOf(jury, "B").thaw(jury.roomId, "B");
  await jury.seconds(4);
  assert.equal([jury.standing("A"), jury.standing("B")], ["serving", "serving"]);
  for (const nodeId of ["A", "B"]) {
    assert.is(jury.room<DivergingRoom>(nodeId).bias, 1, nodeId);
    assert.is(jury.room<DivergingRoom>(nodeId).state.shots, shots);
  }
});

test("[V11] that a replica has ended is not saved before the others agree: a restart plays it again", async () => {
  const jury = await begin();
  await jury.tick(100, 3);
  const saved = await inMacrotask(() => jury.node("C").save());
  const savedAt = jury.entries.length;
  await endOn(jury, "C");
  assert.is(await inMacrotask(() => jury.node("C").machine.save(jury.roomId)), null);
  const again = new Replica("C", 2);
  await inMacrotask(() => again.restore(saved as Map<string, Checkpoint>));
  jury.restarted(again, savedAt);
  await jury.seconds(1);
  assert.equal(holders(jury), ["A", "B", "C"]);
});

test("[V11] whatever is left of a forgotten room goes, with its clients", async () => {
  const jury = await begin();
  await jury.apply(jury.log.forget("A", jury.roomId));
  assert.equal(holders(jury), []);
  for (const name of ["a", "b", "c"]) assert.is(jury.player(name).socket.closed?.code, 4010);
});

test.run();

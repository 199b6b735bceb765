// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { test } from "uvu";
import * as assert from "uvu/assert";
import { divergenceTimes } from "../../../server/session/divergence/divergence-watch.ts";
import { inMacrotask } from "../../../server/session/macrotask.ts";
import type { Checkpoint } from "../../../server/storage/storage.ts";
import { Replica } from "../../colyseus/machine-harness.ts";
import { Jury } from "./jury.ts";

/** The node's process ends, and another code starts on its disk. */
async function deploy(jury: Jury, nodeId: string): Promise<void> {
  const old = jury.node(nodeId);
  const saved = (await inMacrotask(() => old.save())) as Map<string, Checkpoint>;
  await inMacrotask(() => old.restore(new Map()));
  const fresh = new Replica(nodeId, 2, { code: "v2" });
  jury.restarted(fresh, jury.entries.length);
  await inMacrotask(() => fresh.restore(saved));
}

/** A leads and runs the room; B and C have the new code, and have asked in vain so often that they ask seldom by now. */
async function halfDeployed(): Promise<Jury> {
  const jury = (await new Jury().begin()) as Jury;
  for (const nodeId of ["B", "C"]) await deploy(jury, nodeId);
  await jury.seconds(8);
  assert.equal(jury.standings(), "serving,foreign,foreign");
  return jury;
}

const switchRoom = async (jury: Jury) => {
  const results = await jury.apply(jury.log.next("A", "switchCode", { roomId: jury.roomId, to: "v2" }));
  assert.equal(results[0], { type: "done", value: null });
};

test("[U14] the node that a switched room leaves tells the others, and those with the new code have it without any wait", async () => {
  const jury = await halfDeployed();
  await switchRoom(jury);
  await jury.settle();
  assert.equal(jury.standings(), "foreign,serving,serving");
});

test("[U14] it is told of only once the room may be had, and if that is lost it is asked for as ever", async () => {
  const jury = await halfDeployed();
  jury.passes = (_from, _to, { type }) => type !== "handedOver";
  await switchRoom(jury);
  await jury.settle();
  assert.equal(jury.standings(), "foreign,foreign,foreign");
  const told = jury.said.filter(({ word }) => word.type === "handedOver");
  assert.equal(
    told.map(({ from, to }) => `${from} ${to}`),
    ["A B", "A C"],
  );
  await jury.seconds(2);
  assert.equal(jury.standings(), "foreign,serving,serving");
});

test("[U32] whoever waits for another node's answer, or for an old one, asks the node that offers the room all the same", async () => {
  const jury = (await new Jury().begin()) as Jury;
  for (const nodeId of ["B", "C"]) await deploy(jury, nodeId);
  // C's question is on its way to B, which is gone, and it would be waited for.
  jury.passes = (from, to, { type }) => !(type === "copyWanted" && from === "C" && to === "B");
  await jury.seconds(1);
  await switchRoom(jury);
  await jury.settle();
  assert.equal(jury.standings(), "foreign,serving,serving");
});

test("[U7] what does not come to life is told once in the log, and for as long as it is so where rooms are listed", async () => {
  const jury = await halfDeployed();
  const why = "the copy cannot be brought to life here: none of mine";
  for (const nodeId of ["B", "C"])
    jury.node(nodeId).machine.heal = () => ({ type: "failed", error: new Error("none of mine") });
  await switchRoom(jury);
  await jury.seconds(4);
  assert.equal(jury.standings(), "foreign,foreign,foreign");
  const told = jury.logged.filter(({ event }) => event === "room-not-restored");
  assert.equal(
    told.map(({ nodeId, message }) => [nodeId, message]),
    ["B", "C"].map((nodeId) => [nodeId, `room ${jury.roomId} is not on this node: ${why}`]),
  );
  assert.is(jury.node("B").machine.odd.get(jury.roomId)?.failure, why);
});

test("[U32] a chunk that waited for a busy link goes out as soon as the link is free, not at the next look", async () => {
  const jury = await halfDeployed();
  await switchRoom(jury);
  jury.busy.add("C");
  await jury.settle();
  assert.equal(jury.standings(), "foreign,serving,foreign");
  jury.busy.delete("C");
  await jury.tick(50);
  await inMacrotask(() => jury.node("A").machine.drained());
  await jury.settle();
  assert.equal(jury.standings(), "foreign,serving,serving");
});

test("[U15] who leads knows who lacks rooms, and hears at once that somebody has them", async () => {
  const jury = await halfDeployed();
  const lacking = () => ["B", "C"].filter((nodeId) => jury.node("A").machine.lacksParts(nodeId));
  assert.equal(lacking(), ["B", "C"]);
  // What is said again from time to time counts in between, too.
  for (let turn = 0; turn < 30; turn++) {
    await jury.turn();
    assert.equal(lacking(), ["B", "C"]);
  }
  await switchRoom(jury);
  await jury.settle();
  assert.equal(lacking(), []);
});

test("[U33] at a switch the leader gives the lead to no other node that has just lost the room as it has, though that has not said so yet", async () => {
  const jury = (await new Jury().begin()) as Jury;
  await deploy(jury, "C");
  await jury.seconds(2);
  const lacking = () => ["B", "C"].filter((nodeId) => jury.node("A").machine.lacksParts(nodeId));
  assert.equal(lacking(), ["C"]);
  await switchRoom(jury);
  assert.equal(lacking(), ["B", "C"], "before anybody has said a word");
  await jury.settle();
  assert.equal([jury.standings(), lacking().join()], ["foreign,foreign,serving", "B"]);
  await jury.turn();
  assert.equal(lacking(), ["B"], "it has said so by now");
});

test("[U33] what is only presumed is not believed for long", async () => {
  const jury = (await new Jury().begin()) as Jury;
  await deploy(jury, "C");
  await jury.seconds(2);
  jury.passes = (from, _to, { type }) => !(type === "ended" && from === "B");
  await switchRoom(jury);
  await jury.seconds((2 * divergenceTimes.restateMs) / 1_000 + 1);
  assert.equal(
    ["B", "C"].filter((nodeId) => jury.node("A").machine.lacksParts(nodeId)),
    [],
  );
});

test("[U15] a word that is lost, or its node, is no longer believed once it should have been said again", async () => {
  const jury = await halfDeployed();
  const lacking = () => ["B", "C"].filter((nodeId) => jury.node("A").machine.lacksParts(nodeId));
  jury.passes = (_from, _to, { type }) => type !== "ended";
  const again = divergenceTimes.restateMs / 250;
  for (let turn = 0; turn < again; turn++) {
    await jury.turn();
    assert.equal(lacking(), ["B", "C"]);
  }
  await switchRoom(jury);
  await jury.settle();
  assert.equal(jury.standings(), "foreign,serving,serving");
  await jury.seconds(7);
  assert.equal(lacking(), []);
});

test.run();

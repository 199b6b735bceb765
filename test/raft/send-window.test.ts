import { test } from "uvu";
import * as assert from "uvu/assert";
import { answersOf, append, appendsTo, entry } from "./appends.ts";
import { type ClusterOptions, RaftCluster } from "./raft-cluster.ts";

function settled(options: ClusterOptions = {}): { cluster: RaftCluster; leader: string; others: string[] } {
  const cluster = new RaftCluster(options);
  const leader = cluster.elect();
  cluster.run(50);
  cluster.packets = [];
  return { cluster, leader, others: cluster.followersOf(leader) };
}

const entriesTo = (cluster: RaftCluster, id: string) =>
  appendsTo(cluster, id).flatMap((message) => message.entries);

const follower = (cluster: RaftCluster, leader: string, id: string) => {
  const found = cluster
    .raft(leader)
    .status()
    .followers.find(({ nodeId }) => nodeId === id);
  assert.ok(found);
  return found;
};

/** Everything arrives, and nothing lands on any disk but the leader's. */
function deliverOnly(cluster: RaftCluster, leader: string): void {
  for (let round = 0; round < 20 && cluster.packets.length > 0; round += 1) {
    for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
    while (cluster.completeWrite(leader));
  }
}

/** Of answers that were sent: what each tells. */
const told = (cluster: RaftCluster, id: string) =>
  answersOf(cluster, id).map((answer) => (answer.success ? [answer.receivedIndex, answer.matchIndex] : null));

test("[R80] on their way to all followers together are at most so many entries, in equal shares", () => {
  const voters = ["a", "b", "c", "d", "e"];
  const { cluster, leader, others } = settled({ voters, totalInFlightEntriesMax: 12 });
  const [slow, ...fast] = others as [string, ...string[]];
  for (let count = 0; count < 20; count += 1) cluster.propose(leader, "x");
  assert.equal(
    others.map((id) => entriesTo(cluster, id).length),
    [3, 3, 3, 3],
  );
  assert.equal(
    others.map((id) => follower(cluster, leader, id).inFlightEntries),
    [3, 3, 3, 3],
  );
  // One that says nothing keeps its share and takes nothing from the others.
  cluster.isolate(slow);
  cluster.settle();
  for (const id of fast) assert.is(cluster.commandsApplied(id).length, 20);
  assert.is(follower(cluster, leader, slow).inFlightEntries, 3);
});

test("[R80] and so many bytes; but always one append each, however small the share and however large the entry", () => {
  const { cluster, leader, others } = settled({ totalInFlightBytesMax: 20 });
  for (let count = 0; count < 10; count += 1) cluster.propose(leader, "1234");
  // The last one may pass its share, if there is something left in all.
  const bytes = others.map((id) => follower(cluster, leader, id).inFlightBytes);
  assert.equal(bytes, [12, 8]);
  cluster.settle();
  for (const id of others) assert.is(cluster.commandsApplied(id).length, 10);
  cluster.propose(leader, "longer than all of it");
  for (const id of others) assert.is(entriesTo(cluster, id).length, 1);
  cluster.settle();
  for (const id of others) assert.is(cluster.commandsApplied(id).length, 11);
});

test("[R80] one entry each even where there are fewer in all than followers", () => {
  const { cluster, leader, others } = settled({ totalInFlightEntriesMax: 1 });
  cluster.propose(leader, "x", "y");
  for (const id of others) assert.is(entriesTo(cluster, id).length, 1);
  cluster.settle();
  for (const id of others) assert.equal(cluster.commandsApplied(id), ["x", "y"]);
});

test("[R81] an answer tells what was received beside what is on the disk, and only that is committed", () => {
  const limits = { receiptEntriesMin: 3, probeTimeoutMs: 50 };
  const { cluster, leader, others } = settled(limits);
  const before = cluster.raft(leader).lastIndex;
  cluster.propose(leader, "a", "b", "c");
  while (cluster.completeWrite(leader));
  for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
  for (const id of others) assert.equal(told(cluster, id), [[before + 3, before]]);
  deliverOnly(cluster, leader);
  for (const id of others) {
    const { receivedIndex, matchIndex, inFlightEntries } = follower(cluster, leader, id);
    assert.equal([receivedIndex, matchIndex, inFlightEntries], [before + 3, before, 0]);
  }
  assert.is(cluster.raft(leader).commitIndex, before);
  while (cluster.completeWrite(others[0] as string));
  assert.equal(told(cluster, others[0] as string), [[before + 3, before + 3]]);
  deliverOnly(cluster, leader);
  assert.is(cluster.raft(leader).commitIndex, before + 3);
});

test("[R81] what is little is told behind the save only, and what was told is not told again", () => {
  const { cluster, leader, others } = settled({ receiptEntriesMin: 3, receiptBytesMin: 10 });
  const [id] = others as [string];
  const before = cluster.raft(leader).lastIndex;
  const receipts = () => {
    for (const packet of cluster.packets.splice(0)) if (packet.to === id) cluster.deliver(packet);
    return told(cluster, id);
  };
  cluster.propose(leader, "a", "b");
  assert.equal(receipts(), []);
  cluster.propose(leader, "c");
  assert.equal(receipts(), [[before + 3, before]]);
  cluster.propose(leader, "d", "e");
  assert.equal(receipts(), []);
  cluster.propose(leader, "many bytes");
  assert.equal(receipts(), [[before + 6, before]]);
  cluster.packets = [];
  while (cluster.completeWrite(id));
  assert.equal(
    told(cluster, id).map((answer) => answer?.[1]),
    [before + 2, before + 3, before + 5, before + 6],
    "each save has its answer",
  );
});

test("[R81] nothing is said in a term that is not on the disk yet", () => {
  const cluster = new RaftCluster({ receiptEntriesMin: 1 });
  append(cluster, "a", "b", { term: 3, entries: [entry(1, 3)] });
  assert.equal(told(cluster, "a"), []);
  cluster.completeWrite("a");
  assert.equal(told(cluster, "a"), [[1, 1]]);
  append(cluster, "a", "b", { term: 3, prevLogIndex: 1, prevLogTerm: 3, entries: [entry(2, 3)] });
  assert.equal(told(cluster, "a"), [
    [1, 1],
    [2, 1],
  ]);
});

test("[R81] who has received everything does not get the lead before it has saved it", () => {
  const { cluster, leader, others } = settled({ receiptEntriesMin: 1 });
  const [to] = others as [string];
  cluster.propose(leader, "x");
  deliverOnly(cluster, leader);
  cluster.step(leader, { type: "transferLeader", to });
  assert.equal(cluster.sent("timeoutNow"), []);
  while (cluster.completeWrite(to));
  deliverOnly(cluster, leader);
  cluster.settle();
  assert.is(cluster.raft(to).role, "leader");
});

test("[R82] a disk that is slow holds up no appends until it has too much to save", () => {
  const limits = { inFlightEntriesMax: 2, receiptEntriesMin: 1, unsavedEntriesMax: 7 };
  const { cluster, leader, others } = settled(limits);
  const [slow] = others as [string];
  for (let count = 0; count < 20; count += 1) cluster.propose(leader, "x");
  assert.is(entriesTo(cluster, slow).length, 2);
  const before = cluster.raft(slow).lastIndex;
  deliverOnly(cluster, leader);
  assert.is(cluster.raft(slow).lastIndex, before + 7);
  assert.is(cluster.raft(slow).durableIndex, before);
  cluster.settle();
  assert.is(cluster.commandsApplied(slow).length, 20);
});

test("[R82] in bytes as in entries", () => {
  const limits = { inFlightBytesMax: 10, receiptBytesMin: 1, unsavedBytesMax: 30 };
  const { cluster, leader, others } = settled(limits);
  const [slow] = others as [string];
  for (let count = 0; count < 20; count += 1) cluster.propose(leader, "12345");
  const before = cluster.raft(slow).lastIndex;
  deliverOnly(cluster, leader);
  assert.is(cluster.raft(slow).lastIndex, before + 6);
  cluster.settle();
  assert.is(cluster.commandsApplied(slow).length, 20);
});

test("[R83] who has received everything and says nothing new is asked, and sent nothing again", () => {
  const { cluster, leader, others } = settled({ receiptEntriesMin: 1, answerTimeoutMs: 100 });
  const [slow] = others as [string];
  cluster.propose(leader, "x", "y");
  deliverOnly(cluster, leader);
  const seen: number[] = [];
  for (let passedMs = 0; passedMs < 350; passedMs += 10) {
    cluster.nowMs += 10;
    cluster.heartbeats();
    cluster.step(leader, { type: "tick" });
    seen.push(...appendsTo(cluster, slow).map(({ entries }) => entries.length));
    deliverOnly(cluster, leader);
  }
  assert.equal(seen, [0, 0, 0]);
  assert.is(follower(cluster, leader, slow).state, "replicating");
  // The answers that were lost behind the save are given again by the next question.
  while (cluster.completeWrite(slow));
  cluster.packets = [];
  cluster.run(150);
  assert.equal(cluster.commandsApplied(slow), ["x", "y"]);
});

test("[R83] what a crash took from a follower's memory is sent again", () => {
  const { cluster, leader, others } = settled({ receiptEntriesMin: 1 });
  const [slow] = others as [string];
  cluster.propose(leader, "x", "y");
  deliverOnly(cluster, leader);
  assert.is(follower(cluster, leader, slow).receivedIndex, cluster.raft(leader).lastIndex);
  cluster.crash(slow, { silent: true });
  cluster.start(slow);
  cluster.settle();
  assert.equal(cluster.commandsApplied(slow), ["x", "y"]);
});

test.run();

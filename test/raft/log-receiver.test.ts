import { test } from "uvu";
import * as assert from "uvu/assert";
import { answersOf, append, entry } from "./appends.ts";
import { RaftCluster } from "./raft-cluster.ts";

function settled(options = {}): { cluster: RaftCluster; leader: string; others: [string, string] } {
  const cluster = new RaftCluster(options);
  const leader = cluster.elect();
  cluster.run(50);
  cluster.packets = [];
  return { cluster, leader, others: cluster.followersOf(leader) as [string, string] };
}

test("[R20] a follower applies only what is committed and on its own disk", () => {
  const cluster = new RaftCluster();
  append(cluster, "a", "b", { term: 1, entries: [entry(1, 1), entry(2, 1)], commitIndex: 1 });
  assert.is(cluster.raft("a").commitIndex, 1);
  assert.equal(cluster.node("a").readys.at(-1)?.committed, []);
  cluster.raft("a").step({ type: "saved", term: 1, index: 2 }, cluster.now);
  assert.equal(
    cluster
      .raft("a")
      .ready()
      ?.committed.map(({ index }) => index),
    [1],
  );
  assert.is(cluster.raft("a").ready(), null, "once");
});

test("[R21] a follower vouches only for what is durable when its answer leaves", () => {
  const cluster = new RaftCluster();
  append(cluster, "a", "b", { term: 1, entries: [entry(1, 1)] });
  assert.equal(cluster.packets, [], "the answer waits for the save");
  // The same again, while the save is under way: nothing to save with it, so nothing to vouch for.
  append(cluster, "a", "b", { term: 1, entries: [entry(1, 1)] });
  assert.equal(
    answersOf(cluster, "a").map((answer) => answer.success && answer.matchIndex),
    [0],
  );
  cluster.completeWrite("a");
  assert.equal(
    answersOf(cluster, "a").map((answer) => answer.success && answer.matchIndex),
    [0, 1],
  );
});

test("[R21] several appends of one drain get one answer", () => {
  const cluster = new RaftCluster();
  const raft = cluster.raft("a");
  for (let index = 1; index <= 3; index += 1) {
    const message = { type: "appendEntries", term: 1, storeId: "b-disk", commitIndex: 0 } as const;
    const prev = { prevLogIndex: index - 1, prevLogTerm: index === 1 ? 0 : 1 };
    raft.step(
      { type: "message", from: "b", message: { ...message, ...prev, entries: [entry(index, 1)] } },
      cluster.now,
    );
  }
  const answers = raft.ready()?.messagesAfterSave.map(({ message }) => message);
  assert.is(answers?.length, 1);
  assert.is(answers?.[0]?.type === "appendEntriesResponse" && answers[0].success && answers[0].matchIndex, 3);
});

test("[R22] a late completion of entries that were truncated counts for nothing", () => {
  const cluster = new RaftCluster();
  const raft = cluster.raft("a");
  append(cluster, "a", "b", { term: 1, entries: [entry(1, 1), entry(2, 1)] });
  append(cluster, "a", "c", { term: 2, prevLogIndex: 1, prevLogTerm: 1, entries: [entry(2, 2)] });
  raft.step({ type: "saved", term: 1, index: 2 }, cluster.now);
  assert.ok(raft.durableIndex < 2);
  raft.step({ type: "saved", term: 2, index: 2 }, cluster.now);
  assert.is(raft.durableIndex, 2);
});

test("[R22] nor does it if the same entry has come back meanwhile: it is saved again", () => {
  const cluster = new RaftCluster();
  const raft = cluster.raft("a");
  append(cluster, "a", "b", { term: 1, entries: [entry(1, 1), entry(2, 1)] });
  append(cluster, "a", "c", { term: 2, prevLogIndex: 1, prevLogTerm: 1, entries: [entry(2, 2)] });
  append(cluster, "a", "b", {
    term: 3,
    prevLogIndex: 1,
    prevLogTerm: 1,
    entries: [entry(2, 1), entry(3, 3)],
  });
  append(cluster, "a", "b", { term: 3, prevLogIndex: 1, prevLogTerm: 1, entries: [entry(2, 1)] });
  // The first save, of term 1: a save that removes its entry 2 again is still under way.
  raft.step({ type: "saved", term: 1, index: 2 }, cluster.now);
  assert.ok(raft.durableIndex < 2, "the disk is about to hold (2, term 2)");
  const again = raft.ready();
  assert.ok(again !== null && again.entries.length > 0);
  const last = again.entries.at(-1);
  assert.ok(last);
  raft.step({ type: "saved", term: last.term, index: last.index }, cluster.now);
  assert.is(raft.durableIndex, 3);
});

test("[R23] an append that does not follow on what is here is refused, with a hint to where it may (§5.3)", () => {
  const cluster = new RaftCluster();
  append(cluster, "a", "b", { term: 2, entries: [entry(1, 1), entry(2, 1), entry(3, 2), entry(4, 2)] });
  cluster.completeWrite("a");
  cluster.packets = [];
  append(cluster, "a", "c", { term: 4, prevLogIndex: 9, prevLogTerm: 4 });
  append(cluster, "a", "c", { term: 4, prevLogIndex: 4, prevLogTerm: 3 });
  append(cluster, "a", "c", { term: 4, prevLogIndex: 4, prevLogTerm: 1 });
  while (cluster.completeWrite("a"));
  const hints = answersOf(cluster, "a").map(
    (one) => !one.success && [one.rejectedIndex, one.conflictIndex, one.conflictTerm],
  );
  assert.equal(hints.filter(Boolean).toSorted(), [
    [4, 2, 1],
    [4, 4, 2],
    [9, 4, 2],
  ]);
  assert.is(cluster.raft("a").lastIndex, 4, "a refusal drops nothing");
});

test("[R23] what conflicts goes, with all that follows; what agrees stays, however old the append (§5.3)", () => {
  const cluster = new RaftCluster();
  const raft = cluster.raft("a");
  append(cluster, "a", "b", { term: 1, entries: [entry(1, 1), entry(2, 1), entry(3, 1)] });
  append(cluster, "a", "b", { term: 1, entries: [entry(1, 1)] });
  assert.is(raft.lastIndex, 3, "a shorter append that agrees cuts nothing off");
  append(cluster, "a", "c", { term: 2, prevLogIndex: 1, prevLogTerm: 1, entries: [entry(2, 2)] });
  assert.is(raft.lastIndex, 2);
  while (cluster.completeWrite("a"));
  assert.equal(
    cluster.node("a").disk.entries.map(({ term }) => term),
    [1, 2],
  );
});

test("[R23] a leader skips a whole term of the follower's at a time", () => {
  const cluster = new RaftCluster();
  const stale = Array.from({ length: 60 }, (_, at) => entry(at + 1, at < 20 ? 1 : at < 40 ? 2 : 3));
  append(cluster, "c", "b", { term: 3, entries: stale });
  while (cluster.completeWrite("c"));
  const agreed = Array.from({ length: 60 }, (_, at) => entry(at + 1, at < 20 ? 1 : 4));
  for (const id of ["a", "b"]) {
    append(cluster, id, id === "a" ? "b" : "a", { term: 4, entries: agreed });
    while (cluster.completeWrite(id));
  }
  cluster.packets = [];
  cluster.cut("a", "c");
  cluster.cut("b", "c");
  const leader = cluster.elect();
  cluster.heal();
  cluster.packets = [];
  cluster.step(leader, { type: "linkUp", nodeId: "c" });
  const delivered = cluster
    .settle()
    .filter(({ to, message }) => to === "c" && message.type === "appendEntries");
  assert.ok(delivered.length <= 4, `${delivered.length} appends`);
  assert.is(cluster.raft("c").lastIndex, cluster.raft(leader).lastIndex);
});

test("[R24] an old append that comes late does not touch what is committed", () => {
  const cluster = new RaftCluster();
  for (const id of ["c", "a"]) {
    append(cluster, id, "b", {
      term: 1,
      entries: [entry(1, 1), entry(2, 1)],
      commitIndex: id === "a" ? 2 : 0,
    });
    while (cluster.completeWrite(id));
  }
  // Late, from the same leader: below what is committed there is nothing to compare.
  append(cluster, "a", "b", { term: 1, prevLogIndex: 0, entries: [entry(1, 1)] });
  assert.is(cluster.raft("a").lastIndex, 2);
  assert.is(cluster.raft("a").commitIndex, 2);
  const answer = answersOf(cluster, "a").at(-1);
  assert.is(answer?.success && answer.matchIndex, 2);
});

test("[R24] what contradicts the protocol ends the process: an append with a hole, a cut beyond what was applied", () => {
  const cluster = new RaftCluster();
  const raft = cluster.raft("a");
  const first = {
    type: "appendEntries",
    storeId: "b-disk",
    prevLogIndex: 0,
    prevLogTerm: 0,
    commitIndex: 2,
  } as const;
  const entries = [entry(1, 1), entry(2, 1)];
  raft.step({ type: "message", from: "b", message: { ...first, term: 1, entries } }, cluster.now);
  const forged = { ...first, term: 2, prevLogIndex: 2, prevLogTerm: 1, commitIndex: 2 };
  const skipping = { ...forged, entries: [entry(4, 2)] };
  assert.throws(
    () => raft.step({ type: "message", from: "b", message: skipping }, cluster.now),
    /own prevLogIndex/,
  );
  assert.throws(
    () => raft.step({ type: "compacted", base: { ...raft.base, index: 2, term: 2 } }, cluster.now),
    /never handed out/,
  );
});

test("[R12] a leader never overwrites or deletes entries of its log: it only appends (figure 3)", () => {
  const { cluster, leader, others } = settled();
  cluster.propose(leader, "x", "y");
  const { lastIndex, term } = cluster.raft(leader);
  append(cluster, leader, others[0], {
    term: term - 1,
    prevLogIndex: 0,
    entries: [entry(1, term - 1, "other")],
  });
  assert.is(cluster.raft(leader).lastIndex, lastIndex);
  cluster.settle();
  assert.equal(cluster.commandsApplied(leader), ["x", "y"]);
});

test("[R20] of an append that begins before what is committed only the rest is news (§5.4.3)", () => {
  const cluster = new RaftCluster();
  const raft = cluster.raft("a");
  append(cluster, "a", "b", { term: 1, entries: [entry(1, 1), entry(2, 1), entry(3, 1)], commitIndex: 2 });
  while (cluster.completeWrite("a"));
  cluster.packets = [];
  // Wholly committed here: nothing is asked of it, and nothing is taken from it.
  append(cluster, "a", "b", {
    term: 1,
    prevLogIndex: 0,
    prevLogTerm: 0,
    entries: [entry(1, 1)],
    commitIndex: 2,
  });
  while (cluster.completeWrite("a"));
  assert.equal(
    answersOf(cluster, "a").map((one) => one.success && one.receivedIndex),
    [2],
  );
  // Reaching beyond it: a new leader's entries behind the commit index take the place of what is there.
  cluster.packets = [];
  append(cluster, "a", "c", {
    ...{ term: 2, prevLogIndex: 1, prevLogTerm: 1, commitIndex: 2 },
    entries: [entry(2, 1), entry(3, 2), entry(4, 2)],
  });
  while (cluster.completeWrite("a"));
  assert.equal(
    answersOf(cluster, "a").map((one) => one.success && [one.receivedIndex, one.matchIndex]),
    [[4, 4]],
  );
  assert.is(raft.durableIndex, 4);
  append(cluster, "a", "c", { term: 2, prevLogIndex: 3, prevLogTerm: 2 });
  while (cluster.completeWrite("a"));
  assert.is(answersOf(cluster, "a").at(-1)?.success, true, "entry 3 is of term 2 now");
});

test("[R20] an append whose entries do not follow on its own prevLogIndex ends the process", () => {
  const cluster = new RaftCluster();
  append(cluster, "a", "b", { term: 1, entries: [entry(1, 1), entry(2, 1)], commitIndex: 2 });
  while (cluster.completeWrite("a"));
  assert.throws(
    () => append(cluster, "a", "c", { term: 3, prevLogIndex: 2, prevLogTerm: 1, entries: [entry(5, 3)] }),
    /does not begin after its own prevLogIndex/,
  );
});

test.run();

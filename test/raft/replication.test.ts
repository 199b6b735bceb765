import * as assert from "uvu/assert";
import { test } from "uvu";
import type { Entry } from "../../server/raft/entry.ts";
import type { RaftMessage } from "../../server/raft/message.ts";
import { RaftCluster, textOf } from "./raft-cluster.ts";

type Append = Extract<RaftMessage, { type: "appendEntries" }>;

const appendsTo = (cluster: RaftCluster, id: string): Append[] =>
  cluster.packets.flatMap(({ to, message }) => (to === id && message.type === "appendEntries" ? [message] : []));

const answersOf = (cluster: RaftCluster, id: string) =>
  cluster.packets.flatMap(({ from, message }) =>
    from === id && message.type === "appendEntriesResponse" ? [message] : [],
  );

function entry(index: number, term: number, text = `${index}.${term}`): Entry {
  return { index, term, type: "command", logTimeMs: index, wallTimeMs: index, data: new TextEncoder().encode(text) };
}

/** As the leader of `term`, from node `from`. */
function append(cluster: RaftCluster, to: string, from: string, message: Partial<Append> & { term: number }): void {
  const whole: Append = {
    type: "appendEntries",
    storeId: `${from}-disk`,
    prevLogIndex: 0,
    prevLogTerm: 0,
    commitIndex: 0,
    entries: [],
    ...message,
  };
  cluster.step(to, { type: "message", from, message: whole });
}

function settled(options = {}): { cluster: RaftCluster; leader: string; others: [string, string] } {
  const cluster = new RaftCluster(options);
  const leader = cluster.elect();
  cluster.run(50);
  cluster.packets = [];
  return { cluster, leader, others: cluster.followersOf(leader) as [string, string] };
}

test("[R17] a term begins with a no-op, which commits what earlier terms left behind (§8)", () => {
  const { cluster, leader, others } = settled();
  const { term } = cluster.raft(leader);
  const [first] = cluster.node(leader).applied;
  assert.is(first?.type, "noop");
  assert.is(first?.term, term);
  assert.is(first?.data.length, 0);
  // On all disks, but its leader dies before anybody hears that it is committed.
  cluster.propose(leader, "x");
  for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
  for (const id of others) cluster.completeWrite(id);
  cluster.crash(leader);
  cluster.run(500);
  for (const id of others) assert.equal(cluster.commandsApplied(id), ["x"]);
});

test("[R18] a leader sends beside its own save, and counts itself only once that is durable", () => {
  const { cluster, leader, others } = settled();
  const before = cluster.raft(leader).commitIndex;
  cluster.propose(leader, "x");
  assert.is(appendsTo(cluster, others[0]).length, 1, "sent before the save");
  const packets = cluster.packets.splice(0).filter(({ to }) => to === others[0]);
  for (const packet of packets) cluster.deliver(packet);
  cluster.completeWrite(others[0]);
  for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
  assert.is(cluster.raft(leader).commitIndex, before, "one of three is no majority");
  cluster.completeWrite(leader);
  assert.is(cluster.raft(leader).commitIndex, before + 1);
});

test("[R18] followers may commit without their leader's disk, which applies it later", () => {
  const { cluster, leader, others } = settled();
  cluster.propose(leader, "x");
  for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
  for (const id of others) cluster.completeWrite(id);
  for (let round = 0; round < 3; round += 1) for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
  assert.equal(cluster.commandsApplied(others[0]), ["x"]);
  assert.equal(cluster.commandsApplied(leader), [], "[R20] not on its own disk yet");
  cluster.completeWrite(leader);
  assert.equal(cluster.commandsApplied(leader), ["x"]);
});

test("[R19] an entry of an earlier term is not committed by counting, however many hold it (figure 8)", () => {
  const cluster = new RaftCluster();
  // (c) of figure 8: an entry of term 2 is on a majority, and its present leader is of term 4.
  for (const id of ["a", "b"]) {
    append(cluster, id, "c", { term: 2, entries: [entry(1, 2)] });
    cluster.completeWrite(id);
  }
  cluster.crash("c", { silent: true });
  cluster.run(0);
  cluster.packets = [];
  cluster.step("a", { type: "message", from: "c", message: { type: "timeoutNow", term: 2, storeId: "c-disk" } });
  const { term } = cluster.raft("a");
  while (cluster.completeWrite("a"));
  const vote = { type: "requestVoteResponse", term, storeId: "b-disk", granted: true } as const;
  cluster.step("a", { type: "message", from: "b", message: vote });
  assert.is(cluster.raft("a").role, "leader");
  const answer = { type: "appendEntriesResponse", term, storeId: "b-disk", success: true } as const;
  cluster.step("a", { type: "message", from: "b", message: { ...answer, matchIndex: 1 } });
  assert.is(cluster.raft("a").commitIndex, 0);
  // (e): once one of its own is there as well, both are.
  cluster.completeWrite("a");
  cluster.step("b", { type: "tick" });
  for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
  cluster.completeWrite("b");
  for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
  assert.is(cluster.raft("a").commitIndex, 2);
});

test("[R20] a follower applies only what is committed and on its own disk", () => {
  const cluster = new RaftCluster();
  append(cluster, "a", "b", { term: 1, entries: [entry(1, 1), entry(2, 1)], commitIndex: 1 });
  assert.is(cluster.raft("a").commitIndex, 1);
  assert.equal(cluster.node("a").readys.at(-1)?.committed, []);
  cluster.raft("a").step({ type: "saved", term: 1, index: 2 }, cluster.now);
  assert.equal(cluster.raft("a").ready()?.committed.map(({ index }) => index), [1]);
  assert.is(cluster.raft("a").ready(), null, "once");
});

test("[R21] a follower vouches only for what is durable when its answer leaves", () => {
  const cluster = new RaftCluster();
  append(cluster, "a", "b", { term: 1, entries: [entry(1, 1)] });
  assert.equal(cluster.packets, [], "the answer waits for the save");
  // The same again, while the save is under way: nothing to save with it, so nothing to vouch for.
  append(cluster, "a", "b", { term: 1, entries: [entry(1, 1)] });
  assert.equal(answersOf(cluster, "a").map((answer) => answer.success && answer.matchIndex), [0]);
  cluster.completeWrite("a");
  assert.equal(answersOf(cluster, "a").map((answer) => answer.success && answer.matchIndex), [0, 1]);
});

test("[R21] several appends of one drain get one answer", () => {
  const cluster = new RaftCluster();
  const raft = cluster.raft("a");
  for (let index = 1; index <= 3; index += 1) {
    const message = { type: "appendEntries", term: 1, storeId: "b-disk", commitIndex: 0 } as const;
    const prev = { prevLogIndex: index - 1, prevLogTerm: index === 1 ? 0 : 1 };
    raft.step({ type: "message", from: "b", message: { ...message, ...prev, entries: [entry(index, 1)] } }, cluster.now);
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
  append(cluster, "a", "b", { term: 3, prevLogIndex: 1, prevLogTerm: 1, entries: [entry(2, 1), entry(3, 3)] });
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
  const hints = answersOf(cluster, "a").map((one) => !one.success && [one.rejectedIndex, one.conflictIndex, one.conflictTerm]);
  assert.equal(hints.filter(Boolean).toSorted(), [[4, 2, 1], [4, 4, 2], [9, 4, 2]]);
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
  assert.equal(cluster.node("a").disk.entries.map(({ term }) => term), [1, 2]);
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
  const delivered = cluster.settle().filter(({ to, message }) => to === "c" && message.type === "appendEntries");
  assert.ok(delivered.length <= 4, `${delivered.length} appends`);
  assert.is(cluster.raft("c").lastIndex, cluster.raft(leader).lastIndex);
});

test("[R24] an append that would overwrite a committed entry changes nothing but the past that both agree on", () => {
  const cluster = new RaftCluster();
  append(cluster, "a", "b", { term: 1, entries: [entry(1, 1), entry(2, 1)], commitIndex: 2 });
  while (cluster.completeWrite("a"));
  // Late, from the same leader: below what is committed there is nothing to compare.
  append(cluster, "a", "b", { term: 1, prevLogIndex: 0, entries: [entry(1, 1)] });
  assert.is(cluster.raft("a").lastIndex, 2);
  assert.is(cluster.raft("a").commitIndex, 2);
  const answer = answersOf(cluster, "a").at(-1);
  assert.is(answer?.success && answer.matchIndex, 2);
});

test("[R12] a leader never overwrites or deletes entries of its log: it only appends (figure 3)", () => {
  const { cluster, leader, others } = settled();
  cluster.propose(leader, "x", "y");
  const { lastIndex, term } = cluster.raft(leader);
  append(cluster, leader, others[0], { term: term - 1, prevLogIndex: 0, entries: [entry(1, term - 1, "other")] });
  assert.is(cluster.raft(leader).lastIndex, lastIndex);
  cluster.settle();
  assert.equal(cluster.commandsApplied(leader), ["x", "y"]);
});

test("[R25] where the logs agree is asked one append at a time", () => {
  const { cluster, leader, others } = settled();
  cluster.step(leader, { type: "linkUp", nodeId: others[0] });
  assert.is(appendsTo(cluster, others[0]).length, 1);
  cluster.propose(leader, "x");
  cluster.propose(leader, "y");
  assert.is(appendsTo(cluster, others[0]).length, 1, "no second one before the answer");
  assert.is(appendsTo(cluster, others[1]).length, 2, "the other one is pipelined");
  cluster.settle();
  assert.equal(cluster.commandsApplied(others[0]), ["x", "y"]);
});

test("[R25] at most so many entries and bytes are on their way to a follower, but always one append", () => {
  const limits = { inFlightEntriesMax: 5, inFlightBytesMax: 10, appendEntriesMax: 2, appendBytesMax: 6 };
  const { cluster, leader, others } = settled(limits);
  for (let count = 0; count < 9; count += 1) cluster.propose(leader, "1");
  const entries = () => appendsTo(cluster, others[0]).flatMap((message) => message.entries);
  assert.is(entries().length, limits.inFlightEntriesMax);
  assert.ok(appendsTo(cluster, others[0]).every((message) => message.entries.length <= limits.appendEntriesMax));
  assert.is(cluster.raft(leader).status().followers.find(({ nodeId }) => nodeId === others[0])?.inFlightEntries, 5);
  cluster.settle();
  for (let count = 0; count < 5; count += 1) cluster.propose(leader, "1234");
  assert.is(entries().reduce((bytes, { data }) => bytes + data.length, 0), 12, "the last one may pass the limit");
  cluster.settle();
  cluster.propose(leader, "longer than all limits are");
  assert.equal(entries().map(({ data }) => textOf(data)), ["longer than all limits are"]);
  cluster.settle();
  assert.is(cluster.commandsApplied(others[0]).length, 15);
});

test("[R26] entries that get no answer are sent again after a bound, from what is known to match", () => {
  const { cluster, leader, others } = settled();
  cluster.propose(leader, "lost");
  cluster.packets = [];
  cluster.run(490);
  cluster.packets = [];
  assert.is(cluster.commandsApplied(others[0]).length, 0);
  cluster.run(200);
  assert.equal(cluster.commandsApplied(others[0]), ["lost"]);
});

test("[R26] a probe that gets no answer is sent again after a bound, and at once when the link comes up", () => {
  const { cluster, leader, others } = settled();
  cluster.step(leader, { type: "linkDown", nodeId: others[0] });
  cluster.packets = [];
  const ticks = (ms: number) => {
    for (let passedMs = 0; passedMs < ms; passedMs += 10) {
      cluster.nowMs += 10;
      cluster.step(leader, { type: "tick" });
    }
    return appendsTo(cluster, others[0]).length;
  };
  assert.is(ticks(90), 0);
  assert.is(ticks(20), 1);
  cluster.step(leader, { type: "linkUp", nodeId: others[0] });
  assert.is(appendsTo(cluster, others[0]).length, 2);
});

test("[R27] followers hear at once that the commit index moved, once for all that a drain brought", () => {
  const { cluster, leader, others } = settled();
  cluster.propose(leader, "x");
  cluster.propose(leader, "y");
  for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
  for (const id of others) while (cluster.completeWrite(id));
  const answers = cluster.packets.splice(0).filter(({ from }) => from === others[0]);
  const raft = cluster.raft(leader);
  raft.step({ type: "saved", term: raft.term, index: raft.lastIndex - 1 }, cluster.now);
  raft.step({ type: "saved", term: raft.term, index: raft.lastIndex }, cluster.now);
  for (const { from, message } of answers) raft.step({ type: "message", from, message }, cluster.now);
  const sent = raft.ready()?.messages ?? [];
  assert.equal(sent.map(({ to }) => to), others, "one each");
  for (const { message } of sent) {
    assert.is(message.type === "appendEntries" && message.commitIndex, raft.commitIndex);
    assert.is(message.type === "appendEntries" && message.entries.length, 0);
  }
  assert.is(raft.ready(), null);
});

test("[R28] news of a commit that got lost comes again, though nothing else happens", () => {
  const { cluster, leader, others } = settled();
  cluster.propose(leader, "x");
  for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
  for (const id of cluster.nodes.keys()) cluster.completeWrite(id);
  for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
  assert.equal(cluster.commandsApplied(leader), ["x"]);
  cluster.packets = [];
  cluster.run(1_100);
  for (const id of others) assert.equal(cluster.commandsApplied(id), ["x"]);
});

test("[R41] a follower that is there gets entries, not a snapshot, while the leader's log stays within a limit", () => {
  for (const catchUpBytesMax of [1_000, 20]) {
    const { cluster, leader, others } = settled({ catchUpBytesMax });
    cluster.cut(leader, others[0]);
    cluster.propose(leader, "ten bytes.", "ten bytes.", "ten bytes.");
    cluster.settle();
    cluster.compact(leader);
    cluster.settle();
    const isKept = catchUpBytesMax === 1_000;
    assert.is(cluster.raft(leader).base.index > 0, !isKept);
    cluster.heal();
    cluster.run(1_500);
    assert.is(cluster.commandsApplied(others[0]).length, 3);
    assert.is(cluster.node(others[0]).installs, isKept ? 0 : 1);
    assert.ok(cluster.raft(leader).base.index > 0, "the log is cut once nobody lacks it");
  }
});

test.run();

import { test } from "uvu";
import * as assert from "uvu/assert";
import { append, appendsTo, entry } from "./appends.ts";
import { RaftCluster, textOf } from "./raft-cluster.ts";

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
  for (let round = 0; round < 3; round += 1)
    for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
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
  cluster.step("a", {
    type: "message",
    from: "c",
    message: { type: "timeoutNow", term: 2, storeId: "c-disk" },
  });
  const { term } = cluster.raft("a");
  while (cluster.completeWrite("a"));
  const vote = { type: "requestVoteResponse", term, storeId: "b-disk", granted: true } as const;
  cluster.step("a", { type: "message", from: "b", message: vote });
  assert.is(cluster.raft("a").role, "leader");
  const answer = { type: "appendEntriesResponse", term, storeId: "b-disk", success: true } as const;
  const match = { receivedIndex: 1, matchIndex: 1, commitIndex: 0 };
  cluster.step("a", { type: "message", from: "b", message: { ...answer, ...match } });
  assert.is(cluster.raft("a").commitIndex, 0);
  // (e): once one of its own is there as well, both are.
  cluster.completeWrite("a");
  for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
  while (cluster.completeWrite("b"));
  for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
  assert.is(cluster.raft("a").commitIndex, 2);
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
  assert.ok(
    appendsTo(cluster, others[0]).every((message) => message.entries.length <= limits.appendEntriesMax),
  );
  assert.is(
    cluster
      .raft(leader)
      .status()
      .followers.find(({ nodeId }) => nodeId === others[0])?.inFlightEntries,
    5,
  );
  cluster.settle();
  for (let count = 0; count < 5; count += 1) cluster.propose(leader, "1234");
  assert.is(
    entries().reduce((bytes, { data }) => bytes + data.length, 0),
    12,
    "the last one may pass the limit",
  );
  cluster.settle();
  cluster.propose(leader, "longer than all limits are");
  assert.equal(
    entries().map(({ data }) => textOf(data)),
    ["longer than all limits are"],
  );
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
  assert.equal(
    sent.map(({ to }) => to),
    others,
    "one each",
  );
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

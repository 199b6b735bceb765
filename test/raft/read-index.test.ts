import { test } from "uvu";
import * as assert from "uvu/assert";
import { RaftCluster } from "./raft-cluster.ts";

function settled(options = {}): { cluster: RaftCluster; leader: string; others: [string, string] } {
  const cluster = new RaftCluster(options);
  const leader = cluster.elect();
  cluster.run(50);
  cluster.packets = [];
  return { cluster, leader, others: cluster.followersOf(leader) as [string, string] };
}

const toNodes = (cluster: RaftCluster, type: Parameters<RaftCluster["sent"]>[0]) =>
  cluster.sent(type).map(({ to }) => to);

function roundOf(cluster: RaftCluster): { round: number } {
  const message = cluster.sent("confirmLead")[0]?.message;
  assert.ok(message?.type === "confirmLead");
  return message;
}

test("[R70] a read is answered with the leader's commit index once a quorum has confirmed it, and writes no entry", () => {
  const { cluster, leader, others } = settled();
  cluster.propose(leader, "x");
  cluster.settle();
  const { commitIndex, lastIndex } = cluster.raft(leader);
  const ticket = cluster.read(leader);
  assert.equal(toNodes(cluster, "confirmLead"), others);
  assert.is(cluster.readAnswer(leader, ticket), null, "its own word is not enough");
  cluster.settle({ writes: false });
  assert.is(cluster.readAnswer(leader, ticket), commitIndex);
  assert.is(cluster.raft(leader).lastIndex, lastIndex);
  assert.is(cluster.raft(leader).ready(), null);
});

test("[R70] a minority's confirmations answer nothing, and neither do those of another disk, a learner or another round", () => {
  const { cluster, leader, others } = settled({ voters: ["a", "b", "c", "d", "e"], learners: ["l"] });
  const ticket = cluster.read(leader);
  const { term } = cluster.raft(leader);
  const { round } = roundOf(cluster);
  const confirm = (from: string, change: object = {}) =>
    cluster.receive(leader, from, {
      type: "confirmLeadResponse",
      term,
      storeId: `${from}-disk`,
      round,
      leaseMs: 0,
      ...change,
    });
  confirm(others[0]);
  confirm(others[0]);
  confirm("l");
  confirm(others[1], { storeId: "emptied" });
  confirm(others[1], { round: round - 1 });
  confirm(others[1], { term: term - 1 });
  assert.is(cluster.readAnswer(leader, ticket), null);
  confirm(others[1]);
  assert.is(cluster.readAnswer(leader, ticket), cluster.raft(leader).commitIndex);
});

test("[R70] one voter alone needs nobody's word", () => {
  const cluster = new RaftCluster({ voters: ["a"] });
  cluster.elect();
  cluster.settle();
  assert.is(cluster.readAnswer("a", cluster.read("a")), cluster.raft("a").commitIndex);
});

test("[R71] a new leader answers no read before it has committed an entry of its own term (§6.4)", () => {
  const { cluster, leader, others } = settled();
  cluster.step(leader, { type: "transferLeader", to: others[0] });
  const noopIsAnswered = () =>
    cluster.packets.some(({ message }) => message.type === "appendEntriesResponse");
  while (cluster.raft(others[0]).role !== "leader" || !noopIsAnswered()) {
    for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
    for (const id of cluster.nodes.keys()) cluster.completeWrite(id);
  }
  const { commitIndex, lastIndex } = cluster.raft(others[0]);
  assert.ok(commitIndex < lastIndex, "the no-op is not committed");
  const ticket = cluster.read(others[0]);
  assert.equal(toNodes(cluster, "confirmLead"), [], "there is nothing to confirm yet");
  cluster.settle();
  assert.is(cluster.readAnswer(others[0], ticket), lastIndex);
});

test("[R72] reads that come together share one round, and all that come during it share the next", () => {
  const { cluster, leader } = settled();
  const raft = cluster.raft(leader);
  const together = [raft.read(cluster.now), raft.read(cluster.now), raft.read(cluster.now)];
  assert.is(new Set(together).size, 1);
  cluster.drain(leader);
  assert.is(cluster.sent("confirmLead").length, 2);
  const [first, second] = [cluster.read(leader), cluster.read(leader)];
  assert.is(first, second);
  assert.is.not(first, together[0], "that round began before them");
  assert.is(cluster.sent("confirmLead").length, 2, "one round at a time");
  const delivered = cluster.settle({ writes: false });
  assert.is(delivered.filter(({ message }) => message.type === "confirmLead").length, 4);
  assert.equal(
    cluster.node(leader).reads.map(({ ticket }) => ticket),
    [together[0], first],
  );
});

test("[R72] the reads of all replicas share the leader's round; each has one request under way", () => {
  const { cluster, leader, others } = settled({ learners: ["l"] });
  const readers = [...others, "l"];
  const tickets = readers.map((id) => cluster.read(id));
  for (const id of readers) cluster.read(id);
  assert.equal(toNodes(cluster, "readIndex"), [leader, leader, leader]);
  const asked = cluster.packets.splice(0);
  for (const { from, message } of asked)
    cluster.raft(leader).step({ type: "message", from, message }, cluster.now);
  cluster.drain(leader);
  assert.is(cluster.sent("confirmLead").length, 2);
  cluster.settle({ writes: false });
  for (const [at, id] of readers.entries())
    assert.is(cluster.readAnswer(id, tickets[at] as number), cluster.raft(leader).commitIndex, id);
});

test("[R73] a follower's read index is ahead of what it has applied, if it lags", () => {
  const { cluster, leader, others } = settled();
  cluster.cut(leader, others[0]);
  cluster.propose(leader, "x");
  cluster.settle();
  cluster.heal();
  const before = cluster.raft(others[0]).commitIndex;
  const ticket = cluster.read(others[0]);
  cluster.settle({ writes: false });
  assert.is(cluster.readAnswer(others[0], ticket), cluster.raft(leader).commitIndex);
  assert.is(cluster.raft(others[0]).commitIndex, before, "that it must wait for");
});

test("[R73] a request, a question or an answer that gets lost is asked again after a bound", () => {
  for (const type of ["readIndex", "readIndexResponse", "confirmLead", "confirmLeadResponse"] as const) {
    const { cluster, leader, others } = settled();
    const ticket = cluster.read(others[0]);
    for (let round = 0; round < 5; round += 1) {
      const packets = cluster.packets.splice(0).filter(({ message }) => message.type !== type);
      for (const packet of packets) cluster.deliver(packet);
    }
    assert.is(cluster.readAnswer(others[0], ticket), null, type);
    cluster.run(90);
    assert.is(cluster.readAnswer(others[0], ticket), null, `${type}: not before the bound`);
    cluster.run(60);
    assert.is(cluster.readAnswer(others[0], ticket), cluster.raft(leader).commitIndex, type);
  }
});

test("[R73] over a new link both ask at once", () => {
  const { cluster, leader, others } = settled();
  cluster.isolate(leader);
  const tickets = [leader, others[0]].map((id) => cluster.read(id));
  cluster.settle({ writes: false });
  cluster.heal();
  cluster.linkDown(leader, others[0]);
  cluster.linkUp(leader, others[0]);
  cluster.step(others[0], { type: "leaderAlive", nodeId: leader, term: cluster.raft(leader).term });
  cluster.settle({ writes: false });
  for (const [at, id] of [leader, others[0]].entries())
    assert.is(cluster.readAnswer(id, tickets[at] as number), cluster.raft(leader).commitIndex, id);
});

test("[R73] who leads nothing, and who is asked by nobody of the configuration, answers nothing", () => {
  const { cluster, leader, others } = settled();
  const { term } = cluster.raft(leader);
  const request = { type: "readIndex", term, storeId: `${others[1]}-disk`, id: 7 } as const;
  cluster.receive(others[0], others[1], request);
  cluster.receive(leader, others[1], { ...request, storeId: "emptied" });
  assert.equal(cluster.packets, []);
});

test("[R74] a leader that was replaced answers no read, its followers' neither; the next one answers them all", () => {
  const { cluster, leader, others } = settled();
  cluster.isolate(leader);
  const lost = cluster.read(leader);
  cluster.linkDown(leader, others[0]);
  cluster.linkDown(leader, others[1]);
  for (let round = 0; round < 40 && cluster.leaders().every(({ id }) => id === leader); round += 1) {
    cluster.nowMs += 10;
    for (const id of others) cluster.step(id, { type: "tick" });
    cluster.settle();
  }
  const next = cluster.leaders().find(({ id }) => id !== leader)?.id ?? "";
  cluster.propose(next, "newer");
  cluster.settle();
  assert.is(cluster.raft(leader).role, "leader", "it does not know");
  cluster.read(leader);
  // The voters that it reaches again tell it of the newer term instead of confirming.
  cluster.heal();
  const asked = cluster.read(others[0]);
  cluster.step(leader, { type: "linkUp", nodeId: others[0] });
  assert.equal(cluster.node(leader).reads, []);
  cluster.run(300);
  assert.is(cluster.raft(leader).role, "follower");
  assert.ok((cluster.readAnswer(leader, lost) ?? 0) >= cluster.raft(next).commitIndex - 1);
  assert.ok(cluster.readAnswer(others[0], asked) !== null);
});

test("[R74] a confirmation that was asked for before the read began does not count for it", () => {
  const { cluster, leader, others } = settled();
  const early = cluster.read(leader);
  for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
  // The answers are under way, and meanwhile somebody else is elected and commits.
  const late = cluster.packets.splice(0);
  cluster.isolate(leader);
  cluster.linkDown(leader, others[0]);
  cluster.linkDown(leader, others[1]);
  for (let round = 0; round < 40 && cluster.leaders().every(({ id }) => id === leader); round += 1) {
    cluster.nowMs += 10;
    for (const id of others) cluster.step(id, { type: "tick" });
    cluster.settle();
  }
  const next = cluster.leaders().find(({ id }) => id !== leader)?.id ?? "";
  cluster.propose(next, "newer");
  cluster.settle();
  const after = cluster.read(leader);
  for (const { from, message } of late) cluster.receive(leader, from, message);
  assert.ok(cluster.readAnswer(leader, early) !== null, "that one began before");
  assert.is(cluster.readAnswer(leader, after), null);
});

test("[R74] in a joint configuration a majority of both sets must confirm, also of a round that began before", () => {
  for (const isJointFirst of [true, false]) {
    const { cluster, leader, others } = settled({ voters: ["a", "b", "c", "d", "e"] });
    const goes = others.slice(2) as [string, string];
    const { term } = cluster.raft(leader);
    let ticket = isJointFirst ? 0 : cluster.read(leader);
    // Its questions get lost, and what makes the configuration joint does not.
    let question = cluster.sent("confirmLead")[0]?.message;
    cluster.changeMembers(leader, [leader, ...others.slice(0, 2)]);
    const isJoint = () => cluster.raft(leader).configuration.votersOutgoing.length === 5;
    for (let step = 0; step < 1_000 && !isJoint(); step += 1) {
      const packet = cluster.packets.shift();
      if (packet !== undefined && packet.message.type !== "confirmLead") cluster.deliver(packet);
      if (!isJoint()) for (const id of cluster.nodes.keys()) cluster.completeWrite(id);
    }
    assert.ok(isJoint());
    cluster.packets = [];
    if (isJointFirst) {
      ticket = cluster.read(leader);
      question = cluster.sent("confirmLead")[0]?.message;
    }
    assert.ok(question?.type === "confirmLead");
    const { round } = question;
    const confirm = (from: string) => {
      const storeId = `${from}-disk`;
      cluster.receive(leader, from, { type: "confirmLeadResponse", term, storeId, round, leaseMs: 0 });
    };
    for (const id of goes) confirm(id);
    assert.is(cluster.readAnswer(leader, ticket), null, "three of five, but one of the three");
    confirm(others[0]);
    assert.ok(cluster.readAnswer(leader, ticket) !== null);
  }
});

test("[R74] an answer to an earlier start's request is none to this one's", () => {
  const { cluster, leader, others } = settled();
  const first = cluster.read(others[0]);
  const [request] = cluster.packets.splice(0);
  assert.ok(request);
  cluster.deliver(request);
  cluster.settle({ writes: false });
  const index = cluster.readAnswer(others[0], first) ?? 0;
  const { term } = cluster.raft(leader);
  cluster.crash(others[0]);
  cluster.start(others[0]);
  cluster.run(20);
  const second = cluster.read(others[0]);
  assert.is.not(second, first);
  const storeId = `${leader}-disk`;
  cluster.receive(others[0], leader, { type: "readIndexResponse", term, storeId, id: first, index });
  assert.is(cluster.readAnswer(others[0], second), null);
});

test.run();

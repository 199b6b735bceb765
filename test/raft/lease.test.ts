import { test } from "uvu";
import * as assert from "uvu/assert";
import { RaftCluster } from "./raft-cluster.ts";

const fastFailover = false;

function settled(options = {}): { cluster: RaftCluster; leader: string; others: [string, string] } {
  const cluster = new RaftCluster({ fastFailover, ...options });
  const leader = cluster.elect();
  cluster.run(50);
  cluster.packets = [];
  return { cluster, leader, others: cluster.followersOf(leader) as [string, string] };
}

/** A round of confirmations, and with it a lease that begins now. */
function confirm(cluster: RaftCluster, leader: string): void {
  cluster.read(leader);
  cluster.settle({ writes: false });
}

/** 2T by the voter's clock, less what two clocks may run apart: 90.48 ms by the leader's, with 5 %. */
const leaseMs = (100 * (1 - 0.05)) / (1 + 0.05);

test("[R75] a leader whose voters promised not to replace it answers at once, for a little less than they promised", () => {
  const { cluster, leader, others } = settled();
  assert.is(cluster.leaseRead(leader), null, "a leader that has just started has no lease");
  const begunMs = cluster.nowMs;
  cluster.read(leader);
  cluster.nowMs += 30;
  cluster.settle({ writes: false });
  assert.is(cluster.leaseRead(leader), cluster.raft(leader).commitIndex);
  cluster.nowMs = begunMs + leaseMs - 0.01;
  assert.is(cluster.leaseRead(leader), cluster.raft(leader).commitIndex);
  cluster.nowMs = begunMs + leaseMs;
  assert.is(cluster.leaseRead(leader), null, "counted from when the question left, not from the answers");
  for (const id of others) assert.is(cluster.leaseRead(id), null, "who follows has none");
});

test("[R75] where the group fails over fast there is no lease", () => {
  const { cluster, leader } = settled({ fastFailover: true });
  confirm(cluster, leader);
  assert.is(cluster.leaseRead(leader), null);
});

test("[R75] a lease that is used is renewed before it ends, and one that is not costs nothing", () => {
  const { cluster, leader } = settled();
  confirm(cluster, leader);
  cluster.nowMs += 30;
  cluster.leaseRead(leader);
  assert.equal(cluster.packets, []);
  cluster.nowMs += 30;
  assert.ok(cluster.leaseRead(leader) !== null);
  assert.is(cluster.sent("confirmLead").length, 2);
  cluster.settle({ writes: false });
  cluster.nowMs += 60;
  assert.ok(cluster.leaseRead(leader) !== null, "120 ms after the first round");
});

test("[R75] a minority's promises are no lease", () => {
  const { cluster, leader, others } = settled({ voters: ["a", "b", "c", "d", "e"] });
  for (const id of others.slice(1)) cluster.cut(leader, id);
  confirm(cluster, leader);
  assert.is(cluster.leaseRead(leader), null);
});

/** Until somebody else leads; the old leader's lease is asked at every step. */
function replaced(cluster: RaftCluster, leader: string, byMs: number): string | null {
  for (let passedMs = 0; passedMs < byMs; passedMs += 1) {
    cluster.nowMs += 1;
    cluster.leaseRead(leader);
    for (const id of cluster.followersOf(leader)) cluster.step(id, { type: "tick" });
    cluster.settle();
    const next = cluster.leaders().find(({ id }) => id !== leader);
    if (next === undefined) continue;
    cluster.propose(next.id, "newer");
    cluster.settle();
    cluster.leaseRead(leader);
    return next.id;
  }
  return null;
}

test("[R76] clocks that run apart as far as they may: no lease outlives the promises that it rests on", () => {
  for (let seed = 1; seed <= 40; seed += 1) {
    const { cluster, leader, others } = settled({ seed, electionGraceMs: 0 });
    cluster.clockRates.set(leader, 0.95);
    for (const id of others) cluster.clockRates.set(id, 1.05);
    cluster.crash(others[0], { silent: true });
    cluster.crash(others[1], { silent: true });
    for (const id of others) cluster.start(id);
    cluster.run(20);
    if (cluster.raft(leader).role !== "leader") continue;
    confirm(cluster, leader);
    cluster.isolate(leader);
    // Closed links, and no leader to be heard: its followers would replace it at once.
    for (const id of others) cluster.linkDown(leader, id);
    assert.ok(replaced(cluster, leader, 1_000) !== null, `seed ${seed}`);
  }
});

test("[R76] clocks that run further apart than they may are seen to break it, so the bound is what keeps it", () => {
  let broken = 0;
  for (let seed = 1; seed <= 40; seed += 1) {
    const { cluster, leader, others } = settled({ seed, electionGraceMs: 0, clockDriftPercentMax: 0 });
    cluster.clockRates.set(leader, 0.5);
    for (const id of others) cluster.clockRates.set(id, 1.5);
    cluster.crash(others[0], { silent: true });
    cluster.crash(others[1], { silent: true });
    for (const id of others) cluster.start(id);
    cluster.run(20);
    if (cluster.raft(leader).role !== "leader") continue;
    confirm(cluster, leader);
    cluster.isolate(leader);
    for (const id of others) cluster.linkDown(leader, id);
    try {
      replaced(cluster, leader, 1_000);
    } catch {
      broken += 1;
    }
  }
  assert.ok(broken > 0);
});

const ask = { type: "requestVote", lastLogIndex: 1_000, lastLogTerm: 1_000 } as const;

test("[R77] a voter that promised votes for nobody else meanwhile, in no term, whether the leader's link closes or not", () => {
  const { cluster, leader, others } = settled();
  const [voter, candidate] = others;
  confirm(cluster, leader);
  const { term } = cluster.raft(voter);
  const storeId = `${candidate}-disk`;
  const votes = () => {
    while (cluster.completeWrite(voter));
    const packets = cluster.packets.splice(0).filter(({ from }) => from === voter);
    return packets.map(({ message }) => "granted" in message && message.granted);
  };
  cluster.linkDown(voter, leader);
  assert.is(cluster.raft(voter).leaderId, null);
  cluster.receive(voter, candidate, {
    type: "preVote",
    term: term + 1,
    storeId,
    lastLogIndex: 1_000,
    lastLogTerm: 1_000,
    leaderLost: true,
  });
  assert.equal(votes(), [false]);
  for (const cause of ["timeout", "leaderLost"] as const)
    cluster.receive(voter, candidate, { ...ask, term: term + 1, storeId, cause });
  assert.equal(votes(), []);
  assert.is(cluster.raft(voter).term, term);
  // Also when it has heard of the newer term by other means.
  const late = { type: "requestVoteResponse", storeId, granted: false } as const;
  cluster.receive(voter, candidate, { ...late, term: term + 1 });
  assert.is(cluster.raft(voter).term, term + 1);
  cluster.receive(voter, candidate, { ...ask, term: term + 1, storeId, cause: "timeout" });
  assert.equal(votes(), []);
  cluster.nowMs += 100;
  cluster.receive(voter, candidate, { ...ask, term: term + 1, storeId, cause: "timeout" });
  assert.equal(votes(), [true], "the promise is over");
});

test("[R77] a voter that starts anew keeps what it may have promised just before", () => {
  const { cluster, leader, others } = settled();
  const [voter, candidate] = others;
  confirm(cluster, leader);
  cluster.crash(voter, { silent: true });
  cluster.start(voter);
  cluster.packets = [];
  const { term } = cluster.raft(voter);
  const vote = { ...ask, term: term + 1, storeId: `${candidate}-disk`, cause: "leaderLost" } as const;
  cluster.nowMs += 99;
  cluster.receive(voter, candidate, vote);
  assert.is(cluster.raft(voter).term, term);
  cluster.nowMs += 1;
  cluster.receive(voter, candidate, vote);
  assert.is(cluster.raft(voter).term, term + 1);
});

test("[R77] a closed link to the leader makes nobody campaign before the promise is over", () => {
  const { cluster, leader, others } = settled();
  confirm(cluster, leader);
  cluster.crash(leader);
  const startedMs = cluster.nowMs;
  cluster.run(90);
  assert.equal(
    others.map((id) => cluster.raft(id).role),
    ["follower", "follower"],
  );
  cluster.run(600);
  assert.is(cluster.leaders().length, 1);
  assert.ok(cluster.nowMs - startedMs >= 100);
});

test("[R78] the lease ends before the successor hears that it may campaign, for the rest of the term", () => {
  const { cluster, leader, others } = settled();
  confirm(cluster, leader);
  assert.ok(cluster.leaseRead(leader) !== null);
  const raft = cluster.raft(leader);
  raft.step({ type: "transferLeader", to: others[0] }, cluster.now);
  assert.is(cluster.leaseRead(leader), null, "the message is still in the outbox, or on its way");
  const handedOver = cluster.sent("timeoutNow");
  assert.is(handedOver.length, 1);
  cluster.packets = [];
  cluster.run(300);
  assert.is(raft.status().transferTo, null, "given up");
  confirm(cluster, leader);
  assert.is(cluster.leaseRead(leader), null, "the message may still arrive");
  for (const packet of handedOver) cluster.deliver(packet);
  cluster.settle();
  assert.is(cluster.raft(others[0]).role, "leader", "no promise holds a transfer up");
  confirm(cluster, others[0]);
  assert.ok(cluster.leaseRead(others[0]) !== null, "the next leader has one");
});

test("[R78] a transfer that still waits for its successor to catch up leaves the lease alone", () => {
  const { cluster, leader, others } = settled();
  confirm(cluster, leader);
  cluster.cut(leader, others[0]);
  cluster.propose(leader, "x");
  cluster.step(leader, { type: "transferLeader", to: others[0] });
  assert.ok(cluster.leaseRead(leader) !== null);
});

test("[R79] a leader counts only what each voter itself promises, whatever its own options say", () => {
  const { cluster, leader } = settled();
  const { term } = cluster.raft(leader);
  const [other] = cluster.followersOf(leader) as [string];
  cluster.read(leader);
  const message = cluster.sent("confirmLead")[0]?.message;
  assert.ok(message?.type === "confirmLead");
  const answer = {
    type: "confirmLeadResponse",
    term,
    storeId: `${other}-disk`,
    round: message.round,
  } as const;
  cluster.receive(leader, other, { ...answer, leaseMs: 0 });
  assert.is(cluster.node(leader).reads.length, 1, "the read is confirmed");
  assert.is(cluster.leaseRead(leader), null, "and nothing is promised");
  cluster.read(leader);
  const { round } = message;
  cluster.receive(leader, other, { ...answer, round: round + 1, leaseMs: 20 });
  assert.ok(cluster.leaseRead(leader) !== null);
  cluster.nowMs += 20;
  assert.is(cluster.leaseRead(leader), null, "not its own 100 ms");
});

test.run();

import { test } from "uvu";
import * as assert from "uvu/assert";
import { type ClusterOptions, RaftCluster } from "./raft-cluster.ts";

function settled(options: ClusterOptions = {}): {
  cluster: RaftCluster;
  leader: string;
  others: [string, string];
} {
  const cluster = new RaftCluster(options);
  const leader = cluster.elect();
  cluster.run(50);
  cluster.packets = [];
  return { cluster, leader, others: cluster.followersOf(leader) as [string, string] };
}

test("[R29] a leader with too many uncommitted entries refuses proposals, until they are committed", () => {
  const { cluster, leader } = settled({ uncommittedEntriesMax: 4 });
  assert.is(cluster.propose(leader, "1", "2", "3").type, "appended");
  const { lastIndex } = cluster.raft(leader);
  assert.equal(cluster.propose(leader, "4", "5"), { type: "refused", reason: "OVERLOADED" });
  assert.is(cluster.raft(leader).lastIndex, lastIndex, "all or nothing");
  assert.is(cluster.propose(leader, "4").type, "appended");
  assert.equal(cluster.propose(leader, "5"), { type: "refused", reason: "OVERLOADED" });
  cluster.settle();
  assert.is(cluster.propose(leader, "5").type, "appended");
});

test("[R29] so does one with too many uncommitted bytes", () => {
  const { cluster, leader } = settled({ uncommittedBytesMax: 10 });
  assert.is(cluster.propose(leader, "12345", "1234").type, "appended");
  assert.equal(cluster.propose(leader, "12"), { type: "refused", reason: "OVERLOADED" });
  assert.is(cluster.propose(leader, "1").type, "appended");
  cluster.settle();
  cluster.compact(leader);
  cluster.settle();
  assert.is(cluster.propose(leader, "1234567890").type, "appended");
});

test("[R29] a new leader counts what its predecessors left uncommitted", () => {
  const cluster = new RaftCluster({ uncommittedBytesMax: 10 });
  const leader = cluster.elect();
  cluster.run(50);
  cluster.propose(leader, "12345678");
  for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
  for (const id of cluster.followersOf(leader)) cluster.completeWrite(id);
  cluster.crash(leader);
  while (cluster.leaders().length === 0) {
    cluster.nowMs += 10;
    for (const id of cluster.nodes.keys()) cluster.step(id, { type: "tick" });
    for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
    for (const { id, writes } of cluster.nodes.values()) if (writes.length > 0) cluster.completeWrite(id);
  }
  const successor = cluster.leaders()[0]?.id ?? "";
  assert.equal(cluster.propose(successor, "123"), { type: "refused", reason: "OVERLOADED" });
  cluster.run(50);
  assert.is(cluster.propose(successor, "123").type, "appended");
});

test("[R30] who does not lead appends nothing, and names who does", () => {
  const { cluster, leader, others } = settled();
  assert.equal(cluster.propose(others[0], "x"), { type: "notLeader", leaderId: leader });
  cluster.step(others[0], { type: "linkDown", nodeId: leader });
  assert.equal(cluster.propose(others[0], "x"), { type: "notLeader", leaderId: null });
});

test("[R31] log time is the last stamp and the leader's monotonic time since its no-op, in whole milliseconds", () => {
  const { cluster, leader } = settled();
  const node = cluster.node(leader);
  const noop = node.applied.at(-1);
  assert.ok(noop);
  const beforeMs = cluster.raft(leader).logTimeMs(cluster.now);
  cluster.nowMs += 123.7;
  cluster.wallMs -= 5_000;
  const expectedMs = Math.floor(beforeMs + 123.7);
  assert.is(cluster.raft(leader).logTimeMs(cluster.now), expectedMs);
  cluster.propose(leader, "x");
  cluster.nowMs += 10;
  cluster.wallMs += 4_000;
  cluster.propose(leader, "y");
  cluster.wallMs += 7_000;
  cluster.propose(leader, "z");
  cluster.settle();
  const [x, y, z] = node.applied.slice(-3);
  assert.is(x?.logTimeMs, expectedMs);
  assert.is(y?.logTimeMs, Math.floor(beforeMs + 133.7));
  assert.is(x?.wallTimeMs, noop.wallTimeMs, "a wall clock that goes back stands still");
  assert.is(y?.wallTimeMs, noop.wallTimeMs);
  assert.is(z?.wallTimeMs, Math.floor(cluster.wallMs));
});

test("[R31] log time stands still while nobody leads, and goes on from there under the next leader", () => {
  const { cluster, leader } = settled();
  cluster.propose(leader, "x");
  cluster.settle();
  const lastMs = cluster.node(leader).applied.at(-1)?.logTimeMs ?? -1;
  for (const id of cluster.nodes.keys()) cluster.crash(id, { silent: true });
  cluster.nowMs += 1_000_000;
  cluster.wallMs -= 900_000;
  for (const id of cluster.nodes.keys()) cluster.start(id);
  const next = cluster.elect();
  const noop = cluster.node(next).applied.find(({ term }) => term === cluster.raft(next).term);
  assert.is(noop?.type, "noop");
  assert.is(noop?.logTimeMs, lastMs);
  assert.ok(cluster.raft(next).logTimeMs(cluster.now) < lastMs + 5_000);
});

test("[R32] a lead is handed over at once to a voter that has everything, without loss (§3.10)", () => {
  const { cluster, leader, others } = settled();
  const startedMs = cluster.nowMs;
  cluster.propose(leader, "x");
  cluster.step(leader, { type: "transferLeader", to: others[0] });
  assert.ok(!cluster.packets.some(({ message }) => message.type === "timeoutNow"), "it lacks an entry yet");
  cluster.settle();
  assert.is(cluster.nowMs, startedMs, "no timer was needed");
  assert.is(cluster.raft(others[0]).role, "leader");
  assert.is(cluster.raft(leader).role, "follower");
  assert.equal(cluster.commandsApplied(others[0]), ["x"]);
});

test("[R32] a request to take over from anybody but the present leader is nothing", () => {
  const { cluster, others } = settled();
  const { term } = cluster.raft(others[0]);
  const message = { type: "timeoutNow", storeId: `${others[1]}-disk` } as const;
  cluster.step(others[0], { type: "message", from: others[1], message: { ...message, term } });
  cluster.step(others[0], { type: "message", from: others[1], message: { ...message, term: term + 1 } });
  assert.is(cluster.raft(others[0]).role, "follower");
});

test("[R33] during a transfer proposals are refused; one that fails is given up after an election timeout", () => {
  const { cluster, leader, others } = settled();
  cluster.cut(leader, others[0]);
  cluster.step(leader, { type: "transferLeader", to: others[0] });
  assert.equal(cluster.propose(leader, "x"), { type: "refused", reason: "TRANSFERRING" });
  assert.is(cluster.raft(leader).status().transferTo, others[0]);
  cluster.run(100);
  assert.equal(cluster.propose(leader, "x"), { type: "refused", reason: "TRANSFERRING" });
  cluster.run(120);
  assert.is(cluster.propose(leader, "x").type, "appended");
});

test("[R33] a transfer to oneself, to nobody, to a learner, or asked of a follower is none", () => {
  const { cluster, leader, others } = settled({ learners: ["l"] });
  for (const to of [leader, "nobody", "l"]) cluster.step(leader, { type: "transferLeader", to });
  cluster.step(others[0], { type: "transferLeader", to: others[0] });
  cluster.settle();
  assert.is(cluster.propose(leader, "x").type, "appended");
});

test("[R88] a leader whose disk lags refuses proposals past the limits, though the others commit them", () => {
  const { cluster, leader, others } = settled({ uncommittedEntriesMax: 4, uncommittedBytesMax: 100 });
  const settleOthers = () => {
    for (let round = 0; round < 10; round++) {
      for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
      for (const id of others) while (cluster.completeWrite(id));
    }
  };
  for (const command of ["1", "2", "3", "4"]) {
    assert.is(cluster.propose(leader, command).type, "appended");
    settleOthers();
  }
  assert.is(cluster.raft(leader).commitIndex, cluster.raft(leader).lastIndex, "all are committed");
  assert.equal(cluster.propose(leader, "5"), { type: "refused", reason: "OVERLOADED" });
  cluster.settle();
  assert.is(cluster.propose(leader, "x".repeat(90)).type, "appended");
  settleOthers();
  assert.equal(cluster.propose(leader, "x".repeat(20)), { type: "refused", reason: "OVERLOADED" });
  cluster.settle();
  assert.is(cluster.propose(leader, "x".repeat(100)).type, "appended");
});

test("[R87] a leader that is told to step down does, and others may take its place; elsewhere it is nothing", () => {
  const { cluster, leader, others } = settled();
  const { term } = cluster.raft(leader);
  for (const id of others) cluster.step(id, { type: "stepDown" });
  assert.is(cluster.raft(leader).role, "leader");
  cluster.step(leader, { type: "stepDown" });
  assert.is(cluster.raft(leader).role, "follower");
  assert.is(cluster.raft(leader).leaderId, null);
  assert.is(cluster.raft(leader).term, term);
  cluster.elect();
  assert.ok(cluster.raft(leader).term > term);
});

test("[R87] nobody campaigns, nor takes a lead, whose disk stalls", () => {
  const { cluster, leader, others } = settled();
  const [stuck, other] = others;
  cluster.step(stuck, { type: "diskStalled" });
  cluster.step(leader, { type: "transferLeader", to: stuck });
  cluster.run(300);
  assert.is(cluster.raft(leader).role, "leader");
  cluster.crash(leader);
  cluster.crash(other);
  cluster.run(2_000);
  assert.is(cluster.raft(stuck).role, "follower");
  cluster.step(stuck, { type: "diskMoves" });
  cluster.run(300);
  assert.is(cluster.raft(stuck).role, "preCandidate");
  cluster.step(stuck, { type: "diskStalled" });
  assert.is(cluster.raft(stuck).role, "follower", "who asks already gives up");
});

/** What the node's Readys have told since the last call. */
function refusals(cluster: RaftCluster, id: string): string[] {
  return cluster
    .node(id)
    .readys.splice(0)
    .flatMap((ready) => ready.transfersRefused.map(({ to, code }) => `${to} ${code}`));
}

test("[R85] a transfer that cannot succeed is refused at once, with the reason", () => {
  const { cluster, leader, others } = settled({ learners: ["l"] });
  const [successor, third] = others;
  const ask = (id: string, to: string) => {
    refusals(cluster, id);
    cluster.step(id, { type: "transferLeader", to });
    return refusals(cluster, id);
  };
  assert.equal(ask(successor, third), [`${third} NOT_LEADER`]);
  assert.equal(ask(leader, "nobody"), ["nobody NOT_A_VOTER"]);
  assert.equal(ask(leader, "l"), ["l NOT_A_VOTER"]);
  cluster.linkDown(leader, third);
  assert.equal(ask(leader, third), [`${third} NOT_LINKED`]);
  cluster.linkUp(leader, third);
  cluster.cut(leader, successor);
  assert.equal(ask(leader, successor), [], "nothing is known against it");
  assert.equal(ask(leader, third), [`${third} TRANSFERRING`]);
  assert.equal(ask(leader, successor), [], "it is under way already");
  assert.is(cluster.raft(leader).transferTo, successor);
});

test("[R85] who has been silent, or needs a snapshot, lags too far behind", () => {
  const { cluster, leader, others } = settled({ catchUpBytesMax: 0 });
  const [successor] = others;
  cluster.cut(leader, successor);
  cluster.propose(leader, "x", "y");
  cluster.run(250);
  refusals(cluster, leader);
  cluster.step(leader, { type: "transferLeader", to: successor });
  assert.equal(refusals(cluster, leader), [`${successor} LAGGING`], "silent");
  cluster.compact(leader);
  cluster.settle();
  cluster.heal();
  while (cluster.raft(leader).status().followers[0]?.state !== "installing") {
    cluster.nowMs += 10;
    cluster.heartbeats();
    for (const id of cluster.nodes.keys()) cluster.step(id, { type: "tick" });
    for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
  }
  refusals(cluster, leader);
  cluster.step(leader, { type: "transferLeader", to: successor });
  assert.equal(refusals(cluster, leader), [`${successor} LAGGING`], "installing");
});

test("[R86] a transfer that does not succeed within an election timeout is given up, and said so once", () => {
  const { cluster, leader, others } = settled();
  cluster.cut(leader, others[0]);
  cluster.step(leader, { type: "transferLeader", to: others[0] });
  refusals(cluster, leader);
  cluster.run(190);
  assert.equal(refusals(cluster, leader), []);
  cluster.run(20);
  assert.equal(refusals(cluster, leader), [`${others[0]} TIMED_OUT`]);
  assert.is(cluster.raft(leader).transferTo, null);
  cluster.run(500);
  assert.equal(refusals(cluster, leader), []);
});

test("[R86] a transfer whose link goes down is given up at once; another's link does not matter", () => {
  const { cluster, leader, others } = settled();
  const [successor, third] = others;
  cluster.cut(leader, successor);
  cluster.step(leader, { type: "transferLeader", to: successor });
  refusals(cluster, leader);
  cluster.linkDown(leader, third);
  assert.equal(refusals(cluster, leader), []);
  cluster.linkDown(leader, successor);
  assert.equal(refusals(cluster, leader), [`${successor} NOT_LINKED`]);
  assert.is(cluster.propose(leader, "x").type, "appended");
});

test("[R86] a transfer that succeeds is refused by nobody, and ends with the lead", () => {
  const { cluster, leader, others } = settled();
  cluster.step(leader, { type: "transferLeader", to: others[0] });
  cluster.settle();
  assert.equal(refusals(cluster, leader), []);
  assert.is(cluster.raft(leader).transferTo, null);
  assert.is(cluster.raft(others[0]).role, "leader");
});

/** Between any two of a lead's transfers. */
function proposesAtOnce(cluster: RaftCluster, leader: string, what: string): void {
  assert.is(cluster.raft(leader).transferTo, null, what);
  assert.is(cluster.propose(leader, what).type, "appended", what);
}

for (const [what, prepare] of [
  ["whatever it drives could not go on", (cluster, id) => cluster.unfit.add(id)],
  ["its disk stalls", (cluster, id) => cluster.step(id, { type: "diskStalled" })],
] as const satisfies readonly (readonly [string, (cluster: RaftCluster, id: string) => unknown])[]) {
  test(`[R135] who is asked and does not take the lead, as ${what}, says so: the leader goes on at once`, () => {
    const { cluster, leader, others } = settled();
    const [successor] = others;
    prepare(cluster, successor);
    const startedMs = cluster.nowMs;
    refusals(cluster, leader);
    cluster.step(leader, { type: "transferLeader", to: successor });
    assert.equal(cluster.propose(leader, "x"), { type: "refused", reason: "TRANSFERRING" });
    cluster.settle();
    assert.equal(refusals(cluster, leader), [`${successor} REFUSED`]);
    proposesAtOnce(cluster, leader, "after the refusal");
    assert.is(cluster.nowMs, startedMs, "no timer was needed");
    assert.is(cluster.raft(successor).role, "follower");
  });
}

test("[R136] who refused is not asked again for an election timeout, others are; then it is", () => {
  const { cluster, leader, others } = settled();
  const [successor, third] = others;
  for (const id of others) cluster.unfit.add(id);
  const ask = (to: string) => {
    refusals(cluster, leader);
    cluster.step(leader, { type: "transferLeader", to });
    const isAsked = cluster.packets.some(({ message }) => message.type === "timeoutNow");
    cluster.settle();
    return { isAsked, told: refusals(cluster, leader) };
  };
  assert.equal(ask(successor), { isAsked: true, told: [`${successor} REFUSED`] });
  assert.equal(ask(successor), { isAsked: false, told: [`${successor} REFUSED`] });
  assert.equal(ask(third), { isAsked: true, told: [`${third} REFUSED`] });
  cluster.run(190);
  assert.is(ask(successor).isAsked, false);
  cluster.run(20);
  cluster.unfit.clear();
  assert.equal(ask(successor), { isAsked: true, told: [] });
  assert.is(cluster.raft(successor).role, "leader");
});

test("[R137] a refusal from another node, from another disk, of another term, or of nothing ends no transfer", () => {
  const { cluster, leader, others } = settled();
  const [successor, third] = others;
  const { term } = cluster.raft(leader);
  const refuse = (from: string, storeId: string, inTerm: number) =>
    cluster.step(leader, {
      type: "message",
      from,
      message: { type: "timeoutNowRefused", term: inTerm, storeId },
    });
  cluster.propose(leader, "x");
  cluster.step(leader, { type: "transferLeader", to: successor });
  refuse(successor, `${successor}-disk`, term);
  assert.is(cluster.raft(leader).transferTo, successor, "it lacks an entry yet, and was not asked");
  while (cluster.sent("timeoutNow").length === 0) {
    for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
    for (const id of cluster.nodes.keys()) cluster.completeWrite(id);
  }
  cluster.packets = [];
  refuse(third, `${third}-disk`, term);
  refuse(successor, "another-disk", term);
  refuse(successor, `${successor}-disk`, term - 1);
  refuse(successor, `${successor}-disk`, term + 1);
  assert.is(cluster.raft(leader).transferTo, successor);
  assert.is(cluster.raft(leader).term, term);
  refuse(successor, `${successor}-disk`, term);
  proposesAtOnce(cluster, leader, "the one that was asked, and is meant");
});

test("[R137] a lead that is refused in an older term is refused to nobody", () => {
  const { cluster, leader, others } = settled();
  const { term } = cluster.raft(leader);
  cluster.step(others[0], { type: "refuseLead", from: leader, term: term - 1 });
  assert.ok(!cluster.packets.some(({ message }) => message.type === "timeoutNowRefused"));
});

test.run();

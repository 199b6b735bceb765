import * as assert from "uvu/assert";
import { test } from "uvu";
import type { RaftMessage } from "../../server/raft/message.ts";
import { RaftCluster } from "./raft-cluster.ts";

const of = (cluster: RaftCluster, type: RaftMessage["type"]) =>
  cluster.packets.filter((packet) => packet.message.type === type);

function receive(cluster: RaftCluster, to: string, from: string, message: RaftMessage): void {
  cluster.step(to, { type: "message", from, message });
}

/** Ticks one node only, in steps of 10 ms. */
function tickFor(cluster: RaftCluster, id: string, ms: number): void {
  for (let passedMs = 0; passedMs < ms; passedMs += 10) {
    cluster.nowMs += 10;
    cluster.step(id, { type: "tick" });
  }
}

const request = { type: "requestVote", lastLogIndex: 0, lastLogTerm: 0, force: false } as const;

test("[R1] a replica votes for at most one candidate in a term, also after a restart", () => {
  const cluster = new RaftCluster();
  receive(cluster, "a", "b", { ...request, term: 3, storeId: "b-disk" });
  receive(cluster, "a", "c", { ...request, term: 3, storeId: "c-disk" });
  while (cluster.completeWrite("a"));
  const answers = () =>
    of(cluster, "requestVoteResponse")
      .map(({ to, message }) => `${to} ${"granted" in message && message.granted}`)
      .toSorted();
  assert.equal(answers(), ["b true", "c false"]);
  cluster.crash("a", { silent: true });
  cluster.packets = [];
  cluster.start("a");
  receive(cluster, "a", "c", { ...request, term: 3, storeId: "c-disk" });
  receive(cluster, "a", "b", { ...request, term: 3, storeId: "b-disk" });
  while (cluster.completeWrite("a"));
  assert.equal(answers(), ["b true", "c false"]);
});

test("[R2] a vote, and what asks for votes, leaves only behind the save of the hard state that it rests on", () => {
  const cluster = new RaftCluster();
  receive(cluster, "a", "b", { ...request, term: 3, storeId: "b-disk" });
  const ready = cluster.node("a").readys.at(-1);
  assert.equal(ready?.hardState, { term: 3, votedFor: { nodeId: "b", storeId: "b-disk" }, commitIndex: 0 });
  assert.is(ready?.messages.length, 0);
  assert.is(ready?.messagesAfterSave[0]?.message.type, "requestVoteResponse");
  // Asked again while the first save is under way: the answer waits for a save all the same.
  receive(cluster, "a", "b", { ...request, term: 3, storeId: "b-disk" });
  assert.ok(cluster.node("a").readys.at(-1)?.hardState);

  tickFor(cluster, "c", 250);
  receive(cluster, "c", "b", { type: "preVoteResponse", term: 1, storeId: "b-disk", granted: true });
  assert.is(cluster.raft("c").role, "candidate");
  const campaign = cluster.node("c").readys.at(-1);
  assert.equal(campaign?.hardState, { term: 1, votedFor: { nodeId: "c", storeId: "c-disk" }, commitIndex: 0 });
  assert.equal(campaign?.messages, []);
  assert.equal(campaign?.messagesAfterSave.map(({ message }) => message.type), ["requestVote", "requestVote"]);
});

test("[R3] a replica refuses its vote, and its pre-vote, to a candidate whose log is less up to date (§5.4.1)", () => {
  const cluster = new RaftCluster();
  const leader = cluster.elect();
  cluster.propose(leader, "x");
  cluster.settle();
  const [voter, candidate] = cluster.followersOf(leader) as [string, string];
  const { lastIndex, term } = cluster.raft(voter);
  const ask = (lastLogIndex: number, lastLogTerm: number, next: number) => {
    cluster.packets = [];
    const asked = { storeId: `${candidate}-disk`, term: term + next, lastLogIndex, lastLogTerm };
    receive(cluster, voter, candidate, { type: "preVote", ...asked, leaderLost: true });
    receive(cluster, voter, candidate, { type: "requestVote", ...asked, force: true });
    cluster.completeWrite(voter);
    return cluster.packets.map(({ message }) => "granted" in message && message.granted);
  };
  assert.equal(ask(lastIndex - 1, term, 1), [false, false], "a shorter log of the same last term");
  assert.equal(ask(lastIndex + 5, term - 1, 2), [false, false], "a longer log of an older last term");
  assert.equal(ask(lastIndex, term, 3), [true, true], "an equal log");
  assert.equal(ask(1, term + 1, 4), [true, true], "a shorter log of a later last term");
});

test("[R4] a higher term makes any replica its follower (§5.1)", () => {
  const cluster = new RaftCluster();
  const leader = cluster.elect();
  const [other] = cluster.followersOf(leader) as [string];
  const { term } = cluster.raft(leader);
  const storeId = `${other}-disk`;
  receive(cluster, leader, other, { type: "appendEntriesResponse", term: term + 4, storeId, success: true, matchIndex: 0 });
  assert.is(cluster.raft(leader).role, "follower");
  assert.is(cluster.raft(leader).term, term + 4);
  assert.is(cluster.raft(leader).votedFor, null);
  assert.is(cluster.raft(leader).leaderId, null);
});

test("[R5] what comes from an older term changes nothing, and a leader of one is told the newer term (§5.1)", () => {
  const cluster = new RaftCluster();
  const leader = cluster.elect();
  const [voter, other] = cluster.followersOf(leader) as [string, string];
  cluster.crash(leader);
  cluster.run(400);
  const { term } = cluster.raft(voter);
  cluster.packets = [];
  const before = cluster.raft(voter).lastIndex;
  const entry = { index: before + 1, term: 1, type: "command", logTimeMs: 1e6, wallTimeMs: 2e6, data: new Uint8Array(1) } as const;
  const { leaderId } = cluster.raft(voter);
  receive(cluster, voter, leader, {
    type: "appendEntries",
    term: 0,
    storeId: `${leader}-disk`,
    prevLogIndex: before,
    prevLogTerm: term,
    commitIndex: before + 1,
    entries: [entry],
  });
  assert.is(cluster.raft(voter).lastIndex, before);
  assert.is(cluster.raft(voter).leaderId, leaderId);
  const [answer] = of(cluster, "appendEntriesResponse");
  assert.is(answer?.message.term, term);
  assert.is(answer?.to, leader);
  receive(cluster, other, leader, { ...request, term: 0, storeId: `${leader}-disk`, force: true });
  assert.is(cluster.raft(other).term, term);
});

test("[R6] election timeouts are spread over 2T to 4T, drawn anew each time", () => {
  const timeouts = new Set<number>();
  for (let seed = 1; seed <= 60; seed += 1) {
    const cluster = new RaftCluster({ seed, electionGraceMs: 0, electionBaseMs: 100 });
    let ms = 0;
    while (cluster.raft("a").role === "follower") {
      tickFor(cluster, "a", 10);
      ms += 10;
    }
    assert.ok(ms >= 200 && ms <= 420, `${ms} ms`);
    timeouts.add(ms);
  }
  assert.ok(timeouts.size > 10, `only ${timeouts.size} different timeouts`);
});

test("[R7] an election timer that expires waits once more, so that heartbeats which are there already count", () => {
  const cluster = new RaftCluster();
  const leader = cluster.elect();
  const [follower] = cluster.followersOf(leader) as [string];
  // The process was paused: the first thing that it sees is its timer.
  cluster.nowMs += 5_000;
  cluster.step(follower, { type: "tick" });
  assert.is(cluster.raft(follower).role, "follower");
  cluster.step(follower, { type: "leaderAlive", nodeId: leader, term: cluster.raft(leader).term });
  cluster.nowMs += 10;
  cluster.step(follower, { type: "tick" });
  assert.is(cluster.raft(follower).role, "follower");
  // Once only: with nothing waiting there it acts.
  cluster.nowMs += 5_000;
  cluster.step(follower, { type: "tick" });
  cluster.nowMs += 10;
  cluster.step(follower, { type: "tick" });
  assert.is(cluster.raft(follower).role, "preCandidate");
});

test("[R8] asking whether one would be elected changes no term: an isolated replica comes back in its old one (§9.6)", () => {
  const cluster = new RaftCluster();
  const leader = cluster.elect();
  const [isolated] = cluster.followersOf(leader) as [string];
  const { term } = cluster.raft(leader);
  cluster.isolate(isolated);
  cluster.run(3_000);
  assert.is(cluster.raft(isolated).role, "preCandidate");
  assert.is(cluster.raft(isolated).term, term);
  cluster.heal();
  cluster.run(1_000);
  assert.is(cluster.raft(leader).role, "leader");
  assert.is(cluster.raft(isolated).role, "follower");
  assert.is(cluster.raft(isolated).term, term);
});

test("[R9] who hears a live leader refuses pre-votes and ignores votes, unless they are forced (§6)", () => {
  const cluster = new RaftCluster();
  const leader = cluster.elect();
  const [voter, candidate] = cluster.followersOf(leader) as [string, string];
  const { term, lastIndex } = cluster.raft(leader);
  const asked = { term: term + 1, storeId: `${candidate}-disk`, lastLogIndex: lastIndex, lastLogTerm: term };
  for (const to of [voter, leader]) {
    cluster.packets = [];
    receive(cluster, to, candidate, { type: "preVote", ...asked, leaderLost: false });
    receive(cluster, to, candidate, { type: "requestVote", ...asked, force: false });
    assert.equal(cluster.packets.map(({ message }) => "granted" in message && message.granted), [false]);
    assert.is(cluster.raft(to).term, term);
  }
  cluster.packets = [];
  receive(cluster, voter, candidate, { type: "preVote", ...asked, leaderLost: true });
  receive(cluster, voter, candidate, { type: "requestVote", ...asked, force: true });
  cluster.completeWrite(voter);
  assert.equal(cluster.packets.map(({ message }) => "granted" in message && message.granted), [true, true]);
  // A leader knows itself to be alive; but a forced vote ends it.
  cluster.packets = [];
  receive(cluster, leader, candidate, { type: "preVote", ...asked, leaderLost: true });
  assert.equal(cluster.packets.map(({ message }) => "granted" in message && message.granted), [false]);
  // The lease runs out when nothing is heard for the shortest election timeout.
  cluster.nowMs += 100;
  const later = { ...asked, term: term + 2 };
  const [, third] = [voter, candidate];
  cluster.packets = [];
  cluster.step(third, { type: "leaderAlive", nodeId: leader, term });
  cluster.nowMs += 100;
  receive(cluster, third, voter, { type: "preVote", ...later, storeId: `${voter}-disk`, leaderLost: false });
  assert.equal(cluster.packets.map(({ message }) => "granted" in message && message.granted), [true]);
});

test("[R10] when the link to the leader closes, its followers replace it within T, without waiting for timeouts", () => {
  for (let seed = 1; seed <= 40; seed += 1) {
    const cluster = new RaftCluster({ seed });
    const leader = cluster.elect();
    cluster.crash(leader);
    const [follower] = cluster.followersOf(leader) as [string];
    assert.is(cluster.raft(follower).leaderId, null);
    cluster.run(60);
    assert.is(cluster.leaders().length, 1, `seed ${seed}`);
  }
});

test("[R10] a closed link to anybody but the leader changes nothing", () => {
  const cluster = new RaftCluster();
  const leader = cluster.elect();
  const [a, b] = cluster.followersOf(leader) as [string, string];
  const { term } = cluster.raft(leader);
  cluster.linkDown(a, b);
  cluster.run(500);
  assert.is(cluster.raft(leader).role, "leader");
  assert.is(cluster.raft(leader).term, term);
});

test("[R11] of two equal replicas that ask at the same moment, the one with the smaller id goes first", () => {
  const cluster = new RaftCluster();
  for (const id of ["b", "c"]) tickFor(cluster, id, 250);
  const asks = of(cluster, "preVote");
  cluster.packets = [];
  for (const packet of asks) if (packet.to !== "a") cluster.deliver(packet);
  const answers = of(cluster, "preVoteResponse").map(
    ({ from, to, message }) => `${from} to ${to}: ${"granted" in message && message.granted}`,
  );
  assert.equal([...new Set(answers)], ["c to b: true", "b to c: false"]);
});

test("[R11] rivals drift apart: split votes end in every seed", () => {
  for (let seed = 1; seed <= 60; seed += 1) {
    const cluster = new RaftCluster({ seed, voters: ["a", "b", "c", "d"] });
    // All timers expire at the same moment.
    cluster.nowMs += 1_000;
    for (const id of cluster.nodes.keys()) cluster.step(id, { type: "tick" });
    cluster.run(600);
    assert.is(cluster.leaders().length, 1, `seed ${seed}`);
  }
});

test("[R13] a leader that no quorum confirms steps down, and answers that wait already count first (§6.2)", () => {
  const cluster = new RaftCluster();
  const leader = cluster.elect();
  cluster.nowMs += 5_000;
  cluster.step(leader, { type: "tick" });
  assert.is(cluster.raft(leader).role, "leader");
  const [follower] = cluster.followersOf(leader) as [string];
  const { term } = cluster.raft(leader);
  cluster.step(leader, { type: "followerAlive", nodeId: follower, term });
  cluster.nowMs += 10;
  cluster.step(leader, { type: "tick" });
  assert.is(cluster.raft(leader).role, "leader");
  // A confirmation of another term is none.
  for (let passedMs = 0; passedMs <= 220; passedMs += 10) {
    cluster.nowMs += 10;
    cluster.step(leader, { type: "followerAlive", nodeId: follower, term: term - 1 });
    cluster.step(leader, { type: "tick" });
  }
  assert.is(cluster.raft(leader).role, "follower");
  assert.is(cluster.raft(leader).term, term);
  assert.is(cluster.raft(leader).leaderId, null);
});

test("[R13] in a partition the minority's leader steps down and the majority elects another", () => {
  const cluster = new RaftCluster({ voters: ["a", "b", "c", "d", "e"] });
  const leader = cluster.elect();
  cluster.isolate(leader);
  cluster.run(1_000);
  assert.is(cluster.raft(leader).role, "preCandidate");
  assert.is(cluster.leaders().length, 1);
});

test("[R14] a vote that comes from another disk than the configuration's counts for nothing", () => {
  const cluster = new RaftCluster();
  tickFor(cluster, "a", 250);
  const { term } = cluster.raft("a");
  receive(cluster, "a", "b", { type: "preVoteResponse", term: term + 1, storeId: "emptied", granted: true });
  assert.is(cluster.raft("a").role, "preCandidate");
  receive(cluster, "a", "b", { type: "preVoteResponse", term: term + 1, storeId: "b-disk", granted: true });
  cluster.completeWrite("a");
  receive(cluster, "a", "b", { type: "requestVoteResponse", term: term + 1, storeId: "emptied", granted: true });
  assert.is(cluster.raft("a").role, "candidate");
  receive(cluster, "a", "b", { type: "requestVoteResponse", term: term + 1, storeId: "b-disk", granted: true });
  assert.is(cluster.raft("a").role, "leader");
  // Nor does an answer, be its term as high as it may.
  receive(cluster, "a", "c", { type: "appendEntriesResponse", term: term + 9, storeId: "emptied", success: true, matchIndex: 1 });
  assert.is(cluster.raft("a").role, "leader");
  assert.is(cluster.raft("a").commitIndex, 0);
});

test("[R14] a candidate with another disk than the configuration's gets no answer, and changes no term", () => {
  const cluster = new RaftCluster();
  receive(cluster, "a", "b", { ...request, term: 7, storeId: "emptied", force: true });
  receive(cluster, "a", "b", { type: "preVote", term: 7, storeId: "emptied", lastLogIndex: 9, lastLogTerm: 9, leaderLost: true });
  assert.equal(cluster.packets, []);
  assert.is(cluster.raft("a").term, 0);
});

test("[R14] heartbeats stand for a follower only once its own disk has answered over the present link", () => {
  const cluster = new RaftCluster();
  const leader = cluster.elect();
  const { term } = cluster.raft(leader);
  for (const id of cluster.followersOf(leader)) cluster.linkDown(leader, id);
  cluster.step(leader, { type: "linkUp", nodeId: "b" });
  for (let passedMs = 0; passedMs <= 300; passedMs += 10) {
    cluster.nowMs += 10;
    for (const nodeId of cluster.followersOf(leader)) cluster.step(leader, { type: "followerAlive", nodeId, term });
    cluster.step(leader, { type: "tick" });
  }
  assert.is(cluster.raft(leader).role, "follower");
});

test("[R15] a learner follows, is not counted, and never campaigns", () => {
  const cluster = new RaftCluster({ voters: ["a"], learners: ["l"] });
  assert.is(cluster.raft("l").role, "learner");
  cluster.elect("a");
  cluster.cut("a", "l");
  cluster.propose("a", "x");
  cluster.run(1_000);
  assert.equal(cluster.commandsApplied("a"), ["x"]);
  assert.is(cluster.raft("l").role, "learner");
  assert.is(cluster.raft("l").term, cluster.raft("a").term);
  cluster.heal();
  cluster.run(500);
  assert.equal(cluster.commandsApplied("l"), ["x"]);
});

test("[R16] one voter alone elects itself and commits, but only what is on its disk", () => {
  const cluster = new RaftCluster({ voters: ["a"], learners: ["l"] });
  tickFor(cluster, "a", 250);
  assert.is(cluster.raft("a").role, "leader");
  cluster.propose("a", "x");
  assert.is(cluster.raft("a").commitIndex, 0);
  // Its own vote alone made it leader: nobody may hear of a term that a crash would make it forget.
  assert.equal(cluster.packets, []);
  while (cluster.completeWrite("a"));
  assert.is(cluster.raft("a").commitIndex, 2);
  assert.ok(cluster.packets.some(({ to, message }) => to === "l" && message.type === "appendEntries"));
});

test("[R4] two leaders in one term end the process", () => {
  const cluster = new RaftCluster();
  const leader = cluster.elect();
  const [other] = cluster.followersOf(leader) as [string];
  const { term } = cluster.raft(leader);
  const append = { type: "appendEntries", term, storeId: `${other}-disk`, prevLogIndex: 0, prevLogTerm: 0, commitIndex: 0, entries: [] } as const;
  assert.throws(() => receive(cluster, leader, other, append), /two leaders in one term/);
});

test.run();

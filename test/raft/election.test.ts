import { test } from "uvu";
import * as assert from "uvu/assert";
import { RaftCluster } from "./raft-cluster.ts";

const request = { type: "requestVote", lastLogIndex: 0, lastLogTerm: 0, cause: "timeout" } as const;

test("[R1] a replica votes for at most one candidate in a term, also after a restart", () => {
  const cluster = new RaftCluster();
  cluster.receive("a", "b", { ...request, term: 3, storeId: "b-disk" });
  cluster.receive("a", "c", { ...request, term: 3, storeId: "c-disk" });
  while (cluster.completeWrite("a"));
  const answers = () =>
    cluster
      .sent("requestVoteResponse")
      .map(({ to, message }) => `${to} ${"granted" in message && message.granted}`)
      .toSorted();
  assert.equal(answers(), ["b true", "c false"]);
  cluster.crash("a", { silent: true });
  cluster.packets = [];
  cluster.start("a");
  cluster.receive("a", "c", { ...request, term: 3, storeId: "c-disk" });
  cluster.receive("a", "b", { ...request, term: 3, storeId: "b-disk" });
  while (cluster.completeWrite("a"));
  assert.equal(answers(), ["b true", "c false"]);
});

test("[R2] a vote, and what asks for votes, leaves only behind the save of the hard state that it rests on", () => {
  const cluster = new RaftCluster();
  cluster.receive("a", "b", { ...request, term: 3, storeId: "b-disk" });
  const ready = cluster.node("a").readys.at(-1);
  assert.equal(ready?.hardState, { term: 3, votedFor: { nodeId: "b", storeId: "b-disk" }, commitIndex: 0 });
  assert.is(ready?.messages.length, 0);
  assert.is(ready?.messagesAfterSave[0]?.message.type, "requestVoteResponse");
  // Asked again while the first save is under way: the answer waits for a save all the same.
  cluster.receive("a", "b", { ...request, term: 3, storeId: "b-disk" });
  assert.ok(cluster.node("a").readys.at(-1)?.hardState);

  cluster.tickFor("c", 250);
  cluster.receive("c", "b", { type: "preVoteResponse", term: 1, storeId: "b-disk", granted: true });
  assert.is(cluster.raft("c").role, "candidate");
  const campaign = cluster.node("c").readys.at(-1);
  assert.equal(campaign?.hardState, {
    term: 1,
    votedFor: { nodeId: "c", storeId: "c-disk" },
    commitIndex: 0,
  });
  assert.equal(campaign?.messages, []);
  assert.equal(
    campaign?.messagesAfterSave.map(({ message }) => message.type),
    ["requestVote", "requestVote"],
  );
});

test("[R2] who is asked for a vote later, over a new link, is not asked before the own vote is saved either", () => {
  const cluster = new RaftCluster();
  cluster.tickFor("c", 250);
  const granted = { type: "preVoteResponse", term: 1, storeId: "b-disk", granted: true } as const;
  cluster.receive("c", "b", granted);
  cluster.step("c", { type: "linkUp", nodeId: "a" });
  assert.equal(cluster.sent("requestVote"), []);
  while (cluster.completeWrite("c"));
  assert.equal(
    cluster.sent("requestVote").map(({ to }) => to),
    ["a", "b", "a"],
  );
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
    cluster.receive(voter, candidate, { type: "preVote", ...asked, leaderLost: true });
    cluster.receive(voter, candidate, { type: "requestVote", ...asked, cause: "leaderLost" });
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
  cluster.receive(leader, other, {
    type: "appendEntriesResponse",
    term: term + 4,
    storeId,
    success: true,
    receivedIndex: 0,
    matchIndex: 0,
    commitIndex: 0,
  });
  assert.is(cluster.raft(leader).role, "follower");
  assert.is(cluster.raft(leader).term, term + 4);
  assert.is(cluster.raft(leader).status().votedFor, null);
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
  const entry = {
    index: before + 1,
    term: 1,
    type: "command",
    logTimeMs: 1e6,
    wallTimeMs: 2e6,
    data: new Uint8Array(1),
  } as const;
  const { leaderId } = cluster.raft(voter);
  cluster.receive(voter, leader, {
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
  const [answer] = cluster.sent("appendEntriesResponse");
  assert.is(answer?.message.term, term);
  assert.is(answer?.to, leader);
  cluster.receive(other, leader, { ...request, term: 0, storeId: `${leader}-disk`, cause: "leaderLost" });
  assert.is(cluster.raft(other).term, term);
});

test("[R6] election timeouts are spread over 2T to 4T, drawn anew each time", () => {
  const timeouts = new Set<number>();
  for (let seed = 1; seed <= 60; seed += 1) {
    const cluster = new RaftCluster({ seed, electionGraceMs: 0, electionBaseMs: 100 });
    let ms = 0;
    while (cluster.raft("a").role === "follower") {
      cluster.tickFor("a", 10);
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
    cluster.receive(to, candidate, { type: "preVote", ...asked, leaderLost: false });
    cluster.receive(to, candidate, { type: "requestVote", ...asked, cause: "timeout" });
    assert.equal(
      cluster.packets.map(({ message }) => "granted" in message && message.granted),
      [false],
    );
    assert.is(cluster.raft(to).term, term);
  }
  cluster.packets = [];
  cluster.receive(voter, candidate, { type: "preVote", ...asked, leaderLost: true });
  cluster.receive(voter, candidate, { type: "requestVote", ...asked, cause: "leaderLost" });
  cluster.completeWrite(voter);
  assert.equal(
    cluster.packets.map(({ message }) => "granted" in message && message.granted),
    [true, true],
  );
  // A leader knows itself to be alive; but a forced vote ends it.
  cluster.packets = [];
  cluster.receive(leader, candidate, { type: "preVote", ...asked, leaderLost: true });
  assert.equal(
    cluster.packets.map(({ message }) => "granted" in message && message.granted),
    [false],
  );
  // The lease runs out when nothing is heard for the shortest election timeout.
  cluster.nowMs += 100;
  const later = { ...asked, term: term + 2 };
  const [, third] = [voter, candidate];
  cluster.packets = [];
  cluster.step(third, { type: "leaderAlive", nodeId: leader, term });
  cluster.nowMs += 100;
  cluster.receive(third, voter, { type: "preVote", ...later, storeId: `${voter}-disk`, leaderLost: false });
  assert.equal(
    cluster.packets.map(({ message }) => "granted" in message && message.granted),
    [true],
  );
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
  for (const id of ["b", "c"]) cluster.tickFor(id, 250);
  const asks = cluster.sent("preVote");
  cluster.packets = [];
  for (const packet of asks) if (packet.to !== "a") cluster.deliver(packet);
  const answers = cluster
    .sent("preVoteResponse")
    .map(({ from, to, message }) => `${from} to ${to}: ${"granted" in message && message.granted}`);
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

test("[R4] two leaders in one term end the process", () => {
  const cluster = new RaftCluster();
  const leader = cluster.elect();
  const [other] = cluster.followersOf(leader) as [string];
  const { term } = cluster.raft(leader);
  const append = {
    type: "appendEntries",
    term,
    storeId: `${other}-disk`,
    prevLogIndex: 0,
    prevLogTerm: 0,
    commitIndex: 0,
    entries: [],
  } as const;
  assert.throws(() => cluster.receive(leader, other, append), /two leaders in one term/);
});

test.run();

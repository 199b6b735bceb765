import { test } from "uvu";
import * as assert from "uvu/assert";
import { RaftCluster } from "./raft-cluster.ts";

const request = { type: "requestVote", lastLogIndex: 0, lastLogTerm: 0, cause: "timeout" } as const;

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
  cluster.tickFor("a", 250);
  const { term } = cluster.raft("a");
  cluster.receive("a", "b", { type: "preVoteResponse", term: term + 1, storeId: "emptied", granted: true });
  assert.is(cluster.raft("a").role, "preCandidate");
  cluster.receive("a", "b", { type: "preVoteResponse", term: term + 1, storeId: "b-disk", granted: true });
  cluster.completeWrite("a");
  cluster.receive("a", "b", {
    type: "requestVoteResponse",
    term: term + 1,
    storeId: "emptied",
    granted: true,
  });
  assert.is(cluster.raft("a").role, "candidate");
  cluster.receive("a", "b", {
    type: "requestVoteResponse",
    term: term + 1,
    storeId: "b-disk",
    granted: true,
  });
  assert.is(cluster.raft("a").role, "leader");
  // Nor does an answer, be its term as high as it may.
  cluster.receive("a", "c", {
    type: "appendEntriesResponse",
    term: term + 9,
    storeId: "emptied",
    success: true,
    receivedIndex: 1,
    matchIndex: 1,
    commitIndex: 0,
  });
  assert.is(cluster.raft("a").role, "leader");
  assert.is(cluster.raft("a").commitIndex, 0);
});

test("[R14] a candidate with another disk than the configuration's gets no answer, and changes no term", () => {
  const cluster = new RaftCluster();
  cluster.receive("a", "b", { ...request, term: 7, storeId: "emptied", cause: "leaderLost" });
  cluster.receive("a", "b", {
    type: "preVote",
    term: 7,
    storeId: "emptied",
    lastLogIndex: 9,
    lastLogTerm: 9,
    leaderLost: true,
  });
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
    for (const nodeId of cluster.followersOf(leader))
      cluster.step(leader, { type: "followerAlive", nodeId, term });
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
  cluster.tickFor("a", 250);
  assert.is(cluster.raft("a").role, "leader");
  cluster.propose("a", "x");
  assert.is(cluster.raft("a").commitIndex, 0);
  // Its own vote alone made it leader: nobody may hear of a term that a crash would make it forget.
  assert.equal(cluster.packets, []);
  while (cluster.completeWrite("a"));
  assert.is(cluster.raft("a").commitIndex, 2);
  assert.ok(cluster.packets.some(({ to, message }) => to === "l" && message.type === "appendEntries"));
});

test.run();

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
  cluster.propose(leader, "x");
  cluster.run(50);
  cluster.packets = [];
  return { cluster, leader, others: cluster.followersOf(leader) as [string, string] };
}

/** Everything that is sent while time passes, by its type. */
function sentIn(cluster: RaftCluster, ms: number): string[] {
  const sent: string[] = [];
  for (let passedMs = 0; passedMs < ms; passedMs += 10) {
    cluster.nowMs += 10;
    cluster.heartbeats();
    for (const id of cluster.nodes.keys()) cluster.step(id, { type: "tick" });
    sent.push(...cluster.packets.map(({ message }) => message.type));
    cluster.settle();
  }
  return sent;
}

test("[R89] once all have said that they know of the last commit, nothing more is sent", () => {
  const { cluster } = settled({ learners: ["l"] });
  assert.equal(sentIn(cluster, 5_000), []);
});

test("[R89] who has not said so is told again, until it has", () => {
  const { cluster, leader, others } = settled({ idleAppendMs: 300 });
  cluster.propose(leader, "y");
  for (let round = 0; round < 3; round += 1) {
    for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
    for (const id of cluster.nodes.keys()) while (cluster.completeWrite(id));
  }
  // The entry is committed, and the answer to that news is lost.
  assert.is(cluster.raft(leader).commitIndex, cluster.raft(leader).lastIndex);
  for (const packet of cluster.packets.splice(0)) if (packet.from === leader) cluster.deliver(packet);
  cluster.packets = [];
  assert.is(cluster.raft(others[0]).commitIndex, cluster.raft(leader).commitIndex);
  assert.equal(sentIn(cluster, 290), []);
  assert.equal(
    sentIn(cluster, 1_000),
    ["appendEntries", "appendEntries"],
    "once, since it was answered then",
  );
});

test("[R90] a group at rest is quiet everywhere", () => {
  const { cluster } = settled({ learners: ["l"] });
  for (const id of cluster.nodes.keys()) assert.is(cluster.raft(id).isQuiet, true, id);
});

test("[R90] nobody is quiet who has something to save, to commit, to hand out, or to send", () => {
  const { cluster, leader, others } = settled();
  cluster.propose(leader, "y");
  assert.is(cluster.raft(leader).isQuiet, false, "not on its disk");
  while (cluster.completeWrite(leader));
  assert.is(cluster.raft(leader).isQuiet, false, "not committed");
  for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
  assert.is(cluster.raft(others[0]).isQuiet, false, "not on its disk, nor known to be committed");
  for (const id of others) while (cluster.completeWrite(id));
  for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
  assert.is(cluster.raft(leader).commitIndex, cluster.raft(leader).lastIndex);
  assert.is(cluster.raft(leader).isQuiet, false, "nobody has said that it knows of the commit");
  cluster.settle();
  for (const id of cluster.nodes.keys()) assert.is(cluster.raft(id).isQuiet, true, id);
});

test("[R90] the news of a commit must have arrived, not only left", () => {
  const { cluster, leader, others } = settled();
  cluster.propose(leader, "y");
  for (let round = 0; round < 2; round += 1) {
    for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
    for (const id of cluster.nodes.keys()) while (cluster.completeWrite(id));
  }
  cluster.packets = [];
  assert.ok(cluster.raft(others[0]).commitIndex < cluster.raft(leader).commitIndex, "the news is lost");
  assert.is(cluster.raft(leader).isQuiet, false);
  assert.is(cluster.raft(others[0]).isQuiet, false);
});

test("[R90] a member that is away does not keep the others awake; over a new link it is asked first", () => {
  const { cluster, leader, others } = settled();
  cluster.crash(others[0]);
  cluster.propose(leader, "y");
  cluster.run(50);
  assert.is(cluster.raft(leader).isQuiet, true);
  assert.is(cluster.raft(others[1]).isQuiet, true);
  cluster.start(others[0]);
  assert.is(cluster.raft(leader).isQuiet, false);
  assert.is(cluster.raft(others[0]).isQuiet, false, "it knows no leader yet");
  cluster.settle();
  assert.equal(cluster.commandsApplied(others[0]), ["x", "y"]);
  assert.is(cluster.raft(leader).isQuiet, true);
});

test("[R90] nor is a leader that no quorum confirms, that hands over, or that changes the members; nor who knows no leader", () => {
  const { cluster, leader, others } = settled();
  for (const id of others) cluster.linkDown(leader, id);
  cluster.nowMs += 250;
  cluster.step(leader, { type: "tick" });
  assert.is(cluster.raft(leader).isQuiet, false, "no quorum is heard");
  assert.is(cluster.raft(others[0]).isQuiet, false, "its leader is gone");
  for (const id of others) cluster.linkUp(leader, id);
  cluster.run(1_000);
  const next = cluster.elect();
  cluster.run(100);
  assert.is(cluster.raft(next).isQuiet, true);
  const [to] = cluster.followersOf(next) as [string];
  cluster.cut(next, to);
  cluster.step(next, { type: "transferLeader", to });
  assert.is(cluster.raft(next).isQuiet, false, "it hands over");
});

test("[R90] nor is who waits for a read, or answers one", () => {
  const { cluster, leader, others } = settled();
  cluster.raft(others[0]).read(cluster.now);
  assert.is(cluster.raft(others[0]).isQuiet, false);
  cluster.drain(others[0]);
  for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
  assert.is(cluster.raft(leader).isQuiet, false);
  cluster.settle();
  for (const id of cluster.nodes.keys()) assert.is(cluster.raft(id).isQuiet, true, id);
});

test("[R91] a follower that was left alone counts from when its leader was heard last, as if it had been ticked all along", () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const { cluster, leader, others } = settled({ seed });
    const [alone] = others;
    const { term } = cluster.raft(leader);
    const heardMs = cluster.nowMs + 60_000;
    cluster.nowMs = heardMs + 60;
    cluster.step(alone, { type: "leaderAlive", nodeId: leader, term, agoMs: 60 });
    // Until 2T after that nobody else gets its vote …
    const isOver = seed % 2 === 0;
    cluster.nowMs = heardMs + (isOver ? 101 : 99);
    cluster.packets = [];
    const log = { lastLogIndex: cluster.raft(alone).lastIndex, lastLogTerm: term };
    const storeId = `${others[1]}-disk`;
    cluster.receive(alone, others[1], {
      type: "preVote",
      term: term + 1,
      storeId,
      ...log,
      leaderLost: false,
    });
    const [answer] = cluster.sent("preVoteResponse");
    assert.is(answer?.message.type === "preVoteResponse" && answer.message.granted, isOver);
    // … and it asks for others' between 2T and 4T after.
    cluster.packets = [];
    while (cluster.raft(alone).role === "follower") {
      cluster.nowMs += 1;
      cluster.step(alone, { type: "tick" });
    }
    const waitedMs = cluster.nowMs - heardMs;
    assert.ok(waitedMs >= 100 && waitedMs <= 203, `${waitedMs} ms`);
  }
});

test("[R91] older news than what is known changes nothing", () => {
  const { cluster, leader, others } = settled();
  const [alone] = others;
  const { term } = cluster.raft(leader);
  cluster.step(alone, { type: "leaderAlive", nodeId: leader, term });
  const heardMs = cluster.nowMs;
  cluster.nowMs += 90;
  cluster.step(alone, { type: "leaderAlive", nodeId: leader, term, agoMs: 5_000 });
  cluster.step(alone, { type: "tick" });
  cluster.nowMs += 5;
  cluster.step(alone, { type: "tick" });
  assert.is(cluster.raft(alone).role, "follower");
  while (cluster.raft(alone).role === "follower") {
    cluster.nowMs += 1;
    cluster.step(alone, { type: "tick" });
  }
  assert.ok(cluster.nowMs - heardMs >= 100);
});

test("[R91] a leader that was left alone counts from when each follower was heard last", () => {
  const { cluster, leader, others } = settled();
  const { term } = cluster.raft(leader);
  cluster.nowMs += 60_000;
  const alive = { type: "followerAlive", nodeId: others[0], term } as const;
  cluster.step(leader, { ...alive, agoMs: 150 });
  const silentMs = () => cluster.raft(leader).status().followers[0]?.silentMs;
  assert.is(silentMs(), 150);
  cluster.step(leader, { ...alive, agoMs: 500 });
  assert.is(silentMs(), 150);
  cluster.nowMs += 40;
  cluster.step(leader, { type: "tick" });
  cluster.step(leader, { type: "tick" });
  assert.is(cluster.raft(leader).role, "leader");
  cluster.nowMs += 20;
  cluster.step(leader, { type: "tick" });
  cluster.step(leader, { type: "tick" });
  assert.is(cluster.raft(leader).role, "follower");
});

test.run();

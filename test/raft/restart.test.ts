import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Entry, PersistedState } from "../../server/raft/entry.ts";
import { Raft } from "../../server/raft/raft.ts";
import type { RaftEvent } from "../../server/raft/ready.ts";
import { RaftCluster } from "./raft-cluster.ts";
import { seededRandom } from "./seeded-random.ts";

const self = { nodeId: "a", storeId: "a-disk" };
const configuration = {
  voters: [self, { nodeId: "b", storeId: "b-disk" }],
  votersOutgoing: [],
  learners: [],
  nextVoters: [],
  addresses: [],
  level: 1,
};
const now = { monotonicMs: 0, wallMs: 0 };

function entry(index: number, term: number, logTimeMs = index): Entry {
  return { index, term, type: "command", logTimeMs, wallTimeMs: index, data: new Uint8Array(2) };
}

function persisted({
  term = 3,
  commitIndex = 11,
  entries = [entry(11, 2), entry(12, 3)],
} = {}): PersistedState {
  const base = { index: 10, term: 2, logTimeMs: 5, wallTimeMs: 5, configuration };
  return { hardState: { term, votedFor: null, commitIndex }, base, entries };
}

const started = (state: PersistedState, random = seededRandom(1)) => new Raft({ self, random }, state, now);

test("[R34] a replica starts where its disk says, and applies what it knew to be committed", () => {
  const raft = started(persisted());
  assert.is(raft.role, "follower");
  assert.is(raft.term, 3);
  assert.is(raft.lastIndex, 12);
  assert.is(raft.durableIndex, 12);
  assert.is(raft.commitIndex, 11);
  assert.is(raft.leaderId, null);
  assert.equal(
    raft.ready()?.committed.map(({ index }) => index),
    [11],
  );
  assert.is(raft.ready(), null);
  // The commit index is a hint that may lag behind the checkpoints.
  assert.is(started(persisted({ commitIndex: 4 })).commitIndex, 10);
});

test("[R35] what contradicts itself ends the process at the start", () => {
  assert.throws(() => started(persisted({ term: 2 })), /term 2 is below the log's 3/);
  assert.throws(
    () => started(persisted({ term: 1, entries: [], commitIndex: 0 })),
    /term 1 is below the log's 2/,
  );
  assert.throws(() => started(persisted({ commitIndex: 13 })), /commit index 13 is beyond the log's end 12/);
  assert.throws(() => started(persisted({ entries: [entry(12, 3)] })), /entry 12 does not follow 10/);
  assert.throws(
    () => started(persisted({ entries: [entry(11, 3), entry(13, 3)] })),
    /entry 13 does not follow 11/,
  );
  assert.throws(() => started(persisted({ entries: [entry(11, 3), entry(12, 2)] })), /term 2 after term 3/);
  assert.throws(
    () => started(persisted({ entries: [entry(11, 3, 9), entry(12, 3, 8)] })),
    /log time goes back/,
  );
});

test("[R34] a whole cluster that stops and starts goes on with all that was committed, and loses what no disk had", () => {
  const cluster = new RaftCluster();
  const leader = cluster.elect();
  cluster.propose(leader, "kept");
  cluster.run(50);
  cluster.propose(leader, "lost");
  for (const id of cluster.nodes.keys()) cluster.crash(id, { silent: true });
  for (const id of cluster.nodes.keys()) cluster.start(id);
  const next = cluster.elect();
  cluster.propose(next, "after");
  cluster.run(100);
  for (const id of cluster.nodes.keys()) assert.equal(cluster.commandsApplied(id), ["kept", "after"]);
});

test("[R34] a follower that restarts behind an idle leader catches up when its link comes up", () => {
  const cluster = new RaftCluster();
  const leader = cluster.elect();
  const [late] = cluster.followersOf(leader) as [string];
  cluster.crash(late);
  cluster.propose(leader, "x");
  cluster.run(300);
  const { term } = cluster.raft(leader);
  cluster.start(late);
  cluster.settle();
  assert.equal(cluster.commandsApplied(late), ["x"]);
  assert.is(cluster.raft(leader).term, term);
});

test("[R15] a replica whose disk is another one than the configuration's is a learner, and never campaigns", () => {
  const emptied = { nodeId: "a", storeId: "new" };
  const base = { index: 0, term: 0, logTimeMs: 0, wallTimeMs: 0, configuration };
  const state = { hardState: { term: 0, votedFor: null, commitIndex: 0 }, base, entries: [] };
  const raft = new Raft({ self: emptied, random: seededRandom(1) }, state, now);
  assert.is(raft.role, "learner");
  for (let ms = 0; ms < 2_000; ms += 10) raft.step({ type: "tick" }, { monotonicMs: ms, wallMs: ms });
  raft.step({ type: "linkDown", nodeId: "b" }, now);
  assert.is(raft.role, "learner");
  assert.is(raft.ready(), null);
});

test("[R44] the same events, clocks and chances give the same Readys", () => {
  const transcript = () => {
    const raft = started(persisted(), seededRandom(7));
    const readys: unknown[] = [];
    const vote = {
      type: "message",
      from: "b",
      message: { type: "preVoteResponse", term: 4, storeId: "b-disk", granted: true },
    } as const;
    const won = {
      type: "message",
      from: "b",
      message: { type: "requestVoteResponse", term: 4, storeId: "b-disk", granted: true },
    } as const;
    for (let ms = 0; ms < 600; ms += 10) {
      const events: RaftEvent[] = ms === 400 ? [vote, won] : [{ type: "tick" }];
      for (const event of events) raft.step(event, { monotonicMs: ms, wallMs: ms });
      for (let ready = raft.ready(); ready !== null; ready = raft.ready()) readys.push([ms, ready]);
    }
    return readys;
  };
  assert.ok(transcript().length > 3);
  assert.equal(transcript(), transcript());
});

test("[R44] the status is plain data, with the state of every follower on a leader", () => {
  const cluster = new RaftCluster();
  const leader = cluster.elect();
  cluster.run(100);
  const status = cluster.raft(leader).status();
  assert.equal(JSON.parse(JSON.stringify(status)), status);
  assert.is(status.role, "leader");
  assert.equal(
    status.followers.map(({ nodeId, state }) => [nodeId, state]),
    cluster.followersOf(leader).map((id) => [id, "replicating"]),
  );
  const [other] = cluster.followersOf(leader) as [string];
  assert.equal(cluster.raft(other).status().followers, []);
  assert.throws(() => cluster.raft(other).logTimeMs(cluster.now), /only the leader/);
});

test.run();

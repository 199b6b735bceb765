// test-run: seconds=300 computes
import assert from "node:assert";
import { test } from "uvu";
import { type Configuration, changePhase, type Member } from "../../server/raft/configuration.ts";
import { decodeConfiguration } from "../../server/raft/configuration-codec.ts";
import { destination } from "../../server/raft/member-change.ts";
import { majority, members, sameMember } from "../../server/raft/quorum.ts";
import { RaftCluster } from "./raft-cluster.ts";
import { actionsWithReads, calm, comeTogether, smallLimits, storm } from "./schedule.ts";

/** What has happened in all schedules together. */
const seen = {
  appended: 0,
  refused: 0,
  entered: 0,
  left: 0,
  disksLost: 0,
  installs: 0,
  committed: 0,
  reads: 0,
  leaseReads: 0,
};

const newcomers = ["f", "g", "h"];
const votersMax = 5;

function isHere(cluster: RaftCluster, member: Member): boolean {
  return sameMember(cluster.node(member.nodeId).self, member);
}

/** Nobody promises anything once a majority of any set of voters is lost. */
function mayLoseDisk(cluster: RaftCluster, id: string): boolean {
  const { self } = cluster.node(id);
  const configurations = [...cluster.nodes.values()].flatMap((node) => node.configurations);
  return configurations.every(({ voters, votersOutgoing, nextVoters }) =>
    [voters, votersOutgoing, nextVoters].every((set) => {
      const left = set.filter((member) => isHere(cluster, member) && !sameMember(member, self));
      return !set.some((member) => sameMember(member, self)) || left.length >= majority(set.length);
    }),
  );
}

function someOf(cluster: RaftCluster, ids: readonly string[], countMax: number): string[] {
  const { random } = cluster;
  const shuffled = ids.map((id) => ({ id, order: random() })).sort((a, b) => a.order - b.order);
  return shuffled.slice(0, 1 + Math.floor(random() * countMax)).map(({ id }) => id);
}

/** Whom a change shall lead to: anybody. */
function randomWish(cluster: RaftCluster): { voters: string[]; learners: string[] } {
  const ids = [...cluster.nodes.keys()];
  const voters = someOf(cluster, ids, votersMax);
  const others = ids.filter((id) => !voters.includes(id));
  return { voters, learners: cluster.random() < 0.3 ? someOf(cluster, others, 2) : [] };
}

function change(cluster: RaftCluster): void {
  for (const { id } of cluster.leaders()) {
    const { voters, learners } = randomWish(cluster);
    const result = cluster.changeMembers(id, voters, learners);
    if (result.type === "appended") seen.appended += 1;
    if (result.type === "refused") seen.refused += 1;
  }
}

function loseDisk(cluster: RaftCluster, id: string): void {
  if (!mayLoseDisk(cluster, id)) return;
  seen.disksLost += 1;
  cluster.add(id, `${id}-disk ${seen.disksLost}`);
}

const memberActions = [
  ...actionsWithReads,
  [6, change],
  [0.3, (cluster: RaftCluster, id: string) => loseDisk(cluster, id)],
] as const;

/** A change that waits for a disk that is lost waits for ever: whoever wished it must wish something else. */
function isPossible(cluster: RaftCluster, { nextVoters }: Configuration): boolean {
  return nextVoters.every((member) => isHere(cluster, member));
}

function runSchedule(seed: number): void {
  const fastFailover = seed % 2 === 0;
  const cluster = new RaftCluster({ ...smallLimits, learnerLagEntriesMax: seed % 4, seed, fastFailover });
  for (const id of newcomers) cluster.add(id);
  storm(cluster, memberActions);
  calm(cluster);
  const before = cluster.raft(cluster.elect()).configuration;
  assert(
    changePhase(before) === "none" || !isPossible(cluster, before),
    `in calm a change stays ${changePhase(before)}: ${JSON.stringify(before)}`,
  );
  const wish = randomWish(cluster);
  const result = cluster.changeMembers(cluster.elect(), wish.voters, wish.learners);
  assert(result.type === "appended" || result.type === "unchanged", JSON.stringify(result));
  cluster.run(1_500);
  const leader = cluster.elect();
  const { configuration, term } = cluster.raft(leader);
  assert.equal(changePhase(configuration), "none");
  const nodeIds = (set: readonly Member[]) => set.map(({ nodeId }) => nodeId).sort();
  assert.deepEqual(nodeIds(destination(configuration).voters), [...wish.voters].sort());
  assert.deepEqual(nodeIds(configuration.learners), [...wish.learners].sort());
  comeTogether(
    cluster,
    members(configuration).map(({ nodeId }) => nodeId),
  );
  // All others are still there, and try whatever they can.
  for (const { nodeId } of configuration.voters)
    assert.equal(cluster.raft(nodeId).term, term, `${nodeId} was disturbed`);
  seen.committed += cluster.laws.committedIndex;
  seen.reads += cluster.laws.readsAnswered;
  seen.leaseReads += cluster.laws.leaseReadsAnswered;
  for (const node of cluster.nodes.values()) {
    seen.installs += node.installs;
    for (const entry of node.applied) {
      if (entry.type !== "configuration") continue;
      const phase = changePhase(decodeConfiguration(entry.data));
      if (phase === "joint") seen.entered += 1;
      if (phase === "none") seen.left += 1;
    }
  }
}

const schedules = 300;

test(`[R64] ${schedules} random schedules with changes of the members, lost disks, and everything of R40`, () => {
  for (let seed = 1; seed <= schedules; seed += 1) {
    try {
      runSchedule(seed);
    } catch (error) {
      throw new Error(`schedule of seed ${seed}: ${error instanceof Error ? error.stack : error}`);
    }
  }
  for (const [what, times] of Object.entries(seen)) assert(times > schedules, `only ${times} ${what}`);
});

/** They failed once, and each says what was wrong. */
const formerFailures: readonly (readonly [seed: number, what: string])[] = [
  [166, "the only one that had the last step of a change was out by it, and never campaigned"],
];

for (const [seed, what] of formerFailures) test(`[R64] schedule ${seed}: ${what}`, () => runSchedule(seed));

test.run();

import assert from "node:assert";
import type { RaftCluster } from "./raft-cluster.ts";

/** Small limits, so that few steps reach every corner. */
export const smallLimits = {
  inFlightEntriesMax: 4,
  inFlightBytesMax: 40,
  totalInFlightEntriesMax: 10,
  totalInFlightBytesMax: 100,
  unsavedEntriesMax: 6,
  unsavedBytesMax: 60,
  receiptEntriesMin: 2,
  receiptBytesMin: 8,
  appendEntriesMax: 2,
  uncommittedEntriesMax: 16,
  catchUpBytesMax: 60,
};

const stepsPerStorm = 2_000;

/** With how often it happens: the weights are multiplied by chances of the seed's own. */
export type Action = readonly [
  weight: number,
  run: (cluster: RaftCluster, id: string, other: string) => unknown,
];

/** What may happen to a node whatever else is going on. */
export const actions: readonly Action[] = [
  [0.5, (cluster, id) => cluster.crash(id, { silent: cluster.random() < 0.5 })],
  [8, (cluster, id) => cluster.node(id).raft === null && cluster.start(id)],
  [
    1,
    (cluster, id) => cluster.node(id).raft !== null && cluster.compact(id, Math.floor(cluster.random() * 4)),
  ],
  [1, (cluster, id, other) => cluster.cut(id, other)],
  [1, (cluster) => cluster.leaders().map((leader) => cluster.isolate(leader.id))],
  [3, (cluster) => cluster.heal()],
  [1, (cluster, id, other) => cluster.step(id, { type: "transferLeader", to: other })],
  [1, (cluster, id, other) => cluster.linkDown(id, other)],
  [1, (cluster, id, other) => cluster.linkUp(id, other)],
  // Also to leaders that do not know yet that they are replaced.
  [15, (cluster) => cluster.leaders().map(({ id }) => cluster.propose(id, `${id} ${cluster.nowMs}`, "more"))],
  [40, (cluster, id) => cluster.completeWrite(id)],
  [8, (cluster) => cluster.heartbeats()],
  [
    40,
    (cluster, id) => {
      cluster.nowMs += 30 * cluster.random();
      cluster.wallMs += 90 * cluster.random() - 30;
      cluster.step(id, { type: "tick" });
    },
  ],
];

/** With them every read is held against all that was applied before it began (see RaftLaws). */
export const actionsWithReads: readonly Action[] = [
  ...actions,
  [8, (cluster, id) => cluster.node(id).raft !== null && cluster.read(id)],
  [8, (cluster) => cluster.leaders().map(({ id }) => cluster.leaseRead(id))],
];

/** With them leaders write down what nodes that they may not reach have applied at most (see MissingLaws). */
export const actionsWithMissing: readonly Action[] = [
  ...actions,
  [6, (cluster, id) => cluster.leaders().map((leader) => cluster.sayMissing(leader.id, id))],
];

/** With them nodes become unfit to lead, and fit again. */
export const actionsWithRefusals: readonly Action[] = [
  ...actions,
  [6, (cluster, id) => cluster.unfit.delete(id) || cluster.unfit.add(id)],
  [
    6,
    (cluster, id) =>
      cluster.leaders().map((leader) => cluster.step(leader.id, { type: "transferLeader", to: id })),
  ],
];

interface Chance {
  readonly drop: number;
  readonly duplicate: number;
  readonly reorder: number;
  readonly moves: number;
  readonly weights: readonly number[];
}

/** One of the seed's own worlds: some are calm, some lose every third message, in some the disks are slow. */
function chanceOf(random: () => number, actions: readonly Action[]): Chance {
  return {
    drop: 0.3 * random() * random(),
    duplicate: 0.2 * random(),
    reorder: random() * 0.5,
    moves: 0.5 + 4 * random(),
    weights: actions.map(([weight]) => weight * 4 ** (2 * random() - 1)),
  };
}

function moveNetwork(cluster: RaftCluster, chance: Chance): void {
  const { packets, random } = cluster;
  if (packets.length === 0) return;
  const at = random() < chance.reorder ? Math.floor(random() * packets.length) : 0;
  const [packet] = packets.splice(at, 1);
  assert(packet !== undefined);
  if (random() < chance.duplicate) packets.push(packet);
  if (random() >= chance.drop) cluster.deliver(packet);
}

function moveNodes(cluster: RaftCluster, actions: readonly Action[], { weights }: Chance): void {
  const { random } = cluster;
  const ids = [...cluster.nodes.keys()];
  const pick = () => ids[Math.floor(random() * ids.length)] ?? assert.fail();
  let rest = random() * weights.reduce((sum, weight) => sum + weight, 0);
  for (const [at, weight] of weights.entries()) {
    rest -= weight;
    if (rest < 0) return void actions[at]?.[1](cluster, pick(), pick());
  }
}

export function storm(cluster: RaftCluster, actions: readonly Action[]): void {
  const chance = chanceOf(cluster.random, actions);
  for (let step = 0; step < stepsPerStorm; step += 1) {
    for (let moves = chance.moves * cluster.random(); moves > 0; moves -= 0.5) moveNetwork(cluster, chance);
    moveNodes(cluster, actions, chance);
  }
}

/** After the storm everything is up, connected and lossless. */
export function calm(cluster: RaftCluster): void {
  const ids = [...cluster.nodes.keys()];
  cluster.heal();
  cluster.unfit.clear();
  for (const id of ids) if (cluster.node(id).raft === null) cluster.start(id);
  for (const a of ids) for (const b of ids) if (a < b) cluster.linkUp(a, b);
  cluster.run(4_000);
}

/** And comes together: `ids` apply what they were told, and one command more. */
export function comeTogether(cluster: RaftCluster, ids: readonly string[]): void {
  const leader = cluster.elect();
  assert.equal(cluster.propose(leader, "last").type, "appended");
  cluster.run(2_500);
  const applied = cluster.commandsApplied(leader);
  assert.equal(applied.at(-1), "last");
  for (const id of ids)
    assert.deepEqual(cluster.commandsApplied(id), applied, `${id} has applied what ${leader} has`);
}

import { test } from "uvu";
import * as assert from "uvu/assert";
import { Cluster } from "./cluster.ts";

function lehmer(seed: number): () => number {
  let state = (seed * 48_271) % 2_147_483_647;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

const engine = {
  checkpointIntervalMs: 60,
  compactEntriesMin: 8,
  logTailEntries: 4,
  snapshotChunkBytes: 300,
  resendStalledMs: 400,
  spreadLeaders: true,
  spreadStableMs: 200,
  raft: { catchUpBytesMax: 0 },
};

/** Who still lives, of those that were told a value: proposer, start and order of its proposals. */
interface Told {
  readonly node: string;
  readonly tag: string;
}

/** Kills, cuts and losses without a closed link, at random, under proposals from every node. */
async function ordeal(seed: number): Promise<void> {
  const random = lehmer(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const cluster = await new Cluster({
    seed,
    engine,
    groups: 2,
    saveMs: 1 + Math.floor(random() * 4),
  }).start();
  for (const { machines } of cluster.alive) machines[0]!.tickEveryMs = 40;
  let lossy = false;
  cluster.passes = (_from, _to, message) =>
    !(lossy && (message.type === "propose" || message.type === "heartbeat") && random() < 0.3);
  const told: Told[] = [];
  const tags = new Map<string, number>();
  for (let step = 0; step < 120; step++) {
    for (const node of cluster.alive) {
      const tag = `${node.id}.${step}`;
      cluster.add(node.id, { tag, timeoutMs: 60_000 }).then(
        () => told.push({ node: node.id, tag }),
        () => undefined,
      );
      tags.set(tag, step);
    }
    const action = random();
    const dead = cluster.ids.filter((id) => !cluster.node(id).isAlive);
    if (action < 0.08 && dead.length === 0)
      cluster.kill(pick(cluster.ids), { keepUnfinished: random() < 0.5 });
    else if (action < 0.25 && dead.length > 0) {
      const { machines } = await cluster.boot(pick(dead));
      machines[0]!.tickEveryMs = 40;
    } else if (action < 0.32) cluster.isolate(pick(cluster.ids));
    else if (action < 0.5) for (const id of cluster.ids) cluster.rejoin(id);
    lossy = random() < 0.3;
    await cluster.clock.run(Math.floor(random() * 40));
  }
  lossy = false;
  for (const id of cluster.ids) if (!cluster.node(id).isAlive) await cluster.boot(id);
  for (const id of cluster.ids) cluster.rejoin(id);
  for (const { machines } of cluster.alive) machines[0]!.tickEveryMs = null;
  await cluster.leader();
  const last = await cluster.value(
    Promise.all(cluster.ids.map((id) => cluster.add(id, { tag: `${id}.last` }))),
    20_000,
  );
  assert.is(last.length, 3);
  for (let group = 0; group < 2; group++) await cluster.converge(group);
  const { history, ticks } = cluster.alive[0]!.machines[0]!.parts.a;
  assert.is(new Set(history).size, history.length, "nothing is applied twice");
  const applied = new Set(history);
  for (const { tag } of told) assert.ok(applied.has(tag), `${tag} was acknowledged and is lost`);
  for (let at = 1; at < ticks.length; at++) assert.ok(ticks[at]! >= ticks[at - 1]!, "log time goes back");
  for (const id of cluster.ids) {
    const steps = history
      .filter((tag) => tag.startsWith(`${id}.`) && !tag.endsWith("last"))
      .map((tag) => tags.get(tag) as number);
    assert.equal(
      steps,
      [...steps].sort((a, b) => a - b),
      `${id}'s proposals keep their order`,
    );
  }
  for (const { failures, id } of cluster.nodes.values()) assert.equal(failures, [], `${id} has not failed`);
  await cluster.stop();
}

for (let seed = 1; seed <= 20; seed++) {
  test(`[G7] [G8] [G18] acknowledged commands are applied once and in order through an ordeal (seed ${seed})`, () =>
    ordeal(seed));
}

test.run();

import { test } from "uvu";
import * as assert from "uvu/assert";
import { Cluster } from "./cluster.ts";
import { counterCommand } from "./counter-machine.ts";

const patienceMs = 6_000;
const add = (cluster: Cluster, id: string) =>
  cluster.value(cluster.node(id).engine.propose(0, counterCommand({ part: "a", add: 1 })));
const levelsOf = (cluster: Cluster) => cluster.alive.map(({ engine }) => engine.level(0).level).join(" ");

async function restart(cluster: Cluster, id: string, levelMax: number): Promise<void> {
  cluster.kill(id);
  cluster.levelMax.set(id, levelMax);
  await cluster.boot(id);
  await cluster.leader();
}

/** What each command was applied under, by its place in the log. */
function appliedUnder(cluster: Cluster, id: string): Map<number, number> {
  return new Map(cluster.node(id).machines[0]?.seen.map(({ index, level }) => [index, level]));
}

test("[V26, V29] every replica applies a command under the level of its place in the log, whatever its own build knows", async () => {
  const cluster = await new Cluster({ engine: { logTailEntries: 1_000 } }).start();
  await cluster.leader();
  await add(cluster, "n1");
  for (const id of ["n2", "n3"]) {
    await restart(cluster, id, 2);
    await add(cluster, id);
  }
  assert.is(levelsOf(cluster), "1 1 1");
  assert.equal(cluster.node("n2").engine.level(0).heldBackBy(), [{ nodeId: "n1", levelMax: 1 }]);
  assert.equal(cluster.status("n3").level, { agreed: 1, heldBackBy: [{ nodeId: "n1", levelMax: 1 }] });
  await restart(cluster, "n1", 2);
  assert.ok(await cluster.clock.until(() => levelsOf(cluster) === "2 2 2", patienceMs));
  assert.equal(cluster.status("n3").level, { agreed: 2, heldBackBy: [] });
  await add(cluster, "n1");
  await cluster.converge();
  const seen = ["n1", "n2", "n3"].map((id) => appliedUnder(cluster, id));
  assert.equal(new Set(seen.flatMap((each) => [...each.values()])), new Set([1, 2]));
  const all = new Map(seen.flatMap((each) => [...each]));
  for (const each of seen)
    for (const [index, level] of each) assert.is(level, all.get(index), `entry ${index}`);
  // From the log, again.
  for (const id of ["n1", "n2", "n3"]) await restart(cluster, id, 2);
  await cluster.converge();
  for (const id of ["n1", "n2", "n3"])
    for (const [index, level] of appliedUnder(cluster, id))
      assert.is(level, all.get(index) ?? 2, `entry ${index}`);
  await cluster.stop();
});

test("[V26] a snapshot brings the level along", async () => {
  const engine = { logTailEntries: 0, compactEntriesMin: 1, checkpointIntervalMs: 50 };
  const cluster = await new Cluster({ engine }).start();
  for (const id of ["n1", "n2", "n3"]) cluster.levelMax.set(id, 2);
  for (const id of ["n1", "n2", "n3"]) await restart(cluster, id, 2);
  assert.ok(await cluster.clock.until(() => levelsOf(cluster) === "2 2 2", patienceMs));
  const away = await cluster.follower();
  cluster.isolate(away.id);
  const [there] = cluster.ids.filter((id) => id !== away.id);
  for (let count = 0; count < 40; count++) await add(cluster, there as string);
  await cluster.clock.until(
    () => cluster.status(there as string).baseIndex > cluster.status(away.id).lastIndex,
    patienceMs,
  );
  cluster.rejoin(away.id);
  await cluster.converge();
  assert.is(cluster.status(away.id).members.configuration.level, 2);
  assert.is(levelsOf(cluster), "2 2 2");
  await restart(cluster, away.id, 2);
  assert.is(cluster.node(away.id).engine.level(0).level, 2, "also when it starts from that");
  await cluster.stop();
});

test("[V22] groups that sleep are woken for it, and sleep again", async () => {
  const cluster = await new Cluster({ groups: 2, engine: { sleepAfterMs: 300 } }).start();
  await cluster.leader();
  for (const id of ["n1", "n2", "n3"]) await restart(cluster, id, 2);
  const isDone = () =>
    cluster.alive.every(({ engine }) =>
      [0, 1].every((group) => engine.level(group).level === 2 && engine.isAsleep(group)),
    );
  assert.ok(await cluster.clock.until(isDone, patienceMs));
  await cluster.stop();
});

test("[V23] a node of an older build that hears of more than it knows ends, and says what to do", async () => {
  const cluster = await new Cluster().start();
  for (const id of ["n1", "n2"]) await restart(cluster, id, 2);
  // It has said that it knows it, and does not get it.
  cluster.passes = (_from, to) => to !== "n3";
  await restart(cluster, "n3", 2);
  const others = ["n1", "n2"].map((id) => cluster.node(id).engine);
  const isRaised = () => others.every((engine) => engine.level(0).level === 2);
  assert.ok(await cluster.clock.until(isRaised, patienceMs));
  cluster.kill("n3");
  // Here nobody refuses the link.
  cluster.passes = () => true;
  cluster.levelMax.set("n3", 1);
  const old = await cluster.boot("n3");
  assert.ok(await cluster.clock.until(() => old.failures.length > 0, patienceMs));
  const [error] = old.failures as { code?: string; message: string }[];
  assert.is(error?.code, "LEVEL_UNKNOWN");
  assert.match(
    error?.message ?? "",
    /needs level 2, this version of Testudo knows 1 to 1: start a newer version/,
  );
  await add(cluster, "n1");
  await cluster.stop();
});

test.run();

import { test } from "uvu";
import * as assert from "uvu/assert";
import { levels } from "../../server/raft/level.ts";
import { Cluster, type ClusterOptions, type Node } from "./cluster.ts";

const patienceMs = 6000;

/** All groups have leaders and nothing to do, and sleep on every node. */
async function asleep({ engine, ...options }: ClusterOptions = {}): Promise<Cluster> {
  const cluster = await new Cluster({ ...options, engine: { sleepAfterMs: 300, ...engine } }).start();
  assert.ok(await cluster.clock.until(() => sleeping(cluster), patienceMs), "all fall asleep");
  return cluster;
}

function sleeping(cluster: Cluster, groups: readonly number[] = groupsOf(cluster)): boolean {
  return cluster.alive.every(({ engine }) => groups.every((group) => engine.isAsleep(group)));
}

function groupsOf(cluster: Cluster): readonly number[] {
  return cluster.alive[0]?.engine.status().map(({ id }) => id) ?? [];
}

/** Types of what is sent while time passes. */
async function sentIn(cluster: Cluster, ms: number): Promise<Map<string, number>> {
  cluster.happened.length = 0;
  await cluster.clock.run(ms);
  const counts = new Map<string, number>();
  for (const one of cluster.happened) {
    const type = one.type === "sent" ? one.message.type : one.type;
    counts.set(type, (counts.get(type) ?? 0) + 1);
  }
  return counts;
}

function leaderOf(cluster: Cluster, group = 0): Node {
  const found = cluster.alive.find(({ id }) => cluster.status(id, group).role === "leader");
  assert.ok(found !== undefined);
  return found as Node;
}

test("[G48] 64 groups that are idle: nothing is sent but one heartbeat a node pair and interval, and no timer is set but the nodes' own", async () => {
  const cluster = await asleep({ groups: 64 });
  const terms = groupsOf(cluster).map((group) => cluster.status("n1", group).term);
  const timersBefore = cluster.clock.timersSet;
  const sent = await sentIn(cluster, 10_000);
  const timers = cluster.clock.timersSet - timersBefore;
  assert.equal([...sent.keys()], ["heartbeat"]);
  const beats = sent.get("heartbeat") as number;
  assert.ok(beats <= 6 * 200 && beats >= 6 * 190, `${beats} heartbeats`);
  // A tick of each node every 10 ms, and (here) one for each message under way.
  assert.ok(timers <= 3 * 1000 + beats + 10, `${timers} timers`);
  assert.ok(sleeping(cluster), "nobody woke");
  assert.equal(
    groupsOf(cluster).map((group) => cluster.status("n1", group).term),
    terms,
    "nor was anybody replaced",
  );
  await cluster.stop();
});

test("[G48] a group that sleeps is not looked at: neither its core nor its machine", async () => {
  const cluster = await asleep({ groups: 2 });
  let looks = 0;
  for (const { machines } of cluster.alive) {
    const machine = machines[1]!;
    machine.nextTickMs = () => {
      looks += 1;
      return null;
    };
    machine.dirty = () => {
      looks += 1;
      return [];
    };
  }
  const answers: Promise<unknown>[] = [];
  for (let ms = 0; ms < 1000; ms += 10) {
    answers.push(cluster.add("n1", { group: 0 }));
    await cluster.clock.run(10);
  }
  await cluster.value(Promise.all(answers));
  assert.is(looks, 0);
  assert.ok(sleeping(cluster, [1]));
  await cluster.stop();
});

for (const who of ["leader", "follower"] as const) {
  test(`[G49] a proposal at the ${who} wakes the group, at once and everywhere`, async () => {
    const cluster = await asleep();
    const leader = leaderOf(cluster);
    const { term } = cluster.status(leader.id);
    const at = who === "leader" ? leader : (cluster.alive.find((node) => node !== leader) as Node);
    const atMs = cluster.clock.nowMs;
    assert.is(await cluster.value(cluster.add(at.id)), 1);
    assert.ok(cluster.clock.nowMs - atMs <= 15, `${cluster.clock.nowMs - atMs} ms`);
    await cluster.converge();
    assert.is(cluster.status(leader.id).term, term);
    assert.ok(await cluster.clock.until(() => sleeping(cluster), patienceMs), "and then it sleeps again");
    await cluster.stop();
  });
}

test("[G49] a read, and a transfer, wake the group", async () => {
  const cluster = await asleep();
  const leader = leaderOf(cluster);
  const [follower, other] = cluster.alive.filter((node) => node !== leader) as [Node, Node];
  await cluster.value(follower.engine.barrier(0), 50);
  assert.is(follower.engine.isAsleep(0), false);
  assert.is(leader.engine.isAsleep(0), false);
  assert.ok(await cluster.clock.until(() => sleeping(cluster), patienceMs));
  const outcome = await cluster.value(leader.engine.transferLeader(0, other.id), 50);
  assert.equal(outcome, { type: "done" });
  await cluster.stop();
});

test("[G49] a tick that falls due wakes the leader in time, and the others with it", async () => {
  const cluster = await asleep();
  const leader = leaderOf(cluster);
  await cluster.value(cluster.add(leader.id));
  for (const { machines } of cluster.alive) machines[0]!.tickEveryMs = 5000;
  assert.ok(await cluster.clock.until(() => sleeping(cluster), patienceMs));
  const ticks = leader.machines[0]!.parts.a.ticks;
  await cluster.clock.run(20_000);
  assert.ok(ticks.length >= 3, `${ticks.length} ticks`);
  for (let at = 1; at < ticks.length; at++) {
    const lateMs = ticks[at]! - ticks[at - 1]! - 5000;
    assert.ok(lateMs >= 0 && lateMs <= 3, `a tick ${lateMs} ms late`);
  }
  for (const { machines } of cluster.alive) machines[0]!.tickEveryMs = null;
  await cluster.converge();
  await cluster.stop();
});

test("[G50] when its leader's node dies a sleeping group elects as fast as one that is awake", async () => {
  const cluster = await asleep({ groups: 3 });
  const leader = leaderOf(cluster);
  const led = groupsOf(cluster).filter((group) => cluster.status(leader.id, group).role === "leader");
  cluster.kill(leader.id);
  const isLed = () =>
    led.every((group) => cluster.alive.some(({ id }) => cluster.status(id, group).role === "leader"));
  assert.ok(await cluster.clock.until(isLed, 150));
  await cluster.stop();
});

test("[G50] and so it does when the node falls silent, its links open: within the election timeout", async () => {
  for (let seed = 1; seed <= 8; seed++) {
    const cluster = await asleep({ seed });
    const leader = leaderOf(cluster);
    cluster.passes = (from) => from !== leader.id;
    const isLed = () =>
      cluster.alive.some((one) => one !== leader && cluster.status(one.id).role === "leader");
    // 4T after the last heartbeat at the latest, the grace, a pre-vote, a vote and its save.
    assert.ok(await cluster.clock.until(isLed, 200 + 50), `seed ${seed}`);
    await cluster.stop();
  }
});

test("[G50] a sleeping leader that is cut off from its followers steps down", async () => {
  const cluster = await asleep();
  const leader = leaderOf(cluster);
  cluster.passes = (from, to) => from !== leader.id && to !== leader.id;
  assert.ok(await cluster.clock.until(() => cluster.status(leader.id).role !== "leader", 300));
  cluster.passes = () => true;
  await cluster.leader();
  await cluster.stop();
});

test("[G50] a sleeping leader of two that live goes on when the third one is gone, and steps down with the second", async () => {
  const cluster = await asleep();
  const leader = leaderOf(cluster);
  const [first, second] = cluster.alive.filter((node) => node !== leader) as [Node, Node];
  cluster.kill(first.id);
  assert.ok(await cluster.clock.until(() => sleeping(cluster), patienceMs), "two are enough to sleep");
  assert.is(cluster.status(leader.id).role, "leader");
  cluster.kill(second.id);
  assert.ok(await cluster.clock.until(() => cluster.status(leader.id).role !== "leader", 300));
  assert.is(leader.engine.isAsleep(0), false);
  await cluster.stop();
});

test("[G50] a leader that has lost its quorum does not fall asleep before it has noticed", async () => {
  // Idle for less than an election timeout is enough here.
  const cluster = await asleep({ engine: { sleepAfterMs: 30 } });
  const leader = leaderOf(cluster);
  for (const node of cluster.alive) if (node !== leader) cluster.kill(node.id);
  assert.ok(await cluster.clock.until(() => cluster.status(leader.id).role !== "leader", 1_000));
  await cluster.stop();
});

test("[G50] who was away when the group fell asleep is brought up to date when it comes back", async () => {
  const cluster = await asleep();
  const leader = leaderOf(cluster);
  const away = cluster.alive.find((node) => node !== leader) as Node;
  cluster.kill(away.id);
  for (let round = 0; round < 5; round++) await cluster.value(cluster.add(leader.id));
  assert.ok(await cluster.clock.until(() => sleeping(cluster), patienceMs));
  await cluster.boot(away.id);
  await cluster.clock.run(100);
  await cluster.converge();
  assert.is(cluster.node(away.id).machines[0]?.parts.a.total, 5);
  assert.ok(await cluster.clock.until(() => sleeping(cluster), patienceMs));
  await cluster.stop();
});

test("[G50] who lacks the news of the last commit keeps its leader awake, and gets it", async () => {
  const cluster = await asleep({ engine: { raft: { idleAppendMs: 2000 } } });
  const leader = leaderOf(cluster);
  const deaf = cluster.alive.find((node) => node !== leader) as Node;
  const last = cluster.status(leader.id).lastIndex + 1;
  // It gets the entry, and no word of its being committed.
  cluster.passes = (_from, to, message) =>
    to !== deaf.id ||
    message.type !== "raft" ||
    message.message.type !== "appendEntries" ||
    message.message.commitIndex < last;
  await cluster.value(cluster.add(leader.id));
  await cluster.clock.run(1500);
  assert.is(cluster.status(deaf.id).appliedIndex, last - 1);
  assert.is(leader.engine.isAsleep(0), false);
  cluster.passes = () => true;
  await cluster.clock.run(2000);
  assert.is(cluster.status(deaf.id).appliedIndex, last);
  await cluster.stop();
});

test("[G51] a live node that leads a group no longer does not keep it asleep", async () => {
  const cluster = await asleep({ groups: 2 });
  const leader = leaderOf(cluster);
  const follower = cluster.alive.find((node) => node !== leader) as Node;
  // It steps down, and neither says so nor hears what becomes of the group: it only goes on living.
  cluster.passes = (from, to, message) =>
    message.type === "heartbeat" || (from !== leader.id && to !== leader.id);
  leader.engine.message("n9", {
    type: "raft",
    group: 0,
    message: {
      type: "appendEntriesResponse",
      term: cluster.status(leader.id).term + 1,
      storeId: storeIdOf(follower.id),
      success: true,
      receivedIndex: 0,
      matchIndex: 0,
      commitIndex: 0,
    },
  });
  await cluster.clock.run(1);
  assert.is(cluster.status(leader.id).role, "leader", "a stranger's word counts for nothing");
  leader.engine.message(follower.id, {
    type: "raft",
    group: 0,
    message: {
      type: "appendEntriesResponse",
      term: cluster.status(leader.id).term + 1,
      storeId: storeIdOf(follower.id),
      success: true,
      receivedIndex: 0,
      matchIndex: 0,
      commitIndex: 0,
    },
  });
  await cluster.clock.run(1);
  assert.is(cluster.status(leader.id).role, "follower");
  const others = cluster.alive.filter((node) => node !== leader);
  assert.ok(
    others.some(({ engine }) => engine.isAsleep(0)),
    "they do not know yet",
  );
  assert.ok(
    await cluster.clock.until(() => others.some(({ id }) => cluster.status(id).role === "leader"), 400),
    "but they find out",
  );
  await cluster.stop();
});

test("[G51] a leader wakes when a follower's node goes to another leader, though it lives", async () => {
  const cluster = await asleep();
  const leader = leaderOf(cluster);
  const others = cluster.alive.filter((node) => node !== leader);
  // Between the leader and the rest only heartbeats get through, and those come from followers of another one.
  cluster.passes = (from, to, message) =>
    (from !== leader.id && to !== leader.id) || message.type === "heartbeat";
  for (const { id, engine } of others) {
    engine.linkDown(leader.id);
    engine.linkUp({
      nodeId: leader.id,
      storeId: storeIdOf(leader.id),
      bootId: leader.id,
      clusterId: "c",
      levels,
      agreedLevel: 1,
    });
    assert.ok(id);
  }
  assert.ok(await cluster.clock.until(() => cluster.status(leader.id).role !== "leader", 1000));
  cluster.passes = () => true;
  await cluster.leader();
  await cluster.converge();
  await cluster.stop();
});

test("[G50] a group that does not get to rest (a part that cannot be saved, a caller who waits) does not sleep", async () => {
  const cluster = await asleep();
  const leader = leaderOf(cluster);
  leader.machines[0]!.held.add("a");
  await cluster.value(cluster.add(leader.id));
  await cluster.clock.run(patienceMs);
  assert.is(leader.engine.isAsleep(0), false);
  assert.ok(
    cluster.alive.every((node) => node === leader || node.engine.isAsleep(0)),
    "the others may",
  );
  leader.machines[0]!.held.clear();
  assert.ok(await cluster.clock.until(() => sleeping(cluster), patienceMs));
  await cluster.stop();
});

test("[G48] one node alone sleeps, too", async () => {
  const cluster = await asleep({ nodes: 1, groups: 3 });
  const sent = await sentIn(cluster, 2000);
  assert.is(sent.size, 0);
  assert.is(await cluster.value(cluster.add("n1", { group: 2 })), 1);
  await cluster.stop();
});

function storeIdOf(nodeId: string): string {
  return Buffer.from(new Uint8Array(8).fill(nodeId.charCodeAt(1))).toString("hex");
}

test.run();

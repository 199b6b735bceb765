import { test } from "uvu";
import * as assert from "uvu/assert";
import { Cluster, type ClusterOptions, type Node } from "./cluster.ts";
import { type CounterMachine, counterCommand } from "./counter-machine.ts";

const word = /^(\w+) is missing behind (\d+) in term (\d+)$/;

interface Said {
  readonly nodeId: string;
  readonly appliedAtMost: number;
  readonly term: number;
}

function saidIn(machine: CounterMachine): readonly Said[] {
  return machine.parts.a.history.flatMap((tag) => {
    const [, nodeId = "", appliedAtMost, term] = word.exec(tag) ?? [];
    return nodeId === "" ? [] : [{ nodeId, appliedAtMost: Number(appliedAtMost), term: Number(term) }];
  });
}

/** What a node heard of and did, in order. */
const diaries = new WeakMap<CounterMachine, string[]>();

/** Wants to know of each node once in a term that it is missing. */
function curious(machine: CounterMachine): CounterMachine {
  const diary: string[] = [];
  diaries.set(machine, diary);
  const textOf = (command: Uint8Array) =>
    (JSON.parse(new TextDecoder().decode(command)) as { tag?: string }).tag ?? "tick";
  machine.onApply = ({ command }) => diary.push(textOf(command));
  return Object.assign(machine, {
    foresee: ({ command }: { command: Uint8Array }) => diary.push(`ahead: ${textOf(command)}`),
    missingCommand: (nodeId: string, { appliedAtMost, term }: { appliedAtMost: number; term: number }) => {
      if (saidIn(machine).some((said) => said.nodeId === nodeId && said.term === term)) return null;
      const tag = `${nodeId} is missing behind ${appliedAtMost} in term ${term}`;
      return counterCommand({ part: "a", add: 0, tag });
    },
  });
}

async function start(options: ClusterOptions = {}): Promise<{ cluster: Cluster; leader: Node }> {
  const cluster = new Cluster(options);
  for (const id of cluster.ids) curious((await cluster.boot(id)).machines[0] as CounterMachine);
  const leader = await cluster.leader();
  // When they started they had no links yet.
  await cluster.clock.run(1_000);
  return { cluster, leader };
}

function machineOf(node: Node): CounterMachine {
  return node.machines[0] as CounterMachine;
}

function newest(node: Node): Said | undefined {
  return saidIn(machineOf(node)).at(-1);
}

test("[G64] as soon as the link to a member is down its leader has agreed on what it has applied at most", async () => {
  const { cluster, leader } = await start();
  const follower = await cluster.follower();
  await cluster.value(cluster.add(leader.id, { tag: "heard" }));
  await cluster.clock.run(100);
  const { appliedIndex, term } = cluster.status(follower.id);
  cluster.kill(follower.id);
  void cluster.add(leader.id, { tag: "unheard" });
  await cluster.clock.run(20);
  assert.equal(newest(leader), { nodeId: follower.id, appliedAtMost: appliedIndex, term });
  await cluster.clock.run(2_000);
  assert.is(saidIn(machineOf(leader)).filter(({ nodeId }) => nodeId === follower.id).length, 1, "once");
  await cluster.stop();
});

test("[G64] a dead leader's successor does so for it: all that came before its term may have been applied", async () => {
  const { cluster, leader } = await start();
  await cluster.value(cluster.add(leader.id, { tag: "last" }));
  const { lastIndex } = cluster.status(leader.id);
  cluster.kill(leader.id);
  const successor = await cluster.leader();
  assert.ok(await cluster.clock.until(() => newest(successor)?.nodeId === leader.id, 1_000));
  const { term } = cluster.status(successor.id);
  const said = newest(successor) as Said;
  assert.is(said.term, term);
  assert.ok(said.appliedAtMost >= lastIndex, `${said.appliedAtMost} of ${lastIndex}`);
  assert.ok(said.appliedAtMost < cluster.status(successor.id).commitIndex);
  await cluster.stop();
});

test("[G65] who is back reads that it is missing before it applies anything that it had not when it was missed", async () => {
  const { cluster, leader } = await start({ engine: { tickMs: 5 } });
  const follower = await cluster.follower();
  const diary = diaries.get(machineOf(follower)) as string[];
  for (let round = 0; round < 8; round++) {
    const tag = (what: string) => `${what} ${round}`;
    await cluster.value(cluster.add(leader.id, { tag: tag("before") }));
    await cluster.clock.run(50);
    cluster.cut(leader.id, follower.id);
    for (let n = 0; n < 30; n++) void cluster.add(leader.id, { tag: tag(`meanwhile ${n}`) });
    // Back at once, or when much has been agreed without it.
    await cluster.clock.run(round % 2 === 0 ? 0 : 40);
    cluster.heal(leader.id, follower.id);
    await cluster.converge();
  }
  const said = saidIn(machineOf(follower)).filter(({ nodeId }) => nodeId === follower.id);
  assert.ok(said.length >= 1);
  for (const { appliedAtMost, term } of said) {
    const text = `${follower.id} is missing behind ${appliedAtMost} in term ${term}`;
    const isAhead = diary.indexOf(`ahead: ${text}`);
    const applied = machineOf(follower).seen.filter(({ index }) => index <= appliedAtMost).length;
    const before = diary.slice(0, isAhead).filter((line) => !line.startsWith("ahead: ")).length;
    assert.ok(isAhead >= 0 && before <= applied, `${before} applied before it read that, ${applied} named`);
  }
  await cluster.stop();
});

test("[G65] until it is agreed it is told of no commits, though it is linked; then it goes on", async () => {
  const { cluster, leader } = await start();
  const follower = await cluster.follower();
  const third = cluster.alive.find((node) => node !== leader && node !== follower) as Node;
  await cluster.value(cluster.add(leader.id, { tag: "before" }));
  await cluster.clock.run(50);
  const { commitIndex } = cluster.status(follower.id);
  // Nothing can be agreed while the other one's disk stands still, and the follower's answers are lost.
  cluster.stall(third.id);
  cluster.passes = (from, to, message) =>
    !(from === follower.id && to === leader.id && message.type === "raft");
  cluster.cut(leader.id, follower.id);
  await cluster.clock.run(5);
  cluster.heal(leader.id, follower.id);
  void cluster.add(leader.id, { tag: "meanwhile" });
  await cluster.clock.run(100);
  assert.is(cluster.status(follower.id).commitIndex, commitIndex);
  cluster.passes = () => true;
  cluster.unstall(third.id);
  await cluster.converge();
  assert.ok(machineOf(follower).parts.a.history.includes("meanwhile"));
  await cluster.stop();
});

test("[G66] nothing is written for nothing: not at rest, not by a machine that does not ask, and not again while nothing is new", async () => {
  const { cluster, leader } = await start({ engine: { sleepAfterMs: 300, raft: { fastFailover: false } } });
  const isAsleep = () => cluster.alive.every(({ engine }) => engine.isAsleep(0));
  assert.ok(await cluster.clock.until(isAsleep, 6_000));
  const before = cluster.status(leader.id).lastIndex;
  const follower = await cluster.follower();
  cluster.cut(leader.id, follower.id);
  assert.ok(await cluster.clock.until(() => newest(leader)?.nodeId === follower.id, 1_000));
  const { lastIndex } = cluster.status(leader.id);
  assert.is(lastIndex, before + 1);
  for (let flap = 0; flap < 10; flap++) {
    cluster.heal(leader.id, follower.id);
    await cluster.clock.run(30);
    cluster.cut(leader.id, follower.id);
    await cluster.clock.run(30);
  }
  cluster.heal(leader.id, follower.id);
  assert.ok(await cluster.clock.until(isAsleep, 6_000), "all sleep again");
  assert.equal(
    cluster.alive.map(({ id }) => cluster.status(id).lastIndex),
    [lastIndex, lastIndex, lastIndex],
  );
  for (const node of cluster.alive) Object.assign(machineOf(node), { missingCommand: () => null });
  cluster.cut(leader.id, follower.id);
  await cluster.clock.run(2_000);
  assert.is(cluster.status(leader.id).lastIndex, lastIndex);
  await cluster.stop();
});

test.run();

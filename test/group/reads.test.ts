import { test } from "uvu";
import * as assert from "uvu/assert";
import type { GroupEngine } from "../../server/group/engine.ts";
import { Cluster } from "./cluster.ts";

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "resolved",
    (error: { code: string }) => error.code,
  );
}

const linearizable = { consistency: "linearizable" } as const;
const local = { consistency: "local" } as const;
const lease = { consistency: "lease" } as const;

/** Whether it is answered without anything else happening. */
async function atOnce(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  promise.then(
    () => (settled = true),
    () => {},
  );
  await new Promise((resolve) => setImmediate(resolve));
  return settled;
}

test("[G35] a barrier resolves once everything acknowledged before it is applied here, and writes nothing", async () => {
  const cluster = await new Cluster().start();
  const leader = await cluster.leader();
  const follower = await cluster.follower();
  for (let count = 1; count <= 10; count++) {
    await cluster.value(cluster.add(leader.id));
    await cluster.value(follower.engine.barrier(0));
    assert.is(follower.machines[0]?.parts.a.total, count);
  }
  const { lastIndex } = cluster.status(leader.id);
  for (const { engine } of cluster.alive) await cluster.value(engine.read(0, linearizable));
  assert.is(cluster.status(leader.id).lastIndex, lastIndex);
  await cluster.stop();
});

test("[G35] a replica that lags waits until it has applied as much", async () => {
  const cluster = await new Cluster().start();
  const leader = await cluster.leader();
  const follower = await cluster.follower();
  cluster.passes = (_from, to, message) =>
    !(to === follower.id && message.type === "raft" && message.message.type === "appendEntries");
  await cluster.value(cluster.add(leader.id, { add: 5 }));
  const read = follower.engine.read(0, linearizable);
  await cluster.clock.run(50);
  assert.is(await atOnce(read), false);
  cluster.passes = () => true;
  const { index, ageMs } = await cluster.value(read);
  assert.is(follower.machines[0]?.parts.a.total, 5);
  assert.is(index, follower.engine.appliedIndex(0));
  assert.is(ageMs, 0);
  await cluster.stop();
});

test("[G35] reads outlive their leader, and are answered under the next one", async () => {
  const cluster = await new Cluster().start();
  const leader = await cluster.leader();
  const follower = await cluster.follower();
  await cluster.value(cluster.add(leader.id, { add: 2 }));
  const reads = [follower.engine.read(0, linearizable)];
  cluster.kill(leader.id);
  reads.push(follower.engine.read(0, linearizable));
  await cluster.value(Promise.all(reads));
  assert.is(follower.machines[0]?.parts.a.total, 2);
  await cluster.stop();
});

test("[G35] a leader that was replaced without knowing it does not answer from the past", async () => {
  const cluster = await new Cluster().start();
  const leader = await cluster.leader();
  await cluster.value(cluster.add(leader.id));
  // Nothing that it hears, and nothing that it says, ends its belief to lead; the others hear nothing of it.
  cluster.passes = (from, to) => from !== leader.id && to !== leader.id;
  const others = cluster.alive.filter((node) => node !== leader);
  const next = () => others.find(({ id }) => cluster.status(id).role === "leader");
  assert.ok(await cluster.clock.until(() => next() !== undefined, 2000));
  await cluster.value(cluster.add(next()?.id ?? "", { add: 10 }));
  const read = leader.engine.read(0, { consistency: "linearizable", timeoutMs: 100 });
  assert.is(await cluster.value(codeOf(read)), "TIMEOUT");
  cluster.passes = () => true;
  await cluster.value(leader.engine.read(0, linearizable));
  assert.is(leader.machines[0]?.parts.a.total, 11);
  await cluster.stop();
});

test("[G36] callers of one turn share a question, and never one that has left", async () => {
  const cluster = await new Cluster().start();
  const leader = await cluster.leader();
  await cluster.converge();
  const questions = () =>
    cluster.happened.filter(
      (one) =>
        one.type === "sent" && one.message.type === "raft" && one.message.message.type === "confirmLead",
    ).length;
  const before = questions();
  const first = Array.from({ length: 100 }, () => leader.engine.barrier(0));
  await cluster.clock.run(0);
  assert.is(questions() - before, 2, "one round, of two voters");
  const second = Array.from({ length: 100 }, () => leader.engine.barrier(0));
  await cluster.value(Promise.all([...first, ...second]));
  assert.is(questions() - before, 4);
  await cluster.stop();
});

test("[G36] without a majority a read times out; past the limit it is refused; neither leaves anything behind", async () => {
  const cluster = await new Cluster({ engine: { readsWaitingMax: 3 } }).start();
  const leader = await cluster.leader();
  cluster.isolate(leader.id);
  const waiting = [1, 2, 3].map(() => codeOf(leader.engine.barrier(0, { timeoutMs: 50 })));
  await cluster.clock.run(10);
  const refused = leader.engine.barrier(0).catch((error: { code: string; retryAfterMs: number }) => error);
  assert.equal(await refused.then((error) => error && [error.code, error.retryAfterMs]), ["OVERLOADED", 100]);
  assert.equal(await cluster.value(Promise.all(waiting)), ["TIMEOUT", "TIMEOUT", "TIMEOUT"]);
  cluster.rejoin(leader.id);
  const again = Promise.all([1, 2, 3].map(() => leader.engine.barrier(0)));
  await cluster.value(again);
  await cluster.stop();
});

test("[G37] a local read is answered at once, with an age that what is missing here never exceeds", async () => {
  const cluster = await new Cluster().start();
  const leader = await cluster.leader();
  const follower = await cluster.follower();
  const first = follower.engine.read(0, local);
  assert.is(await atOnce(first), true);
  assert.is((await first).ageMs, Number.POSITIVE_INFINITY, "never known to be up to date");
  await cluster.clock.run(20);
  const known = await follower.engine.read(0, local);
  assert.ok(known.ageMs <= 25, `${known.ageMs} ms: the read before had a quorum asked`);
  const cutMs = cluster.clock.nowMs;
  cluster.isolate(follower.id);
  await cluster.value(cluster.add(leader.id, { add: 7 }));
  const addedMs = cluster.clock.nowMs;
  await cluster.clock.run(500);
  const stale = await follower.engine.read(0, local);
  assert.is(stale.index, known.index);
  assert.ok(stale.ageMs >= cluster.clock.nowMs - addedMs, `${stale.ageMs} ms old, but ${addedMs} is missing`);
  assert.ok(stale.ageMs <= cluster.clock.nowMs - cutMs + known.ageMs);
  cluster.rejoin(follower.id);
  await cluster.clock.run(300);
  await follower.engine.read(0, local);
  await cluster.clock.run(20);
  const fresh = await follower.engine.read(0, local);
  assert.ok(fresh.ageMs <= 25 && fresh.index > stale.index);
  await cluster.stop();
});

test("[G37] whoever reads often finds the age bounded, and an idle group is left alone", async () => {
  const cluster = await new Cluster({ engine: { localReadAgeMs: 40 } }).start();
  await cluster.leader();
  const follower = await cluster.follower();
  await follower.engine.read(0, local);
  await cluster.clock.run(20);
  let oldestMs = 0;
  for (let round = 0; round < 100; round++) {
    oldestMs = Math.max(oldestMs, (await follower.engine.read(0, local)).ageMs);
    await cluster.clock.run(5);
  }
  assert.ok(oldestMs > 40 && oldestMs <= 55, `${oldestMs} ms`);
  cluster.happened.length = 0;
  await cluster.clock.run(1000);
  const asked = cluster.happened.filter(
    (one) => one.type === "sent" && one.message.type === "raft" && one.message.message.type === "readIndex",
  );
  assert.is(asked.length, 0);
  await cluster.stop();
});

test("[G38] a leader with a lease answers a lease read at once; a follower, or a group that fails over fast, asks", async () => {
  for (const fastFailover of [false, true]) {
    const cluster = await new Cluster({ engine: { raft: { fastFailover } } }).start();
    const leader = await cluster.leader();
    const follower = await cluster.follower();
    await cluster.converge();
    const first = leader.engine.read(0, lease);
    assert.is(await atOnce(first), false, "nobody has promised anything yet");
    await cluster.value(first);
    const second = leader.engine.read(0, lease);
    assert.is(await atOnce(second), !fastFailover);
    await cluster.value(second);
    const other = follower.engine.read(0, lease);
    assert.is(await atOnce(other), false);
    await cluster.value(other);
    await cluster.stop();
  }
});

test("[G38] a lease read sees what was acknowledged before it", async () => {
  const cluster = await new Cluster({ engine: { raft: { fastFailover: false } } }).start();
  const leader = await cluster.leader();
  const follower = await cluster.follower();
  for (let total = 1; total <= 20; total++) {
    await cluster.value(cluster.add(follower.id));
    await cluster.value(leader.engine.read(0, lease));
    assert.is(leader.machines[0]?.parts.a.total, total);
  }
  await cluster.stop();
});

test("[G38] a process that was paused looks at its clock again before it answers by a lease", async () => {
  const cluster = await new Cluster({ engine: { raft: { fastFailover: false } } }).start();
  const leader = await cluster.leader();
  await cluster.converge();
  await cluster.value(leader.engine.read(0, lease));
  const ask = (engine: GroupEngine) => engine.read(0, { consistency: "lease", timeoutMs: 60 });
  assert.is(await atOnce(ask(leader.engine)), true);
  cluster.isolate(leader.id);
  // It is stopped and goes on: nothing has told it yet that time has passed.
  cluster.clock.nowMs += 150;
  const after = ask(leader.engine);
  assert.is(await atOnce(after), false);
  assert.is(await cluster.value(codeOf(after)), "TIMEOUT");
  await cluster.stop();
});

test("[G39] a replica that is behind with applying refuses to be read, and takes reads again afterwards", async () => {
  const cluster = await new Cluster({ engine: { applyBacklogMax: 20 } }).start();
  const leader = await cluster.leader();
  await cluster.converge();
  const codes = new Set<string>();
  const asked: Promise<unknown>[] = [];
  leader.machines[0]!.onApply = () => {
    cluster.clock.nowMs += 20;
    if (leader.engine.isServing(0)) return;
    for (const how of [linearizable, local, lease])
      asked.push(codeOf(leader.engine.read(0, how)).then((code) => codes.add(`${how.consistency} ${code}`)));
  };
  const answers: Promise<unknown>[] = [];
  for (let round = 0; round < 10; round++)
    for (let one = 0; one < 20; one++) answers.push(cluster.add(leader.id).catch(() => undefined));
  await cluster.value(Promise.all(answers), 20_000);
  await Promise.all(asked);
  assert.equal([...codes].sort(), ["lease OVERLOADED", "linearizable OVERLOADED", "local OVERLOADED"]);
  leader.machines[0]!.onApply = () => undefined;
  await cluster.converge();
  await cluster.value(leader.engine.barrier(0));
  await cluster.stop();
});

test("[G39] a replica whose restored parts do not stand at one moment yet is not read locally", async () => {
  const cluster = await new Cluster({
    engine: { checkpointIntervalMs: 20, checkpointPartsPerTurn: 1 },
  }).start();
  const leader = await cluster.leader();
  for (let count = 0; count < 30; count++) {
    await cluster.value(cluster.add(leader.id, { part: count % 2 === 0 ? "a" : "b" }));
    await cluster.clock.run(5);
  }
  await cluster.clock.run(200);
  cluster.kill(leader.id);
  const again = await cluster.boot(leader.id);
  assert.is(await codeOf(again.engine.read(0, local)), "OVERLOADED", "nothing is restored yet");
  await cluster.clock.until(() => again.engine.isServing(0), 3000);
  assert.is(await codeOf(again.engine.read(0, local)), "resolved");
  await cluster.stop();
});

test("[G23, G36] stopping rejects reads that wait, and takes no more", async () => {
  const cluster = await new Cluster().start();
  const leader = await cluster.leader();
  const waiting = codeOf(leader.engine.read(0, linearizable));
  await cluster.stop();
  assert.is(await waiting, "STOPPED");
  for (const how of [linearizable, local, lease])
    assert.is(await codeOf(leader.engine.read(0, how)), "STOPPED");
});

test.run();

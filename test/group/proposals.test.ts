import { test } from "uvu";
import * as assert from "uvu/assert";
import { Cluster } from "./cluster.ts";
import type { CounterMachine } from "./counter-machine.ts";

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "resolved",
    (error: { code: string }) => error.code,
  );
}

test("[G5] a proposal is answered with the value that apply gave here", async () => {
  const cluster = await new Cluster().start();
  const leader = await cluster.leader();
  assert.is(await cluster.value(cluster.add(leader.id, { add: 3 })), 3);
  assert.is(await cluster.value(cluster.add(leader.id, { add: 4 })), 7);
  await cluster.converge();
  await cluster.stop();
});

test("[G6] a follower's proposals reach the leader, in order, and are answered on the follower", async () => {
  const cluster = await new Cluster().start();
  const follower = await cluster.follower();
  const answers = Promise.all(
    Array.from({ length: 50 }, (_, tag) => cluster.add(follower.id, { tag: `t${tag}` })),
  );
  const values = (await cluster.value(answers)) as number[];
  assert.equal(
    values,
    Array.from({ length: 50 }, (_, position) => position + 1),
  );
  assert.equal(
    follower.machines[0]?.parts.a.history,
    Array.from({ length: 50 }, (_, tag) => `t${tag}`),
  );
  await cluster.converge();
  await cluster.stop();
});

test("[G7] proposals in flight when the leader dies are answered, each applied once and in order", async () => {
  for (let seed = 1; seed <= 8; seed++) {
    const cluster = await new Cluster({ seed }).start();
    const leader = await cluster.leader();
    const follower = await cluster.follower();
    const answers: Promise<unknown>[] = [];
    for (let round = 0; round < 20; round++) {
      for (let one = 0; one < 5; one++) answers.push(cluster.add(follower.id, { tag: `${round * 5 + one}` }));
      if (round === 10) cluster.kill(leader.id, { keepUnfinished: seed % 2 === 0 });
      await cluster.clock.run(1);
    }
    const values = (await cluster.value(Promise.all(answers))) as number[];
    assert.equal(
      values,
      Array.from({ length: 100 }, (_, position) => position + 1),
    );
    assert.equal(
      follower.machines[0]?.parts.a.history,
      Array.from({ length: 100 }, (_, tag) => `${tag}`),
    );
    await cluster.converge();
    await cluster.stop();
  }
});

test("[G7] a leader that is cut off answers its own proposals once the next leader has taken them", async () => {
  const cluster = await new Cluster().start();
  const leader = await cluster.leader();
  assert.is(await cluster.value(cluster.add(leader.id)), 1);
  cluster.isolate(leader.id);
  const answers = Promise.all([cluster.add(leader.id), cluster.add(leader.id)]);
  await cluster.clock.run(1000);
  const next = await cluster.leader();
  assert.is.not(next.id, leader.id);
  cluster.rejoin(leader.id);
  assert.equal(await cluster.value(answers), [2, 3]);
  await cluster.converge();
  await cluster.stop();
});

test("[G69] a result that later entries decide is waited for within a limit, of time and of number, and until the node stops", async () => {
  const engine = {
    lateResultsMax: 2,
    resultTimeoutMs: 3_000,
    proposeTimeoutMs: 500,
    sleepAfterMs: 300,
  };
  const cluster = await new Cluster({ engine }).start();
  const { id, machines } = await cluster.leader();
  const machine = machines[0] as CounterMachine;
  const settled: { readonly resolve: (value: string) => void; readonly reject: (error: Error) => void }[] =
    [];
  machine.give = () => new Promise((resolve, reject) => settled.push({ resolve, reject }));
  const begun = async (count: number) => {
    const before = settled.length;
    const asked = Array.from({ length: count }, () => cluster.add(id));
    const codes = asked.map(codeOf);
    assert.ok(await cluster.clock.until(() => settled.length === before + count));
    return { asked, codes };
  };
  const first = await begun(2);
  const tooMany = codeOf(cluster.add(id));
  await cluster.clock.run(200);
  assert.is(await tooMany, "TIMEOUT");
  settled.pop();
  // Who needs no later entry is not held up by it.
  const { give } = machine;
  machine.give = (value) => value;
  assert.type(await cluster.value(cluster.add(id)), "number");
  machine.give = give;
  // Longer than a proposal may take.
  await cluster.clock.run(2_000);
  settled[0]?.resolve("at last");
  settled[1]?.reject(Object.assign(new Error("no"), { code: "REFUSED" }));
  assert.is(await cluster.value(first.asked[0] as Promise<unknown>), "at last");
  assert.is(await first.codes[1], "REFUSED");
  const second = await begun(2);
  await cluster.clock.run(4_000);
  assert.equal(await Promise.all(second.codes), ["TIMEOUT", "TIMEOUT"]);
  settled[2]?.resolve("too late");
  const [third] = (await begun(1)).codes;
  await cluster.stop();
  assert.is(await third, "STOPPED");
});

test("[G8] after a gap everything unanswered is sent again, in order", async () => {
  const cluster = await new Cluster().start();
  const follower = await cluster.follower();
  let lost = 0;
  // The first forwarding message vanishes without its link closing; the following ones arrive.
  cluster.passes = (from, _to, message) => from !== follower.id || message.type !== "propose" || lost++ > 0;
  const answers = [cluster.add(follower.id, { tag: "x" })];
  await cluster.clock.run(1);
  for (const tag of ["y", "z"]) {
    answers.push(cluster.add(follower.id, { tag }));
    await cluster.clock.run(1);
  }
  assert.equal(await cluster.value(Promise.all(answers), 1000), [1, 2, 3]);
  assert.ok((follower.machines[0]?.gaps.length ?? 0) > 0, "there was a gap");
  assert.equal(follower.machines[0]?.parts.a.history, ["x", "y", "z"]);
  await cluster.converge();
  await cluster.stop();
});

test("[G8] a lost proposal that nothing follows is sent again after a while", async () => {
  const cluster = await new Cluster({ engine: { resendStalledMs: 300 } }).start();
  const follower = await cluster.follower();
  let lost = 0;
  cluster.passes = (from, _to, message) => from !== follower.id || message.type !== "propose" || lost++ > 0;
  assert.is(await cluster.value(cluster.add(follower.id), 1000), 1);
  await cluster.stop();
});

test("[G6] a node that does not lead refuses what is forwarded to it", async () => {
  const cluster = await new Cluster().start();
  const leader = await cluster.leader();
  const [one, other] = cluster.alive.filter((node) => node !== leader);
  const id = { nodeId: other!.id, bootCount: 1, sequence: 1 };
  one!.engine.message(other!.id, {
    type: "propose",
    group: 0,
    proposals: [{ id, data: new Uint8Array([1]) }],
  });
  await cluster.clock.run(5);
  const refused = cluster.happened.find(
    (one) => one.type === "sent" && one.message.type === "proposeRefused",
  );
  assert.ok(refused?.type === "sent" && refused.message.type === "proposeRefused");
  assert.equal(refused.message, { type: "proposeRefused", group: 0, sequence: 1, reason: "NOT_LEADER" });
  assert.is(refused.to, other!.id);
  await cluster.stop();
});

test("[G6] refused proposals are sent again until they are taken", async () => {
  const cluster = await new Cluster({
    engine: { proposeBatchMax: 1, raft: { uncommittedEntriesMax: 4 } },
  }).start();
  const follower = await cluster.follower();
  // More than the leader's core takes at once: refused as a whole until what is before has been committed.
  const answers: Promise<unknown>[] = [];
  for (let count = 0; count < 20; count++) {
    answers.push(cluster.add(follower.id, { tag: `${count}` }));
    if (count % 2 === 1) await cluster.clock.run(1);
  }
  await cluster.value(Promise.all(answers));
  assert.ok(cluster.happened.some((one) => one.type === "sent" && one.message.type === "proposeRefused"));
  assert.equal(
    follower.machines[0]?.parts.a.history,
    Array.from({ length: 20 }, (_, tag) => `${tag}`),
  );
  await cluster.stop();
});

test("[G9] the deadline ends the caller's waiting, not the proposal: the sequence has no hole", async () => {
  const cluster = await new Cluster().start();
  const follower = await cluster.follower();
  cluster.isolate(follower.id);
  await cluster.clock.run(500);
  const late = codeOf(cluster.add(follower.id, { tag: "late", timeoutMs: 100 }));
  const patient = cluster.add(follower.id, { tag: "patient", timeoutMs: 60_000 });
  assert.is(await cluster.value(late), "TIMEOUT");
  assert.is(cluster.status(follower.id).proposalsInFlight, 2);
  cluster.rejoin(follower.id);
  assert.is(await cluster.value(patient), 2);
  assert.equal(follower.machines[0]?.parts.a.history, ["late", "patient"]);
  assert.is(cluster.status(follower.id).proposalsInFlight, 0);
  await cluster.stop();
});

test("[G10] past the limit of proposals in flight the caller is refused at once", async () => {
  const cluster = await new Cluster({ engine: { proposalsInFlightMax: 3, retryAfterMs: 70 } }).start();
  const follower = await cluster.follower();
  cluster.isolate(follower.id);
  const kept = [1, 2, 3].map(() => cluster.add(follower.id));
  const error = await cluster.add(follower.id).then(
    () => null,
    (refusal: { code: string; retryAfterMs: number }) => refusal,
  );
  assert.is(error?.code, "OVERLOADED");
  assert.is(error?.retryAfterMs, 70);
  cluster.rejoin(follower.id);
  assert.equal(await cluster.value(Promise.all(kept)), [1, 2, 3]);
  assert.is(await cluster.value(cluster.add(follower.id)), 4);
  await cluster.stop();
});

test("[G10] past the limit of bytes in flight, and over the size of a command, the caller is refused at once", async () => {
  const cluster = await new Cluster({
    engine: { proposalsInFlightBytesMax: 200, commandBytesMax: 150 },
  }).start();
  const follower = await cluster.follower();
  cluster.isolate(follower.id);
  const kept = codeOf(cluster.add(follower.id, { tag: "x".repeat(80) }));
  assert.is(await codeOf(cluster.add(follower.id, { tag: "x".repeat(80) })), "OVERLOADED");
  assert.is(await codeOf(cluster.add(follower.id, { tag: "x".repeat(150) })), "COMMAND_TOO_LARGE");
  cluster.rejoin(follower.id);
  assert.is(await cluster.value(kept), "resolved");
  await cluster.stop();
});

test("[G13] callers' code never runs between two commands of a turn", async () => {
  const cluster = await new Cluster().start();
  const leader = await cluster.leader();
  await cluster.converge();
  const order: string[] = [];
  leader.machines[0]!.onApply = ({ id }) => {
    order.push(`apply ${id.sequence}`);
  };
  const { drained } = leader.machines[0]!;
  leader.machines[0]!.drained = () => {
    order.push("drained");
    drained.call(leader.machines[0]);
  };
  const answers = [1, 2, 3].map((sequence) =>
    cluster.add(leader.id).then(() => order.push(`answer ${sequence}`)),
  );
  await cluster.value(Promise.all(answers));
  assert.equal(order, ["apply 1", "apply 2", "apply 3", "drained", "answer 1", "answer 2", "answer 3"]);
  await cluster.stop();
});

test("[G23] stopping rejects who waits, and takes nothing more", async () => {
  const cluster = await new Cluster().start();
  const leader = await cluster.leader();
  const waiting = [codeOf(cluster.add(leader.id)), codeOf(leader.engine.barrier(0))];
  await cluster.stop();
  assert.equal(await Promise.all(waiting), ["STOPPED", "STOPPED"]);
  assert.is(await codeOf(cluster.add(leader.id)), "STOPPED");
});

test.run();

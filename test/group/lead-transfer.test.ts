import { test } from "uvu";
import * as assert from "uvu/assert";
import type { TransferOutcome } from "../../server/group/lead-transfer.ts";
import { Cluster, type ClusterOptions, type Node } from "./cluster.ts";

interface Scene {
  readonly cluster: Cluster;
  readonly leader: Node;
  readonly successor: Node;
  readonly third: Node;
}

async function scene(options: ClusterOptions = {}): Promise<Scene> {
  const cluster = await new Cluster(options).start();
  const leader = await cluster.leader();
  await cluster.converge();
  const [successor, third] = cluster.alive.filter((node) => node !== leader) as [Node, Node];
  return { cluster, leader, successor, third };
}

function codeOf(outcome: TransferOutcome): string {
  return outcome.type === "refused" ? outcome.code : outcome.type;
}

test("[G40] through a transfer proposals of all nodes wait, and go on at once: none fails, none waits longer than it", async () => {
  const { cluster, leader, successor } = await scene({ engine: { resendMs: 400 }, saveMs: 3 });
  const nodes = cluster.alive;
  const waits: number[] = [];
  const answers: Promise<unknown>[] = [];
  const failures: unknown[] = [];
  const add = (id: string) => {
    const atMs = cluster.clock.nowMs;
    const answer = cluster.add(id, { tag: `${id} ${atMs}` }).then(
      () => waits.push(cluster.clock.nowMs - atMs),
      (error) => failures.push(error),
    );
    answers.push(answer);
  };
  let outcome: TransferOutcome | null = null;
  let tookMs = 0;
  for (let ms = 0; ms < 300; ms++) {
    if (ms === 100) {
      const atMs = cluster.clock.nowMs;
      void leader.engine.transferLeader(0, successor.id).then((told) => {
        outcome = told;
        tookMs = cluster.clock.nowMs - atMs;
      });
    }
    for (const { id } of nodes) add(id);
    await cluster.clock.run(1);
  }
  await cluster.value(Promise.all(answers));
  assert.equal(outcome, { type: "done" });
  assert.is(cluster.status(successor.id).role, "leader");
  assert.equal(failures, []);
  assert.is(waits.length, 900);
  // Without a transfer: forwarded, appended, saved here and there, and told of the commit.
  const usualMs = 15;
  assert.ok(tookMs <= 30, `the transfer took ${tookMs} ms`);
  assert.ok(Math.max(...waits) <= tookMs + usualMs, `somebody waited ${Math.max(...waits)} ms`);
  await cluster.converge();
  assert.is(leader.machines[0]?.parts.a.history.length, 900);
  assert.equal(leader.machines[0]?.gaps, []);
  await cluster.stop();
});

test("[G40] when a transfer is given up, what waited goes on at once where it is", async () => {
  const { cluster, leader, successor, third } = await scene({ engine: { resendMs: 1000 } });
  // The successor hears nothing from its leader but that it lives.
  cluster.passes = (from, to, message) =>
    from !== leader.id || to !== successor.id || message.type !== "raft";
  const first = cluster.add(leader.id, { tag: "first" });
  await cluster.clock.run(5);
  const outcome = leader.engine.transferLeader(0, successor.id);
  await cluster.clock.run(5);
  const { lastIndex } = cluster.status(leader.id);
  const answers = [cluster.add(leader.id, { tag: "own" }), cluster.add(third.id, { tag: "forwarded" })];
  await cluster.clock.run(100);
  assert.is(cluster.status(leader.id).lastIndex, lastIndex, "nothing is appended meanwhile");
  assert.is(codeOf(await cluster.value(outcome)), "TIMED_OUT");
  const atMs = cluster.clock.nowMs;
  await cluster.value(Promise.all([first, ...answers]));
  assert.ok(cluster.clock.nowMs - atMs <= 10, "no pause follows");
  assert.ok(
    !cluster.happened.some((one) => one.type === "sent" && one.message.type === "proposeRefused"),
    "nobody was refused",
  );
  await cluster.stop();
});

for (const [what, limits] of [
  ["count", { forwardedWaitingMax: 2 }],
  ["bytes", { forwardedWaitingBytesMax: 300 }],
] as const) {
  test(`[G40] what waits for a transfer is bounded by ${what}: past it forwarded proposals are refused, and sent again later`, async () => {
    const { cluster, leader, successor, third } = await scene({ engine: limits });
    cluster.passes = (from, to, message) =>
      from !== leader.id || to !== successor.id || message.type !== "raft";
    const answers = [cluster.add(leader.id)];
    await cluster.clock.run(5);
    const outcome = leader.engine.transferLeader(0, successor.id);
    const refused = () =>
      cluster.happened.some((one) => one.type === "sent" && one.message.type === "proposeRefused");
    for (const tag of ["x", "y", "z"]) {
      assert.is(refused(), false);
      answers.push(cluster.add(third.id, { tag: tag.repeat(90) }));
      await cluster.clock.run(3);
    }
    assert.is(refused(), true);
    assert.is(codeOf(await cluster.value(outcome)), "TIMED_OUT");
    cluster.passes = () => true;
    assert.equal(await cluster.value(Promise.all(answers)), [1, 2, 3, 4]);
    await cluster.converge();
    await cluster.stop();
  });
}

test("[G41] a transfer is done when the named node leads, and one to whoever leads already is done at once", async () => {
  const { cluster, leader, successor } = await scene();
  assert.equal(await cluster.value(leader.engine.transferLeader(0, leader.id)), { type: "done" });
  assert.equal(await cluster.value(successor.engine.transferLeader(0, leader.id)), { type: "done" });
  assert.is(cluster.status(leader.id).role, "leader");
  const { term } = cluster.status(leader.id);
  assert.equal(await cluster.value(leader.engine.transferLeader(0, successor.id)), { type: "done" });
  assert.is(cluster.status(successor.id).role, "leader");
  assert.is(cluster.status(successor.id).term, term + 1, "in one election");
  await cluster.stop();
});

test("[G41] whoever asks for a transfer that cannot be is told why, in words", async () => {
  const { cluster, leader, successor, third } = await scene();
  const ask = async (node: Node, to: string) => {
    const outcome = await cluster.value(node.engine.transferLeader(0, to));
    return outcome.type === "refused" ? `${outcome.code}: ${outcome.message}` : outcome.type;
  };
  assert.is(await ask(third, successor.id), `NOT_LEADER: this node does not lead group 0: ask ${leader.id}`);
  assert.is(await ask(leader, "n9"), "NOT_A_VOTER: n9 is no voter of group 0: only a voter can lead");
  cluster.kill(third.id);
  await cluster.clock.run(5);
  assert.is(await ask(leader, third.id), `NOT_LINKED: the link to ${third.id} is down`);
  await cluster.stop();
});

test("[G41] one transfer at a time: another question is refused at once", async () => {
  const { cluster, leader, successor, third } = await scene();
  const first = leader.engine.transferLeader(0, successor.id);
  const second = await leader.engine.transferLeader(0, third.id);
  assert.is(codeOf(second), "TRANSFERRING");
  assert.ok(second.type === "refused" && second.message.includes(successor.id));
  assert.is(codeOf(await leader.engine.transferLeader(0, successor.id)), "TRANSFERRING");
  assert.is(codeOf(await cluster.value(first)), "done");
  await cluster.stop();
});

test("[G41] a transfer during which the link goes down is over at once", async () => {
  const { cluster, leader, successor } = await scene();
  cluster.passes = (from, to) => from !== leader.id || to !== successor.id;
  const outcome = leader.engine.transferLeader(0, successor.id);
  await cluster.clock.run(10);
  cluster.kill(successor.id);
  const atMs = cluster.clock.nowMs;
  assert.is(codeOf(await cluster.value(outcome)), "NOT_LINKED");
  assert.ok(cluster.clock.nowMs - atMs <= 5);
  await cluster.stop();
});

test("[G41] when the lead goes to nobody, or elsewhere, the asker is told too", async () => {
  const { cluster, leader, successor, third } = await scene();
  const nobody = leader.engine.transferLeader(0, successor.id);
  assert.ok(await cluster.clock.until(() => cluster.status(leader.id).leader === null, 100));
  cluster.kill(successor.id);
  cluster.kill(third.id);
  const told = await cluster.value(nobody);
  assert.equal(told, {
    type: "refused",
    code: "LEAD_LOST",
    message: `the lead of group 0 did not get to ${successor.id}: nobody leads`,
  });
  for (const { id } of [successor, third]) await cluster.boot(id);
  const second = await cluster.leader();
  await cluster.converge();
  const [heir, other] = second.engine.heirs(0) as [string, string];
  const elsewhere = second.engine.transferLeader(0, heir);
  assert.ok(await cluster.clock.until(() => cluster.status(second.id).leader === null, 100));
  cluster.kill(heir);
  assert.is(codeOf(await cluster.value(elsewhere)), "LEAD_LOST");
  assert.ok([other, second.id].includes((await cluster.leader()).id));
  await cluster.stop();
});

test("[G41] a node that stops tells whoever asked, then and later", async () => {
  const { cluster, leader, successor } = await scene();
  const waiting = leader.engine.transferLeader(0, successor.id);
  const stopped = cluster.stop();
  assert.is(codeOf(await waiting), "STOPPED");
  await stopped;
  assert.is(codeOf(await leader.engine.transferLeader(0, successor.id)), "STOPPED");
});

test("[G41] heirs are voters that are there and catch up; whoever has everything comes first", async () => {
  const { cluster, leader, successor, third } = await scene();
  assert.equal(successor.engine.heirs(0), [], "only the leader gives");
  assert.equal([...leader.engine.heirs(0)].sort(), [successor.id, third.id].sort());
  cluster.passes = (from, to) => from !== successor.id || to !== leader.id;
  await cluster.value(cluster.add(leader.id));
  assert.is(leader.engine.heirs(0)[0], third.id);
  cluster.passes = () => true;
  cluster.kill(third.id);
  await cluster.clock.run(5);
  assert.equal(leader.engine.heirs(0), [successor.id]);
  await cluster.stop();
});

test.run();

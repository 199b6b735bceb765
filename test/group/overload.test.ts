import { test } from "uvu";
import * as assert from "uvu/assert";
import { AppendGate } from "../../server/group/append-gate.ts";
import { ApplyStage } from "../../server/group/apply-stage.ts";
import type { EngineOptions } from "../../server/group/engine-options.ts";
import type { Group } from "../../server/group/group.ts";
import { Strain } from "../../server/group/strain.ts";
import { Cluster, type ClusterOptions, type Node } from "./cluster.ts";
import { VirtualClock } from "./virtual-clock.ts";

interface Scene {
  readonly cluster: Cluster;
  readonly leader: Node;
  readonly others: readonly Node[];
}

async function scene({ engine, ...options }: ClusterOptions = {}): Promise<Scene> {
  const strict: Partial<EngineOptions> = {
    diskStallMsMax: 100,
    pipeLagMsMax: 60,
    strainedMs: 500,
    sleepAfterMs: 60_000,
  };
  const cluster = await new Cluster({ ...options, engine: { ...strict, ...engine } }).start();
  const leader = await cluster.leader();
  await cluster.converge();
  return { cluster, leader, others: cluster.alive.filter((node) => node !== leader) };
}

/** The disk of this node has something to save, and does not get it done. */
async function stall({ cluster, leader }: Scene, id = leader.id): Promise<{ answer: Promise<unknown> }> {
  cluster.stall(id);
  const answer = cluster.add(leader.id);
  await cluster.clock.run(10);
  return { answer };
}

test("[G44] a leader whose disk stalls hands over, and does not get the lead back while it does and for a while after", async () => {
  const at = await scene({
    engine: { spreadLeaders: true, spreadStableMs: 50 },
    priorities: { n1: 90, n2: 50, n3: 50 },
  });
  const { cluster } = at;
  assert.ok(await cluster.clock.until(() => cluster.status("n1").role === "leader", 3000));
  await cluster.clock.run(100);
  const scene1 = { ...at, leader: cluster.node("n1") };
  const { answer: waiting } = await stall(scene1);
  // With the others' disks alone a command is committed all the while.
  const atMs = cluster.clock.nowMs;
  await cluster.value(cluster.add("n2", { tag: "meanwhile" }));
  assert.ok(cluster.clock.nowMs - atMs <= 50, `${cluster.clock.nowMs - atMs} ms`);
  assert.ok(
    await cluster.clock.until(() => ["n2", "n3"].some((id) => cluster.status(id).role === "leader"), 130),
    "the lead goes as soon as the stall is noticed",
  );
  for (let round = 0; round < 20; round++) {
    await cluster.value(cluster.add("n3", { tag: `round ${round}` }));
    await cluster.clock.run(100);
    assert.is.not(cluster.status("n1").role, "leader");
  }
  const unstalledMs = cluster.clock.nowMs;
  cluster.unstall("n1");
  await cluster.value(waiting);
  assert.ok(await cluster.clock.until(() => cluster.status("n1").role === "leader", 3000), "then it does");
  assert.ok(cluster.clock.nowMs - unstalledMs >= 400, `${cluster.clock.nowMs - unstalledMs} ms after`);
  await cluster.converge();
  await cluster.stop();
});

test("[G44] the lead goes to a voter whose disk moves", async () => {
  const at = await scene({ nodes: 5 });
  const { cluster, leader, others } = at;
  const [stuck, ...able] = others as [Node, ...Node[]];
  await stall(at, stuck.id);
  await cluster.clock.run(200);
  assert.is(cluster.status(leader.id).role, "leader", "a follower's disk is not the leader's business");
  await stall(at);
  assert.ok(
    await cluster.clock.until(() => able.some(({ id }) => cluster.status(id).role === "leader"), 300),
  );
  for (const id of [leader.id, stuck.id]) cluster.unstall(id);
  await cluster.converge();
  await cluster.stop();
});

test("[G44] without this node's vote nobody could be elected: then the lead stays, and goes on when the disk does", async () => {
  const at = await scene();
  const { cluster, leader, others } = at;
  cluster.kill((others[0] as Node).id);
  await cluster.clock.run(50);
  const { term } = cluster.status(leader.id);
  const { answer } = await stall(at);
  await cluster.clock.run(2000);
  cluster.unstall(leader.id);
  await cluster.value(answer);
  assert.is(cluster.status(leader.id).term, term);
  await cluster.stop();
});

test("[G44] if nobody takes the lead, a leader with a stalled disk steps down, and the others elect", async () => {
  const at = await scene();
  const { cluster, leader, others } = at;
  cluster.passes = (_from, _to, message) => message.type !== "raft" || message.message.type !== "timeoutNow";
  await stall(at);
  assert.ok(
    await cluster.clock.until(() => others.some(({ id }) => cluster.status(id).role === "leader"), 1500),
  );
  assert.ok(leader.logged.some(({ message }) => message.endsWith("nobody takes the lead: stepping down")));
  await cluster.value(cluster.add((others[0] as Node).id));
  cluster.unstall(leader.id);
  await cluster.converge();
  await cluster.stop();
});

test("[G44] a node whose disk stalls does not take a lead that is offered to it, nor campaigns", async () => {
  const at = await scene();
  const { cluster, leader, others } = at;
  const [stuck, other] = others as [Node, Node];
  await cluster.value((await stall(at, stuck.id)).answer);
  await cluster.clock.run(200);
  assert.equal(leader.engine.heirs(0), [other.id, stuck.id], "the last one to be asked");
  cluster.kill(leader.id);
  for (let ms = 0; ms < 1500; ms += 10) {
    await cluster.clock.run(10);
    assert.ok(["follower", "learner"].includes(cluster.status(stuck.id).role));
  }
  cluster.unstall(stuck.id);
  await cluster.leader();
  await cluster.stop();
});

test("[G45] a leader whose pipe lags hands over all that it leads, and is given no lead for a while", async () => {
  const { cluster } = await scene({
    groups: 6,
    engine: { spreadLeaders: true, spreadStableMs: 100, strainedMs: 1000 },
  });
  await cluster.clock.run(2000);
  const ledBy = (id: string) =>
    [0, 1, 2, 3, 4, 5].filter((group) => cluster.status(id, group).role === "leader");
  assert.equal(ledBy("n1"), [0, 3]);
  const busyUntilMs = cluster.clock.nowMs + 80;
  cluster.busyUntilMs.set("n1", busyUntilMs);
  await cluster.clock.run(80);
  assert.equal(ledBy("n1"), [0, 3], "it was not deposed meanwhile");
  assert.ok(await cluster.clock.until(() => ledBy("n1").length === 0, 30));
  assert.ok(await cluster.clock.until(() => ledBy("n1").length === 2, 5000), "and then it has them back");
  assert.ok(cluster.clock.nowMs - busyUntilMs >= 1000, `${cluster.clock.nowMs - busyUntilMs} ms after`);
  await cluster.stop();
});

test("[G45] if all lag again and again, leads are not passed round: once all have said so, they stay", async () => {
  const { cluster, leader } = await scene();
  const { term } = cluster.status(leader.id);
  for (let round = 0; round < 10; round++) {
    for (const id of cluster.ids) cluster.busyUntilMs.set(id, cluster.clock.nowMs + 80);
    await cluster.clock.run(200);
  }
  await cluster.leader();
  assert.ok(cluster.status(leader.id).term <= term + 1, `${cluster.status(leader.id).term - term} terms`);
  await cluster.stop();
});

test("[G46] heartbeats that fall due while room code runs leave before it", async () => {
  const { cluster, leader } = await scene();
  const beatsMs: number[] = [];
  cluster.passes = (from, _to, message) => {
    if (from === leader.id && message.type === "heartbeat") beatsMs.push(cluster.clock.nowMs);
    return true;
  };
  leader.machines[0]!.onApply = () => {
    cluster.clock.nowMs += 35;
  };
  const answers: Promise<unknown>[] = [];
  for (let ms = 0; ms < 1500; ms += 10) {
    answers.push(cluster.add(leader.id));
    await cluster.clock.run(10);
  }
  await cluster.value(Promise.all(answers), 20_000);
  const gapsMs = beatsMs.slice(1).map((atMs, at) => atMs - (beatsMs[at] as number));
  // One command may take longer than the budget, but a beat that is due in that time is not behind it.
  assert.ok(Math.max(...gapsMs) <= 50 + 35, `${Math.max(...gapsMs)} ms between two`);
  await cluster.stop();
});

test("[G46] the time for applying is for all groups together, and nobody is passed over", () => {
  const clock = new VirtualClock();
  const applied: string[] = [];
  const group = (name: string, commands: number): Group => {
    let left = commands;
    const applier = {
      get hasWork() {
        return left > 0;
      },
      run: (isOver: () => boolean) => {
        while (left > 0) {
          left -= 1;
          clock.nowMs += 6;
          applied.push(name);
          if (left > 0 && isOver()) return false;
        }
        return true;
      },
    };
    return { applier } as unknown as Group;
  };
  const groups = [group("a", 5), group("b", 1), group("c", 2), group("d", 1)];
  const stage = new ApplyStage({ awake: { groups }, clock, budgetMs: 10, wake: () => undefined });
  const turns: string[] = [];
  for (let isDone = false; !isDone; ) {
    isDone = stage.run();
    turns.push(applied.splice(0).join(""));
  }
  assert.equal(turns, ["aa", "bc", "da", "ca", "a"]);
  assert.is(stage.hasWork, false);
});

test("[G47] appends that wait for the backlog are bounded in number and in bytes", () => {
  const limits = {
    applyBacklogMax: 0,
    applyBacklogBytesMax: 0,
    parkedAppendsMax: 3,
    parkedAppendsBytesMax: 100,
  };
  const gate = new AppendGate(limits);
  const append = (bytes: number) => {
    const entry = { index: 1, term: 1, type: "command", logTimeMs: 0, wallTimeMs: 0 } as const;
    const message = { type: "appendEntries", term: 1, storeId: "", prevLogIndex: 0, prevLogTerm: 0 } as const;
    return { ...message, commitIndex: 0, entries: [{ ...entry, data: new Uint8Array(bytes) }] };
  };
  const past = { length: 1, bytes: 1 };
  assert.is(gate.holds("a", append(60), past), true);
  assert.is(gate.holds("b", append(60), past), true);
  assert.is(gate.parked, 1, "dropped: its sender sends it again");
  gate.linkDown("a");
  gate.holds("b", append(60), past);
  assert.is(gate.parked, 1, "room again");
  gate.holds("b", append(40), past);
  gate.holds("b", append(0), past);
  gate.holds("b", append(0), past);
  assert.is(gate.parked, 3);
  assert.is(gate.release({ length: 0, bytes: 0 }).length, 3);
  gate.holds("b", append(100), past);
  assert.is(gate.parked, 1);
});

test("[G44, G45] what strains a node: a save that takes too long goes before a late turn, and both are remembered for a while", () => {
  const strain = new Strain({ diskStallMsMax: 100, pipeLagMsMax: 50, strainedMs: 1000 });
  const look = (nowMs: number, lagMs: number, savingSinceMs: number | null) => {
    strain.look({ nowMs, lagMs, savingSinceMs });
    return strain.sign;
  };
  assert.is(look(0, 0, null), null);
  assert.is(strain.isRecent(0), false);
  assert.is(look(199, 49, 100), null);
  assert.equal(look(200, 0, 100), { type: "disk", forMs: 100 });
  assert.equal(look(210, 60, 100), { type: "disk", forMs: 110 });
  assert.is(look(220, 0, null), null);
  assert.is(strain.isRecent(1209), true);
  assert.is(strain.isRecent(1210), false);
  assert.equal(look(2000, 50, null), { type: "pipe", lagMs: 50 });
  assert.is(strain.isRecent(2999), true);
});

test.run();

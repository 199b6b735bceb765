import { test } from "uvu";
import * as assert from "uvu/assert";
import { Checkpoints } from "../../server/group/checkpoints.ts";
import { engineOptions } from "../../server/group/engine-options.ts";
import { LogMarks } from "../../server/group/log-marks.ts";
import type { Machine } from "../../server/group/machine.ts";
import type { Checkpoint } from "../../server/storage/storage.ts";
import { Cluster } from "./cluster.ts";
import { CounterMachine } from "./counter-machine.ts";

const stub = (index: number): Checkpoint => ({ index, bytes: new TextEncoder().encode("stub") });

test("[G67] what a part holds back is counted in bytes of data, and in entries, which never weigh nothing", () => {
  const marks = new LogMarks(10);
  const add = (index: number, bytes: number) =>
    marks.add({
      ...{ index, term: 1, logTimeMs: 0, wallTimeMs: 0 },
      type: "command",
      data: new Uint8Array(bytes),
    });
  for (let index = 11; index <= 20; index++) add(index, index);
  assert.equal([marks.bytes, marks.bytesThrough(10), marks.bytesThrough(12)], [155, 0, 23]);
  assert.equal([marks.bytesThrough(20), marks.bytesThrough(99)], [155, 155]);
  assert.equal([marks.weightBehind(20), marks.weightBehind(18)], [0, 39 + 2 * 64]);
  assert.is(marks.weightBehind(3), 155 + 10 * 64, "there is nothing before the base");
  marks.forgetThrough(15);
  assert.equal([marks.bytes, marks.bytesThrough(15), marks.bytesThrough(16)], [90, 0, 16]);
  assert.is(marks.weightBehind(18), 39 + 2 * 64);
  marks.reset(100);
  add(101, 7);
  assert.equal([marks.bytes, marks.bytesThrough(101), marks.weightBehind(100)], [7, 7, 71]);
});

test("[G67] only a part that is not at rest lets go, and only past the limit; what it leaves counts as saved", () => {
  const rest = { index: 9, bytes: new Uint8Array(3) };
  const states: Record<string, { firstIndex: number; state: Checkpoint | null | "deleted" }> = {
    atRest: { firstIndex: 2, state: rest },
    gone: { firstIndex: 2, state: "deleted" },
    young: { firstIndex: 8, state: null },
    old: { firstIndex: 2, state: null },
    kept: { firstIndex: 2, state: null },
  };
  const asked: string[] = [];
  const machine = {
    dirty: () => Object.entries(states).map(([key, { firstIndex }]) => ({ key, firstIndex })),
    save: (key: string) => states[key]?.state ?? null,
    letGo: (key: string) => {
      asked.push(key);
      return key === "kept" ? null : stub(9);
    },
  } as unknown as Machine;
  const checkpoints = new Checkpoints(machine, {
    checkpointPartsPerTurn: 10,
    checkpointBytesPerTurn: 1000,
    holdsTooMuch: (firstIndex) => firstIndex < 5,
  });
  checkpoints.beginRound();
  const step = checkpoints.step(9, () => false);
  assert.equal(asked, ["old", "kept"]);
  assert.equal(
    [...(step?.checkpoints ?? [])],
    [
      ["atRest", rest],
      ["gone", null],
      ["old", stub(9)],
    ],
  );
  assert.equal(
    step?.saved.map(({ key }) => key),
    ["atRest", "gone", "old"],
  );
});

/** A part that is held leaves a stub with all that it is: this is about the log. */
class LettingGo extends CounterMachine {
  readonly letGone: string[] = [];

  letGo(key: string): Checkpoint | null {
    this.letGone.push(key);
    const part = this.parts[key as "a" | "b"];
    return { index: part.index, bytes: new TextEncoder().encode(JSON.stringify(part)) };
  }
}

test("[G67] a part that is never at rest does not stop the group: the log is cut past it, behind what it leaves on the disk", async () => {
  const cluster = await new Cluster({
    machine: () => new LettingGo(),
    engine: {
      checkpointIntervalMs: 40,
      compactEntriesMin: 10,
      logTailEntries: 0,
      groupLogBytesMax: 8_000,
      roomLogBytesMax: 4_000,
    },
  }).start();
  const leader = await cluster.leader();
  for (const { machines } of cluster.alive) machines[0]!.held.add("b");
  for (let count = 0; count < 20; count++) await cluster.value(cluster.add(leader.id));
  await cluster.clock.run(200);
  assert.is(cluster.status(leader.id).baseIndex, 0, "it is not past the limit yet");
  for (let count = 0; count < 200; count++) await cluster.value(cluster.add(leader.id));
  await cluster.clock.run(300);
  for (const { id, machines, logged } of cluster.alive) {
    assert.ok(machines[0]!.letGone.length > 0 && machines[0]!.letGone.every((key) => key === "b"), id);
    assert.ok(cluster.status(id).baseIndex > 100, `${id} has cut its log`);
    assert.ok(cluster.status(id).logBytes < 8_000);
    assert.equal(
      logged.filter(({ level }) => level === "warn"),
      [],
    );
  }
  const durable = new Map<string, number>();
  for (const one of cluster.happened) {
    if (one.type !== "saveLanded" || one.node !== leader.id) continue;
    const save = one.batch.groups.get(0);
    if (save?.base !== undefined && save.base.index > 0)
      assert.ok((durable.get("b") ?? 0) >= save.base.index, `base ${save.base.index}`);
    for (const [key, checkpoint] of save?.checkpoints ?? []) durable.set(key, checkpoint?.index ?? 0);
  }
  await cluster.stop();
});

class Lacking extends CounterMachine {
  lacks = false;
  /** Who has said that it lacks some, too. */
  readonly lacking = new Set<string>();

  lacksParts(nodeId?: string): boolean {
    return nodeId === undefined ? this.lacks : this.lacking.has(nodeId);
  }
}

test("[G68] who lacks parts that others have hands the lead over, and takes none", async () => {
  const cluster = await new Cluster({ machine: () => new Lacking() }).start();
  const leader = await cluster.leader();
  await cluster.converge();
  const [one, other] = cluster.alive.filter((node) => node !== leader);
  assert.ok(one && other);
  for (const node of [leader, one]) node.machines[0]!.lacks = true;
  assert.ok(
    await cluster.clock.until(() => cluster.status(other.id).role === "leader"),
    "whoever has all leads",
  );
  await cluster.converge();
  const outcome = await cluster.value(other.engine.transferLeader(0, leader.id));
  assert.is(outcome.type, "refused");
  assert.is(cluster.status(other.id).role, "leader");
  await cluster.value(cluster.add(leader.id));
  await cluster.stop();
});

test("[R139] proposals go on at once when a lead is refused, wherever they come from", async () => {
  const cluster = await new Cluster({ machine: () => new Lacking() }).start();
  const leader = await cluster.leader();
  await cluster.converge();
  const [unfit, other] = cluster.alive.filter((node) => node !== leader);
  assert.ok(unfit && other);
  unfit.machines[0]!.lacks = true;
  const atMs = cluster.clock.nowMs;
  const outcome = leader.engine.transferLeader(0, unfit.id);
  const answers = cluster.alive.map(({ id }) => cluster.add(id));
  const told = await cluster.value(outcome);
  assert.is(told.type === "refused" && told.code, "REFUSED");
  assert.ok(told.type === "refused" && told.message.startsWith(`${unfit.id} does not take the lead`));
  assert.equal((await cluster.value(Promise.all(answers))).length, 3);
  assert.ok(cluster.clock.nowMs - atMs <= 30, `they took ${cluster.clock.nowMs - atMs} ms`);
  assert.is(cluster.status(leader.id).role, "leader");
  await cluster.stop();
});

test("[U13] who lacks parts offers the lead to nobody who has said that it lacks some, too, and takes proposals until somebody has them", async () => {
  const cluster = await new Cluster({ machine: () => new Lacking() }).start();
  const leader = await cluster.leader();
  await cluster.converge();
  const [one, other] = cluster.alive.filter((node) => node !== leader);
  assert.ok(one && other);
  const machine = leader.machines[0]!;
  for (const { id } of [one, other]) machine.lacking.add(id);
  for (const { machines } of cluster.alive) machines[0]!.lacks = true;
  const offers = () =>
    leader.logged.flatMap(({ facts }) => {
      const { event, to } = facts as { event?: string; to?: string };
      return event === "lead-relieved" ? [to] : [];
    });
  await cluster.clock.run(20_000);
  assert.equal(offers(), []);
  await cluster.value(cluster.add(leader.id));
  other.machines[0]!.lacks = false;
  machine.lacking.delete(other.id);
  assert.ok(await cluster.clock.until(() => cluster.status(other.id).role === "leader"));
  assert.equal(offers(), [other.id], "at the first offer");
  await cluster.stop();
});

test("[G68] a lead that nobody takes, since all lack something, is offered ever less often", async () => {
  const cluster = await new Cluster({ machine: () => new Lacking() }).start();
  const leader = await cluster.leader();
  await cluster.converge();
  for (const { machines } of cluster.alive) machines[0]!.lacks = true;
  const offers = () =>
    leader.logged.filter(({ facts }) => (facts as { event?: string }).event === "lead-relieved").length;
  await cluster.clock.run(20_000);
  const soon = offers();
  await cluster.clock.run(40_000);
  assert.ok(soon >= 4 && soon <= 22, `${soon} offers in 20 s`);
  assert.ok(offers() - soon <= 8, `${offers() - soon} more in 40 s`);
  await cluster.value(cluster.add(leader.id));
  await cluster.stop();
});

test("[G24] a part's share of the log that is more than half of it is refused", () => {
  assert.throws(
    () => engineOptions({ groupLogBytesMax: 1_000, roomLogBytesMax: 501 }),
    /"roomLogBytesMax" is 501; it must be at most 500, a half of groupLogBytesMax/,
  );
  assert.is(engineOptions({ groupLogBytesMax: 1_000, roomLogBytesMax: 500 }).roomLogBytesMax, 500);
});

test.run();

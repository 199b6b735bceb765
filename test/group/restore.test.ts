import { test } from "uvu";
import * as assert from "uvu/assert";
import { Restorer } from "../../server/group/restorer.ts";
import type { Checkpoint, CheckpointRead } from "../../server/storage/storage.ts";
import { Cluster } from "./cluster.ts";
import { encodeRooms, RoomsMachine } from "./rooms-machine.ts";

const checkpoint = (index: number): Checkpoint => ({
  index,
  bytes: new TextEncoder().encode(JSON.stringify({ index, numbers: {}, history: [], ticks: 0, padding: "" })),
});

type Done = (checkpoints: ReadonlyMap<string, Checkpoint | null>) => void;

function restoring(keys: readonly string[], readBytes = 100) {
  const machine = new RoomsMachine();
  const asked: { read: CheckpointRead; done: Done }[] = [];
  const restorer = new Restorer({ machine, readBytes, read: (read, done) => asked.push({ read, done }) });
  const begin = () => restorer.begin(new Map(keys.map((key) => [key, { index: 1, sizeBytes: 10 }])));
  /** Gives the first `count` parts of the question. */
  const answer = (count: number) => {
    const question = asked.shift();
    assert.ok(question !== undefined, "something was asked");
    const { read, done } = question;
    done(new Map(read.keys.slice(0, count).map((key) => [key, checkpoint(1)])));
  };
  return { machine, asked, restorer, begin, answer };
}

test("[G55] parts are brought back a few per turn, the group's own first, and read ahead within a limit", () => {
  const { machine, asked, restorer, begin, answer } = restoring(["a", "b", "", "c", "d"]);
  begin();
  assert.is(restorer.isDone, false);
  assert.is(
    restorer.run(() => false),
    false,
  );
  assert.is(restorer.isWaiting, true);
  assert.equal(asked[0]?.read, { keys: ["", "a", "b", "c", "d"], bytesMax: 100 });
  answer(3);
  assert.is(restorer.isWaiting, false);
  assert.is(asked.length, 0, "what was read is used up first");
  assert.is(
    restorer.run(() => machine.restored.length >= 2),
    false,
  );
  assert.equal(machine.restored, ["", "a"], "a turn ends when it is over");
  assert.is(
    restorer.run(() => false),
    false,
  );
  assert.equal(machine.restored, ["", "a", "b"]);
  assert.equal(asked[0]?.read.keys, ["c", "d"]);
  answer(2);
  assert.is(machine.restores, 0);
  assert.is(
    restorer.run(() => false),
    true,
  );
  assert.equal(machine.restored, ["", "a", "b", "c", "d"]);
  assert.is(machine.restores, 1);
  assert.is(restorer.isDone, true);
});

test("[G55] a restore that is begun anew forgets the first one's answers", () => {
  const { machine, restorer, begin, answer, asked } = restoring(["a", "b"]);
  begin();
  begin();
  answer(2);
  assert.is(restorer.isWaiting, true, "the first question's answer counts for nothing");
  assert.is(asked.length, 1);
  answer(2);
  assert.is(
    restorer.run(() => false),
    true,
  );
  assert.equal(machine.restored, ["a", "b"]);
});

test("[G55] without parts there is nothing to wait for; a part that has gone ends the process", () => {
  const empty = restoring([]);
  empty.begin();
  assert.is(empty.asked.length, 0);
  assert.is(
    empty.restorer.run(() => false),
    true,
  );
  const { asked, begin } = restoring(["a"]);
  begin();
  assert.throws(() => asked[0]?.done(new Map([["a", null]])), /"a" has gone/);
});

/** Three nodes with rooms that tick, one of which restarts and waits for its disk. */
async function restarted() {
  const engine = { checkpointIntervalMs: 40, compactEntriesMin: 10, logTailEntries: 0, restoreYieldMs: 1000 };
  const cluster = await new Cluster({ engine, machine: () => new RoomsMachine() }).start();
  const leader = await cluster.leader();
  for (let number = 1; number <= 5; number++) {
    const command = encodeRooms({ type: "create", room: `r${number}`, number, ticks: true });
    await cluster.value(leader.engine.propose(0, command));
  }
  for (const { machines } of cluster.alive) machines[0]!.tickEveryMs = 20;
  await cluster.clock.run(500);
  const late = await cluster.follower();
  cluster.kill(late.id);
  cluster.stallReads(late.id);
  const node = await cluster.boot(late.id);
  node.machines[0]!.tickEveryMs = 20;
  await cluster.clock.run(200);
  return { cluster, leader, node, machine: node.machines[0] as RoomsMachine };
}

test("[G55] while parts are brought back the node votes and saves entries, and applies and serves nothing", async () => {
  const { cluster, leader, node, machine } = await restarted();
  assert.is(machine.isRestoring, true);
  assert.is(node.engine.isServing(0), false);
  const { appliedIndex, baseIndex, lastIndex } = cluster.status(node.id);
  assert.is(appliedIndex, baseIndex);
  await cluster.clock.run(200);
  assert.ok(cluster.status(node.id).lastIndex > lastIndex, "the log goes on");
  // The other follower is gone: the leader needs this one to commit.
  const other = cluster.alive.find(({ id }) => id !== leader.id && id !== node.id);
  cluster.kill(other?.id ?? "");
  await cluster.value(
    leader.engine.propose(0, encodeRooms({ type: "add", room: "r1", number: 1, tag: "x" })),
  );
  assert.is(cluster.status(node.id).appliedIndex, appliedIndex);
  cluster.unstallReads(node.id);
  assert.ok(await cluster.clock.until(() => node.engine.isServing(0)));
  assert.equal(machine.restored[0], "");
  await cluster.boot(other?.id ?? "");
  for (const { machines } of cluster.alive) machines[0]!.tickEveryMs = null;
  await cluster.converge();
  assert.equal(machine.rooms.get("r1")?.history, ["x"]);
  await cluster.stop();
});

test("[G56] who brings parts back leaves the lead to others, and takes it after a while if there is nobody else", async () => {
  const { cluster, leader, node, machine } = await restarted();
  leader.engine.transferLeader(0, node.id);
  await cluster.clock.run(300);
  assert.is(cluster.status(node.id).role, "follower", "a lead that is handed over is not taken");
  // Whoever else could lead has an older log: this one alone can.
  const other = cluster.alive.find(({ id }) => id !== leader.id && id !== node.id)!;
  cluster.isolate(other.id);
  await cluster.value(
    leader.engine.propose(0, encodeRooms({ type: "add", room: "r1", number: 1, tag: "x" })),
  );
  cluster.kill(leader.id);
  cluster.rejoin(other.id);
  await cluster.clock.run(300);
  assert.is(cluster.status(node.id).role, "follower");
  assert.ok(
    await cluster.clock.until(() => cluster.status(node.id).role === "leader", 2000),
    "at last it leads",
  );
  assert.is(machine.isRestoring, true, "and no tick was asked for");
  const waiting = cluster
    .node(other.id)
    .engine.propose(0, encodeRooms({ type: "create", room: "late", number: 1, ticks: true }));
  await cluster.clock.run(100);
  cluster.unstallReads(node.id);
  await cluster.value(waiting);
  assert.ok(await cluster.clock.until(() => node.engine.isServing(0)));
  await cluster.boot(leader.id);
  for (const { machines } of cluster.alive) machines[0]!.tickEveryMs = null;
  await cluster.converge();
  await cluster.stop();
});

test.run();

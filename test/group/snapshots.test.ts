import { test } from "uvu";
import * as assert from "uvu/assert";
import { Checkpoints } from "../../server/group/checkpoints.ts";
import { engineOptions } from "../../server/group/engine-options.ts";
import type { Machine } from "../../server/group/machine.ts";
import { decodeEnvelope, encodeEnvelope } from "../../server/group/proposal-envelope.ts";
import type { Checkpoint } from "../../server/storage/storage.ts";
import { Cluster } from "./cluster.ts";
import { counterCommand } from "./counter-machine.ts";

const never = () => false;
const bytes = (text: string) => new TextEncoder().encode(text);

/** A machine of which only the saving is looked at. */
function savable(parts: { [key: string]: { firstIndex: number; state: Checkpoint | null | "deleted" } }) {
  const saves: string[] = [];
  const machine = {
    dirty: () => Object.entries(parts).map(([key, { firstIndex }]) => ({ key, firstIndex })),
    save: (key: string) => {
      saves.push(key);
      return parts[key]?.state ?? null;
    },
  } as unknown as Machine;
  return {
    saves,
    checkpoints: new Checkpoints(machine, {
      checkpointPartsPerTurn: 2,
      checkpointBytesPerTurn: 100,
      holdsTooMuch: () => false,
    }),
  };
}

test("[G15] a round saves a few parts per turn", () => {
  const state = { index: 9, bytes: bytes("s") };
  const { checkpoints, saves } = savable({
    "": { firstIndex: 7, state },
    r1: { firstIndex: 5, state: "deleted" },
    r2: { firstIndex: 6, state },
  });
  checkpoints.beginRound();
  assert.equal(
    [...(checkpoints.step(9, never)?.checkpoints ?? [])],
    [
      ["", state],
      ["r1", null],
    ],
  );
  assert.equal([...(checkpoints.step(9, never)?.checkpoints.keys() ?? [])], ["r2"]);
  assert.is(checkpoints.isRoundActive, false);
  assert.equal(saves, ["", "r1", "r2"]);
});

test("[G15] a turn ends early when its parts are large", () => {
  const state = { index: 9, bytes: new Uint8Array(100) };
  const { checkpoints } = savable({ r1: { firstIndex: 5, state }, r2: { firstIndex: 6, state } });
  checkpoints.beginRound();
  assert.is(checkpoints.step(9, never)?.saved.length, 1);
  assert.is(checkpoints.step(9, never)?.saved.length, 1);
});

test("[G15] a turn ends early when its parts take long, but not before the first", () => {
  const state = { index: 9, bytes: bytes("s") };
  const { checkpoints } = savable({ r1: { firstIndex: 5, state }, r2: { firstIndex: 6, state } });
  checkpoints.beginRound();
  assert.is(checkpoints.step(9, () => true)?.saved.length, 1);
  assert.is(checkpoints.step(9, () => true)?.saved.length, 1);
});

test("[G15] the floor is the smallest first command since a dirty part's checkpoint; clean parts hold nothing back", () => {
  const state = { index: 9, bytes: bytes("s") };
  const { checkpoints } = savable({
    r1: { firstIndex: 5, state },
    r2: { firstIndex: 3, state: null },
    r3: { firstIndex: 3, state },
  });
  assert.equal(checkpoints.floor(9), { index: 2, heldBy: ["r2", "r3"] });
  assert.equal(savable({}).checkpoints.floor(9), { index: 9, heldBy: [] });
});

const compacting = {
  checkpointIntervalMs: 40,
  compactEntriesMin: 10,
  logTailEntries: 0,
  raft: { catchUpBytesMax: 0 },
};

test("[G15] no base reaches a disk before the checkpoints that allow it", async () => {
  const cluster = await new Cluster({ engine: compacting, saveMs: 5 }).start();
  const leader = await cluster.leader();
  const durable = new Map<string, number>();
  let bases = 0;
  for (let count = 0; count < 100; count++) {
    await cluster.value(cluster.add(leader.id, { part: count % 3 === 0 ? "b" : "a" }));
    await cluster.clock.run(3);
  }
  for (const one of cluster.happened) {
    if (one.type === "sent" || one.node !== leader.id) continue;
    const save = one.batch.groups.get(0);
    if (one.type === "saveBegan" && save?.base !== undefined && save.base.index > 0) {
      bases += 1;
      assert.ok(Math.min(...durable.values()) >= save.base.index, `base ${save.base.index}`);
    }
    if (one.type === "saveLanded")
      for (const [key, checkpoint] of save?.checkpoints ?? []) durable.set(key, checkpoint?.index ?? 0);
  }
  assert.ok(bases >= 2, `${bases} bases`);
  await cluster.stop();
});

test("[G16] a part that is not at rest holds the log; past its limit proposals are refused, and the log says by what", async () => {
  const cluster = await new Cluster({
    engine: { ...compacting, groupLogBytesMax: 1500, roomLogBytesMax: 700 },
  }).start();
  const leader = await cluster.leader();
  for (const { machines } of cluster.alive) machines[0]!.held.add("b");
  let refusals = 0;
  for (let count = 0; count < 60; count++) {
    await cluster.value(
      cluster
        .add(leader.id)
        .catch(({ code }: { code: string }) => (refusals += code === "OVERLOADED" ? 1 : 0)),
    );
    await cluster.clock.run(5);
  }
  assert.ok(refusals > 0);
  assert.is(cluster.status(leader.id).baseIndex, 0);
  const line = leader.logged.find(({ level }) => level === "warn");
  assert.ok(line !== undefined);
  assert.equal((line.facts as { heldBy: string[] }).heldBy, ["b"]);
  for (const { machines } of cluster.alive) machines[0]!.held.clear();
  await cluster.clock.run(300);
  assert.ok(cluster.status(leader.id).baseIndex > 0);
  await cluster.value(cluster.add(leader.id));
  await cluster.stop();
});

test("[G16] past the log's limit forwarded proposals are refused too, and ticks go on", async () => {
  const cluster = await new Cluster({
    engine: { ...compacting, groupLogBytesMax: 3000, roomLogBytesMax: 700 },
  }).start();
  const leader = await cluster.leader();
  const follower = await cluster.follower();
  for (const { machines } of cluster.alive) machines[0]!.held.add("b");
  while (cluster.status(leader.id).logBytes <= 3000) await cluster.value(cluster.add(leader.id));
  // A follower that applied a little less does not know yet.
  const proposals = [{ id: { nodeId: follower.id, bootCount: 1, sequence: 1 }, data: bytes("x") }];
  leader.engine.message(follower.id, { type: "propose", group: 0, proposals });
  await cluster.clock.run(5);
  const refusal = cluster.happened.find(
    (one) => one.type === "sent" && one.message.type === "proposeRefused",
  );
  assert.ok(
    refusal?.type === "sent" &&
      refusal.message.type === "proposeRefused" &&
      refusal.message.reason === "OVERLOADED",
  );
  leader.machines[0]!.tickEveryMs = 20;
  await cluster.clock.run(200);
  assert.ok(leader.machines[0]!.parts.a.ticks.length > 3);
  await cluster.stop();
});

test("[G16, Q7] what lets a group go on is taken by a leader whose log is full, and by nobody past a size", async () => {
  const cluster = await new Cluster({
    engine: { ...compacting, groupLogBytesMax: 3000, roomLogBytesMax: 700 },
  }).start();
  const leader = await cluster.leader();
  for (const { machines } of cluster.alive) machines[0]!.held.add("b");
  while (cluster.status(leader.id).logBytes <= 3000) await cluster.value(cluster.add(leader.id));
  const command = counterCommand({ part: "a", add: 1000 });
  const refused = await cluster.value(
    leader.engine.propose(0, command).catch(({ code }: { code: string }) => code),
  );
  assert.is(refused, "OVERLOADED");
  const total = (await cluster.value(leader.engine.propose(0, command, { urgent: true }))) as number;
  assert.ok(total >= 1000, `${total}`);
  const large = leader.engine.propose(0, new Uint8Array(1 << 20), { urgent: true });
  assert.is(await large.catch(({ code }: { code: string }) => code), "COMMAND_TOO_LARGE");
  await cluster.stop();
});

test("[G18] a node that lags too far is brought up by a snapshot, with parts ahead of its base, while proposals go on", async () => {
  for (let seed = 1; seed <= 6; seed++) {
    const engine = { ...compacting, snapshotChunkBytes: 100 };
    const cluster = await new Cluster({ seed, engine }).start();
    const leader = await cluster.leader();
    const follower = await cluster.follower();
    cluster.isolate(follower.id);
    // Until the leader has given it up: a snapshot that was begun for it would hold the log.
    await cluster.clock.run(300);
    for (let count = 0; count < 60; count++) {
      await cluster.value(cluster.add(leader.id, { part: count % 2 === 0 ? "a" : "b" }));
      await cluster.clock.run(4);
    }
    // One part cannot be saved for a while: it, and so the base, stays behind the other one.
    for (const { machines } of cluster.alive) machines[0]!.held.add("a");
    const answers: Promise<unknown>[] = [];
    for (let count = 0; count < 20; count++) {
      await cluster.value(cluster.add(leader.id, { part: "b" }));
      await cluster.clock.run(4);
    }
    assert.ok(
      cluster.status(leader.id).baseIndex > cluster.status(follower.id).lastIndex,
      "the log does not reach back",
    );
    const waiting = cluster.add(follower.id, { tag: "mine" });
    cluster.rejoin(follower.id);
    let servedEarly = false;
    let sawAhead = false;
    const installed = await cluster.clock.until(() => {
      if (cluster.clock.nowMs % 5 === 0) answers.push(cluster.add(leader.id));
      const { appliedIndex, servesFrom } = cluster.status(follower.id);
      if (appliedIndex < servesFrom && follower.engine.isServing(0)) servedEarly = true;
      if (servesFrom > cluster.status(follower.id).baseIndex) sawAhead = true;
      return follower.machines[0]!.restores > 1 && follower.engine.isServing(0);
    }, 5000);
    assert.ok(installed, "a snapshot was installed");
    assert.ok(sawAhead, "a part was ahead of the base");
    assert.is(servedEarly, false);
    await cluster.value(Promise.all(answers));
    assert.type(await cluster.value(waiting), "number");
    for (const { machines } of cluster.alive) machines[0]!.held.clear();
    await cluster.converge();
    const mine = follower.machines[0]!.parts.a.history.filter((tag) => tag === "mine");
    assert.equal(mine, ["mine"]);
    // What was installed is what the disk has, too.
    cluster.kill(follower.id);
    await cluster.boot(follower.id);
    await cluster.converge();
    await cluster.stop();
  }
});

test("[G18] either side may die in the middle of a snapshot", async () => {
  for (let seed = 1; seed <= 12; seed++) {
    const engine = { ...compacting, snapshotChunkBytes: 60 };
    const cluster = await new Cluster({ seed, engine }).start();
    const leader = await cluster.leader();
    const follower = await cluster.follower();
    cluster.isolate(follower.id);
    // Until the leader has given it up: a snapshot that was begun for it would hold the log.
    await cluster.clock.run(300);
    for (let count = 0; count < 60; count++) {
      await cluster.value(cluster.add(leader.id));
      await cluster.clock.run(4);
    }
    cluster.rejoin(follower.id);
    const chunks = () =>
      cluster.happened.filter(
        (one) =>
          one.type === "sent" &&
          one.message.type === "raft" &&
          one.message.message.type === "installSnapshot",
      ).length;
    assert.ok(await cluster.clock.until(() => chunks() >= seed, 3000), "chunks are on their way");
    const dies = seed % 2 === 0 ? leader : follower;
    cluster.kill(dies.id, { keepUnfinished: seed % 3 === 0 });
    await cluster.clock.run(seed * 7);
    await cluster.boot(dies.id);
    await cluster.value(cluster.add(follower.id));
    await cluster.converge();
    await cluster.stop();
  }
});

test("[G5] an envelope gives back the proposal, and what is none is told apart", () => {
  const id = { nodeId: "nö", bootCount: 4_000_000_000, sequence: 2 ** 45 };
  const data = encodeEnvelope(id, bytes("command"));
  assert.equal(decodeEnvelope(data)?.id, id);
  assert.is(new TextDecoder().decode(decodeEnvelope(data)?.command), "command");
  assert.is(decodeEnvelope(encodeEnvelope(id, new Uint8Array(0)))?.command.length, 0);
  assert.is(decodeEnvelope(data.subarray(0, 10)), null);
  assert.is(decodeEnvelope(new Uint8Array(40)), null);
  assert.throws(() => encodeEnvelope({ ...id, sequence: 0 }, data));
});

test("[G24] a wrong option is named, with its value and what is allowed", () => {
  assert.throws(() => engineOptions({ tickMs: 0 }), /"tickMs" is 0; it must be a whole number of at least 1/);
  assert.throws(
    () => engineOptions({ tickMs: 51 }),
    /"tickMs" is 51; it must be at most heartbeatIntervalMs \(50\)/,
  );
  assert.throws(
    () => engineOptions({ spreadLeaders: "yes" as unknown as boolean }),
    /"spreadLeaders" is yes; it must be true or false/,
  );
  assert.throws(() => engineOptions({ tikMs: 1 } as object), /no option "tikMs"/);
  assert.throws(
    () => engineOptions({ proposeBatchMax: 5000 }),
    /"proposeBatchMax" is 5000; it must be at most 2048/,
  );
  assert.throws(
    () => engineOptions({ commandBytesMax: 1 << 24 }),
    /"commandBytesMax" is 16777216; it must be at most/,
  );
  assert.is(engineOptions({ logTailEntries: 0 }).logTailEntries, 0);
});

test.run();

import { test } from "uvu";
import * as assert from "uvu/assert";
import { Pipe } from "../../server/group/pipe.ts";
import { Saver } from "../../server/group/saver.ts";
import { emptyConfiguration } from "../../server/raft/configuration.ts";
import type { Entry } from "../../server/raft/entry.ts";
import type { RaftMessage } from "../../server/raft/message.ts";
import type { SaveBatch, Storage } from "../../server/storage/storage.ts";
import { Cluster, type Happening } from "./cluster.ts";

test("[G1] events are handled one at a time, in order, and never in the stack of who brings them", () => {
  const tasks: (() => void)[] = [];
  const handled: string[] = [];
  const pipe = new Pipe<string>({
    defer: (run) => void tasks.push(run),
    handle: (event) => {
      handled.push(event);
      if (event === "b") pipe.push("d");
    },
    finish: () => {
      handled.push("finish");
      return false;
    },
    fail: (error) => {
      throw error;
    },
    drainEventsMax: 10,
  });
  pipe.push("a");
  assert.is(tasks.length, 0, "held until it is opened");
  pipe.open();
  for (const event of ["b", "c"]) pipe.push(event);
  assert.equal(handled, []);
  assert.is(tasks.length, 1, "one turn for all");
  while (tasks.length > 0) tasks.shift()?.();
  assert.equal(handled, ["a", "b", "c", "finish", "d", "finish"]);
});

test("[G1] a drain takes a bounded number of events, and the rest keep their order", () => {
  const tasks: (() => void)[] = [];
  const handled: number[][] = [[]];
  const pipe = new Pipe<number>({
    defer: (run) => void tasks.push(run),
    handle: (event) => {
      handled.at(-1)?.push(event);
      if (event === 1) pipe.push(5);
    },
    finish: () => {
      handled.push([]);
      return false;
    },
    fail: (error) => {
      throw error;
    },
    drainEventsMax: 2,
  });
  for (const event of [1, 2, 3, 4]) pipe.push(event);
  pipe.open();
  while (tasks.length > 0) tasks.shift()?.();
  assert.equal(handled, [[1, 2], [3, 4], [5], []]);
});

test("[G1] an error in a handler ends the node, and nothing is handled after it", () => {
  const tasks: (() => void)[] = [];
  const failures: unknown[] = [];
  const pipe = new Pipe<string>({
    defer: (run) => void tasks.push(run),
    handle: (event) => {
      throw new Error(event);
    },
    finish: () => false,
    fail: (error) => void failures.push((error as Error).message),
    drainEventsMax: 10,
  });
  pipe.open();
  pipe.push("first");
  pipe.push("second");
  while (tasks.length > 0) tasks.shift()?.();
  assert.equal(failures, ["first"]);
});

function entries(from: number, to: number, term = 1): Entry[] {
  const list: Entry[] = [];
  for (let index = from; index <= to; index++) {
    list.push({ index, term, type: "command", logTimeMs: 0, wallTimeMs: 0, data: new Uint8Array(0) });
  }
  return list;
}

function manualSaver(): { saver: Saver; batches: SaveBatch[]; land: () => Promise<void> } {
  const batches: SaveBatch[] = [];
  let finish: () => void = () => undefined;
  const save = (batch: SaveBatch) => {
    batches.push(batch);
    return new Promise<void>((resolve) => {
      finish = resolve;
    });
  };
  const saver = new Saver({
    storage: { save } as unknown as Storage,
    saved: (gathering) => saver.landed(gathering),
    failed: (error) => {
      throw error;
    },
  });
  const land = async () => {
    finish();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { saver, batches, land };
}

test("[G2] while one batch is in flight the next one gathers, for all groups", async () => {
  const { saver, batches, land } = manualSaver();
  saver.gather(0, { entries: entries(1, 2) });
  saver.flush(0);
  saver.gather(0, { entries: entries(3, 4) });
  saver.flush(0);
  saver.gather(1, { entries: entries(1, 1) });
  saver.gather(0, { entries: entries(5, 5) });
  saver.flush(0);
  assert.is(batches.length, 1);
  await land();
  saver.flush(0);
  assert.is(batches.length, 2);
  assert.equal([...(batches[1]?.groups.keys() ?? [])], [0, 1]);
  assert.equal(
    batches[1]?.groups.get(0)?.entries?.map(({ index }) => index),
    [3, 4, 5],
  );
});

test("[G2] a stop waits for the disk and not for a pipe that is closed already", async () => {
  // As when a node is stopped between the end of a save and the turn that would hear of it.
  const saver = new Saver({
    storage: { save: () => Promise.resolve() } as unknown as Storage,
    saved: () => undefined,
    failed: (error) => {
      throw error;
    },
  });
  saver.gather(0, { entries: entries(1, 1) });
  saver.flush(0);
  await new Promise((resolve) => setImmediate(resolve));
  const stopped = saver.settled().then(() => "stopped");
  const hung = new Promise((resolve) => setImmediate(resolve, "hung"));
  assert.is(await Promise.race([stopped, hung]), "stopped");
});

test("[G2] gathered entries that are cut off again do not reach the disk", () => {
  const { saver, batches, land } = manualSaver();
  void land;
  saver.gather(0, { entries: entries(4, 8, 1) });
  saver.gather(0, { entries: entries(6, 7, 2) });
  saver.flush(0);
  const saved = batches[0]?.groups.get(0)?.entries?.map(({ index, term }) => `${index}/${term}`);
  assert.equal(saved, ["4/1", "5/1", "6/2", "7/2"]);
  const other = manualSaver();
  other.saver.gather(0, { entries: entries(4, 8, 1) });
  other.saver.gather(0, { entries: entries(3, 3, 2) });
  other.saver.flush(0);
  assert.equal(
    other.batches[0]?.groups.get(0)?.entries?.map(({ index }) => index),
    [3],
  );
});

test("[G2] a reset drops what was gathered before it, but not the hard state", () => {
  const { saver, batches } = manualSaver();
  const base = {
    index: 9,
    term: 1,
    logTimeMs: 0,
    wallTimeMs: 0,
    configuration: emptyConfiguration,
  };
  saver.gather(0, { hardState: { term: 3, votedFor: null, commitIndex: 1 }, entries: entries(1, 2) });
  saver.gather(0, { checkpoints: new Map([["old", { index: 1, bytes: new Uint8Array(0) }]]) });
  saver.gather(0, {
    reset: true,
    base,
    checkpoints: new Map([["new", { index: 9, bytes: new Uint8Array(0) }]]),
  });
  saver.flush(0);
  const save = batches[0]?.groups.get(0);
  assert.is(save?.entries, undefined);
  assert.is(save?.hardState?.term, 3);
  assert.equal([...(save?.checkpoints?.keys() ?? [])], ["new"]);
});

test("[G3] what waits for a save is held by the batch that includes it", async () => {
  const { saver, land } = manualSaver();
  assert.is(saver.holdMessages(0, []), false, "everything is durable");
  saver.gather(0, { entries: entries(1, 1) });
  saver.flush(0);
  assert.is(saver.holdMessages(0, []), true, "in flight");
  assert.is(saver.holdMessages(1, []), false, "another group's");
  saver.gather(0, { entries: entries(2, 2) });
  assert.is(saver.holdMessages(0, []), true, "gathered");
  await land();
  assert.is(saver.holdMessages(0, []), true, "the second one still gathers");
});

/** Acks and votes that leave, each with whether the disk held by then what they vouch for. */
function unheldPromises(happened: readonly Happening[]): string[] {
  const durable = new Map<string, { last: number; term: number; votedFor: string | null }>();
  const wrong: string[] = [];
  for (const happening of happened) {
    if (happening.type === "saveLanded") {
      const save = happening.batch.groups.get(0);
      const was = durable.get(happening.node) ?? { last: 0, term: 0, votedFor: null };
      const last = save?.entries?.at(-1)?.index ?? was.last;
      const { term, votedFor } = {
        ...was,
        ...(save?.hardState && {
          term: save.hardState.term,
          votedFor: save.hardState.votedFor?.nodeId ?? null,
        }),
      };
      durable.set(happening.node, { last, term, votedFor });
    }
    if (happening.type !== "sent" || happening.message.type !== "raft") continue;
    const { from, to } = happening;
    const message: RaftMessage = happening.message.message;
    const held = durable.get(from);
    if (
      message.type === "appendEntriesResponse" &&
      message.success &&
      message.matchIndex > (held?.last ?? 0)
    ) {
      wrong.push(`${from} vouches for ${message.matchIndex}`);
    }
    if (
      message.type === "requestVoteResponse" &&
      message.granted &&
      (held?.term !== message.term || held.votedFor !== to)
    ) {
      wrong.push(`${from} votes for ${to}`);
    }
  }
  return wrong;
}

test("[G3] no vote and no acknowledgement leaves a node before its save has landed", async () => {
  for (let seed = 1; seed <= 5; seed++) {
    const cluster = await new Cluster({ seed, saveMs: 7 }).start();
    const leader = await cluster.leader();
    const answers: Promise<unknown>[] = [];
    for (let count = 0; count < 50; count++) {
      answers.push(cluster.add(cluster.ids[count % 3] as string));
      if (count % 5 === 0) await cluster.clock.run(2);
      if (count === 25) cluster.isolate(leader.id);
      if (count === 45) cluster.rejoin(leader.id);
    }
    await cluster.value(Promise.all(answers));
    assert.equal(unheldPromises(cluster.happened), []);
    assert.ok(
      cluster.happened.some(
        (one) =>
          one.type === "sent" &&
          one.message.type === "raft" &&
          one.message.message.type === "requestVoteResponse",
      ),
    );
    await cluster.stop();
  }
});

test("[G2] proposals of one turn are one save and one append", async () => {
  const cluster = await new Cluster({ groups: 2 }).start();
  const leader = await cluster.leader();
  await cluster.converge();
  cluster.happened.length = 0;
  const answers = Array.from({ length: 100 }, () => cluster.add(leader.id));
  await cluster.value(Promise.all(answers));
  const saves = cluster.happened.filter((one) => one.type === "saveBegan" && one.node === leader.id);
  const carrying = saves.filter(
    (one) => one.type === "saveBegan" && (one.batch.groups.get(0)?.entries?.length ?? 0) > 0,
  );
  assert.is(carrying.length, 1);
  await cluster.stop();
});

test("[G2] the leader sends while it writes, and commits without its own disk", async () => {
  const cluster = await new Cluster().start();
  const leader = await cluster.leader();
  const follower = await cluster.follower();
  await cluster.converge();
  cluster.stall(leader.id);
  const answer = cluster.add(follower.id);
  assert.is(await cluster.value(answer, 500), 1);
  assert.is(leader.machines[0]?.parts.a.total, 0, "not durable there, so not applied there");
  cluster.unstall(leader.id);
  await cluster.converge();
  await cluster.stop();
});

test("[G4] a save that fails ends the node: nothing is sent, answered or saved after it", async () => {
  const cluster = await new Cluster().start();
  const leader = await cluster.leader();
  await cluster.converge();
  cluster.disk(leader.id).failSave({ error: new Error("EIO"), keepUnfinished: false });
  let answered = false;
  cluster.add(leader.id).then(
    () => (answered = true),
    () => (answered = true),
  );
  assert.ok(await cluster.clock.until(() => leader.failures.length > 0, 100));
  assert.is(leader.failures.length, 1);
  const before = cluster.happened.length;
  await cluster.clock.run(500);
  assert.is(answered, false);
  const later = cluster.happened
    .slice(before)
    .filter((one) => (one.type === "sent" ? one.from : one.node) === leader.id);
  assert.equal(later, []);
  assert.is.not((await cluster.leader()).id, leader.id);
  await cluster.stop();
});

test("[G4] an error in the machine ends the node", async () => {
  const cluster = await new Cluster().start();
  const leader = await cluster.leader();
  const follower = await cluster.follower();
  follower.machines[0]!.onApply = () => {
    throw new Error("broken");
  };
  await cluster.value(cluster.add(leader.id));
  assert.ok(await cluster.clock.until(() => follower.failures.length === 1, 500));
  assert.is((follower.failures[0] as Error).message, "broken");
  await cluster.stop();
});

test("[G22] after a full stop and start everything that was acknowledged is there, and new proposals count from one", async () => {
  const engine = { checkpointIntervalMs: 50, compactEntriesMin: 5, logTailEntries: 0 };
  const cluster = await new Cluster({ engine }).start();
  const follower = await cluster.follower();
  for (let count = 1; count <= 30; count++) {
    assert.is(await cluster.value(cluster.add(follower.id)), count);
    await cluster.clock.run(10);
  }
  assert.ok(cluster.status(follower.id).baseIndex > 0, "the log was cut");
  for (const id of cluster.ids) cluster.kill(id);
  for (const id of cluster.ids) await cluster.boot(id);
  assert.is(await cluster.value(cluster.add(follower.id)), 31);
  await cluster.converge();
  await cluster.stop();
});

test.run();

import { test } from "uvu";
import * as assert from "uvu/assert";
import { EmbeddedKeeper } from "../../server/cluster/embedded-keeper.ts";
import { keeperLimits } from "../../server/menu/keeper-limits.ts";
import { ReplicaReads } from "../../server/menu/replica-reads.ts";

/** Timers that run when they are told to. */
class Timers {
  #timers: { fn: () => void; atMs: number }[] = [];
  #nowMs = 0;

  setTimer(fn: () => void, ms: number): () => void {
    const timer = { fn, atMs: this.#nowMs + ms };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer);
    };
  }

  pass(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      const [next] = this.#timers.toSorted((a, b) => a.atMs - b.atMs);
      if (next === undefined || next.atMs > untilMs) break;
      this.#timers = this.#timers.filter((each) => each !== next);
      this.#nowMs = next.atMs;
      next.fn();
    }
    this.#nowMs = untilMs;
  }

  get count(): number {
    return this.#timers.length;
  }
}

/** Three replicas, the links between them, and how far each is. */
class World {
  readonly timers = new Timers();
  readonly applied = new Map([
    ["A", 10],
    ["B", 10],
    ["C", 10],
  ]);
  readonly cut = new Set<string>();
  readonly nodes = new Map<string, ReplicaReads>();

  constructor() {
    for (const self of this.applied.keys()) {
      const reads = new ReplicaReads({
        clock: { setTimer: (fn, ms) => this.timers.setTimer(fn, ms), defer: (fn) => void setImmediate(fn) },
        appliedIndex: async () => this.applied.get(self) ?? 0,
      });
      const tell = (to: string, body: Uint8Array) => {
        if (!this.cut.has(self) && !this.cut.has(to)) this.nodes.get(to)?.heard(self, body);
      };
      reads.bind({ self, members: () => [...this.applied.keys()], tell });
      this.nodes.set(self, reads);
    }
  }

  get reads(): ReplicaReads {
    return this.nodes.get("A") as ReplicaReads;
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
}

async function wordsOf(asked: Promise<unknown>): Promise<string> {
  const error = (await asked.then(
    () => ({ code: "nothing was thrown" }),
    (thrown: unknown) => thrown,
  )) as { code: string; message?: string };
  return `${error.code}: ${error.message}`;
}

test("[T40] a read is agreed on once so many replicas have applied as much, and not before", async () => {
  const world = new World();
  for (const [id, index] of [
    ["A", 20],
    ["B", 20],
  ] as const)
    world.applied.set(id, index);
  let both = false;
  let all = false;
  const two = world.reads.agree(20, 2).then(() => {
    both = true;
  });
  const three = world.reads.agree(20, 3).then(() => {
    all = true;
  });
  await two;
  await world.settle();
  assert.equal([both, all], [true, false]);
  world.applied.set("C", 19);
  world.timers.pass(500);
  await world.settle();
  assert.is(all, false);
  world.applied.set("C", 20);
  world.timers.pass(100);
  await three;
  assert.is(world.timers.count, 0);
});

test("[T40] too few that live or have got so far: it says how many and of whom nothing was heard", async () => {
  const world = new World();
  world.cut.add("C");
  const words = wordsOf(world.reads.agree(10, 3, 2_000));
  await world.settle();
  world.timers.pass(2_000);
  assert.is(
    await words,
    "REPLICAS_MISSING: 2 of the 3 replicas that were asked for have applied entry 10 within 2000 ms: nothing was heard of C",
  );
  assert.is(world.timers.count, 0);
});

test("[T40] how many is a whole number of members; who is none, and what is no answer, does not count", async () => {
  const world = new World();
  for (const wrong of [0, -1, 1.5, 4, Number.NaN, "2" as never])
    assert.throws(
      () => world.reads.check(wrong),
      /replicas is .*: a whole number from 1 to 3 is allowed \(A, B, C\)/,
    );
  world.reads.check(3);
  world.cut.add("B").add("C");
  let agreed = false;
  const words = wordsOf(
    world.reads.agree(10, 2, 300).then(() => {
      agreed = true;
    }),
  );
  const answer = Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 99);
  world.reads.heard("Z", answer);
  world.reads.heard("B", answer.subarray(1));
  await world.settle();
  assert.is(agreed, false);
  world.timers.pass(300);
  assert.match(await words, /^REPLICAS_MISSING: 1 of the 2/);
});

test("[T40] so many reads wait for other replicas; one more is refused at once", async () => {
  const world = new World();
  world.cut.add("B");
  const waiting = Array.from({ length: keeperLimits.replicaReadsMax }, () => world.reads.agree(11, 2, 1_000));
  const ends = Promise.allSettled(waiting);
  assert.match(await wordsOf(world.reads.agree(11, 2, 1_000)), /^OVERLOADED: .*1024 reads wait/);
  world.timers.pass(1_000);
  assert.ok((await ends).every(({ status }) => status === "rejected"));
  await world.reads.agree(10, 1);
});

test("[T40] kv takes it with each consistency, and gives what there was at its index", async () => {
  const embedded = new EmbeddedKeeper();
  const { kv } = embedded.keeper;
  await kv.put("k", 1);
  for (const consistency of ["local", "lease", "linearizable"] as const)
    assert.is((await kv.get("k", { consistency, replicas: 1 })).value, 1);
  assert.is((await kv.range({ prefix: "k" }, { replicas: 1 })).entries.length, 1);
  assert.match(
    await wordsOf(kv.get("k", { replicas: 2 })),
    /^ARGUMENT: replicas is 2: a whole number from 1 to 1/,
  );
  await embedded.stop();
});

test.run();

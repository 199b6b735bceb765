import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { emptyConfiguration } from "../../server/raft/configuration.ts";
import type { Base, Entry, HardState } from "../../server/raft/entry.ts";
import { MemoryDisk, MemoryStorage } from "../../server/storage/memory-storage.ts";
import type { Checkpoint, GroupSave, SaveBatch } from "../../server/storage/storage.ts";
import type { Disk } from "./contract-log.ts";
import { levelDisk } from "./level-disk.ts";
import { base, type ReadContents, readContents } from "./saves.ts";

/** What a random step is made of: fractions, that the model turns into a save that is allowed. */
interface Step {
  readonly group: number;
  readonly reset: boolean;
  readonly base: number | null;
  readonly cut: number | null;
  readonly entries: number;
  readonly termsUp: number;
  readonly checkpoint: { readonly key: string; readonly byte: number | null } | null;
  readonly staged: { readonly key: string; readonly byte: number | null } | null;
  /** Another group's save goes into the same batch. */
  readonly joined: boolean;
  readonly reopened: boolean;
}

// Not fc.double: it draws among all representations, and nearly all of those are next to 0.
const fraction = fc.integer({ min: 0, max: 100 }).map((percent) => percent / 100);
const part = fc.option(
  fc.record({ key: fc.constantFrom("", "r1", "r2"), byte: fc.option(fc.integer({ min: 0, max: 255 })) }),
);
const step: fc.Arbitrary<Step> = fc.record({
  group: fc.integer({ min: 0, max: 2 }),
  reset: fc.boolean().chain((maybe) => (maybe ? fc.boolean() : fc.constant(false))),
  base: fc.option(fraction, { freq: 3 }),
  // 1: everything after the base, which is where cutting and forgetting meet.
  cut: fc.option(fc.oneof(fraction, fc.constant(1)), { freq: 3 }),
  entries: fc.integer({ min: 0, max: 6 }),
  termsUp: fc.integer({ min: 0, max: 1 }),
  checkpoint: part,
  staged: part,
  joined: fc.boolean(),
  reopened: fc.integer({ min: 0, max: 3 }).map((draw) => draw === 0),
});

/** The plainest storage there is, kept apart from both implementations. */
interface Model {
  hardState: HardState;
  base: Base;
  log: Map<number, Entry>;
  checkpoints: Map<string, Checkpoint>;
  staged: Map<string, Checkpoint>;
}

function emptyModel(): Model {
  return {
    hardState: { term: 0, votedFor: null, commitIndex: 0 },
    base: { ...base(0, 0), configuration: emptyConfiguration, wallTimeMs: 0 },
    log: new Map(),
    checkpoints: new Map(),
    staged: new Map(),
  };
}

/** How often what is meant to be tried was tried. */
const seen = { resets: 0, swaps: 0, bases: 0, cuts: 0, cutsAtBase: 0 };

/** Turns a step into a save, and does it to the model. */
function advance(model: Model, random: Step): GroupSave {
  const save: GroupSave = {};
  const lastIndex = () => model.base.index + model.log.size;
  const termAt = (index: number) => model.log.get(index)?.term ?? model.base.term;
  const term = model.hardState.term + random.termsUp;
  if (random.staged !== null) {
    const { key, byte } = random.staged;
    const part = byte === null ? null : { index: lastIndex() + 9, bytes: new Uint8Array(byte).fill(byte) };
    save.staged = new Map([[key, part]]);
    if (part === null) model.staged.delete(key);
    else model.staged.set(key, part);
  }
  if (random.reset) {
    save.reset = true;
    if (model.staged.size > 0) seen.swaps++;
    seen.resets++;
    save.base = base(lastIndex() + 3, termAt(lastIndex()));
    Object.assign(model, { base: save.base, log: new Map(), checkpoints: model.staged, staged: new Map() });
  } else if (random.base !== null) {
    const index = model.base.index + Math.floor(random.base * model.log.size);
    save.base = base(index, termAt(index));
    if (index > model.base.index) seen.bases++;
    for (let gone = model.base.index + 1; gone <= index; gone++) model.log.delete(gone);
    model.base = save.base;
  }
  if (random.entries > 0 && term > 0) {
    const cut = random.cut === null ? 0 : Math.floor(random.cut * model.log.size);
    const first = lastIndex() + 1 - cut;
    if (cut > 0) seen.cuts++;
    if (cut > 0 && first === model.base.index + 1 && model.base.index > 0) seen.cutsAtBase++;
    for (let gone = first; gone <= first + cut; gone++) model.log.delete(gone);
    const made: Entry[] = [];
    for (let index = first; index < first + random.entries; index++) {
      const type = index % 3 === 0 ? "noop" : "command";
      const data = type === "noop" ? new Uint8Array(0) : new Uint8Array(index % 50).fill(index + term);
      made.push({ index, term, type, logTimeMs: index, wallTimeMs: term * 1000 + index, data });
    }
    for (const entry of made) model.log.set(entry.index, entry);
    save.entries = made;
  }
  // Never more than the base: a step that cuts may cut everything else.
  const commitIndex = model.base.index;
  if (random.termsUp > 0 || save.entries !== undefined) {
    save.hardState = { term, votedFor: random.joined ? { nodeId: "b", storeId: "bb" } : null, commitIndex };
    model.hardState = save.hardState;
  }
  if (random.checkpoint !== null) {
    const { key, byte } = random.checkpoint;
    const saved = byte === null ? null : { index: lastIndex(), bytes: new Uint8Array(byte).fill(byte) };
    save.checkpoints = new Map([[key, saved]]);
    if (saved === null) model.checkpoints.delete(key);
    else model.checkpoints.set(key, saved);
  }
  return save;
}

function contentsOf(model: Model): ReadContents {
  const entries = [...model.log.values()].sort((one, other) => one.index - other.index);
  const byKey = <T>(map: ReadonlyMap<string, T>) => [...map].sort(([one], [other]) => (one < other ? -1 : 1));
  const checkpoints = new Map(byKey(model.checkpoints));
  const staged = new Map(
    byKey(model.staged).map(([key, { index, bytes }]) => [key, { index, sizeBytes: bytes.length }]),
  );
  return { hardState: model.hardState, base: model.base, entries, checkpoints, staged };
}

async function run(disk: Disk, steps: readonly Step[]): Promise<void> {
  const models = new Map<number, Model>();
  let storage = disk.storage();
  await storage.open();
  /** Groups of which something is saved for good. */
  const logged = new Set<Model>();
  const compare = async () => {
    await storage.close();
    storage = disk.storage();
    const { groups } = await storage.open();
    const expected = [...models].sort(([one], [other]) => one - other);
    const isSaved = (model: Model) =>
      logged.has(model) || model.checkpoints.size > 0 || model.staged.size > 0;
    assert.equal(
      [...groups.keys()],
      expected.filter(([, model]) => isSaved(model)).map(([group]) => group),
    );
    for (const [group, contents] of await readContents(storage, groups)) {
      assert.equal(contents, contentsOf(models.get(group) as Model));
    }
  };
  let batch: Map<number, GroupSave> = new Map();
  for (const random of steps) {
    if (batch.has(random.group)) {
      await storage.save({ groups: batch });
      batch = new Map();
    }
    const model = models.get(random.group) ?? emptyModel();
    models.set(random.group, model);
    const save = advance(model, random);
    if (save.base || save.entries || save.hardState) logged.add(model);
    batch.set(random.group, save);
    if (random.joined && !random.reopened) continue;
    const saved: SaveBatch = { groups: batch };
    await storage.save(saved);
    batch = new Map();
    if (random.reopened) await compare();
  }
  await storage.save({ groups: batch });
  await compare();
  await storage.close();
}

for (const [name, makeDisk, runs] of [
  ["MemoryStorage", memoryDisk, 300],
  ["LevelStorage", levelDisk, 30],
] as const) {
  test(`[S5] ${name}: after any sequence of saves the next open gives what a plain model has`, async () => {
    const property = fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 30, size: "max" }),
      async (steps) => {
        const disk = await makeDisk();
        try {
          await run(disk, steps);
        } finally {
          await disk.destroy();
        }
      },
    );
    for (const what of Object.keys(seen) as (keyof typeof seen)[]) seen[what] = 0;
    await fc.assert(property, { numRuns: runs, endOnFailure: true });
    for (const [what, count] of Object.entries(seen))
      assert.ok(count > runs / 4, `only ${count} times: ${what}`);
  });
}

async function memoryDisk(): Promise<Disk> {
  const disk = new MemoryDisk();
  return {
    storage: (nodeId = "a") => new MemoryStorage({ disk, nodeId, random: randomBytes }),
    destroy: async () => undefined,
  };
}

test.run();

import { strict as assert } from "node:assert";
import type { Base, Entry, HardState } from "../raft/entry.ts";
import { type Levels, levels } from "../raft/level.ts";
import { keysWithin } from "./checkpoint-read.ts";
import { neededLevel } from "./needed-level.ts";
import { assertGroupSave, assertSeen, emptyBase, emptyHardState, type LogBounds } from "./save-check.ts";
import type {
  Checkpoint,
  CheckpointMark,
  CheckpointRead,
  GroupContents,
  GroupSave,
  Identity,
  SaveBatch,
  Storage,
  StorageContents,
  StoreSeen,
} from "./storage.ts";
import { failed, foreign, locked, otherLevel, type StorageError } from "./storage-error.ts";

/** What is durable of one group. */
class MemoryGroup implements LogBounds {
  hardState: HardState = emptyHardState;
  base: Base = emptyBase;
  /** The first one at `base.index + 1`. */
  entries: Entry[] = [];
  checkpoints = new Map<string, Checkpoint>();
  staged = new Map<string, Checkpoint>();

  /** Nothing is saved of it: a database would not know that it ever was. */
  get isEmpty(): boolean {
    const hasLog = this.hardState !== emptyHardState || this.base !== emptyBase || this.entries.length > 0;
    return !hasLog && this.checkpoints.size === 0 && this.staged.size === 0;
  }

  get lastIndex(): number {
    return this.base.index + this.entries.length;
  }

  get lastTerm(): number {
    return this.entries.at(-1)?.term ?? this.base.term;
  }

  termAt(index: number): number {
    return index === this.base.index
      ? this.base.term
      : (this.entries[index - this.base.index - 1] as Entry).term;
  }

  save(save: GroupSave): void {
    putAll(save.staged, this.staged);
    if (save.reset) {
      this.entries = [];
      this.checkpoints = this.staged;
      this.staged = new Map();
      this.base = save.base as Base;
    }
    if (save.base !== undefined) {
      this.entries.splice(0, save.base.index - this.base.index);
      this.base = save.base;
    }
    const first = save.entries?.[0];
    if (first !== undefined) {
      this.entries.length = first.index - this.base.index - 1;
      for (const entry of save.entries as readonly Entry[]) this.entries.push(entry);
    }
    if (save.hardState !== undefined) this.hardState = save.hardState;
    putAll(save.checkpoints, this.checkpoints);
  }

  contents(): GroupContents {
    const { hardState, base, checkpoints } = this;
    return {
      hardState,
      base,
      entries: this.entries.map(copyEntry),
      checkpoints: marksOf(checkpoints),
      staged: marksOf(this.staged),
    };
  }
}

function putAll(
  checkpoints: ReadonlyMap<string, Checkpoint | null> | undefined,
  into: Map<string, Checkpoint>,
): void {
  for (const [key, checkpoint] of checkpoints ?? []) {
    if (checkpoint === null) into.delete(key);
    else into.set(key, checkpoint);
  }
}

interface Unfinished {
  readonly holder: object;
  readonly batch: SaveBatch;
}

/**
 * A disk that outlives the storages on it: what was durable is there when the next one opens it. A save in flight is
 * on it wholly or not at all, at the choice of whoever ends its process.
 */
export class MemoryDisk {
  #identity: Identity | null = null;
  #seen: readonly StoreSeen[] = [];
  #saves = 0;
  readonly #groups = new Map<number, MemoryGroup>();
  #holder: object | null = null;
  #unfinished: Unfinished | null = null;
  #failure: { readonly error: Error; readonly keepUnfinished: boolean } | null = null;

  /** A save is in flight. */
  get isSaving(): boolean {
    return this.#unfinished !== null;
  }

  /**
   * The process that has the disk open ends here, without notice. `keepUnfinished`: whether the save in flight is on the
   * disk, whole. Its promise never settles, as it would not in a dead process.
   */
  crash({ keepUnfinished }: { keepUnfinished: boolean }): void {
    this.#settle(keepUnfinished);
    this.#holder = null;
  }

  /** The next save to finish, or the one in flight, ends with this error instead; on the disk wholly or not at all. */
  failSave({ error, keepUnfinished }: { error: Error; keepUnfinished: boolean }): void {
    this.#failure = { error, keepUnfinished };
  }

  /** @internal For MemoryStorage, as all below. */
  acquire(
    holder: object,
    { nodeId, random, firstBootCount = 1, levels: known = levels }: MemoryStorageOptions,
  ): StorageContents {
    if (this.#holder !== null) throw locked("in memory");
    const owner = this.#identity;
    if (owner !== null && owner.nodeId !== nodeId)
      throw foreign({ location: "in memory", owner: owner.nodeId, nodeId });
    if (owner !== null && (owner.level < known.min || owner.level > known.max))
      throw otherLevel("in memory", owner.level, known);
    this.#identity =
      owner === null
        ? {
            nodeId,
            storeId: Buffer.from(random(8)).toString("hex"),
            bootCount: firstBootCount,
            founding: null,
            level: known.min,
          }
        : { ...owner, bootCount: owner.bootCount + 1 };
    this.#holder = holder;
    const groups = new Map<number, GroupContents>();
    for (const [group, stored] of [...this.#groups].sort(([one], [other]) => one - other)) {
      if (!stored.isEmpty) groups.set(group, stored.contents());
    }
    this.#saves += 1;
    return { identity: this.#identity, groups, seen: this.#seen };
  }

  get saves(): number {
    return this.#saves;
  }

  begin(holder: object, batch: SaveBatch): Unfinished {
    assert(this.#holder === holder && this.#unfinished === null, "the disk is another's, or busy");
    const { founding } = this.#identity as Identity;
    const isSame =
      founding === null || batch.founding === undefined || founding.clusterId === batch.founding.clusterId;
    assert(isSame, `founded as ${founding?.clusterId} already, not as ${batch.founding?.clusterId}`);
    if (batch.seen !== undefined) assertSeen(batch.seen);
    for (const [group, save] of batch.groups)
      assertGroupSave(group, this.#groups.get(group) ?? new MemoryGroup(), save);
    this.#unfinished = { holder, batch: copyBatch(batch) };
    return this.#unfinished;
  }

  /** @returns whether the process that began it is still there to be told. @throws what `failSave` was given */
  finish(unfinished: Unfinished): boolean {
    if (this.#unfinished !== unfinished) return false;
    const failure = this.#failure;
    this.#failure = null;
    this.#settle(failure?.keepUnfinished ?? true);
    if (failure !== null) throw failure.error;
    return true;
  }

  checkpoints(holder: object, group: number): ReadonlyMap<string, Checkpoint> {
    assert(this.#holder === holder, "the disk is another's");
    return this.#groups.get(group)?.checkpoints ?? new Map();
  }

  release(holder: object): void {
    if (this.#holder === holder) this.#holder = null;
  }

  #settle(isKept: boolean): void {
    const batch = this.#unfinished?.batch;
    this.#unfinished = null;
    if (!isKept || batch === undefined) return;
    this.#saves += 1;
    if (batch.seen !== undefined) this.#seen = batch.seen;
    const { founding, level, ...identity } = this.#identity as Identity;
    this.#identity = {
      ...identity,
      founding: batch.founding ?? founding,
      level: Math.max(level, neededLevel(batch)),
    };
    for (const [group, save] of batch.groups) {
      let stored = this.#groups.get(group);
      if (stored === undefined) {
        stored = new MemoryGroup();
        this.#groups.set(group, stored);
      }
      stored.save(save);
    }
  }
}

export interface MemoryStorageOptions {
  readonly disk: MemoryDisk;
  readonly nodeId: string;
  readonly random: (bytes: number) => Uint8Array;
  /**
   * What the starts of a new folder are counted from: more than any earlier start of this node on another disk can have
   * reached, for a node's later start ends what its earlier ones had in flight, whichever disk they had. Default: 1.
   */
  readonly firstBootCount?: number;
  /** Calls `done`, once and later (never at once), when a save is to be durable. Default: in a microtask. */
  readonly complete?: (done: () => void) => void;
  /** What is read and written; by default what this build can. */
  readonly levels?: Levels;
}

type Status =
  | { readonly type: "closed" | "open" }
  | { readonly type: "failed"; readonly error: StorageError | assert.AssertionError };

/** The contract in memory, for tests and the simulator: the same behaviour, on a disk that can be crashed and failed. */
export class MemoryStorage implements Storage {
  readonly #options: MemoryStorageOptions;
  readonly #disk: MemoryDisk;
  readonly #complete: (done: () => void) => void;
  #status: Status = { type: "closed" };
  #saving: Promise<void> | null = null;

  constructor(options: MemoryStorageOptions) {
    this.#options = options;
    this.#disk = options.disk;
    this.#complete = options.complete ?? queueMicrotask;
  }

  get saves(): number {
    return this.#disk.saves;
  }

  async open(): Promise<StorageContents> {
    assert(this.#status.type === "closed", `open() of a storage that is ${this.#status.type}`);
    const contents = this.#disk.acquire(this, this.#options);
    this.#status = { type: "open" };
    return contents;
  }

  async save(batch: SaveBatch): Promise<void> {
    this.#assertOpen("save()");
    assert(this.#saving === null, "save() while another one is in flight");
    try {
      const unfinished = this.#disk.begin(this, batch);
      this.#saving = new Promise((resolve, reject) => {
        this.#complete(() => {
          try {
            if (this.#disk.finish(unfinished)) resolve();
          } catch (cause) {
            reject(failed("saving", cause));
          }
        });
      });
      await this.#saving;
    } catch (error) {
      this.#status = { type: "failed", error: error as StorageError | assert.AssertionError };
      throw error;
    } finally {
      this.#saving = null;
    }
  }

  async listCheckpoints(group: number): Promise<ReadonlyMap<string, CheckpointMark>> {
    this.#assertOpen("listCheckpoints()");
    return marksOf(this.#disk.checkpoints(this, group));
  }

  async readCheckpoints(
    group: number,
    read: CheckpointRead,
  ): Promise<ReadonlyMap<string, Checkpoint | null>> {
    this.#assertOpen("readCheckpoints()");
    const checkpoints = this.#disk.checkpoints(this, group);
    const markOf = (key: string) => {
      const checkpoint = checkpoints.get(key);
      return checkpoint && { sizeBytes: checkpoint.bytes.length };
    };
    const found = new Map<string, Checkpoint | null>();
    for (const key of keysWithin(read, markOf)) {
      const checkpoint = checkpoints.get(key);
      found.set(key, checkpoint === undefined ? null : copyCheckpoint(checkpoint));
    }
    return found;
  }

  async close(): Promise<void> {
    await this.#saving?.catch(() => undefined);
    this.#status = { type: "closed" };
    this.#disk.release(this);
  }

  #assertOpen(call: string): void {
    if (this.#status.type === "failed") throw this.#status.error;
    assert(this.#status.type === "open", `${call} of a storage that is ${this.#status.type}`);
  }
}

function copyEntry(entry: Entry): Entry {
  return { ...entry, data: new Uint8Array(entry.data) };
}

function marksOf(checkpoints: ReadonlyMap<string, Checkpoint>): Map<string, CheckpointMark> {
  const marks = new Map<string, CheckpointMark>();
  for (const [key, { index, bytes }] of checkpoints) marks.set(key, { index, sizeBytes: bytes.length });
  return marks;
}

function copyCheckpoint({ index, bytes }: Checkpoint): Checkpoint {
  return { index, bytes: new Uint8Array(bytes) };
}

function copyAll(checkpoints: ReadonlyMap<string, Checkpoint | null>): Map<string, Checkpoint | null> {
  const copies = new Map<string, Checkpoint | null>();
  for (const [key, checkpoint] of checkpoints) copies.set(key, checkpoint && copyCheckpoint(checkpoint));
  return copies;
}

function copyBatch({ founding, seen, groups }: SaveBatch): SaveBatch {
  const copies = new Map<number, GroupSave>();
  for (const [group, save] of groups) {
    const copy = { ...save };
    if (save.entries !== undefined) copy.entries = save.entries.map(copyEntry);
    if (save.checkpoints !== undefined) copy.checkpoints = copyAll(save.checkpoints);
    if (save.staged !== undefined) copy.staged = copyAll(save.staged);
    copies.set(group, copy);
  }
  return {
    groups: copies,
    ...(founding === undefined ? {} : { founding }),
    ...(seen === undefined ? {} : { seen: seen.map((store) => ({ ...store })) }),
  };
}

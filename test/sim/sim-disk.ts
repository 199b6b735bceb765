import { MemoryDisk, MemoryStorage } from "../../server/storage/memory-storage.ts";
import type { Checkpoint, GroupContents, Identity, SaveBatch, Storage } from "../../server/storage/storage.ts";
import type { Chance } from "./chance.ts";
import type { Coverage } from "./coverage.ts";
import type { Laws } from "./laws.ts";
import type { Owner, Schedule } from "./schedule.ts";
import type { Trace } from "./trace.ts";

export interface SimDiskParts {
  readonly schedule: Schedule;
  readonly chance: Chance;
  readonly laws: Laws;
  readonly coverage: Coverage;
  readonly trace: Trace;
}

/** A node's disk: slow at times, and cut off by a crash at any moment. Outlives the node's processes. */
export class SimDisk {
  readonly #nodeId: string;
  readonly #parts: SimDiskParts;
  readonly #disk = new MemoryDisk();
  /** The mean time that a save takes. */
  saveMs = 1.5;

  constructor(nodeId: string, parts: SimDiskParts) {
    this.#nodeId = nodeId;
    this.#parts = parts;
  }

  get isSaving(): boolean {
    return this.#disk.isSaving;
  }

  /** The process that has it ends; what it was saving is on the disk wholly or not at all. */
  crash(keepUnfinished: boolean): void {
    this.#parts.laws.settled(this.#nodeId, keepUnfinished);
    this.#disk.crash({ keepUnfinished });
  }

  failNextSave(): void {
    this.#disk.failSave({ error: new Error("EIO (simulated)"), keepUnfinished: this.#parts.chance.hits(0.5) });
  }

  /** The disk as one process has it. */
  open(owner: Owner): Storage {
    return new SimStorage(this.#nodeId, owner, this.#disk, this.#parts, () => this.saveMs);
  }
}

class SimStorage implements Storage {
  readonly #nodeId: string;
  readonly #owner: Owner;
  readonly #parts: SimDiskParts;
  readonly #storage: MemoryStorage;

  constructor(nodeId: string, owner: Owner, disk: MemoryDisk, parts: SimDiskParts, saveMs: () => number) {
    this.#nodeId = nodeId;
    this.#owner = owner;
    this.#parts = parts;
    const { schedule, chance } = parts;
    this.#storage = new MemoryStorage({
      disk,
      nodeId,
      random: (bytes) => chance.bytes(bytes),
      complete: (done) => schedule.in(chance.wait(saveMs()), owner, done),
    });
  }

  async open(): Promise<{ identity: Identity; groups: ReadonlyMap<number, GroupContents> }> {
    const opened = await this.#storage.open();
    for (const { checkpoints } of opened.groups.values()) this.#parts.coverage.hit("restores", checkpoints.size);
    return opened;
  }

  async save(batch: SaveBatch): Promise<void> {
    const { laws, trace, coverage } = this.#parts;
    laws.saving(this.#nodeId, batch);
    for (const [group, { entries, checkpoints, base, reset, hardState }] of batch.groups) {
      if (checkpoints !== undefined) coverage.hit("checkpoints", checkpoints.size);
      const what = [
        entries === undefined ? "" : ` entries ${entries[0]?.index}-${entries.at(-1)?.index}`,
        hardState === undefined ? "" : ` term ${hardState.term} vote ${hardState.votedFor?.nodeId ?? "-"}`,
        base === undefined ? "" : `${reset ? " reset" : ""} base ${base.index}`,
        checkpoints === undefined ? "" : ` checkpoints ${[...checkpoints].map(([key, each]) => `${key}@${each?.index ?? "gone"}`).join(",")}`,
      ];
      trace.note(`${this.#nodeId} saves g${group}${what.join("")}`);
    }
    // The laws hear of it when it happens, in the continuation of the very promise that tells the node.
    await this.#storage.save(batch);
    laws.settled(this.#nodeId, true);
  }

  async readCheckpoints(group: number): Promise<ReadonlyMap<string, Checkpoint>> {
    const { chance, schedule } = this.#parts;
    const wait = (ms: number) => new Promise<void>((resolve) => schedule.in(ms, this.#owner, resolve));
    // As of one moment, at any time between the question and the answer.
    await wait(chance.wait(2));
    const checkpoints = await this.#storage.readCheckpoints(group);
    await wait(chance.wait(2));
    return checkpoints;
  }

  close(): Promise<void> {
    return this.#storage.close();
  }
}

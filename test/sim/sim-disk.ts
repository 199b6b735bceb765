import { MemoryDisk, MemoryStorage } from "../../server/storage/memory-storage.ts";
import type {
  Checkpoint,
  CheckpointMark,
  CheckpointRead,
  SaveBatch,
  Storage,
  StorageContents,
} from "../../server/storage/storage.ts";
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
  #failureKeeps = false;

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
    this.#failureKeeps = this.#parts.chance.hits(0.5);
    this.#disk.failSave({ error: new Error("EIO (simulated)"), keepUnfinished: this.#failureKeeps });
  }

  /** The save in flight ended, well or with the error that was asked for. */
  settled(isKept: boolean): void {
    this.#parts.laws.settled(this.#nodeId, isKept);
  }

  get failureKeeps(): boolean {
    return this.#failureKeeps;
  }

  /** The disk as one process has it. */
  open(owner: Owner): Storage {
    return new SimStorage(this, { nodeId: this.#nodeId, owner, disk: this.#disk, parts: this.#parts });
  }
}

interface SimStorageParts {
  readonly nodeId: string;
  readonly owner: Owner;
  readonly disk: MemoryDisk;
  readonly parts: SimDiskParts;
}

class SimStorage implements Storage {
  readonly #disk: SimDisk;
  readonly #nodeId: string;
  readonly #owner: Owner;
  readonly #parts: SimDiskParts;
  readonly #storage: MemoryStorage;

  constructor(simDisk: SimDisk, { nodeId, owner, disk, parts }: SimStorageParts) {
    this.#disk = simDisk;
    this.#nodeId = nodeId;
    this.#owner = owner;
    this.#parts = parts;
    const { schedule, chance } = parts;
    this.#storage = new MemoryStorage({
      disk,
      nodeId,
      random: (bytes) => chance.bytes(bytes),
      firstBootCount: 1 + Math.floor(schedule.nowMs),
      complete: (done) => schedule.in(chance.wait(simDisk.saveMs), owner, done),
    });
  }

  get saves(): number {
    return this.#storage.saves;
  }

  async open(): Promise<StorageContents> {
    const opened = await this.#storage.open();
    for (const { checkpoints } of opened.groups.values())
      this.#parts.coverage.hit("restores", checkpoints.size);
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
        checkpoints === undefined
          ? ""
          : ` checkpoints ${[...checkpoints].map(([key, each]) => `${key}@${each?.index ?? "gone"}`).join(",")}`,
      ];
      trace.note(`${this.#nodeId} saves g${group}${what.join("")}`);
    }
    // The laws hear of it when it happens, in the continuation of the very promise that tells the node.
    try {
      await this.#storage.save(batch);
      this.#disk.settled(true);
    } catch (error) {
      this.#disk.settled(this.#disk.failureKeeps);
      throw error;
    }
  }

  listCheckpoints(group: number): Promise<ReadonlyMap<string, CheckpointMark>> {
    return this.#atSomeMoment(() => this.#storage.listCheckpoints(group));
  }

  readCheckpoints(group: number, read: CheckpointRead): Promise<ReadonlyMap<string, Checkpoint | null>> {
    return this.#atSomeMoment(() => this.#storage.readCheckpoints(group, read));
  }

  /** Between the question and the answer. */
  async #atSomeMoment<T>(read: () => Promise<T>): Promise<T> {
    const { chance, schedule } = this.#parts;
    const wait = (ms: number) => new Promise<void>((resolve) => schedule.in(ms, this.#owner, resolve));
    await wait(chance.wait(2));
    const found = await read();
    await wait(chance.wait(2));
    return found;
  }

  close(): Promise<void> {
    return this.#storage.close();
  }
}

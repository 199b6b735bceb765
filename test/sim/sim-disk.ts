import type { Levels } from "../../server/raft/level.ts";
import { LevelStorage } from "../../server/storage/level-storage.ts";
import type {
  Checkpoint,
  CheckpointMark,
  CheckpointRead,
  SaveBatch,
  Storage,
  StorageContents,
  StoreSeen,
} from "../../server/storage/storage.ts";
import type { Chance } from "./chance.ts";
import type { Coverage } from "./coverage.ts";
import type { DiskShadow } from "./disk-shadow.ts";
import type { Laws } from "./laws.ts";
import type { Owner, Schedule } from "./schedule.ts";
import { keysInLog, SimDatabase } from "./sim-database.ts";
import { type Ending, SimFolder } from "./sim-folder.ts";
import type { Trace } from "./trace.ts";
import { hold } from "./violation.ts";

export interface SimDiskParts {
  readonly schedule: Schedule;
  readonly chance: Chance;
  readonly laws: Laws;
  readonly coverage: Coverage;
  readonly trace: Trace;
}

/** Everything that was on a disk at one moment. */
export interface DiskImage {
  readonly folder: SimFolder;
  readonly storeId: string | null;
  /** The starts that it had seen. */
  readonly bootCount: number;
  readonly seen: readonly StoreSeen[];
  /** As the laws see it, by group. */
  readonly shadows: ReadonlyMap<number, DiskShadow>;
}

/** A node's disk: slow, full or broken at times, and cut off by a crash at any moment. Outlives the node's processes. */
export class SimDisk {
  readonly #nodeId: string;
  readonly #parts: SimDiskParts;
  #folder: SimFolder;
  /** The mean time that a save takes. */
  saveMs = 1.5;
  #stalledUntilMs = 0;
  /** Whatever is written fails, until there is room again. */
  isFull = false;
  #failure: Error | null = null;
  #writes = 0;
  /** The process that has it was told of an error. */
  #hasFailed = false;
  #hasBeenOld = false;
  /** What was durable on it is not there any more. */
  #damage: string | null = null;
  /** It is an old image of itself. */
  isOld = false;
  /** Then: the last start of the good one that all others remember. An image that was started more often is not told from it. */
  newestBoot = 0;
  /** So often an old image may still be started: it would not be told from the good disk else. */
  startsLeft = Number.POSITIVE_INFINITY;
  /** A process ended because of what it found on it, or was told of it. */
  wasRefused = false;
  /** A process ended because the cluster goes on without this disk. */
  wasRemoved = false;
  /** A snapshot is being swapped in. */
  isSwapping = false;
  /** What is durable of other nodes' disks. */
  seen: readonly StoreSeen[] = [];
  bootCount = 0;

  constructor(nodeId: string, parts: SimDiskParts) {
    this.#nodeId = nodeId;
    this.#parts = parts;
    this.#folder = new SimFolder(nodeId);
  }

  get isSaving(): boolean {
    return this.#writes > 0;
  }

  /** The mean time that half a read takes. */
  get readMs(): number {
    return 2 + this.saveMs / 8;
  }

  /** The process that has it ends; what it was writing is on the disk wholly or not at all, or torn. */
  end(ending: Ending): void {
    this.#writes = 0;
    this.isSwapping = false;
    this.#failure = null;
    this.#hasFailed = false;
    const isKept = this.#folder.end(ending, this.#parts.chance);
    this.#parts.laws.settled(this.#nodeId, isKept);
  }

  /** No write that begins from now on ends before that. */
  stall(ms: number): void {
    this.#parts.trace.note(`${this.#nodeId}'s disk stalls for ${ms.toFixed(0)} ms`);
    this.#stalledUntilMs = this.#parts.schedule.nowMs + ms;
  }

  /** The next write to end, or the one in flight, ends with this error: its process is told, and nobody knows what is on the disk. */
  failNextWrite(error: Error): void {
    this.#failure = error;
  }

  /** While no process has it. @returns what was damaged, null if there is nothing yet */
  flipBit(): string | null {
    this.#damage ??= this.#folder.flipBit(this.#parts.chance, keysInLog(this.#folder));
    return this.#damage;
  }

  get damage(): string | null {
    return this.#damage;
  }

  /** Why a process with this disk ends. */
  explains(error: unknown): boolean {
    const { code } = error as { code?: unknown };
    if (code === "STORAGE_CORRUPT" || code === "STORE_OLD") {
      this.wasRefused = true;
      this.#parts.coverage.hit(this.isOld ? "oldImagesRefused" : "flipsFound");
      return code === "STORE_OLD" ? this.isOld : this.#damage !== null;
    }
    // As often as an old image was started the good disk may have been, or will be: whichever comes second is not heard.
    if (code === "STORE_TWICE") return this.#hasBeenOld;
    return (code === "STORAGE_FAILED" || code === "DISK") && this.#hasFailed;
  }

  /** A copy of everything, as somebody may have made one, with the node stopped. */
  image(): DiskImage {
    const { bootCount, seen } = this;
    const { storeId, shadows } = this.#parts.laws.image(this.#nodeId);
    return { folder: this.#folder.copy(), storeId, bootCount, seen, shadows };
  }

  /** While no process has it. */
  restore(image: DiskImage, { isOld, newestBoot }: { isOld: boolean; newestBoot: number }): void {
    this.#folder = image.folder.copy();
    this.#damage = null;
    this.isOld = isOld;
    this.newestBoot = newestBoot;
    if (isOld) this.#hasBeenOld = true;
    this.wasRefused = false;
    this.seen = image.seen;
    this.bootCount = image.bootCount;
    this.startsLeft = isOld ? newestBoot - image.bootCount : Number.POSITIVE_INFINITY;
    this.#parts.laws.restored(this.#nodeId, image);
  }

  /** The disk as one process has it. */
  open(owner: Owner, levels: Levels): Storage {
    const { schedule, chance } = this.#parts;
    const settle = (done: (error: Error | null) => void): void => {
      this.#writes += 1;
      const endsMs = Math.max(schedule.nowMs + chance.wait(this.saveMs), this.#stalledUntilMs);
      schedule.at(endsMs, owner, () => {
        this.#writes -= 1;
        if (this.isFull) this.#parts.coverage.hit("disksFull");
        const error = this.isFull ? new Error("ENOSPC (simulated)") : this.#failure;
        this.#failure = null;
        this.#hasFailed ||= error !== null;
        done(error);
      });
    };
    const storage = new LevelStorage({
      database: new SimDatabase({ folder: this.#folder, settle }),
      nodeId: this.#nodeId,
      random: (bytes) => chance.bytes(bytes),
      firstBootCount: 1 + Math.floor(schedule.nowMs),
      levels,
    });
    return new WatchedStorage(storage, { nodeId: this.#nodeId, owner, disk: this, ...this.#parts });
  }
}

interface WatchedStorageParts extends SimDiskParts {
  readonly nodeId: string;
  readonly owner: Owner;
  readonly disk: SimDisk;
}

/** What the laws and the trace hear of a storage. */
class WatchedStorage implements Storage {
  readonly #storage: Storage;
  readonly #parts: WatchedStorageParts;

  constructor(storage: Storage, parts: WatchedStorageParts) {
    this.#storage = storage;
    this.#parts = parts;
  }

  get saves(): number {
    return this.#storage.saves;
  }

  async open(): Promise<StorageContents> {
    const { laws, coverage, nodeId, disk } = this.#parts;
    disk.startsLeft -= 1;
    const opened = await this.#storage.open();
    hold(disk.damage === null, "X27", () => `${nodeId} starts although somebody damaged ${disk.damage}`);
    laws.opened(nodeId, opened);
    disk.seen = opened.seen;
    disk.bootCount = opened.identity.bootCount;
    for (const { checkpoints } of opened.groups.values()) coverage.hit("restores", checkpoints.size);
    return opened;
  }

  async save(batch: SaveBatch): Promise<void> {
    const { laws, trace, coverage, nodeId, chance, disk } = this.#parts;
    laws.saving(nodeId, batch);
    // Much that is swapped in at once takes its time.
    const isSwap = [...batch.groups.values()].some(({ reset }) => reset);
    if (isSwap && chance.hits(0.5)) disk.stall(chance.between(10, 900));
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
      trace.note(`${nodeId} saves g${group}${what.join("")}`);
    }
    disk.isSwapping = isSwap;
    await this.#storage.save(batch);
    disk.isSwapping = false;
    if (batch.seen !== undefined) this.#parts.disk.seen = batch.seen;
    // The laws hear of it when it happens, in the continuation of the very promise that tells the node.
    laws.settled(nodeId, true);
  }

  listCheckpoints(group: number): Promise<ReadonlyMap<string, CheckpointMark>> {
    return this.#atSomeMoment(() => this.#storage.listCheckpoints(group));
  }

  readCheckpoints(group: number, read: CheckpointRead): Promise<ReadonlyMap<string, Checkpoint | null>> {
    const { laws, nodeId } = this.#parts;
    return this.#atSomeMoment(async () => {
      const checkpoints = await this.#storage.readCheckpoints(group, read);
      laws.read(nodeId, group, checkpoints);
      return checkpoints;
    });
  }

  /** Between the question and the answer. */
  async #atSomeMoment<T>(read: () => Promise<T>): Promise<T> {
    const { chance, schedule, owner, disk } = this.#parts;
    const wait = (ms: number) => new Promise<void>((resolve) => schedule.in(ms, owner, resolve));
    await wait(chance.wait(disk.readMs));
    const found = await read();
    await wait(chance.wait(disk.readMs));
    return found;
  }

  close(): Promise<void> {
    return this.#storage.close();
  }
}

import { encodeMark } from "../../server/storage/save-mark.ts";
import type { DatabaseFiles } from "../../server/storage/wal-scan.ts";
import type { Chance } from "./chance.ts";
import { frameRecord } from "./sim-log-file.ts";

/** How a process ends, as its disk sees it: what the operating system had been given survives the one, not the other. */
export type Ending = "killed" | "powerCut";

const markBytes = 528;

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(Math.floor(value / 128))];
}

/** An edit of LevelDB's manifest that names the log that counts (doc/impl.md). */
function manifestEdit(logNumber: number): Uint8Array {
  const comparator = Buffer.from("leveldb.BytewiseComparator");
  return Uint8Array.from([
    ...[1, ...varint(comparator.length), ...comparator],
    ...[2, ...varint(logNumber)],
    ...[3, ...varint(logNumber + 1)],
    ...[4, ...varint(1)],
  ]);
}

/** The files of one node's data folder, as LevelDB and the save mark would leave them; outlives the node's processes. */
export class SimFolder implements DatabaseFiles {
  readonly location: string;
  /** Keys and values that are in LevelDB's tables, by the key's bytes as characters. */
  table: ReadonlyMap<string, Uint8Array> = new Map();
  #logNumber = 0;
  #log = Buffer.alloc(0);
  #logBytes = 0;
  #syncedBytes = 0;
  #manifest: Uint8Array = new Uint8Array(0);
  #mark: Uint8Array | null = null;
  /** As the disk has it; the operating system has what is newer. */
  #markOnDisk: Uint8Array | null = null;

  constructor(location: string) {
    this.location = location;
  }

  get mark(): Uint8Array | null {
    return this.#mark;
  }

  get log(): Uint8Array {
    return this.#log.subarray(0, this.#logBytes);
  }

  get #names(): readonly string[] {
    const number = String(this.#logNumber).padStart(6, "0");
    return ["CURRENT", `MANIFEST-${number}`, `${number}.log`];
  }

  async names(): Promise<readonly string[]> {
    return this.#logNumber === 0 ? [] : this.#names;
  }

  async read(name: string): Promise<Uint8Array | null> {
    const [current, manifest, log] = this.#names;
    if (name === current) return Buffer.from(`${manifest}\n`);
    if (name === manifest) return this.#manifest;
    return name === log ? this.log : null;
  }

  // ── as a process writes it ───────────────────────────────────────────────────────────────────────────────────────

  makeMark(): void {
    const mark = new Uint8Array(markBytes);
    for (const slot of [0, 1]) {
      const { bytes, position } = encodeMark(0, slot);
      mark.set(bytes, position);
    }
    this.#mark = mark;
    this.#markOnDisk = mark.slice();
  }

  acknowledge(saveSequence: number): void {
    const { bytes, position } = encodeMark(saveSequence);
    this.#mark?.set(bytes, position);
  }

  syncMark(): void {
    this.#markOnDisk = this.#mark?.slice() ?? null;
  }

  /** As LevelDB does when it opens: everything into tables, and a log of its own for what comes. */
  beginLog(values: ReadonlyMap<string, Uint8Array>): void {
    this.table = new Map(values);
    this.#logNumber += 1;
    this.#manifest = frameRecord(0, manifestEdit(this.#logNumber));
    this.#logBytes = 0;
    this.#syncedBytes = 0;
  }

  /** To the operating system, which does not write it yet. */
  append(payload: Uint8Array): void {
    const framed = frameRecord(this.#logBytes, payload);
    const needed = this.#logBytes + framed.length;
    if (needed > this.#log.length) {
      const larger = Buffer.alloc(needed * 2 + 4_096);
      larger.set(this.log);
      this.#log = larger;
    }
    this.#log.set(framed, this.#logBytes);
    this.#logBytes = needed;
  }

  sync(): void {
    this.#syncedBytes = this.#logBytes;
  }

  // ── as fate has it ───────────────────────────────────────────────────────────────────────────────────────────────

  /** @returns whether what was appended and not synced is there, whole */
  end(ending: Ending, chance: Chance): boolean {
    const unsynced = this.#logBytes - this.#syncedBytes;
    if (ending === "powerCut" && this.#mark !== null && this.#markOnDisk !== null && chance.hits(0.5))
      this.#mark = this.#markOnDisk.slice();
    if (unsynced === 0) return false;
    const dice = chance.fraction();
    if (dice < 0.4) {
      this.sync();
      return true;
    }
    // A killed process did not get so far; a machine without power may have begun to write, or to make the file longer.
    if (ending === "powerCut" && dice < 0.5) this.#log.fill(0, this.#syncedBytes, this.#logBytes);
    else if (ending === "powerCut" && dice < 0.8)
      this.#logBytes = this.#syncedBytes + 1 + chance.below(chance.hits(0.4) ? 6 : unsynced - 1);
    else this.#logBytes = this.#syncedBytes;
    this.sync();
    return false;
  }

  /**
   * Flips one bit of what was durable: in the log, the manifest, or a value in a table that the log does not take the
   * place of. @returns where, in words
   */
  flipBit(chance: Chance, keysInLog: ReadonlySet<string>): string | null {
    const flip = (bytes: Uint8Array): number => {
      const at = chance.below(bytes.length);
      bytes[at] = (bytes[at] as number) ^ (1 << chance.below(8));
      return at;
    };
    if (this.#logBytes > 0 && chance.hits(0.4)) return `its log at byte ${flip(this.log)}`;
    if (this.#logBytes > 0 && chance.hits(0.2)) {
      this.#logBytes -= 1 + chance.below(Math.min(this.#logBytes, 600));
      this.sync();
      return `its log, which ends at byte ${this.#logBytes}`;
    }
    if (this.#manifest.length > 0 && chance.hits(0.1)) {
      this.#manifest = Uint8Array.from(this.#manifest);
      return `its manifest at byte ${flip(this.#manifest)}`;
    }
    const keys = [...this.table.keys()].filter((key) => !keysInLog.has(key));
    if (keys.length === 0) return null;
    const key = chance.pick(keys);
    if (chance.hits(0.3)) {
      this.table = new Map([...this.table].filter(([other]) => other !== key));
      return "its tables, where a value is no more";
    }
    const value = Uint8Array.from(this.table.get(key) as Uint8Array);
    const at = flip(value);
    this.table = new Map(this.table).set(key, value);
    return `a value in its tables at byte ${at}`;
  }

  /** Everything as it is now. */
  copy(): SimFolder {
    const copy = new SimFolder(this.location);
    copy.table = this.table;
    copy.#logNumber = this.#logNumber;
    copy.#log = Buffer.from(this.log);
    copy.#logBytes = this.#logBytes;
    copy.#syncedBytes = this.#syncedBytes;
    copy.#manifest = this.#manifest;
    copy.#mark = this.#mark?.slice() ?? null;
    copy.#markOnDisk = this.#markOnDisk?.slice() ?? null;
    return copy;
  }
}

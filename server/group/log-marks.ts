import assert from "node:assert";
import type { Configuration } from "../raft/configuration.ts";
import type { Base, Entry } from "../raft/entry.ts";

interface Mark {
  readonly index: number;
  readonly term: number;
  readonly logTimeMs: number;
  readonly wallTimeMs: number;
  readonly bytes: number;
  /** Of all entries that were ever added, up to and including this one. */
  readonly bytesThrough: number;
}

/** Index, term, stamps and checksum, and what a process keeps of them. */
const entryBytes = 64;

/** Stamps and sizes of the applied entries behind the base: what a later base is made of. */
export class LogMarks {
  #base: number;
  #marks: Mark[] = [];
  /** Of all entries that were ever added, and of those that were forgotten. */
  #bytesAdded = 0;
  #bytesForgotten = 0;

  constructor(baseIndex: number) {
    this.#base = baseIndex;
  }

  /** Of entry data behind the base. */
  get bytes(): number {
    return this.#bytesAdded - this.#bytesForgotten;
  }

  add({ index, term, logTimeMs, wallTimeMs, data }: Entry): void {
    assert.equal(index, this.#base + this.#marks.length + 1, "marks are contiguous");
    this.#bytesAdded += data.length;
    const bytesThrough = this.#bytesAdded;
    this.#marks.push({ index, term, logTimeMs, wallTimeMs, bytes: data.length, bytesThrough });
  }

  baseAt(index: number, configuration: Configuration): Base {
    const mark = this.#marks[index - this.#base - 1];
    assert(mark !== undefined, `no mark for index ${index}`);
    const { term, logTimeMs, wallTimeMs } = mark;
    return { index, term, logTimeMs, wallTimeMs, configuration };
  }

  /** The bytes of entries up to and including `index`. */
  bytesThrough(index: number): number {
    const at = Math.min(index - this.#base, this.#marks.length) - 1;
    const mark = this.#marks[at];
    return mark === undefined ? 0 : mark.bytesThrough - this.#bytesForgotten;
  }

  /**
   * How heavy what follows `index` is, up to the last entry: on the disk, in memory, for a restart. An entry is never
   * lighter than what is written and remembered of it beside its data, or ticks would count for nothing.
   */
  weightBehind(index: number): number {
    const entries = this.#base + this.#marks.length - Math.max(index, this.#base);
    return this.bytes - this.bytesThrough(index) + Math.max(0, entries) * entryBytes;
  }

  /** The lowest index at or above `index - entriesMax` behind which at most `bytesMax` lie up to `index`. */
  tailStart(index: number, { entriesMax, bytesMax }: { entriesMax: number; bytesMax: number }): number {
    if (index <= this.#base) return index;
    const through = this.bytesThrough(index);
    // The tail may be long, and is looked at again and again.
    let [low, high] = [Math.max(this.#base, index - entriesMax), index];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (through - this.bytesThrough(middle) <= bytesMax) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  forgetThrough(index: number): void {
    if (index <= this.#base) return;
    this.#bytesForgotten += this.bytesThrough(index);
    this.#marks.splice(0, index - this.#base);
    this.#base = index;
  }

  reset(baseIndex: number): void {
    this.#base = baseIndex;
    this.#marks = [];
    this.#bytesForgotten = this.#bytesAdded;
  }
}

import assert from "node:assert";
import type { Configuration } from "../raft/configuration.ts";
import type { Base, Entry } from "../raft/entry.ts";

interface Mark {
  readonly index: number;
  readonly term: number;
  readonly logTimeMs: number;
  readonly wallTimeMs: number;
  readonly bytes: number;
}

/** Stamps and sizes of the applied entries behind the base: what a later base is made of. */
export class LogMarks {
  #base: number;
  #marks: Mark[] = [];
  #bytes = 0;

  constructor(baseIndex: number) {
    this.#base = baseIndex;
  }

  /** Of entry data behind the base. */
  get bytes(): number {
    return this.#bytes;
  }

  add({ index, term, logTimeMs, wallTimeMs, data }: Entry): void {
    assert.equal(index, this.#base + this.#marks.length + 1, "marks are contiguous");
    this.#marks.push({ index, term, logTimeMs, wallTimeMs, bytes: data.length });
    this.#bytes += data.length;
  }

  baseAt(index: number, configuration: Configuration): Base {
    const mark = this.#marks[index - this.#base - 1];
    assert(mark !== undefined, `no mark for index ${index}`);
    const { term, logTimeMs, wallTimeMs } = mark;
    return { index, term, logTimeMs, wallTimeMs, configuration };
  }

  /** The bytes of entries up to and including `index`. */
  bytesThrough(index: number): number {
    let bytes = 0;
    for (const mark of this.#marks) {
      if (mark.index > index) break;
      bytes += mark.bytes;
    }
    return bytes;
  }

  /** The lowest index at or above `index - entriesMax` behind which at most `bytesMax` lie up to `index`. */
  tailStart(index: number, { entriesMax, bytesMax }: { entriesMax: number; bytesMax: number }): number {
    let start = index;
    let bytes = 0;
    while (start > this.#base && index - start < entriesMax) {
      bytes += this.#marks[start - this.#base - 1]?.bytes ?? 0;
      if (bytes > bytesMax) break;
      start -= 1;
    }
    return start;
  }

  forgetThrough(index: number): void {
    if (index <= this.#base) return;
    for (const mark of this.#marks.splice(0, index - this.#base)) this.#bytes -= mark.bytes;
    this.#base = index;
  }

  reset(baseIndex: number): void {
    this.#base = baseIndex;
    this.#marks = [];
    this.#bytes = 0;
  }
}

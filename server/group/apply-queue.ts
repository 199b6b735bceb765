import assert from "node:assert";
import type { Entry } from "../raft/entry.ts";

/** What a node has committed in one group and not applied yet, in log order. Bounded by the parking of appends (see AppendGate). */
export class ApplyQueue {
  #entries: (Entry | undefined)[] = [];
  #head = 0;
  #bytes = 0;
  #lastIndex: number;

  /** @param lastIndex of what has been applied, or restored, already */
  constructor(lastIndex: number) {
    this.#lastIndex = lastIndex;
  }

  get length(): number {
    return this.#entries.length - this.#head;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The last index that was ever handed in. */
  get lastIndex(): number {
    return this.#lastIndex;
  }

  push(entries: readonly Entry[]): void {
    for (const entry of entries) {
      assert.equal(entry.index, this.#lastIndex + 1, "committed entries come without a hole");
      this.#lastIndex = entry.index;
      this.#entries.push(entry);
      this.#bytes += entry.data.length;
    }
  }

  shift(): Entry | null {
    const entry = this.#entries[this.#head];
    if (entry === undefined) return null;
    this.#entries[this.#head] = undefined;
    this.#head += 1;
    this.#bytes -= entry.data.length;
    if (this.#head === this.#entries.length) {
      this.#entries = [];
      this.#head = 0;
    }
    return entry;
  }

  /** A snapshot replaces everything up to `lastIndex`. */
  reset(lastIndex: number): void {
    this.#entries = [];
    this.#head = 0;
    this.#bytes = 0;
    this.#lastIndex = lastIndex;
  }
}

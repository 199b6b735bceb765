import { check } from "./check.ts";
import type { Base, Entry } from "./entry.ts";
import type { Levels } from "./level.ts";
import { Membership } from "./membership.ts";

/** Entries that were handed out to be saved together, until their completion comes. */
interface Batch {
  readonly term: number;
  readonly index: number;
  /** Truncated since: what the disk holds at its end is no longer what the log says. */
  stale: boolean;
}

/** The log in memory: contiguous entries over a base, and how much of it is durable here. */
export class RaftLog {
  readonly membership: Membership;
  #base: Base;
  #entries: Entry[];
  #bytes: number;
  #handedOutIndex: number;
  #durableIndex: number;
  /** In the order of their saves. Bounded by what a leader may have uncommitted or in flight. */
  #batches: Batch[] = [];

  /** @param entries durable already @throws LevelError, as do `append` and `reset` */
  constructor(base: Base, entries: readonly Entry[], known?: Levels) {
    this.membership = new Membership(base, known);
    this.#base = base;
    this.#entries = [];
    this.#bytes = 0;
    this.append(entries);
    this.#handedOutIndex = this.lastIndex;
    this.#durableIndex = this.lastIndex;
  }

  get base(): Base {
    return this.#base;
  }

  get lastIndex(): number {
    return this.#base.index + this.#entries.length;
  }

  get lastTerm(): number {
    return this.last.term;
  }

  /** The stamps and term of the last entry, or of the base. */
  get last(): { readonly term: number; readonly logTimeMs: number; readonly wallTimeMs: number } {
    return this.#entries.at(-1) ?? this.#base;
  }

  get durableIndex(): number {
    return this.#durableIndex;
  }

  /** Of the data of all entries in memory. */
  get bytes(): number {
    return this.#bytes;
  }

  /** null outside of base.index to lastIndex. */
  termAt(index: number): number | null {
    if (index === this.#base.index) return this.#base.term;
    return this.#entries[index - this.#base.index - 1]?.term ?? null;
  }

  matches(index: number, term: number): boolean {
    return this.termAt(index) === term;
  }

  /** Raft §5.4.1: the later last term wins, then the longer log. */
  isUpToDate(lastLogIndex: number, lastLogTerm: number): boolean {
    if (lastLogTerm !== this.lastTerm) return lastLogTerm > this.lastTerm;
    return lastLogIndex >= this.lastIndex;
  }

  append(entries: readonly Entry[]): void {
    for (const entry of entries) {
      const last = this.last;
      check(entry.index === this.lastIndex + 1, `entry ${entry.index} does not follow ${this.lastIndex}`);
      check(entry.term >= last.term, `entry ${entry.index} has term ${entry.term} after term ${last.term}`);
      check(entry.logTimeMs >= last.logTimeMs, `log time goes back at entry ${entry.index}`);
      this.#entries.push(entry);
      this.#bytes += entry.data.length;
      this.membership.appended(entry);
    }
  }

  /** Drops the entries at and after `index`. */
  truncateFrom(index: number): void {
    check(index > this.#base.index && index <= this.lastIndex, `nothing to truncate at ${index}`);
    for (const entry of this.#entries.splice(index - this.#base.index - 1)) this.#bytes -= entry.data.length;
    this.membership.truncatedFrom(index);
    this.#handedOutIndex = Math.min(this.#handedOutIndex, index - 1);
    this.#durableIndex = Math.min(this.#durableIndex, index - 1);
    for (const batch of this.#batches) if (batch.index >= index) batch.stale = true;
  }

  /** What is to be saved and was not handed out yet. */
  takeUnsaved(): readonly Entry[] {
    const entries = this.range(this.#handedOutIndex + 1, this.lastIndex);
    if (entries.length > 0) {
      this.#handedOutIndex = this.lastIndex;
      this.#batches.push({ term: this.lastTerm, index: this.lastIndex, stale: false });
    }
    return entries;
  }

  get hasUnsaved(): boolean {
    return this.#handedOutIndex < this.lastIndex;
  }

  /**
   * A batch that ends in (term, index) is durable, and so is every one before it. Unknown ones (a log that was
   * replaced by a snapshot meanwhile) count for nothing, and neither does a batch of which entries were truncated.
   */
  saved({ term, index }: { term: number; index: number }): void {
    const position = this.#batches.findIndex((batch) => batch.term === term && batch.index === index);
    if (position === -1) return;
    const batch = this.#batches[position];
    this.#batches.splice(0, position + 1);
    if (batch?.stale !== true) {
      check(this.matches(index, term), `the saved entry (${term}, ${index}) is not the log's`);
      this.#durableIndex = Math.max(this.#durableIndex, index);
      // What the other case below gave back to be saved again may be durable by this one: a base may pass over it.
      this.#handedOutIndex = Math.max(this.#handedOutIndex, index);
    } else if (this.matches(index, term)) {
      // Truncated, and the very same entry appended again: this completion may be the old or the new save's. Taking it
      // for the new one could vouch for an entry that a save still under way removes; waiting for another could be for
      // ever. So save again.
      this.#handedOutIndex = this.#durableIndex;
    }
  }

  /** Inclusive; empty if `to` < `from`. */
  range(from: number, to: number): readonly Entry[] {
    if (to < from) return [];
    check(from > this.#base.index && to <= this.lastIndex, `no entries ${from} to ${to}`);
    return this.#entries.slice(from - this.#base.index - 1, to - this.#base.index);
  }

  /** From `from` on within the limits, but at least one if there is one. */
  take({
    from,
    entriesMax,
    bytesMax,
  }: {
    from: number;
    entriesMax: number;
    bytesMax: number;
  }): readonly Entry[] {
    let to = from - 1;
    let bytes = 0;
    while (to < this.lastIndex && to - from + 1 < entriesMax) {
      bytes += this.#entries[to - this.#base.index]?.data.length ?? 0;
      if (bytes > bytesMax && to >= from) break;
      to += 1;
    }
    return this.range(from, to);
  }

  bytesBetween(from: number, to: number): number {
    return this.range(from, to).reduce((bytes, entry) => bytes + entry.data.length, 0);
  }

  /** The last index at or below `index` whose term is at most `term`: beyond it, no log with `term` there can agree. */
  lastIndexWithTermAtMost(term: number, index: number): number {
    let candidate = Math.min(index, this.lastIndex);
    while (candidate > this.#base.index && (this.termAt(candidate) ?? 0) > term) candidate -= 1;
    return Math.max(candidate, this.#base.index);
  }

  /** Forgets entries up to `base.index`. */
  compact(base: Base): void {
    if (base.index <= this.#base.index) return;
    check(
      base.index <= this.#durableIndex,
      `base ${base.index} is beyond what is durable, ${this.#durableIndex}`,
    );
    check(this.matches(base.index, base.term), `base (${base.term}, ${base.index}) is not the log's`);
    for (const entry of this.#entries.splice(0, base.index - this.#base.index))
      this.#bytes -= entry.data.length;
    this.membership.compacted(base);
    this.#base = base;
  }

  /** A snapshot took the place of everything. */
  reset(base: Base): void {
    this.membership.reset(base);
    this.#base = base;
    this.#entries = [];
    this.#bytes = 0;
    this.#handedOutIndex = base.index;
    this.#durableIndex = base.index;
    this.#batches = [];
  }
}

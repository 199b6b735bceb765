import type { Entry, HardState } from "../../server/raft/entry.ts";
import type { GroupSave } from "../../server/storage/storage.ts";
import { hold } from "./violation.ts";

/** What one node's disk holds of one group's log, as the laws see it: terms by index. */
export class LogShadow {
  baseIndex = 0;
  baseTerm = 0;
  /** Of the entries behind the base. */
  terms: number[] = [];
  hardState: HardState | null = null;

  get lastIndex(): number {
    return this.baseIndex + this.terms.length;
  }

  get lastTerm(): number {
    return this.terms.at(-1) ?? this.baseTerm;
  }

  /** Null: not in the log (behind its end, or before its base). */
  termAt(index: number): number | null {
    if (index === this.baseIndex) return this.baseTerm;
    return this.terms[index - this.baseIndex - 1] ?? null;
  }

  copy(): LogShadow {
    const copy = new LogShadow();
    copy.baseIndex = this.baseIndex;
    copy.baseTerm = this.baseTerm;
    copy.terms = [...this.terms];
    copy.hardState = this.hardState;
    return copy;
  }

  /** `cut` hears of every index that is overwritten, with the term that it had. */
  save({ reset, base, entries, hardState }: GroupSave, cut: (index: number, term: number) => void): void {
    if (reset && base !== undefined) {
      for (let index = base.index + 1; index <= this.lastIndex; index++) cut(index, this.termAt(index) ?? 0);
      this.terms = [];
      this.baseIndex = base.index;
      this.baseTerm = base.term;
    } else if (base !== undefined) {
      this.terms.splice(0, base.index - this.baseIndex);
      this.baseIndex = base.index;
      this.baseTerm = base.term;
    }
    const first = entries?.[0];
    if (first !== undefined && entries !== undefined) this.#append(first.index, entries, cut);
    if (hardState !== undefined) this.hardState = hardState;
  }

  #append(from: number, entries: readonly Entry[], cut: (index: number, term: number) => void): void {
    hold(from <= this.lastIndex + 1 && from > this.baseIndex, "X4", () => `a hole in a log at ${from}`);
    for (let index = from; index <= this.lastIndex; index++) cut(index, this.termAt(index) ?? 0);
    this.terms.length = from - this.baseIndex - 1;
    for (const { term } of entries) this.terms.push(term);
  }
}

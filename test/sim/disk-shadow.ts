import type { Entry, HardState } from "../../server/raft/entry.ts";
import type { Checkpoint, CheckpointMark, GroupContents, GroupSave } from "../../server/storage/storage.ts";
import { checksum } from "./checksum.ts";
import { hold } from "./violation.ts";

interface CheckpointShadow extends CheckpointMark {
  readonly sum: number;
}

function put(into: Map<string, CheckpointShadow>, checkpoints: GroupSave["checkpoints"]): void {
  for (const [key, checkpoint] of checkpoints ?? []) {
    if (checkpoint === null) into.delete(key);
    else {
      const { index, bytes } = checkpoint;
      into.set(key, { index, sizeBytes: bytes.length, sum: checksum(bytes) });
    }
  }
}

function isSame(mark: CheckpointMark, shadow: CheckpointShadow | undefined): boolean {
  return mark.index === shadow?.index && mark.sizeBytes === shadow.sizeBytes;
}

/** What one node's disk holds of one group, as the laws see it. */
export class DiskShadow {
  baseIndex = 0;
  baseTerm = 0;
  /** Of the entries behind the base. */
  terms: number[] = [];
  hardState: HardState | null = null;
  checkpoints = new Map<string, CheckpointShadow>();
  #staged = new Map<string, CheckpointShadow>();

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

  copy(): DiskShadow {
    const copy = new DiskShadow();
    copy.baseIndex = this.baseIndex;
    copy.baseTerm = this.baseTerm;
    copy.terms = [...this.terms];
    copy.hardState = this.hardState;
    copy.checkpoints = new Map(this.checkpoints);
    copy.#staged = new Map(this.#staged);
    return copy;
  }

  /** `cut` hears of every index that is overwritten, with the term that it had. */
  save(
    { staged, reset, base, entries, hardState, checkpoints }: GroupSave,
    cut: (index: number, term: number) => void,
  ): void {
    put(this.#staged, staged);
    if (reset && base !== undefined) {
      for (let index = base.index + 1; index <= this.lastIndex; index++) cut(index, this.termAt(index) ?? 0);
      this.terms = [];
      this.baseIndex = base.index;
      this.baseTerm = base.term;
      this.checkpoints = this.#staged;
      this.#staged = new Map();
    } else if (base !== undefined) {
      this.terms.splice(0, base.index - this.baseIndex);
      this.baseIndex = base.index;
      this.baseTerm = base.term;
    }
    const first = entries?.[0];
    if (first !== undefined && entries !== undefined) this.#append(first.index, entries, cut);
    if (hardState !== undefined) this.hardState = hardState;
    put(this.checkpoints, checkpoints);
  }

  #append(from: number, entries: readonly Entry[], cut: (index: number, term: number) => void): void {
    hold(from <= this.lastIndex + 1 && from > this.baseIndex, "X4", () => `a hole in a log at ${from}`);
    for (let index = from; index <= this.lastIndex; index++) cut(index, this.termAt(index) ?? 0);
    this.terms.length = from - this.baseIndex - 1;
    for (const { term } of entries) this.terms.push(term);
  }

  /** Everything that `contents` has is this, and the other way round. @returns the first difference, in words */
  differenceTo({ hardState, base, entries, checkpoints, staged }: GroupContents): string | null {
    const mine = this.hardState;
    const vote = hardState.votedFor;
    const hasHardState =
      hardState.term === (mine?.term ?? 0) &&
      hardState.commitIndex === (mine?.commitIndex ?? 0) &&
      vote?.nodeId === mine?.votedFor?.nodeId &&
      vote?.storeId === mine?.votedFor?.storeId;
    if (!hasHardState)
      return `the hard state ${JSON.stringify(hardState)} instead of ${JSON.stringify(mine)}`;
    if (base.index !== this.baseIndex || base.term !== this.baseTerm)
      return `base ${base.index} of term ${base.term} instead of ${this.baseIndex} of ${this.baseTerm}`;
    if (entries.length !== this.terms.length)
      return `${entries.length} entries instead of ${this.terms.length}`;
    for (const [at, { term }] of entries.entries())
      if (term !== this.terms[at]) return `an entry of term ${term} at ${base.index + 1 + at}`;
    if (checkpoints.size !== this.checkpoints.size)
      return `${checkpoints.size} checkpoints instead of ${this.checkpoints.size}`;
    for (const [key, mark] of checkpoints)
      if (!isSame(mark, this.checkpoints.get(key))) return `checkpoint "${key}"`;
    if (staged.size !== this.#staged.size)
      return `${staged.size} staged parts instead of ${this.#staged.size}`;
    for (const [key, mark] of staged)
      if (!isSame(mark, this.#staged.get(key))) return `the staged part "${key}"`;
    return null;
  }

  /** That checkpoint is here. */
  holds(key: string, checkpoint: Checkpoint | null): boolean {
    const shadow = this.checkpoints.get(key);
    if (checkpoint === null) return shadow === undefined;
    const { index, bytes } = checkpoint;
    return isSame({ index, sizeBytes: bytes.length }, shadow) && shadow?.sum === checksum(bytes);
  }
}

import type { Configuration } from "../../server/raft/configuration.ts";
import { decodeConfiguration } from "../../server/raft/configuration-codec.ts";
import type { Base, Entry, HardState } from "../../server/raft/entry.ts";
import type { Checkpoint, CheckpointMark, GroupContents, GroupSave } from "../../server/storage/storage.ts";
import { checksum } from "./checksum.ts";
import { describe, isSameConfiguration, isStep } from "./electorate.ts";
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

function isMarked(mark: CheckpointMark, shadow: CheckpointShadow | undefined): boolean {
  return mark.index === shadow?.index && mark.sizeBytes === shadow.sizeBytes;
}

interface ConfigurationShadow {
  readonly index: number;
  readonly configuration: Configuration;
}

/** What one node's disk holds of one group, as the laws see it. */
export class DiskShadow {
  baseIndex = 0;
  baseTerm = 0;
  /** Of the entries behind the base. */
  terms: number[] = [];
  hardState: HardState | null = null;
  checkpoints = new Map<string, CheckpointShadow>();
  /** As of the base, and by the entries behind it. Empty as long as nothing was saved. */
  configurations: readonly ConfigurationShadow[] = [];
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

  /** That entry, or a base that covers it. Null: nobody knows of which term it is. */
  has(index: number, term: number | null): boolean {
    return this.baseIndex >= index || (term !== null && this.termAt(index) === term);
  }

  copy(): DiskShadow {
    const copy = new DiskShadow();
    copy.baseIndex = this.baseIndex;
    copy.baseTerm = this.baseTerm;
    copy.terms = [...this.terms];
    copy.hardState = this.hardState;
    copy.checkpoints = new Map(this.checkpoints);
    copy.configurations = this.configurations;
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
      this.configurations = [base];
      this.checkpoints = this.#staged;
      this.#staged = new Map();
      for (const [key, checkpoint] of checkpoints ?? [])
        hold(
          checkpoint !== null && checkpoint.index >= base.index,
          "X48",
          () =>
            `the part "${key}" as of ${checkpoint?.index ?? "nothing"} goes in with a snapshot of ${base.index}`,
        );
    } else if (base !== undefined) {
      this.terms.splice(0, base.index - this.baseIndex);
      this.baseIndex = base.index;
      this.baseTerm = base.term;
      this.#compacted(base);
    }
    const first = entries?.[0];
    if (first !== undefined && entries !== undefined) this.#append(first.index, entries, cut);
    if (hardState !== undefined) this.hardState = hardState;
    put(this.checkpoints, checkpoints);
  }

  /** The configuration as of the new base is the one that the log had there. */
  #compacted(base: Base): void {
    const known = this.configurations.findLast(({ index }) => index <= base.index);
    hold(
      known === undefined || isSameConfiguration(known.configuration, base.configuration),
      "X35",
      () => `base ${base.index} says ${describe(base.configuration)}, the log does not`,
    );
    this.configurations = [base, ...this.configurations.filter(({ index }) => index > base.index)];
  }

  #append(from: number, entries: readonly Entry[], cut: (index: number, term: number) => void): void {
    hold(from <= this.lastIndex + 1 && from > this.baseIndex, "X4", () => `a hole in a log at ${from}`);
    for (let index = from; index <= this.lastIndex; index++) cut(index, this.termAt(index) ?? 0);
    this.terms.length = from - this.baseIndex - 1;
    for (const { term } of entries) this.terms.push(term);
    const configurations = this.configurations.filter(({ index }) => index < from);
    for (const { type, index, data } of entries) {
      if (type !== "configuration") continue;
      const configuration = decodeConfiguration(data);
      const before = configurations.at(-1)?.configuration;
      hold(
        before !== undefined && isStep(before, configuration),
        "X35",
        () =>
          `${describe(configuration)} at ${index} follows ${before === undefined ? "nothing" : describe(before)}`,
      );
      configurations.push({ index, configuration });
    }
    this.configurations = configurations;
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
    const mineOfBase = this.configurations[0]?.configuration;
    if (mineOfBase !== undefined && !isSameConfiguration(base.configuration, mineOfBase))
      return `base ${base.index} with ${describe(base.configuration)} instead of ${describe(mineOfBase)}`;
    if (entries.length !== this.terms.length)
      return `${entries.length} entries instead of ${this.terms.length}`;
    for (const [at, { term }] of entries.entries())
      if (term !== this.terms[at]) return `an entry of term ${term} at ${base.index + 1 + at}`;
    if (checkpoints.size !== this.checkpoints.size)
      return `${checkpoints.size} checkpoints instead of ${this.checkpoints.size}`;
    for (const [key, mark] of checkpoints)
      if (!isMarked(mark, this.checkpoints.get(key))) return `checkpoint "${key}"`;
    if (staged.size !== this.#staged.size)
      return `${staged.size} staged parts instead of ${this.#staged.size}`;
    for (const [key, mark] of staged)
      if (!isMarked(mark, this.#staged.get(key))) return `the staged part "${key}"`;
    return null;
  }

  /** That checkpoint is here. */
  holds(key: string, checkpoint: Checkpoint | null): boolean {
    const shadow = this.checkpoints.get(key);
    if (checkpoint === null) return shadow === undefined;
    const { index, bytes } = checkpoint;
    return isMarked({ index, sizeBytes: bytes.length }, shadow) && shadow?.sum === checksum(bytes);
  }
}

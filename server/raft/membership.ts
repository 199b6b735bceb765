import { check } from "./check.ts";
import type { Configuration, Member } from "./configuration.ts";
import { decodeConfiguration } from "./configuration-codec.ts";
import type { Base, Entry } from "./entry.ts";
import { checkLevel, type Levels, levels } from "./level.ts";
import { isMember } from "./quorum.ts";

interface Version {
  /** Of the entry that brought it, or of the base. */
  readonly index: number;
  readonly configuration: Configuration;
}

/**
 * The configurations that a log brings, over its base's own. The latest counts, committed or not, from the moment at
 * which it is appended; what is truncated is taken back (Raft §6).
 */
export class Membership {
  /** By index, never empty: the first is as of the base. Bounded: a leader appends one only when the last is committed. */
  #versions: Version[];
  readonly #levels: Levels;

  /** @param known what this build can read @throws LevelError, as does all that takes something in */
  constructor(base: Base, known: Levels = levels) {
    this.#levels = known;
    this.#versions = [base];
    this.#checkBase(base);
  }

  get latest(): Version {
    return this.#versions.at(-1) as Version;
  }

  /** As of an index at or behind the base. */
  at(index: number): Configuration {
    const version = this.#versions.findLast((one) => one.index <= index);
    check(version !== undefined, `the configuration as of ${index} is forgotten`);
    return version.configuration;
  }

  /** Those that may still count, as far as a replica knows: the one as of its commit index, and all later ones. */
  from(commitIndex: number): readonly Configuration[] {
    const first = this.#versions.findLastIndex((one) => one.index <= commitIndex);
    return this.#versions.slice(Math.max(first, 0)).map(({ configuration }) => configuration);
  }

  /** One of those that are committed, as far as the log still has them, counts `member`. */
  hasCounted(member: Member, commitIndex: number): boolean {
    return this.#versions.some(
      ({ index, configuration }) => index <= commitIndex && isMember(configuration, member),
    );
  }

  appended({ type, index, data }: Entry): void {
    if (type === "configuration") this.#versions.push({ index, configuration: decodeConfiguration(data) });
    checkLevel(`entry ${index} of the log`, this.latest.configuration.level, this.#levels);
  }

  /** Where nothing was agreed yet, there is nothing to be read. */
  #checkBase({ index, configuration }: Base): void {
    if (index > 0) checkLevel(`what the log was before entry ${index}`, configuration.level, this.#levels);
  }

  truncatedFrom(index: number): void {
    while (this.latest.index >= index) this.#versions.pop();
  }

  /** The log begins behind `base` now. */
  compacted(base: Base): void {
    this.#versions = [base, ...this.#versions.filter((version) => version.index > base.index)];
  }

  /** A snapshot took the place of everything. */
  reset(base: Base): void {
    this.#checkBase(base);
    this.#versions = [base];
  }
}

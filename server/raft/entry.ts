import type { Configuration, Member } from "./configuration.ts";

/**
 * One entry of a group's log (Raft §5.3), with the leader's stamps (design 5.1).
 * `index` counts from 1; `term` ≥ 1.
 */
export interface Entry {
  readonly index: number;
  readonly term: number;
  /** `noop` opens a leader's term (Raft §8) and has no data; `command` is the machine's; `configuration` is the core's. */
  readonly type: "noop" | "command" | "configuration";
  /** The group's own time, in whole milliseconds from 0: never less than the entry's before. */
  readonly logTimeMs: number;
  /** The leader's wall clock in whole milliseconds, made monotonic along the log. */
  readonly wallTimeMs: number;
  readonly data: Uint8Array;
}

/** Where a log begins: all entries up to `index` live in checkpoints only. `index` 0 is the empty log's. */
export interface Base {
  readonly index: number;
  readonly term: number;
  readonly logTimeMs: number;
  readonly wallTimeMs: number;
  /** The configuration as of `index`. */
  readonly configuration: Configuration;
}

/** What must be on disk before any message that depends on it leaves (Raft figure 2, "persistent state"). */
export interface HardState {
  readonly term: number;
  readonly votedFor: Member | null;
  /** A hint only: what was known to be committed. May lag, never leads. */
  readonly commitIndex: number;
}

export interface PersistedState {
  readonly hardState: HardState;
  readonly base: Base;
  /** Contiguous, the first one at `base.index + 1`. */
  readonly entries: readonly Entry[];
}

import { check } from "./check.ts";
import type { Base } from "./entry.ts";
import type { Replica } from "./replica.ts";
import type { Replication } from "./replication.ts";

/** Forgets what durable checkpoints hold, at the right moment. */
export class Compaction {
  readonly #replica: Replica;
  readonly #replication: Replication;
  readonly #beforeCompaction: () => void;
  /** A compaction that is put off, because a follower that is there still lacks the entries. */
  #deferredBase: Base | null = null;

  constructor(replica: Replica, replication: Replication, beforeCompaction: () => void) {
    this.#replica = replica;
    this.#replication = replication;
    this.#beforeCompaction = beforeCompaction;
  }

  /** Everything up to `base.index` is in durable checkpoints. */
  compact(base: Base): void {
    check(
      base.index <= this.#replica.committedHandedOutIndex,
      `base ${base.index} was never handed out as committed`,
    );
    if (this.#deferredBase === null || base.index > this.#deferredBase.index) this.#deferredBase = base;
    this.compactDeferred();
  }

  /** Followers that are there get the entries rather than a snapshot, as long as the log does not grow too large by it. */
  compactDeferred(): void {
    const base = this.#deferredBase;
    if (base === null) return;
    const { log, options } = this.#replica;
    const isNeeded = this.#replica.role === "leader" && this.#replication.isLackedUpTo(base.index);
    if (isNeeded && log.bytes <= options.catchUpBytesMax) return;
    this.#deferredBase = null;
    this.#beforeCompaction();
    log.compact(base);
  }
}

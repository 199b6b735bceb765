import type { Configuration } from "../raft/configuration.ts";
import type { Base } from "../raft/entry.ts";
import type { GroupSave } from "../storage/storage.ts";
import type { Applier } from "./applier.ts";
import { Checkpoints, type Floor } from "./checkpoints.ts";
import type { EngineOptions } from "./engine-options.ts";
import type { Machine } from "./machine.ts";

export interface CompactorOptions {
  readonly machine: Machine;
  readonly applier: Applier;
  readonly engine: EngineOptions;
  readonly random: () => number;
  /** As of an index that is in the log. */
  readonly configurationAt: (index: number) => Configuration;
  /** Snapshots on their way hold the log back to here. */
  readonly pinnedIndex: () => number;
  /** Into the gathered batch; `done` once it is durable, from the pipe. */
  readonly gather: (save: GroupSave, done: () => void) => void;
  /** The log up to here is in durable checkpoints, and so is this base. */
  readonly compacted: (base: Base) => void;
}

/** Checkpoints of one group's machine, and the cutting of its log behind them (design 5.2, 5.5). */
export class Compactor {
  readonly #options: CompactorOptions;
  readonly #checkpoints: Checkpoints;
  #base: Base;
  #nextRoundMs: number;
  #bytesAtRound = 0;
  #movesBase = false;
  /** As of this applied index a round found nothing to save, nor any base to move. */
  #settledAt: number | null = null;
  #isSuspended = false;
  /** A snapshot replaces the state: what was on its way before counts for nothing. */
  #era = 0;

  constructor(options: CompactorOptions, { base, nowMs }: { base: Base; nowMs: number }) {
    this.#options = options;
    const { machine, engine, applier } = options;
    this.#checkpoints = new Checkpoints(machine, {
      ...engine,
      holdsTooMuch: (firstIndex) => applier.marks.weightBehind(firstIndex - 1) > engine.roomLogBytesMax,
    });
    this.#base = base;
    this.#nextRoundMs = nowMs + this.#intervalMs();
  }

  /** The newest one: durable, or in a batch whose checkpoints were durable before it. */
  get base(): Base {
    return this.#base;
  }

  get wantsStep(): boolean {
    return this.#checkpoints.isRoundActive;
  }

  /** Spread, so that the groups of a node, and the nodes of a group, do not all save at once. */
  #intervalMs(): number {
    return this.#options.engine.checkpointIntervalMs * (0.75 + this.#options.random() / 2);
  }

  /** More than this could go if no snapshot pinned it. */
  isPinnedBeyond({ entriesMax, bytesMax }: { entriesMax: number; bytesMax: number }): boolean {
    const { appliedIndex, marks } = this.#options.applier;
    if (appliedIndex - this.#base.index <= entriesMax && marks.bytes <= bytesMax) return false;
    const { index } = this.floor();
    return index - this.#base.index > entriesMax || marks.bytesThrough(index) > bytesMax;
  }

  floor(): Floor {
    return this.#checkpoints.floor(this.#options.applier.appliedIndex);
  }

  tick(nowMs: number): void {
    const { applier, engine } = this.#options;
    // Parts that are ahead of the applied index cannot be saved as of it.
    if (this.#isSuspended || !applier.isWhole || this.#checkpoints.isRoundActive) return;
    const hasGrown = applier.marks.bytes - this.#bytesAtRound >= engine.checkpointLogBytes;
    if (nowMs < this.#nextRoundMs && !hasGrown) return;
    this.#nextRoundMs = nowMs + this.#intervalMs();
    this.#bytesAtRound = applier.marks.bytes;
    this.#checkpoints.beginRound();
    if (this.#checkpoints.isRoundActive) return;
    this.cut();
    this.#settledAt = this.#movesBase ? null : applier.appliedIndex;
  }

  /** There is nothing to save and nothing to cut before more is applied. */
  get isSettled(): boolean {
    const isBusy = this.#isSuspended || this.#movesBase || this.#checkpoints.isRoundActive;
    return !isBusy && this.#settledAt === this.#options.applier.appliedIndex;
  }

  /** A few parts into the batch that is being gathered; see Checkpoints. */
  step(isOver: () => boolean): void {
    const { applier, machine } = this.#options;
    if (!this.#checkpoints.isRoundActive || !applier.isWhole) return;
    const step = this.#checkpoints.step(applier.appliedIndex, isOver);
    if (step === null) {
      if (!this.#checkpoints.isRoundActive) this.cut();
      return;
    }
    const isLast = !this.#checkpoints.isRoundActive;
    const era = this.#era;
    this.#options.gather({ checkpoints: step.checkpoints }, () => {
      if (era !== this.#era) return;
      for (const { key, index } of step.saved) machine.saved(key, index);
      if (isLast) this.cut();
    });
  }

  /**
   * Cuts the log as far as it may be, if that is worth it. Only durable checkpoints count towards the floor, so a base
   * never comes before what allows it.
   */
  cut(): void {
    const { applier, engine, configurationAt, pinnedIndex, gather, compacted } = this.#options;
    if (this.#movesBase || !applier.isWhole) return;
    const floor = Math.min(this.floor().index, pinnedIndex());
    const tail = { entriesMax: engine.logTailEntries, bytesMax: engine.logTailBytesMax };
    if (floor <= this.#base.index) return;
    const index = applier.marks.tailStart(floor, tail);
    if (index <= this.#base.index) return;
    const isWorthIt =
      index - this.#base.index >= engine.compactEntriesMin ||
      applier.marks.bytesThrough(index) >= engine.compactBytesMin;
    if (!isWorthIt) return;
    const base = applier.marks.baseAt(index, configurationAt(index));
    const era = this.#era;
    this.#movesBase = true;
    this.#base = base;
    gather({ base }, () => {
      if (era !== this.#era) return;
      this.#movesBase = false;
      applier.marks.forgetThrough(base.index);
      this.#bytesAtRound = Math.min(this.#bytesAtRound, applier.marks.bytes);
      compacted(base);
    });
  }

  /** A snapshot is being swapped in: nothing of the state that it replaces may follow it to the disk. */
  suspend(): void {
    this.#era += 1;
    this.#isSuspended = true;
    this.#checkpoints.abandonRound();
  }

  /** A snapshot has been swapped in. */
  reset(base: Base): void {
    this.#isSuspended = false;
    this.#movesBase = false;
    this.#settledAt = null;
    this.#base = base;
    this.#bytesAtRound = 0;
  }
}

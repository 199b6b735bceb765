import assert from "node:assert";
import { decodeConfiguration } from "../raft/configuration-codec.ts";
import type { Base, Entry } from "../raft/entry.ts";
import type { CheckpointMark } from "../storage/storage.ts";
import { ApplyQueue } from "./apply-queue.ts";
import { LogMarks } from "./log-marks.ts";
import type { Machine } from "./machine.ts";
import { commandOf, decodeEnvelope } from "./proposal-envelope.ts";
import { Restorer, type RestorerOptions } from "./restorer.ts";

export interface ApplierOptions extends RestorerOptions {
  readonly machine: Machine;
  readonly nodeId: string;
  readonly bootCount: number;
  /** A command of this node and this start has its result. */
  readonly answered: (sequence: number, value: unknown) => void;
  /** A command of this node came before one that it must follow. */
  readonly gap: () => void;
  /** After a restore, everything that any part already contained has been passed: results can be trusted again. */
  readonly caughtUp: () => void;
}

/** Applies one group's committed entries in log order, a while at a time. */
export class Applier {
  readonly #options: ApplierOptions;
  readonly queue: ApplyQueue;
  readonly marks: LogMarks;
  readonly #restorer: Restorer;
  #appliedIndex: number;
  #servesFrom = 0;
  #level: number;
  #isDrained = true;

  constructor(options: ApplierOptions, base: Pick<Base, "index" | "configuration">) {
    this.#options = options;
    this.queue = new ApplyQueue(base.index);
    this.marks = new LogMarks(base.index);
    this.#restorer = new Restorer(options);
    this.#appliedIndex = base.index;
    this.#level = base.configuration.level;
  }

  get appliedIndex(): number {
    return this.#appliedIndex;
  }

  /** What the group had agreed on at the last applied entry. */
  get level(): number {
    return this.#level;
  }

  /** Parts were restored as of up to this index: before it the parts stand at different moments. */
  get servesFrom(): number {
    return this.#servesFrom;
  }

  /** Parts are still to be brought back from the disk: until then nothing is applied. */
  get isRestoring(): boolean {
    return !this.#restorer.isDone;
  }

  /** The parts stand at one moment. */
  get isWhole(): boolean {
    return this.#restorer.isDone && this.#appliedIndex >= this.#servesFrom;
  }

  /** Of everything behind the base, applied or not. */
  get logBytes(): number {
    return this.marks.bytes + this.queue.bytes;
  }

  /**
   * The machine as of these checkpoints, brought back a few per turn, and what follows `base` still to be applied (each
   * part skips what it contains). `throughIndex`: parts may be missing that were there up to this entry.
   */
  restore(
    checkpoints: ReadonlyMap<string, CheckpointMark>,
    { base, throughIndex }: { base: Pick<Base, "index" | "configuration">; throughIndex: number },
  ): void {
    this.#restorer.begin(checkpoints);
    this.queue.reset(base.index);
    this.marks.reset(base.index);
    this.#appliedIndex = base.index;
    this.#level = base.configuration.level;
    this.#servesFrom = throughIndex;
    for (const { index } of checkpoints.values()) this.#servesFrom = Math.max(this.#servesFrom, index);
    this.#isDrained = false;
    if (checkpoints.size === 0) this.#restored(() => false);
  }

  /** False while parts are still to be brought back. */
  #restored(isOver: () => boolean): boolean {
    if (this.#restorer.isDone) return true;
    if (!this.#restorer.run(isOver)) return false;
    if (this.isWhole) this.#options.caughtUp();
    return true;
  }

  push(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    this.queue.push(entries);
    this.foresee(entries);
  }

  /** Committed, and perhaps not durable here yet; before anything in front of them is applied. */
  foresee(entries: readonly Entry[]): void {
    const { machine } = this.#options;
    if (machine.foresee === undefined) return;
    for (const { type, index, term, data } of entries)
      if (type === "command") machine.foresee({ index, term, command: commandOf(data) });
  }

  /** There is something to do without waiting for the disk: to bring back, to apply, or to tell the machine that all has been. */
  get hasWork(): boolean {
    if (!this.#restorer.isDone) return !this.#restorer.isWaiting;
    return this.queue.length > 0 || !this.#isDrained;
  }

  /**
   * Applies until nothing is left (true) or `isOver` says so; asked after each command. While parts are still to be brought
   * back that goes first, and nothing is left if the disk must be waited for.
   */
  run(isOver: () => boolean): boolean {
    if (!this.#restored(isOver)) return this.#restorer.isWaiting;
    for (let entry = this.queue.shift(); entry !== null; entry = this.queue.shift()) {
      this.#isDrained = false;
      this.#apply(entry);
      if (this.queue.length > 0 && isOver()) return false;
    }
    if (!this.#isDrained) {
      this.#isDrained = true;
      this.#options.machine.drained();
    }
    return true;
  }

  #apply(entry: Entry): void {
    const wasWhole = this.isWhole;
    this.marks.add(entry);
    if (entry.type === "command") this.#applyCommand(entry);
    else if (entry.type === "configuration") this.#level = decodeConfiguration(entry.data).level;
    this.#appliedIndex = entry.index;
    if (!wasWhole && this.isWhole) this.#options.caughtUp();
  }

  #applyCommand({ index, term, logTimeMs, wallTimeMs, data }: Entry): void {
    const { machine, nodeId, bootCount } = this.#options;
    const envelope = decodeEnvelope(data);
    assert(envelope !== null, `entry ${index} is no proposal`);
    const { id, command } = envelope;
    const isOwn = id.bootCount === bootCount && id.nodeId === nodeId;
    // Parts that already contain this entry do not carry it out again, and so have no result for it.
    const isTrusted = isOwn && index > this.#servesFrom;
    const result = machine.apply({ index, term, logTimeMs, wallTimeMs, level: this.#level, id, command });
    if (!isTrusted) return;
    if (result.type === "done") this.#options.answered(id.sequence, result.value);
    else this.#options.gap();
  }
}

import type { Raft } from "../raft/raft.ts";
import type { Now } from "../raft/ready.ts";
import type { Applier } from "./applier.ts";
import type { EngineOptions } from "./engine-options.ts";
import { ProposalError } from "./proposal-error.ts";
import type { Settlements } from "./settlements.ts";

/**
 * How much a read must see (design 5.7).
 * - `linearizable`: everything that was acknowledged anywhere before it, on the word of a quorum.
 * - `lease`: the same, on the leader's word and its clock; as `linearizable` where the group fails over fast.
 * - `local`: what this replica happens to have.
 */
export type Consistency = "linearizable" | "lease" | "local";

/** A moment of the group's machine, as it stands on this node. */
export interface ReadPoint {
  /** Everything up to here is applied on this node. */
  readonly index: number;
  /**
   * Everything that was acknowledged anywhere longer ago than this is among it. 0 but for `local` reads; `Infinity`
   * while this replica has never been known to be up to date since its start.
   */
  readonly ageMs: number;
}

interface Caller {
  resolve(point: ReadPoint): void;
  reject(error: ProposalError): void;
  readonly deadlineMs: number;
}

/** Reads that share a ticket of the core's, and then an index. */
interface Batch {
  readonly ticket: number;
  callers: Caller[];
  /** When the last of them began. */
  beganMs: number;
  /** Null while the core has not answered. */
  index: number | null;
}

type ReadsOptions = Pick<EngineOptions, "readsWaitingMax" | "localReadAgeMs" | "retryAfterMs">;

interface ReadsParts {
  readonly options: ReadsOptions;
  readonly raft: Raft;
  readonly applier: Applier;
  readonly settlements: Settlements;
}

/** One group's reads on this node: from the call until as much is applied here as each must see. */
export class Reads {
  readonly #parts: ReadsParts;
  /** In the order of their tickets, and so of their indexes. */
  #batches: Batch[] = [];
  /** Not asked of the core yet. */
  #gathering: { callers: Caller[]; beganMs: number } | null = null;
  #callers = 0;
  /** Everything that was committed anywhere at this moment of the monotonic clock is applied here. */
  #knownMs = Number.NEGATIVE_INFINITY;

  constructor(parts: ReadsParts) {
    this.#parts = parts;
  }

  get isIdle(): boolean {
    return this.#batches.length === 0 && this.#gathering === null;
  }

  get waiting(): number {
    return this.#callers;
  }

  /**
   * `now`: as read after the call.
   * @throws {ProposalError} OVERLOADED, TIMEOUT or STOPPED, as a rejection
   */
  add(consistency: Consistency, { now, timeoutMs }: { now: Now; timeoutMs: number }): Promise<ReadPoint> {
    if (consistency === "local") return this.#local(now);
    const { raft, applier, options } = this.#parts;
    const leaseIndex = consistency === "lease" ? raft.leaseIndex(now) : null;
    if (leaseIndex !== null && this.#isApplied(leaseIndex)) {
      this.#knownMs = now.monotonicMs;
      return Promise.resolve({ index: applier.appliedIndex, ageMs: 0 });
    }
    if (this.#callers >= options.readsWaitingMax) {
      const what = `${this.#callers} reads wait already`;
      return Promise.reject(new ProposalError("OVERLOADED", what, options.retryAfterMs));
    }
    this.#callers += 1;
    const deadlineMs = now.monotonicMs + timeoutMs;
    return new Promise((resolve, reject) => {
      this.#gather(now.monotonicMs).push({ resolve, reject, deadlineMs });
    });
  }

  #gather(nowMs: number): Caller[] {
    this.#gathering ??= { callers: [], beganMs: nowMs };
    this.#gathering.beganMs = nowMs;
    return this.#gathering.callers;
  }

  #local(now: Now): Promise<ReadPoint> {
    const { raft, applier, options } = this.#parts;
    if (!applier.isWhole) {
      const what = "this replica was restored and has not caught up with its own parts";
      return Promise.reject(new ProposalError("OVERLOADED", what, options.retryAfterMs));
    }
    const leaseIndex = raft.leaseIndex(now);
    if (leaseIndex !== null && this.#isApplied(leaseIndex)) this.#knownMs = now.monotonicMs;
    const ageMs = now.monotonicMs - this.#knownMs;
    // Whoever goes on reading here finds it younger next time.
    if (ageMs > options.localReadAgeMs && this.#batches.length === 0) this.#gather(now.monotonicMs);
    return Promise.resolve({ index: applier.appliedIndex, ageMs });
  }

  #isApplied(index: number): boolean {
    const { applier } = this.#parts;
    return applier.isWhole && applier.appliedIndex >= index;
  }

  /** Once a drain, for all that came. */
  ask(now: Now): void {
    if (this.#gathering === null) return;
    const { callers, beganMs } = this.#gathering;
    this.#gathering = null;
    const ticket = this.#parts.raft.read(now);
    const last = this.#batches.at(-1);
    if (last?.ticket !== ticket) {
      this.#batches.push({ ticket, callers, beganMs, index: null });
      return;
    }
    last.callers.push(...callers);
    last.beganMs = beganMs;
  }

  answered({ ticket, index }: { readonly ticket: number; readonly index: number }): void {
    for (const batch of this.#batches) if (batch.ticket <= ticket) batch.index ??= index;
  }

  /** Whoever may read what is applied by now is told so at the end of the turn. */
  settle(): void {
    const { applier, settlements } = this.#parts;
    for (;;) {
      const [batch] = this.#batches;
      if (batch === undefined || batch.index === null || !this.#isApplied(batch.index)) return;
      this.#batches.shift();
      this.#knownMs = Math.max(this.#knownMs, batch.beganMs);
      this.#callers -= batch.callers.length;
      const point = { index: applier.appliedIndex, ageMs: 0 };
      for (const caller of batch.callers) settlements.add(() => caller.resolve(point));
    }
  }

  tick(nowMs: number): void {
    for (const waiting of this.#gathering === null ? this.#batches : [...this.#batches, this.#gathering]) {
      const late = waiting.callers.filter(({ deadlineMs }) => nowMs >= deadlineMs);
      if (late.length === 0) continue;
      waiting.callers = waiting.callers.filter(({ deadlineMs }) => nowMs < deadlineMs);
      this.#callers -= late.length;
      const error = new ProposalError("TIMEOUT", "no linearizable read before the deadline");
      for (const caller of late) this.#parts.settlements.add(() => caller.reject(error));
    }
  }

  stop(): void {
    const callers = [...this.#batches, this.#gathering].flatMap((waiting) => waiting?.callers ?? []);
    for (const caller of callers) caller.reject(new ProposalError("STOPPED", "this node is stopping"));
    this.#batches = [];
    this.#gathering = null;
    this.#callers = 0;
  }
}

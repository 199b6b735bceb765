import type { EngineOptions } from "./engine-options.ts";
import { LateResults } from "./late-results.ts";
import { ProposalError } from "./proposal-error.ts";
import type { Settlements } from "./settlements.ts";

interface Caller {
  resolve(value: unknown): void;
  reject(error: Error): void;
  readonly deadlineMs: number;
}

export interface PendingProposal {
  readonly sequence: number;
  readonly command: Uint8Array;
  /** Null: nobody waits (any more), but the proposal must still be applied, so that the sequence has no hole. */
  caller: Caller | null;
  readonly countsAgainstLimits: boolean;
}

type ProposalsOptions = Pick<
  EngineOptions,
  | "proposalsInFlightMax"
  | "proposalsInFlightBytesMax"
  | "retryAfterMs"
  | "resendMs"
  | "resendStalledMs"
  | "resultTimeoutMs"
  | "lateResultsMax"
>;

/**
 * This node's own proposals for one group, from the call until the result: kept in order, sent in order, and sent again,
 * in order, whenever they may have been lost. A caller's deadline ends the caller's waiting, not the proposal.
 */
export class Proposals {
  readonly #options: ProposalsOptions;
  readonly #settlements: Settlements;
  readonly #late: LateResults;
  /** By sequence; insertion order is the order of sequences. */
  readonly #pending = new Map<number, PendingProposal>();
  #sequence = 0;
  /** Everything up to here is on its way to the present leader. */
  #sentThrough = 0;
  #count = 0;
  #bytes = 0;
  #nextDeadlineMs = Number.POSITIVE_INFINITY;
  #resendAtMs: number | null = null;
  #holdUntilMs = Number.NEGATIVE_INFINITY;
  #progressMs = Number.NEGATIVE_INFINITY;
  #lastResendMs = Number.NEGATIVE_INFINITY;

  constructor(options: ProposalsOptions, settlements: Settlements) {
    this.#options = options;
    this.#settlements = settlements;
    this.#late = new LateResults(options, settlements);
  }

  /** Nobody waits for anything. */
  get isIdle(): boolean {
    return this.#pending.size === 0 && this.#late.count === 0;
  }

  get inFlight(): number {
    return this.#pending.size;
  }

  /** True if `takeUnsent` would give something now. */
  hasUnsent(nowMs: number): boolean {
    return this.#sentThrough < this.#sequence && nowMs >= this.#holdUntilMs && this.#pending.size > 0;
  }

  /** False: `add` would refuse a command of this size now. */
  fits(commandBytes: number): boolean {
    const { proposalsInFlightMax, proposalsInFlightBytesMax } = this.#options;
    return this.#count < proposalsInFlightMax && this.#bytes + commandBytes <= proposalsInFlightBytesMax;
  }

  /** @throws {ProposalError} OVERLOADED, as a rejection, with nothing kept. */
  add(command: Uint8Array, { nowMs, timeoutMs }: { nowMs: number; timeoutMs: number }): Promise<unknown> {
    const { retryAfterMs } = this.#options;
    if (!this.fits(command.length)) {
      const what = `${this.#count} proposals, ${this.#bytes} bytes are unanswered`;
      return Promise.reject(new ProposalError("OVERLOADED", what, retryAfterMs));
    }
    const deadlineMs = nowMs + timeoutMs;
    this.#nextDeadlineMs = Math.min(this.#nextDeadlineMs, deadlineMs);
    return new Promise((resolve, reject) => {
      this.#keep(command, { resolve, reject, deadlineMs }, true, nowMs);
    });
  }

  /** The group's own (a tick): no caller, and outside the limits, since there is at most one. Gives its sequence. */
  addOwn(command: Uint8Array, nowMs: number): number {
    return this.#keep(command, null, false, nowMs);
  }

  #keep(command: Uint8Array, caller: Caller | null, countsAgainstLimits: boolean, nowMs: number): number {
    if (this.#pending.size === 0) this.#progressMs = nowMs;
    const sequence = ++this.#sequence;
    this.#pending.set(sequence, { sequence, command, caller, countsAgainstLimits });
    if (countsAgainstLimits) {
      this.#count += 1;
      this.#bytes += command.length;
    }
    return sequence;
  }

  isPending(sequence: number): boolean {
    return this.#pending.has(sequence);
  }

  /** The next ones to be sent, in order: at most `countMax`, and `bytesMax` (but at least one). They count as sent. */
  takeUnsent({
    nowMs,
    countMax,
    bytesMax,
  }: {
    nowMs: number;
    countMax: number;
    bytesMax: number;
  }): PendingProposal[] {
    const taken: PendingProposal[] = [];
    if (nowMs < this.#holdUntilMs) return taken;
    let bytes = 0;
    while (this.#sentThrough < this.#sequence && taken.length < countMax) {
      const proposal = this.#pending.get(this.#sentThrough + 1);
      if (proposal !== undefined) {
        bytes += proposal.command.length;
        if (taken.length > 0 && bytes > bytesMax) break;
        taken.push(proposal);
      }
      this.#sentThrough += 1;
    }
    if (taken.length > 0) this.#progressMs = nowMs;
    return taken;
  }

  /** They could not be handed over: all from this sequence on count as unsent, and wait a moment. */
  refused(sequence: number, nowMs: number): void {
    this.#sentThrough = Math.min(this.#sentThrough, sequence - 1);
    this.#holdUntilMs = nowMs + this.#options.resendMs;
  }

  /** There is another leader, or another link to it: everything unanswered goes to it, at once. */
  resendAll(): void {
    this.#sentThrough = this.#beforeFirst();
    this.#holdUntilMs = Number.NEGATIVE_INFINITY;
    this.#resendAtMs = null;
  }

  /** Something was lost on the way (a gap, a refusal): everything unanswered again, but not more often than `resendMs`. */
  resendSoon(nowMs: number): void {
    this.#resendAtMs ??= Math.max(nowMs, this.#lastResendMs + this.#options.resendMs);
  }

  #beforeFirst(): number {
    const first = this.#pending.keys().next();
    return first.done ? this.#sequence : first.value - 1;
  }

  /** The result has come; without a caller, or the second time, it is nobody's. True if it was pending. */
  answered(sequence: number, value: unknown, nowMs: number): boolean {
    const proposal = this.#pending.get(sequence);
    if (proposal === undefined) return false;
    this.#pending.delete(sequence);
    this.#progressMs = nowMs;
    if (proposal.countsAgainstLimits) {
      this.#count -= 1;
      this.#bytes -= proposal.command.length;
    }
    const caller = proposal.caller;
    if (caller === null) return true;
    if (value instanceof Promise) this.#late.add(value, caller, nowMs);
    else this.#settlements.add(() => caller.resolve(value));
    return true;
  }

  /** Deadlines and re-sending. */
  tick(nowMs: number): void {
    this.#late.tick(nowMs);
    if (nowMs >= this.#nextDeadlineMs) this.#expire(nowMs);
    if (this.#pending.size === 0) {
      this.#resendAtMs = null;
      return;
    }
    if (nowMs >= this.#progressMs + this.#options.resendStalledMs) this.resendSoon(nowMs);
    if (this.#resendAtMs !== null && nowMs >= this.#resendAtMs) {
      this.#resendAtMs = null;
      this.#lastResendMs = nowMs;
      this.#progressMs = nowMs;
      this.#sentThrough = this.#beforeFirst();
    }
  }

  #expire(nowMs: number): void {
    this.#nextDeadlineMs = Number.POSITIVE_INFINITY;
    for (const proposal of this.#pending.values()) {
      const { caller } = proposal;
      if (caller === null) continue;
      if (nowMs < caller.deadlineMs) {
        this.#nextDeadlineMs = Math.min(this.#nextDeadlineMs, caller.deadlineMs);
        continue;
      }
      proposal.caller = null;
      const error = new ProposalError(
        "TIMEOUT",
        "no result before the deadline; the command may still be applied, once",
      );
      this.#settlements.add(() => caller.reject(error));
    }
  }

  stop(): void {
    for (const { caller } of this.#pending.values()) {
      if (caller !== null)
        caller.reject(new ProposalError("STOPPED", "this node is stopping; the outcome is unknown"));
    }
    this.#late.stop();
    this.#pending.clear();
    this.#sentThrough = this.#sequence;
    this.#count = 0;
    this.#bytes = 0;
  }
}

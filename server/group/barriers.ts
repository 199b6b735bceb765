import type { EngineOptions } from "./engine-options.ts";
import { ProposalError } from "./proposal-error.ts";
import type { Settlements } from "./settlements.ts";

interface Waiter {
  resolve(): void;
  reject(error: ProposalError): void;
  readonly deadlineMs: number;
}

interface Barrier {
  readonly sequence: number;
  waiters: Waiter[];
  /** Ever. Who comes later needs another one: this one's entry may stand in the log already. */
  sent: boolean;
}

type BarriersOptions = Pick<
  EngineOptions,
  "barriersWaitingMax" | "retryAfterMs" | "resendMs" | "resendStalledMs"
>;

/**
 * Empty commands that mark a linearizable point of one group. Callers share one as long as it has not been sent. They
 * are numbered apart from the proposals, because the machine never sees them; and one that nobody waits for is dropped.
 */
export class Barriers {
  readonly #options: BarriersOptions;
  readonly #settlements: Settlements;
  readonly #waiting = new Map<number, Barrier>();
  #sequence = 0;
  #sentThrough = 0;
  #callers = 0;
  #holdUntilMs = Number.NEGATIVE_INFINITY;
  #sentMs = Number.NEGATIVE_INFINITY;

  constructor(options: BarriersOptions, settlements: Settlements) {
    this.#options = options;
    this.#settlements = settlements;
  }

  get waiting(): number {
    return this.#callers;
  }

  /** @throws {ProposalError} OVERLOADED, TIMEOUT or STOPPED, as a rejection. */
  add({ nowMs, timeoutMs }: { nowMs: number; timeoutMs: number }): Promise<void> {
    if (this.#callers >= this.#options.barriersWaitingMax) {
      const error = new ProposalError(
        "OVERLOADED",
        `${this.#callers} callers wait already`,
        this.#options.retryAfterMs,
      );
      return Promise.reject(error);
    }
    return new Promise((resolve, reject) => {
      const open = this.#waiting.get(this.#sequence);
      const waiter = { resolve, reject, deadlineMs: nowMs + timeoutMs };
      this.#callers += 1;
      if (open !== undefined && !open.sent) {
        open.waiters.push(waiter);
        return;
      }
      this.#sequence += 1;
      this.#waiting.set(this.#sequence, { sequence: this.#sequence, waiters: [waiter], sent: false });
    });
  }

  hasUnsent(nowMs: number): boolean {
    return this.#sentThrough < this.#sequence && nowMs >= this.#holdUntilMs && this.#waiting.size > 0;
  }

  takeUnsent(nowMs: number): number[] {
    if (!this.hasUnsent(nowMs)) return [];
    const taken: number[] = [];
    for (const barrier of this.#waiting.values()) {
      if (barrier.sequence <= this.#sentThrough) continue;
      barrier.sent = true;
      taken.push(barrier.sequence);
    }
    this.#sentThrough = this.#sequence;
    this.#sentMs = nowMs;
    return taken;
  }

  refused(nowMs: number): void {
    this.#sentThrough = 0;
    this.#holdUntilMs = nowMs + this.#options.resendMs;
  }

  resendAll(): void {
    this.#sentThrough = 0;
    this.#holdUntilMs = Number.NEGATIVE_INFINITY;
  }

  /** Applied here: all who wait for it, or for one before it, have their linearizable point. */
  answered(sequence: number): void {
    for (const barrier of this.#waiting.values()) {
      if (barrier.sequence > sequence) break;
      this.#waiting.delete(barrier.sequence);
      this.#callers -= barrier.waiters.length;
      for (const waiter of barrier.waiters) this.#settlements.add(() => waiter.resolve());
    }
  }

  tick(nowMs: number): void {
    for (const barrier of this.#waiting.values()) {
      const late = barrier.waiters.filter((waiter) => nowMs >= waiter.deadlineMs);
      if (late.length === 0) continue;
      barrier.waiters = barrier.waiters.filter((waiter) => nowMs < waiter.deadlineMs);
      this.#callers -= late.length;
      if (barrier.waiters.length === 0) this.#waiting.delete(barrier.sequence);
      const error = new ProposalError("TIMEOUT", "no linearizable point before the deadline");
      for (const waiter of late) this.#settlements.add(() => waiter.reject(error));
    }
    if (this.#waiting.size > 0 && nowMs >= this.#sentMs + this.#options.resendStalledMs)
      this.#sentThrough = 0;
  }

  stop(): void {
    for (const barrier of this.#waiting.values()) {
      for (const waiter of barrier.waiters)
        waiter.reject(new ProposalError("STOPPED", "this node is stopping"));
    }
    this.#waiting.clear();
    this.#callers = 0;
  }
}

import type { EngineOptions } from "./engine-options.ts";
import { ProposalError } from "./proposal-error.ts";
import type { Settlements } from "./settlements.ts";

interface Caller {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

interface Waiting extends Caller {
  readonly deadlineMs: number;
}

type LateOptions = Pick<EngineOptions, "resultTimeoutMs" | "lateResultsMax">;

/**
 * Results that entries yet to come decide: what the machine gave is a promise. A caller waits for it so long, and no longer;
 * and not at all if too many do. Other proposals have nothing to do with it: they are never refused for it.
 */
export class LateResults {
  readonly #options: LateOptions;
  readonly #settlements: Settlements;
  /** In the order of their deadlines. */
  readonly #waiting = new Set<Waiting>();

  constructor(options: LateOptions, settlements: Settlements) {
    this.#options = options;
    this.#settlements = settlements;
  }

  get count(): number {
    return this.#waiting.size;
  }

  add(result: Promise<unknown>, { resolve, reject }: Caller, nowMs: number): void {
    const { resultTimeoutMs, lateResultsMax } = this.#options;
    const waiting = { resolve, reject, deadlineMs: nowMs + resultTimeoutMs };
    this.#waiting.add(waiting);
    if (this.#waiting.size > lateResultsMax)
      this.#giveUp(
        waiting,
        `its result is not waited for: ${lateResultsMax} are already, and no more are allowed`,
      );
    result.then(
      (value) => {
        if (this.#waiting.delete(waiting)) resolve(value);
      },
      (error: Error) => {
        if (this.#waiting.delete(waiting)) reject(error);
      },
    );
  }

  tick(nowMs: number): void {
    for (const waiting of this.#waiting) {
      if (nowMs < waiting.deadlineMs) return;
      this.#giveUp(waiting, `its result did not come within ${this.#options.resultTimeoutMs} ms`);
    }
  }

  #giveUp(waiting: Waiting, why: string): void {
    this.#waiting.delete(waiting);
    this.#settlements.add(() => waiting.reject(new ProposalError("TIMEOUT", `it was applied, and ${why}`)));
  }

  stop(): void {
    for (const { reject } of this.#waiting)
      reject(
        new ProposalError("STOPPED", "this node is stopping; it was applied, and its result is unknown"),
      );
    this.#waiting.clear();
  }
}

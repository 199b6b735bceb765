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

/** Results that entries yet to come decide: what the machine gave is a promise. A caller waits for it so long, and no longer. */
export class LateResults {
  readonly #options: Pick<EngineOptions, "resultTimeoutMs">;
  readonly #settlements: Settlements;
  /** In the order of their deadlines. */
  readonly #waiting = new Set<Waiting>();

  constructor(options: Pick<EngineOptions, "resultTimeoutMs">, settlements: Settlements) {
    this.#options = options;
    this.#settlements = settlements;
  }

  get count(): number {
    return this.#waiting.size;
  }

  add(result: Promise<unknown>, { resolve, reject }: Caller, nowMs: number): void {
    const waiting = { resolve, reject, deadlineMs: nowMs + this.#options.resultTimeoutMs };
    this.#waiting.add(waiting);
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
      this.#waiting.delete(waiting);
      const what = `it was applied, and its result did not come within ${this.#options.resultTimeoutMs} ms`;
      const error = new ProposalError("TIMEOUT", what);
      this.#settlements.add(() => waiting.reject(error));
    }
  }

  stop(): void {
    for (const { reject } of this.#waiting)
      reject(
        new ProposalError("STOPPED", "this node is stopping; it was applied, and its result is unknown"),
      );
    this.#waiting.clear();
  }
}

import type { BoardView } from "./act-board.ts";

export interface ActJudgeOptions {
  /** How often the judge is asked. */
  readonly lookMs: number;
  /** From here on an act is long: should the process end meanwhile, it may be why. */
  readonly longMs: number;
  /** From here on it will not come back. */
  readonly limitMs: number;
}

export type Judgement =
  | { readonly type: "fine" }
  | { readonly type: "long"; readonly view: BoardView }
  /** One that was long has come back. */
  | { readonly type: "back" }
  | { readonly type: "stuck"; readonly view: BoardView };

/**
 * Judges how long an act takes, from looks at it. It counts time that the looking thread has lived through, so a process
 * that stood still as a whole (SIGSTOP, a laptop's lid, a starved machine) has lost none: between two looks at most a few
 * intervals count, however late the second one comes.
 */
export class ActJudge {
  readonly #options: ActJudgeOptions;
  #number: number | null = null;
  #ageMs = 0;
  #isLong = false;
  #lookedMs: number | null = null;

  constructor(options: ActJudgeOptions) {
    this.#options = options;
  }

  look(view: BoardView | null, nowMs: number): Judgement {
    const { lookMs, longMs, limitMs } = this.#options;
    const sinceMs = Math.min(nowMs - (this.#lookedMs ?? nowMs), intervalsMax * lookMs);
    this.#lookedMs = nowMs;
    if (view === null || view.number !== this.#number) {
      const wasLong = this.#isLong;
      this.#number = view?.number ?? null;
      this.#ageMs = 0;
      this.#isLong = false;
      return { type: wasLong ? "back" : "fine" };
    }
    this.#ageMs += sinceMs;
    if (this.#ageMs >= limitMs) return { type: "stuck", view };
    if (this.#isLong || this.#ageMs < longMs) return { type: "fine" };
    this.#isLong = true;
    return { type: "long", view };
  }
}

const intervalsMax = 4;

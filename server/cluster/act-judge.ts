export interface ActJudgeOptions {
  /** How often the judge is asked. */
  readonly lookMs: number;
  /** From here on an act is long: should the process end meanwhile, it may be why. By default none is. */
  readonly longMs?: number;
  /** From here on it will not come back. */
  readonly limitMs: number;
}

/** `back`: one that was long has come back. */
export type Judgement = "fine" | "long" | "back" | "stuck";

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

  /** @param number of the act that is under way; null: none is */
  look(number: number | null, nowMs: number): Judgement {
    const { lookMs, longMs = Number.POSITIVE_INFINITY, limitMs } = this.#options;
    const sinceMs = Math.min(nowMs - (this.#lookedMs ?? nowMs), intervalsMax * lookMs);
    this.#lookedMs = nowMs;
    if (number === null || number !== this.#number) {
      const wasLong = this.#isLong;
      this.#number = number;
      this.#ageMs = 0;
      this.#isLong = false;
      return wasLong ? "back" : "fine";
    }
    this.#ageMs += sinceMs;
    if (this.#ageMs >= limitMs) return "stuck";
    if (this.#isLong || this.#ageMs < longMs) return "fine";
    this.#isLong = true;
    return "long";
  }
}

const intervalsMax = 4;

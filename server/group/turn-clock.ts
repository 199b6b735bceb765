import type { Now } from "../raft/ready.ts";
import type { EngineClock } from "./engine-construction.ts";

/** The clocks, read once for each turn of the pipe, and for callers between turns: what happens together has one time. */
export class TurnClock {
  readonly #clock: EngineClock;
  #now: Now;

  constructor(clock: EngineClock) {
    this.#clock = clock;
    this.#now = clock.now();
  }

  get now(): Now {
    return this.#now;
  }

  get nowMs(): number {
    return this.#now.monotonicMs;
  }

  read(): Now {
    this.#now = this.#clock.now();
    return this.#now;
  }
}

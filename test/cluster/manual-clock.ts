import type { Clock } from "../../server/cluster/clock.ts";

/** A clock that stands still until a test moves it. */
export class ManualClock implements Clock {
  #nowMs = 0;
  #sequence = 0;
  readonly #timers = new Map<number, { atMs: number; fn: () => void }>();

  now() {
    return { monotonicMs: this.#nowMs, wallMs: 1_700_000_000_000 + this.#nowMs };
  }

  setTimer(fn: () => void, ms: number): () => void {
    const id = this.#sequence++;
    this.#timers.set(id, { atMs: this.#nowMs + ms, fn });
    return () => this.#timers.delete(id);
  }

  defer(fn: () => void): void {
    this.setTimer(fn, 0);
  }

  get timers(): number {
    return this.#timers.size;
  }

  /** Runs everything due on the way, in order. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      let next: [number, { atMs: number; fn: () => void }] | null = null;
      for (const entry of this.#timers)
        if (entry[1].atMs <= untilMs && (next === null || entry[1].atMs < next[1].atMs)) next = entry;
      if (next === null) break;
      this.#timers.delete(next[0]);
      this.#nowMs = next[1].atMs;
      next[1].fn();
    }
    this.#nowMs = untilMs;
  }
}

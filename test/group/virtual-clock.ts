import type { EngineClock } from "../../server/group/engine-construction.ts";

interface Timer {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** Time that passes only when a test says so. Macrotasks run one by one, with all microtasks drained behind each. */
export class VirtualClock {
  nowMs = 0;
  /** Ever. */
  timersSet = 0;
  #order = 0;
  #timers: Timer[] = [];
  #tasks: (() => void)[] = [];

  now(): { monotonicMs: number; wallMs: number } {
    return { monotonicMs: this.nowMs, wallMs: 1_700_000_000_000 + this.nowMs };
  }

  setTimer(run: () => void, ms: number): () => void {
    this.timersSet += 1;
    const timer = { atMs: this.nowMs + ms, order: this.#order++, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  defer(run: () => void): void {
    this.#tasks.push(run);
  }

  /** What a node sees of it, until it dies. While it is busy with other things, nothing of it runs. */
  forNode(isAlive: () => boolean, busyUntilMs: () => number = () => 0): EngineClock {
    const guard = (run: () => void) => () => {
      if (!isAlive()) return;
      if (this.nowMs < busyUntilMs()) this.setTimer(guard(run), busyUntilMs() - this.nowMs);
      else run();
    };
    return {
      now: () => this.now(),
      setTimer: (run, ms) => this.setTimer(guard(run), ms),
      defer: (run) => this.defer(guard(run)),
    };
  }

  /** Lets this much time pass (more, if what runs takes longer). Timers that are due go before waiting tasks, as in Node. */
  async run(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms;
    await drainMicrotasks();
    for (;;) {
      const next = this.#next();
      const isDue = next !== null && next.atMs <= this.nowMs;
      if (!isDue && this.#tasks.length > 0) {
        await this.#runTasks();
        continue;
      }
      if (next === null || next.atMs > Math.max(untilMs, this.nowMs)) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.run();
      await drainMicrotasks();
    }
    this.nowMs = Math.max(this.nowMs, untilMs);
  }

  /** Until the condition holds, at most `maxMs`. True if it does. */
  async until(condition: () => boolean, maxMs = 5000): Promise<boolean> {
    const endMs = this.nowMs + maxMs;
    while (!condition() && this.nowMs < endMs) await this.run(1);
    return condition();
  }

  async #runTasks(): Promise<void> {
    for (const task of this.#tasks.splice(0)) {
      task();
      await drainMicrotasks();
    }
  }

  #next(): Timer | null {
    let next: Timer | null = null;
    for (const timer of this.#timers) {
      if (next === null || timer.atMs < next.atMs || (timer.atMs === next.atMs && timer.order < next.order))
        next = timer;
    }
    return next;
  }
}

function drainMicrotasks(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

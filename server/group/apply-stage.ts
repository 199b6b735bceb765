import type { Now } from "../raft/ready.ts";
import type { EngineClock } from "./engine-construction.ts";
import type { Group } from "./group.ts";

interface ApplyStageOptions {
  readonly groups: readonly Group[];
  readonly clock: EngineClock;
  /** Of one turn of the event loop, for all groups together. */
  readonly budgetMs: number;
  readonly wake: () => void;
}

/** Applies what is committed, within a budget per turn, so that heartbeats never wait for room code (design 4.1). */
export class ApplyStage {
  readonly #options: ApplyStageOptions;
  /** Which group goes first, in turn. */
  #first = 0;
  #cancelDue: (() => void) | null = null;

  constructor(options: ApplyStageOptions) {
    this.#options = options;
  }

  /** True if everything that is committed is applied. */
  run(): boolean {
    const { groups, clock, budgetMs } = this.#options;
    const untilMs = clock.now().monotonicMs + budgetMs;
    const isOver = () => clock.now().monotonicMs >= untilMs;
    let isApplied = true;
    for (let passed = 0; passed < groups.length; passed++) {
      const { applier } = groups[(this.#first + passed) % groups.length] as Group;
      if (!applier.run(isOver)) isApplied = false;
    }
    this.#first = (this.#first + 1) % groups.length;
    return isApplied;
  }

  /** True if a tick was proposed. And a timer waits for the first that will be due. */
  proposeTicks(now: Now): boolean {
    let proposed = false;
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { ticks } of this.#options.groups) {
      const dueMs = ticks.dueInMs(now);
      if (dueMs === null) continue;
      if (dueMs > 0) {
        nextMs = Math.min(nextMs, dueMs);
        continue;
      }
      ticks.propose(now);
      proposed = true;
    }
    this.#armDue(nextMs);
    return proposed;
  }

  #armDue(inMs: number): void {
    this.stop();
    if (inMs === Number.POSITIVE_INFINITY) return;
    this.#cancelDue = this.#options.clock.setTimer(() => this.#options.wake(), Math.max(1, Math.ceil(inMs)));
  }

  stop(): void {
    this.#cancelDue?.();
    this.#cancelDue = null;
  }
}

import type { Now } from "../raft/ready.ts";
import type { EngineClock } from "./engine-construction.ts";
import type { Group } from "./group.ts";

interface ApplyStageOptions {
  readonly awake: { readonly groups: readonly Group[] };
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
  /** When the timer will fire, on the monotonic clock. */
  #dueAtMs = Number.POSITIVE_INFINITY;

  constructor(options: ApplyStageOptions) {
    this.#options = options;
  }

  get hasWork(): boolean {
    return this.#options.awake.groups.some(({ applier }) => applier.hasWork);
  }

  /** True if everything that is committed is applied. */
  run(): boolean {
    const { awake, clock, budgetMs } = this.#options;
    const { groups } = awake;
    if (groups.length === 0) return true;
    const begunMs = clock.now().monotonicMs;
    const isOver = () => clock.now().monotonicMs >= begunMs + budgetMs;
    // A room is brought back in one go, and may take much longer than a command does.
    const isHalfOver = () => clock.now().monotonicMs >= begunMs + budgetMs / 2;
    const first = this.#first % groups.length;
    this.#first = (first + 1) % groups.length;
    for (let passed = 0; passed < groups.length; passed++) {
      const at = (first + passed) % groups.length;
      const { applier } = groups[at] as Group;
      if (!applier.hasWork) continue;
      const isLast = passed === groups.length - 1;
      if (applier.run(applier.isRestoring ? isHalfOver : isOver) && (isLast || !isOver())) continue;
      // Those that did not get their turn come first in the next one.
      this.#first = (at + 1) % groups.length;
      return !this.hasWork;
    }
    return true;
  }

  /** True if a tick was proposed. And a timer waits for the first that will be due. */
  proposeTicks(now: Now): boolean {
    let proposed = false;
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { ticks, applier } of this.#options.awake.groups) {
      // Half of the parts know nothing of what the others need.
      const dueMs = applier.isRestoring ? null : ticks.dueInMs(now);
      if (dueMs === null) continue;
      if (dueMs > 0) {
        nextMs = Math.min(nextMs, dueMs);
        continue;
      }
      ticks.propose(now);
      proposed = true;
    }
    this.#armDue(now.monotonicMs, nextMs);
    return proposed;
  }

  /** Asked at the end of every turn: a timer that fires too early is left alone, it only looks again. */
  #armDue(nowMs: number, inMs: number): void {
    if (nowMs + inMs >= this.#dueAtMs) return;
    this.stop();
    const waitMs = Math.max(1, Math.ceil(inMs));
    this.#dueAtMs = nowMs + waitMs;
    const fire = () => {
      this.#cancelDue = null;
      this.#dueAtMs = Number.POSITIVE_INFINITY;
      this.#options.wake();
    };
    this.#cancelDue = this.#options.clock.setTimer(fire, waitMs);
  }

  stop(): void {
    this.#cancelDue?.();
    this.#cancelDue = null;
    this.#dueAtMs = Number.POSITIVE_INFINITY;
  }
}

import type { EngineClock } from "./engine-construction.ts";
import type { Group } from "./group.ts";
import type { Saver } from "./saver.ts";

interface CheckpointStageOptions {
  readonly awake: { readonly groups: readonly Group[] };
  readonly saver: Saver;
  readonly clock: EngineClock;
  /** Of one turn of the event loop. */
  readonly budgetMs: number;
}

/** Checkpoints of one group in each turn, group after group. */
export class CheckpointStage {
  readonly #options: CheckpointStageOptions;
  #turn = 0;

  constructor(options: CheckpointStageOptions) {
    this.#options = options;
  }

  /** Only into a batch of its own: while another one gathers, what is agreed goes first. */
  run(): void {
    const { awake, saver, clock, budgetMs } = this.#options;
    if (saver.isGathering) return;
    const { groups } = awake;
    const count = groups.length;
    for (let passed = 0; passed < count; passed++) {
      const compactor = groups[this.#turn++ % count]?.compactor;
      if (!compactor?.wantsStep) continue;
      const untilMs = clock.now().monotonicMs + budgetMs;
      compactor.step(() => clock.now().monotonicMs >= untilMs);
      return;
    }
  }
}

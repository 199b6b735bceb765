import type { Group } from "./group.ts";
import type { Saver } from "./saver.ts";

/** Checkpoints of one group in each turn, group after group. */
export class CheckpointStage {
  readonly #awake: { readonly groups: readonly Group[] };
  readonly #saver: Saver;
  #turn = 0;

  constructor(awake: { readonly groups: readonly Group[] }, saver: Saver) {
    this.#awake = awake;
    this.#saver = saver;
  }

  /** Only into a batch of its own: while another one gathers, what is agreed goes first. */
  run(): void {
    if (this.#saver.isGathering) return;
    const { groups } = this.#awake;
    const count = groups.length;
    for (let passed = 0; passed < count; passed++) {
      const compactor = groups[this.#turn++ % count]?.compactor;
      if (!compactor?.wantsStep) continue;
      compactor.step();
      return;
    }
  }
}

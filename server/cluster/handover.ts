import type { GroupStatus } from "../group/group-status.ts";
import type { TransferOutcome } from "../group/lead-transfer.ts";
import type { Clock } from "./clock.ts";

export const handoverDefaults = Object.freeze({
  /** After that a node stops all the same, and the others elect. */
  handoverMsMax: 1000,
  pollMs: 5,
});

interface HandoverEngine {
  status(): readonly GroupStatus[];
  /** Whom a lead may be given to now, the best first. */
  heirs(group: number): readonly string[];
  transferLeader(group: number, to: string): Promise<TransferOutcome>;
}

export interface HandoverOptions {
  readonly engine: HandoverEngine;
  readonly clock: Clock;
  readonly nodeId: string;
  /** Some other node has an open link. */
  readonly isLinked: () => boolean;
}

/** What is being done about one group. */
interface Attempt {
  readonly isUnderWay: boolean;
  /** Those that did not take it, in order. */
  readonly refused: readonly string[];
}

/** A node that stops gives away what it leads first, so that no group has to wait for an election. */
export class Handover {
  readonly #options: HandoverOptions;
  readonly #attempts = new Map<number, Attempt>();

  constructor(options: HandoverOptions) {
    this.#options = options;
  }

  /** Resolves when this node leads nothing, when nobody is there to lead, or after handoverMsMax. */
  run(): Promise<void> {
    const { clock } = this.#options;
    const untilMs = clock.now().monotonicMs + handoverDefaults.handoverMsMax;
    return new Promise((resolve) => {
      const look = () => {
        if (this.#done() || clock.now().monotonicMs >= untilMs) resolve();
        else clock.setTimer(look, handoverDefaults.pollMs);
      };
      look();
    });
  }

  #done(): boolean {
    const { engine, isLinked, nodeId } = this.#options;
    const led = engine.status().filter(({ role, leader }) => role === "leader" && leader === nodeId);
    if (led.length === 0 || !isLinked()) return true;
    for (const { id } of led) this.#attempt(id);
    return false;
  }

  /** The best heir that has not refused yet; once all have, they are asked anew. */
  #attempt(group: number): void {
    const { engine } = this.#options;
    const { isUnderWay, refused } = this.#attempts.get(group) ?? { isUnderWay: false, refused: [] };
    if (isUnderWay) return;
    const heirs = engine.heirs(group);
    const heir = heirs.find((one) => !refused.includes(one)) ?? heirs[0];
    if (heir === undefined) return;
    const passedOver = heirs.every((one) => refused.includes(one)) ? [] : refused;
    this.#attempts.set(group, { isUnderWay: true, refused: passedOver });
    void engine.transferLeader(group, heir).then((outcome) => {
      // A transfer that somebody else asked for says nothing about this heir.
      const isRefused = outcome.type === "refused" && outcome.code !== "TRANSFERRING";
      this.#attempts.set(group, {
        isUnderWay: false,
        refused: isRefused ? [...passedOver, heir] : passedOver,
      });
    });
  }
}

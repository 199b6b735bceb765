import type { GroupStatus } from "../group/group-status.ts";
import type { Clock } from "./clock.ts";

export const handoverDefaults = Object.freeze({
  /** After that a node stops all the same, and the others elect. */
  handoverMsMax: 1000,
  pollMs: 5,
});

interface HandoverEngine {
  status(): readonly GroupStatus[];
  transferLeader(group: number, to: string): void;
}

export interface HandoverOptions {
  readonly engine: HandoverEngine;
  readonly clock: Clock;
  readonly nodeId: string;
  /** Nodes with an open link. */
  readonly heirs: () => readonly string[];
}

/** A node that stops gives away what it leads first, so that no group has to wait for an election. */
export class Handover {
  readonly #options: HandoverOptions;
  readonly #asked = new Map<number, string>();

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
    const { engine, heirs, nodeId } = this.#options;
    const candidates = heirs();
    const led = engine.status().filter(({ role, leader }) => role === "leader" && leader === nodeId);
    if (led.length === 0 || candidates.length === 0) return true;
    for (const { id } of led) {
      const asked = this.#asked.get(id);
      if (asked !== undefined && candidates.includes(asked)) continue;
      const heir = candidates[id % candidates.length] as string;
      this.#asked.set(id, heir);
      engine.transferLeader(id, heir);
    }
    return false;
  }
}

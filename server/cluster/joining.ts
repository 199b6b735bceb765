import type { GroupStatus } from "../group/group-status.ts";
import type { Clock } from "./clock.ts";

interface JoiningParts {
  readonly groups: () => readonly GroupStatus[];
  readonly clock: Clock;
  /** This node is a member of every group, and knows its leader. Once. */
  readonly joined: () => void;
}

const pollMs = 100;

/** Waits until a node may serve. Who is made a member only later hears of its leaders before. */
export class Joining {
  readonly #parts: JoiningParts;
  #cancel: (() => void) | null = null;
  #isOver = false;

  constructor(parts: JoiningParts) {
    this.#parts = parts;
  }

  /** Looks at once, and again by itself until it is so. */
  look(): void {
    this.#cancel?.();
    if (this.#isOver) return;
    const { groups, clock, joined } = this.#parts;
    if (groups().every(({ leader, isMember }) => leader !== null && isMember)) {
      this.#isOver = true;
      joined();
    } else this.#cancel = clock.setTimer(() => this.look(), pollMs);
  }

  stop(): void {
    this.#isOver = true;
    this.#cancel?.();
  }
}

import type { Chance } from "./chance.ts";

interface Poisoned {
  /** The first entry that does not come back. */
  readonly index: number;
  /** The one node that it is too much for; null: nobody gets past it. */
  readonly only: string | null;
}

/** Rooms whose code does not come back: where, and on which nodes. */
export class Poison {
  readonly #rooms = new Map<string, Poisoned>();
  readonly #nodeIds: readonly string[];
  readonly #chance: Chance;
  #isSwallowed = false;

  constructor(nodeIds: readonly string[], chance: Chance) {
    this.#nodeIds = nodeIds;
    this.#chance = chance;
  }

  /** In the middle of an apply, on some node. */
  swallow(): void {
    this.#isSwallowed = true;
  }

  /** Right behind that apply: whether this node would still be in it. */
  strikes(node: string, roomId: string, index: number): boolean {
    if (!this.#isSwallowed) return false;
    this.#isSwallowed = false;
    let poisoned = this.#rooms.get(roomId);
    if (poisoned === undefined) {
      poisoned = { index, only: this.#chance.hits(0.25) ? this.#chance.pick(this.#nodeIds) : null };
      this.#rooms.set(roomId, poisoned);
    }
    return poisoned.only === null || poisoned.only === node;
  }

  /** From its poison on a room stands where it stands on each node for itself. */
  hasMet(roomId: string, index: number): boolean {
    const poisoned = this.#rooms.get(roomId);
    return poisoned !== undefined && index >= poisoned.index;
  }

  get rooms(): ReadonlyMap<string, Poisoned> {
    return this.#rooms;
  }
}

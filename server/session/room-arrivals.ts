/** Sockets that wait at once, of all rooms. */
const waitingMax = 1_000;

/** Those who wait for rooms that are about to be on this node. */
export class RoomArrivals {
  readonly #later: (act: () => void, ms: number) => void;
  readonly #waiting = new Map<string, Set<() => void>>();
  #size = 0;

  constructor(later: (act: () => void, ms: number) => void) {
    this.#later = later;
  }

  /** In the midst of an apply: whoever waits goes on behind it. */
  came(roomId: string): void {
    for (const go of this.#waiting.get(roomId) ?? []) this.#later(go, 0);
  }

  /** Resolves once the room has come, after `mostMs`, or at once if too many wait already. */
  until(roomId: string, mostMs: number): Promise<void> {
    if (this.#size >= waitingMax) return Promise.resolve();
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(roomId) ?? new Set();
      this.#waiting.set(roomId, waiting);
      const go = () => {
        if (!waiting.delete(go)) return;
        this.#size -= 1;
        if (waiting.size === 0) this.#waiting.delete(roomId);
        resolve();
      };
      waiting.add(go);
      this.#size += 1;
      this.#later(go, mostMs);
    });
  }
}

/** A client whose socket is attached on this node, as far as sending it elsewhere goes. */
export interface AttachedClient {
  /** It goes elsewhere by itself once it is asked; any other comes back, elsewhere, once it is closed. */
  readonly movesItself: boolean;
  /** The stock SDK has come back with this room before; from then on it always does. */
  readonly cameBack: boolean;
  /** It waits for what it has just asked. */
  readonly isBusy: boolean;
  /** Only to one that moves itself. */
  ask(): void;
  close(reason: string): void;
}

/** Who is attached on this node, and since when. */
export class AttachedClients {
  readonly #nowMs: () => number;
  readonly #sinceMs = new Map<AttachedClient, number>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  get size(): number {
    return this.#sinceMs.size;
  }

  /** With the time that each came, on the monotonic clock; the longest here first. */
  get all(): Iterable<readonly [client: AttachedClient, sinceMs: number]> {
    return this.#sinceMs;
  }

  has(client: AttachedClient): boolean {
    return this.#sinceMs.has(client);
  }

  /** @returns what is to be called when it is gone */
  add(client: AttachedClient): () => void {
    this.#sinceMs.set(client, this.#nowMs());
    return () => void this.#sinceMs.delete(client);
  }
}

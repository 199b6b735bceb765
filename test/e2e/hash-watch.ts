import type { Cluster } from "./cluster.ts";
import { sleep } from "./cluster.ts";

const pollMs = 60;

/** Asks all nodes for the rooms' graph hashes, again and again, and compares them at equal indexes. */
export class HashWatch {
  /** Room and index → hash → the nodes that have it there. */
  readonly #seen = new Map<string, Map<string, Set<string>>>();
  readonly #cluster: Cluster;
  #stopping = false;
  #stopped: Promise<void>;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#stopped = this.#run();
  }

  /** Points at which more than one node was seen. */
  get compared(): number {
    let count = 0;
    for (const hashes of this.#seen.values()) {
      const nodes = new Set([...hashes.values()].flatMap((ids) => [...ids]));
      if (nodes.size > 1) count++;
    }
    return count;
  }

  /** Points at which two nodes, or two starts of one, had different hashes. */
  get differing(): string[] {
    return [...this.#seen]
      .filter(([, hashes]) => hashes.size > 1)
      .map(
        ([point, hashes]) =>
          `${point}: ${[...hashes].map(([hash, ids]) => `${[...ids].join(", ")} ${hash}`).join("; ")}`,
      );
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#stopped;
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      await Promise.all(this.#cluster.ids.map((id) => this.#ask(id)));
      await sleep(pollMs);
    }
  }

  async #ask(id: string): Promise<void> {
    for (const { roomId, hashIndex, stateHash } of (await this.#cluster.status(id))?.rooms ?? []) {
      if (hashIndex === null || stateHash === null) continue;
      const point = `room ${roomId} at ${hashIndex}`;
      const hashes = this.#seen.get(point) ?? new Map<string, Set<string>>();
      this.#seen.set(point, hashes);
      hashes.set(stateHash, (hashes.get(stateHash) ?? new Set()).add(id));
    }
  }
}

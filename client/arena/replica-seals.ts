import type { NodeStatus } from "./node-status.ts";

/** So many (index, hash) pairs are remembered of each replica. */
const sealsMax = 64;

/** Do the replicas of one room agree? `open`: no two of them were seen at the same index yet. */
export type Agreement =
  | { readonly type: "open" }
  | { readonly type: "equal"; readonly index: number; readonly replicas: number }
  | { readonly type: "different"; readonly index: number };

/** The state hashes of one room's replicas, by index: they must be equal where the indexes are. */
export class ReplicaSeals {
  readonly #byNode = new Map<string, Map<number, string>>();
  #agreement: Agreement = { type: "open" };

  get agreement(): Agreement {
    return this.#agreement;
  }

  observe(status: NodeStatus, roomId: string): void {
    const room = status.rooms.find((candidate) => candidate.roomId === roomId);
    if (room === undefined || room.stateHash === null || room.hashIndex === null) return;
    const seals = this.#byNode.get(status.node) ?? new Map<number, string>();
    this.#byNode.set(status.node, seals);
    seals.set(room.hashIndex, room.stateHash);
    for (const index of seals.keys()) {
      if (seals.size <= sealsMax) break;
      seals.delete(index);
    }
    this.#compare(room.hashIndex);
  }

  #compare(index: number): void {
    const hashes = [...this.#byNode.values()].flatMap((seals) => seals.get(index) ?? []);
    if (hashes.length < 2) return;
    const equal = hashes.every((hash) => hash === hashes[0]);
    // A difference is never painted over by a later agreement.
    if (!equal) this.#agreement = { type: "different", index };
    else if (this.#agreement.type === "open")
      this.#agreement = { type: "equal", index, replicas: hashes.length };
    else if (this.#agreement.type === "equal" && index >= this.#agreement.index) {
      this.#agreement = { type: "equal", index, replicas: hashes.length };
    }
  }
}

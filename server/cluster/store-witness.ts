import type { StoreSighting } from "../network/peer-message.ts";
import type { StoreSeen } from "../storage/storage.ts";
import { storageLimits } from "../storage/storage-limits.ts";
import { NodeError } from "./node-error.ts";

export type Meeting =
  /** `isNews`: to be remembered durably before the node is heard. */
  | { readonly type: "fine"; readonly isNews: boolean }
  | { readonly type: "refused"; readonly error: NodeError };

/**
 * What this node knows of the others' stores, so that an older state of one is not taken for the present one: an old
 * image of a disk has forgotten votes and entries that others counted (design 4.3). A store only ever counts upwards: its
 * starts, and its saves. Whoever comes with less than was seen before has an old image; who comes with a start that
 * another process has under another bootId, a copy.
 */
export class StoreWitness {
  /** By storeId, the one met last at the end. */
  readonly #known = new Map<string, StoreSighting>();

  constructor(seen: readonly StoreSeen[]) {
    for (const store of seen) this.#known.set(store.storeId, store);
  }

  /** For all others to hear: they may know better, of themselves above all. */
  get sightings(): readonly StoreSighting[] {
    return [...this.#known.values()];
  }

  /** To be saved. */
  get seen(): readonly StoreSeen[] {
    return this.sightings;
  }

  /** A node says what its store is. */
  meet(store: StoreSighting): Meeting {
    const known = this.#known.get(store.storeId);
    if (known !== undefined) {
      const error = contradiction(store, known);
      if (error !== null) return { type: "refused", error };
    }
    const earlier = this.sightings.find(
      ({ nodeId, storeId, bootCount }) =>
        nodeId === store.nodeId && storeId !== store.storeId && bootCount >= store.bootCount,
    );
    if (known === undefined && earlier !== undefined)
      return { type: "refused", error: uncounted(store, earlier) };
    this.#known.delete(store.storeId);
    this.#known.set(store.storeId, store);
    const [oldest] = this.#known.keys();
    if (this.#known.size > storageLimits.storesSeenMax && oldest !== undefined) this.#known.delete(oldest);
    const isKnown = known !== undefined && known.bootCount === store.bootCount && known.bootId !== null;
    return { type: "fine", isNews: !isKnown };
  }

  /** What another node saw of this node's own store, `own`: it has come at least so far. */
  static judgeOwn(own: StoreSighting, seen: readonly StoreSighting[]): NodeError | null {
    const sighting = seen.find(({ storeId }) => storeId === own.storeId);
    return sighting === undefined ? null : contradiction(own, sighting);
  }

  /** The peer, of those linked here, that another node is linked with as another process of the same start. */
  static findTwice(peers: readonly StoreSighting[], seen: readonly StoreSighting[]): NodeError | null {
    for (const peer of peers) {
      const sighting = seen.find(({ storeId }) => storeId === peer.storeId);
      const error = sighting === undefined ? null : twice(peer, sighting);
      if (error !== null) return error;
    }
    return null;
  }
}

function twice({ nodeId, storeId, bootCount, bootId }: StoreSighting, seen: StoreSighting): NodeError | null {
  const isKnown = bootId !== null && seen.bootId !== null;
  if (!isKnown || bootCount !== seen.bootCount || bootId === seen.bootId) return null;
  return new NodeError(
    "STORE_TWICE",
    `two processes run on copies of one data folder of ${nodeId} (store ${storeId}, start ${bootCount}): stop both, keep the folder that was there first, and empty the other`,
  );
}

/** What a node's later start says ends what its earlier ones had in flight: so it must be known to be later. */
function uncounted({ nodeId, storeId, bootCount }: StoreSighting, earlier: StoreSighting): NodeError {
  return new NodeError(
    "STORE_OLD",
    `the data folder of ${nodeId} (store ${storeId}) counts its starts from ${bootCount}, but an earlier one of that node (store ${earlier.storeId}) had come to ${earlier.bootCount}: the clock was behind when it was made. Set the clock right, and empty the folder again`,
  );
}

/** Why `store`, as it says it is now, cannot be the one that was seen. */
function contradiction(store: StoreSighting, seen: StoreSighting): NodeError | null {
  const { nodeId, storeId, bootCount, saves } = store;
  // Fewer saves under the same count of starts: an image that was started again, once instead of once more.
  if (bootCount >= seen.bootCount && saves >= seen.saves) return twice(store, seen);
  const has = `start ${bootCount} with ${saves} saves`;
  const had = `start ${seen.bootCount} with ${seen.saves} saves`;
  return new NodeError(
    "STORE_OLD",
    `the data folder of ${nodeId} (store ${storeId}) is an old one: it is at ${has}, others have seen ${had}; what it has forgotten was promised to them. Give the node its newest folder back, or an empty one, so that it is readmitted as a new one`,
  );
}

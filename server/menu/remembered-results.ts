import { pack, unpack } from "msgpackr";
import { type Origin, Origins, type OriginsState, type OriginVerdict } from "../group/origins.ts";
import { keeperLimits } from "./keeper-limits.ts";

type SavedResult = readonly [nodeId: string, sequence: number, result: Uint8Array];

export interface ResultsState {
  readonly origins: OriginsState;
  readonly results: readonly SavedResult[];
}

/**
 * What nodes have proposed, and what the newest of it gave: a proposal that is asked for again, by a node whose replica
 * was replaced meanwhile, is not carried out again and has its result all the same.
 */
export class RememberedResults {
  readonly #origins: Origins;
  /** The oldest first. */
  readonly #results = new Map<string, SavedResult>();
  #bytes = 0;

  constructor({ origins, results }: ResultsState = { origins: [], results: [] }) {
    this.#origins = new Origins(origins);
    // Copies: views would keep the whole checkpoint in memory.
    for (const [nodeId, sequence, result] of results) this.#add([nodeId, sequence, new Uint8Array(result)]);
  }

  get state(): ResultsState {
    return { origins: this.#origins.state, results: [...this.#results.values()] };
  }

  take(origin: Origin): OriginVerdict {
    const verdict = this.#origins.take(origin);
    // Nobody of an earlier start waits any more.
    if (verdict === "new" && origin.sequence === 1)
      for (const [key, [nodeId]] of this.#results) if (nodeId === origin.nodeId) this.#delete(key);
    return verdict;
  }

  remember({ nodeId, sequence }: Origin, result: unknown): void {
    const { resultsKeptMax, resultsKeptBytesMax } = keeperLimits;
    const packed = new Uint8Array(pack(result));
    if (packed.length > resultsKeptBytesMax / 4) return;
    this.#add([nodeId, sequence, packed]);
    for (const key of this.#results.keys()) {
      if (this.#results.size <= resultsKeptMax && this.#bytes <= resultsKeptBytesMax) return;
      this.#delete(key);
    }
  }

  #add(saved: SavedResult): void {
    const [nodeId, sequence, result] = saved;
    this.#results.set(keyOf(nodeId, sequence), saved);
    this.#bytes += result.length;
  }

  #delete(key: string): void {
    this.#bytes -= this.#results.get(key)?.[2].length ?? 0;
    this.#results.delete(key);
  }

  /** Undefined: it is not known any more. */
  resultOf({ nodeId, sequence }: Origin): unknown {
    const packed = this.#results.get(keyOf(nodeId, sequence))?.[2];
    return packed === undefined ? undefined : (unpack(packed) as unknown);
  }
}

function keyOf(nodeId: string, sequence: number): string {
  return `${sequence} ${nodeId}`;
}

import { pack, unpack } from "msgpackr";
import { type Origin, Origins, type OriginsState, type OriginVerdict } from "../group/origins.ts";
import { keeperLimits } from "./keeper-limits.ts";

type SavedResults = [nodeId: string, results: [sequence: number, result: Uint8Array][]][];

export interface ResultsState {
  readonly origins: OriginsState;
  readonly results: SavedResults;
}

/**
 * What nodes have proposed, and what the newest of it gave: a proposal that is asked for again, by a node whose replica
 * was replaced meanwhile, is not carried out again and has its result all the same.
 */
export class RememberedResults {
  readonly #origins: Origins;
  readonly #results: Map<string, Map<number, Uint8Array>>;
  readonly #bytes = new Map<string, number>();

  constructor({ origins, results }: ResultsState = { origins: [], results: [] }) {
    this.#origins = new Origins(origins);
    this.#results = new Map(results.map(([nodeId, ofNode]) => [nodeId, new Map(ofNode)]));
    for (const [nodeId, ofNode] of this.#results)
      this.#bytes.set(
        nodeId,
        [...ofNode.values()].reduce((sum, { length }) => sum + length, 0),
      );
  }

  get state(): ResultsState {
    const results: SavedResults = [...this.#results].map(([nodeId, ofNode]) => [nodeId, [...ofNode]]);
    return { origins: this.#origins.state, results };
  }

  take(origin: Origin): OriginVerdict {
    const isFirst = origin.sequence === 1;
    const verdict = this.#origins.take(origin);
    // Nobody of an earlier start waits any more.
    if (verdict === "new" && isFirst) this.#forgetAll(origin.nodeId);
    return verdict;
  }

  #forgetAll(nodeId: string): void {
    this.#results.delete(nodeId);
    this.#bytes.delete(nodeId);
  }

  remember({ nodeId, sequence }: Origin, result: unknown): void {
    const { resultsKeptMax, resultsKeptBytesMax } = keeperLimits;
    const packed = new Uint8Array(pack(result));
    if (packed.length > resultsKeptBytesMax / 4) return;
    const ofNode = this.#results.get(nodeId) ?? new Map<number, Uint8Array>();
    this.#results.set(nodeId, ofNode.set(sequence, packed));
    let bytes = (this.#bytes.get(nodeId) ?? 0) + packed.length;
    for (const [oldest, { length }] of ofNode) {
      if (ofNode.size <= resultsKeptMax && bytes <= resultsKeptBytesMax) break;
      ofNode.delete(oldest);
      bytes -= length;
    }
    this.#bytes.set(nodeId, bytes);
  }

  /** Undefined: it is not known any more. */
  resultOf({ nodeId, sequence }: Origin): unknown {
    const packed = this.#results.get(nodeId)?.get(sequence);
    return packed === undefined ? undefined : (unpack(packed) as unknown);
  }
}

/** Where a node's proposal for one part comes from: which start of which node, and its number there (1, 2, …). */
export interface Origin {
  readonly nodeId: string;
  readonly bootCount: number;
  readonly sequence: number;
}

export type OriginVerdict = "new" | "duplicate" | "gap" | "expired";

/** What is remembered of each node that ever proposed something to a part: its latest start and last sequence. */
export type OriginsState = [nodeId: string, bootCount: number, sequence: number][];

/**
 * Exactly once for what nodes propose (design 5.3): only last + 1 is taken. A later start of a node ends the earlier
 * one's stream, so what that one still had in flight is never applied afterwards.
 */
export class Origins {
  readonly #streams = new Map<string, { bootCount: number; sequence: number }>();

  constructor(state: OriginsState = []) {
    for (const [nodeId, bootCount, sequence] of state) this.#streams.set(nodeId, { bootCount, sequence });
  }

  get state(): OriginsState {
    return [...this.#streams].map(([nodeId, { bootCount, sequence }]) => [nodeId, bootCount, sequence]);
  }

  /** The last sequence of this start of a node; 0: it has not spoken. */
  lastOf({ nodeId, bootCount }: Omit<Origin, "sequence">): number {
    const stream = this.#streams.get(nodeId);
    return stream?.bootCount === bootCount ? stream.sequence : 0;
  }

  /** Judges, and notes `origin` as taken if it is new. */
  take(origin: Origin): OriginVerdict {
    const stream = this.#streams.get(origin.nodeId);
    if (stream !== undefined && origin.bootCount < stream.bootCount) return "expired";
    const last = stream === undefined || origin.bootCount > stream.bootCount ? 0 : stream.sequence;
    if (origin.sequence <= last) return "duplicate";
    if (origin.sequence !== last + 1) return "gap";
    this.#streams.set(origin.nodeId, { bootCount: origin.bootCount, sequence: origin.sequence });
    return "new";
  }
}

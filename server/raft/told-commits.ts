interface Follower {
  readonly matchIndex: number;
  readonly commitIndex: number;
}

/**
 * Up to where each node may take the log for committed by the word of this term's leader. A node applies nothing else: so
 * the leader knows of one that it cannot reach what that has surely not done (see `atMost`).
 *
 * Two things make that good for more than a moment. What came before the term is told at once, to who has all of it. And
 * a node that is held back learns of what comes meanwhile at once, too: whatever is committed for it to read before it
 * goes on stands in what it is told, however far back.
 */
export class ToldCommits {
  readonly #told = new Map<string, number>();
  /** The highest base of the snapshots that it was sent. */
  readonly #bases = new Map<string, number>();
  /** Who is told nothing new before all up to there is committed, and on its disk. */
  readonly #heldBack = new Map<string, number>();
  #firstIndex = 0;

  /** A term begins with the entry at `firstIndex`. */
  begin(firstIndex: number): void {
    this.#told.clear();
    this.#bases.clear();
    this.#heldBack.clear();
    this.#firstIndex = firstIndex;
  }

  /** Of the entry that the term began with. */
  get firstIndex(): number {
    return this.#firstIndex;
  }

  /** The commit index to be told to the node. */
  tellable(nodeId: string, { matchIndex, commitIndex }: Follower): number {
    const neededIndex = this.#heldBack.get(nodeId) ?? this.#firstIndex;
    return Math.min(matchIndex, commitIndex) >= neededIndex ? commitIndex : (this.#told.get(nodeId) ?? 0);
  }

  /** `index`: the commit index, as far as the node has the log. */
  tell(nodeId: string, index: number): void {
    raise(this.#told, nodeId, index);
  }

  /** It may take the place of the node's log; but who has the log all the same is told nothing by it. */
  sendBase(nodeId: string, index: number): void {
    raise(this.#bases, nodeId, index);
  }

  /**
   * The node has applied nothing behind this, unless it hears of a later leader. What an earlier one has told it lies
   * before this term (Raft §5.4.3).
   */
  atMost(nodeId: string): number {
    return Math.max(this.#firstIndex - 1, this.#told.get(nodeId) ?? 0, this.#bases.get(nodeId) ?? 0);
  }

  holdBack(nodeId: string): void {
    this.#heldBack.set(nodeId, Number.POSITIVE_INFINITY);
  }

  /** It is told more once all up to `index` is committed, and on its disk. */
  letOn(nodeId: string, index: number): void {
    if (this.#heldBack.has(nodeId)) this.#heldBack.set(nodeId, index);
  }
}

function raise(map: Map<string, number>, key: string, value: number): void {
  map.set(key, Math.max(map.get(key) ?? 0, value));
}

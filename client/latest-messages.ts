/** What a node had so long before it was heard of last, it has taken: the way into the log may be a long one. */
const unsureMs = 1_000;

interface Latest {
  readonly frame: Uint8Array;
  readonly sentMs: number;
  /** The first command that was sent behind it over the same connection; null: none yet. */
  followedBy: number | null;
}

/**
 * The newest message of each `latest` type. Nobody acknowledges them, and a move may come between one and the room, which
 * would then go by an older one, perhaps for good. So one that may have been lost is sent again.
 */
export class LatestMessages {
  readonly #newest = new Map<string | number, Latest>();

  add(type: string | number, frame: Uint8Array, nowMs: number): void {
    this.#newest.set(type, { frame: frame.slice(), sentMs: nowMs, followedBy: null });
  }

  /** A command is sent over the connection that they were sent over. */
  follow(sequence: number): void {
    for (const latest of this.#newest.values()) latest.followedBy ??= sequence;
  }

  /** Every command up to `sequence` is applied, and so is what was sent before it. */
  acknowledge(sequence: number): void {
    for (const [type, { followedBy }] of this.#newest)
      if (followedBy !== null && followedBy <= sequence) this.#newest.delete(type);
  }

  /** Those that the last node, which was heard of at `heardMs`, may not have taken: they are sent at the next one. */
  resend(heardMs: number, nowMs: number): Uint8Array[] {
    const unsure = [...this.#newest].filter(([, { sentMs }]) => sentMs >= heardMs - unsureMs);
    this.#newest.clear();
    for (const [type, { frame }] of unsure) this.add(type, frame, nowMs);
    return unsure.map(([, { frame }]) => frame);
  }

  clear(): void {
    this.#newest.clear();
  }
}

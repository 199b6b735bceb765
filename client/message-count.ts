/** Where this client stands in the room's messages: their numbers are told by their order alone. */
export class MessageCount {
  #received: number | null = null;
  #lost = 0;
  /** So many of those that come next have come before, by the connection before. */
  #twice = 0;

  /** The last one's number; null: the node did not tell where they stand. */
  get received(): number | null {
    return this.#received;
  }

  /** What a node says first: the next one that comes is `received + 1`; it does not keep `lost` of those that were not said to have come. */
  resumed({ received, lost }: { readonly received: number; readonly lost: number }): void {
    // More has come than was said, if the old connection went on beside the new one.
    const has = this.#received;
    this.#twice = Math.max(0, (has ?? 0) - received);
    this.#lost += has === null ? lost : Math.max(0, received - has);
    this.#received = Math.max(has ?? 0, received);
  }

  /** One comes; false: it has come before. */
  take(): boolean {
    if (this.#twice > 0) {
      this.#twice -= 1;
      return false;
    }
    if (this.#received !== null) this.#received += 1;
    return true;
  }

  /** How many no node had any more, since this was asked last. */
  takeLost(): number {
    const lost = this.#lost;
    this.#lost = 0;
    return lost;
  }
}

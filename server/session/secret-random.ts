import { hash } from "node:crypto";
import { derivedSeed } from "./random.ts";

const blockBytes = 32;

/**
 * What `crypto` draws inside a room: SHA-256 over a key and a counter. Whoever has seen some of it, or of what `Math.random`
 * gave there, can tell nothing of the rest; whoever has a node's log or disk can tell all of it, as the seed is there.
 */
export class SecretRandom {
  readonly #key: Uint8Array;
  #drawn = 0;
  #block: { readonly number: number; readonly bytes: Uint8Array } | null = null;

  constructor(seed: Uint8Array) {
    this.#key = derivedSeed(seed, "secrets");
  }

  /** Bytes, ever: all that a checkpoint needs to know. */
  get drawn(): number {
    return this.#drawn;
  }

  restore(drawn: number): void {
    this.#drawn = drawn;
  }

  fill(into: Uint8Array): void {
    for (let at = 0; at < into.length; ) {
      const block = this.#blockAt(Math.floor(this.#drawn / blockBytes));
      const from = this.#drawn % blockBytes;
      const part = block.subarray(from, from + into.length - at);
      into.set(part, at);
      at += part.length;
      this.#drawn += part.length;
    }
  }

  #blockAt(number: number): Uint8Array {
    if (this.#block?.number === number) return this.#block.bytes;
    const input = Buffer.alloc(this.#key.length + 8);
    input.set(this.#key);
    input.writeDoubleBE(number, this.#key.length);
    const bytes = hash("sha256", input, "buffer");
    this.#block = { number, bytes };
    return bytes;
  }
}

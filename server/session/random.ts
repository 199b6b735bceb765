import { hash } from "node:crypto";

/** What one use of a room's seed begins with (32 bytes): it tells nothing of the seed, nor of what another use begins with. */
export function derivedSeed(seed: Uint8Array, use: "chance" | "secrets"): Uint8Array {
  return hash("sha256", Buffer.concat([Buffer.from(`testudo ${use}\0`), seed]), "buffer");
}

/**
 * A room's chance: sfc32 (Chris Doty-Humphrey, PractRand), seeded from `crypto` on the proposing node and carried in
 * the log. Its output in a player's hands reveals the rest, back to the first draw: secrets never come from here
 * (design 5.3), and what it is seeded with is not the room's seed itself. See SecretRandom.
 */
export class RoomRandom {
  #a: number;
  #b: number;
  #c: number;
  #counter: number;

  /** @param state four unsigned 32-bit integers; the fourth is the counter and must not be 0 for a new seed. */
  constructor(state: readonly [number, number, number, number]) {
    [this.#a, this.#b, this.#c, this.#counter] = state;
  }

  static seeded(seed: Uint8Array): RoomRandom {
    const own = derivedSeed(seed, "chance");
    const view = new DataView(own.buffer, own.byteOffset, own.byteLength);
    const random = new RoomRandom([view.getUint32(0), view.getUint32(4), view.getUint32(8), 1]);
    for (let round = 0; round < 12; round++) random.uint32();
    return random;
  }

  get state(): [number, number, number, number] {
    return [this.#a, this.#b, this.#c, this.#counter];
  }

  restore(state: readonly [number, number, number, number]): void {
    [this.#a, this.#b, this.#c, this.#counter] = state;
  }

  uint32(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (this.#c << 21) | (this.#c >>> 11);
    this.#c = (this.#c + sum) | 0;
    return sum >>> 0;
  }

  /** Uniform in [0, 1), 53 bits. */
  next(): number {
    return (this.uint32() * 2 ** 21 + (this.uint32() >>> 11)) / 2 ** 53;
  }
}

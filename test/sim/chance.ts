import { seededRandom } from "../raft/seeded-random.ts";

/** All chance of one simulated run: the same seed draws the same. */
export class Chance {
  readonly #next: () => number;

  constructor(seed: number) {
    // Neighbouring seeds begin alike in a weak generator: spread them first.
    this.#next = seededRandom(Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ (seed << 7));
    for (let warmUp = 0; warmUp < 4; warmUp++) this.#next();
  }

  /** Uniform in [0, 1). */
  fraction(): number {
    return this.#next();
  }

  /** Uniform in [min, max). */
  between(min: number, max: number): number {
    return min + (max - min) * this.#next();
  }

  /** A whole number from 0 to `count` - 1. */
  below(count: number): number {
    return Math.floor(this.#next() * count);
  }

  /** True with this probability. */
  hits(probability: number): boolean {
    return this.#next() < probability;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }

  bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.below(256));
  }

  /** Mostly near 0, sometimes far: a waiting time with this mean. */
  wait(meanMs: number): number {
    return -Math.log(1 - this.#next()) * meanMs;
  }
}

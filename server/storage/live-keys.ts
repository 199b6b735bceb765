import { crc32 } from "node:zlib";
import type { Digest } from "./stored-group.ts";

/** Of one key and its value. */
export function digestOf(key: Uint8Array, value: Uint8Array): number {
  return crc32(value, crc32(key));
}

/**
 * A running count and digest of all that must be in the database, written with every save. The database checks its tables'
 * blocks only when told to, and its binding has no option for that; and a key that vanishes, or falls back to an older
 * value, leaves no trace that a checksum inside a value could show. This does, whatever the cause.
 */
export class LiveKeys {
  keys: number;
  /** Exclusive-or of the digests: a replaced value is taken out with its old one. Unsigned 32-bit. */
  digest: number;

  constructor({ keys, digest }: { keys: number; digest: number } = { keys: 0, digest: 0 }) {
    this.keys = keys;
    this.digest = digest;
  }

  replace(before: Digest, after: Digest): void {
    if (before !== null) {
      this.keys--;
      this.digest = (this.digest ^ before) >>> 0;
    }
    if (after !== null) {
      this.keys++;
      this.digest = (this.digest ^ after) >>> 0;
    }
  }
}

import { crc32 } from "node:zlib";

/** Enough to tell contents apart. */
export function checksum(bytes: Uint8Array): number {
  return crc32(bytes, bytes.length);
}

import { crc32 } from "node:zlib";
import type { Checkpoint } from "../storage/storage.ts";

/**
 * All checkpoints of a group in one run of bytes:
 * `["TSS1"][u32 LE parts]`, per part `[u16 LE length of key][key, UTF-8][float64 LE index][u32 LE length][bytes]`,
 * then `[u32 LE CRC-32 of everything before]`.
 */
const magic = Buffer.from("TSS1", "latin1");
const headerBytes = magic.length + 4;
const partBytes = 2 + 8 + 4;
const crcBytes = 4;

export function encodeSnapshot(checkpoints: ReadonlyMap<string, Checkpoint>): Uint8Array {
  const bytes = Buffer.allocUnsafeSlow(snapshotBytes(checkpoints));
  magic.copy(bytes, 0);
  bytes.writeUInt32LE(checkpoints.size, magic.length);
  let at = headerBytes;
  for (const [key, checkpoint] of checkpoints) {
    const keyBytes = Buffer.byteLength(key);
    bytes.writeUInt16LE(keyBytes, at);
    bytes.write(key, at + 2, "utf8");
    at += 2 + keyBytes;
    bytes.writeDoubleLE(checkpoint.index, at);
    bytes.writeUInt32LE(checkpoint.bytes.length, at + 8);
    bytes.set(checkpoint.bytes, at + 12);
    at += 12 + checkpoint.bytes.length;
  }
  bytes.writeUInt32LE(crc32(bytes.subarray(0, at)), at);
  return bytes;
}

/** How many bytes `encodeSnapshot` gives. */
export function snapshotBytes(checkpoints: ReadonlyMap<string, Checkpoint>): number {
  let total = headerBytes + crcBytes;
  for (const [key, checkpoint] of checkpoints)
    total += partBytes + Buffer.byteLength(key) + checkpoint.bytes.length;
  return total;
}

/** Null if a single byte is not as it was written. */
export function decodeSnapshot(given: Uint8Array): Map<string, Checkpoint> | null {
  const bytes = Buffer.from(given.buffer, given.byteOffset, given.length);
  const end = bytes.length - crcBytes;
  if (end < headerBytes || !bytes.subarray(0, magic.length).equals(magic)) return null;
  if (crc32(bytes.subarray(0, end)) !== bytes.readUInt32LE(end)) return null;
  const checkpoints = new Map<string, Checkpoint>();
  const count = bytes.readUInt32LE(magic.length);
  let at = headerBytes;
  for (let part = 0; part < count; part++) {
    if (at + partBytes > end) return null;
    const keyBytes = bytes.readUInt16LE(at);
    at += 2;
    if (at + keyBytes + 12 > end) return null;
    const key = bytes.toString("utf8", at, at + keyBytes);
    at += keyBytes;
    const index = bytes.readDoubleLE(at);
    const length = bytes.readUInt32LE(at + 8);
    at += 12;
    if (at + length > end) return null;
    checkpoints.set(key, { index, bytes: new Uint8Array(given.subarray(at, at + length)) });
    at += length;
  }
  return at === end && checkpoints.size === count ? checkpoints : null;
}

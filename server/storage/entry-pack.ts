import { strict as assert } from "node:assert";
import { crc32 } from "node:zlib";
import type { Entry } from "../raft/entry.ts";
import { storageLimits } from "./storage-limits.ts";

/*
 * A pack: consecutive entries of one group in one value, under the first one's index.
 *   uint32 count, then for each entry
 *   uint32 CRC-32 of all that follows in this entry, begun with the group's id
 *   float64 index, term, logTimeMs, wallTimeMs (exact: they are whole and below 2^53, and one instruction to write)
 *   uint8 type, uint32 bytes of data, data
 */
const packHeaderBytes = 4;
const entryHeaderBytes = 41;
const entryTypes = ["noop", "command", "configuration"] as const satisfies readonly Entry["type"][];
/** A buffer larger than this is given back after use. */
const keptBytesMax = 4 << 20;

export interface EncodedPack {
  /** Valid until the next call of the encoder. */
  readonly value: Uint8Array;
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly lastTerm: number;
}

/** Encodes packs one after the other into one buffer: the database copies what it is given. */
export class PackEncoder {
  #bytes = Buffer.alloc(64 << 10);
  #view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset);

  /** As many of `entries` from position `from` on as fit into a pack; at least one. Contiguity is the caller's. */
  encode({ group, entries, from }: { group: number; entries: readonly Entry[]; from: number }): EncodedPack {
    let bytes = packHeaderBytes;
    let to = from;
    for (; to < entries.length; to++) {
      const size = entryHeaderBytes + (entries[to] as Entry).data.length;
      if (to > from && bytes + size > storageLimits.packBytesMax) break;
      bytes += size;
    }
    assert(to > from, "a pack needs an entry");
    this.#reserve(bytes);
    this.#view.setUint32(0, to - from);
    let at = packHeaderBytes;
    for (let position = from; position < to; position++)
      at = this.#put(entries[position] as Entry, { group, at });
    const first = entries[from] as Entry;
    const last = entries[to - 1] as Entry;
    return {
      value: this.#bytes.subarray(0, bytes),
      firstIndex: first.index,
      lastIndex: last.index,
      lastTerm: last.term,
    };
  }

  #reserve(bytes: number): void {
    const tooSmall = this.#bytes.length < bytes;
    const tooLarge = this.#bytes.length > keptBytesMax && bytes <= keptBytesMax;
    if (!tooSmall && !tooLarge) return;
    this.#bytes = Buffer.allocUnsafeSlow(Math.max(bytes, 64 << 10));
    this.#view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset);
  }

  #put(entry: Entry, { group, at }: { group: number; at: number }): number {
    const view = this.#view;
    view.setFloat64(at + 4, entry.index);
    view.setFloat64(at + 12, entry.term);
    view.setFloat64(at + 20, entry.logTimeMs);
    view.setFloat64(at + 28, entry.wallTimeMs);
    view.setUint8(at + 36, entryTypes.indexOf(entry.type));
    view.setUint32(at + 37, entry.data.length);
    this.#bytes.set(entry.data, at + entryHeaderBytes);
    const end = at + entryHeaderBytes + entry.data.length;
    view.setUint32(at, crc32(this.#bytes.subarray(at + 4, end), group));
    return end;
  }
}

export type DecodedPack =
  | { readonly type: "good"; readonly entries: Entry[] }
  /** `index`: of the first entry that cannot be trusted. */
  | { readonly type: "bad"; readonly index: number; readonly reason: string };

/** The data of the entries are views into `value`. */
export function decodePack({
  group,
  firstIndex,
  value,
}: {
  group: number;
  firstIndex: number;
  value: Uint8Array;
}): DecodedPack {
  const entries: Entry[] = [];
  const bad = (reason: string): DecodedPack => ({ type: "bad", index: firstIndex + entries.length, reason });
  if (value.length < packHeaderBytes) return bad("the pack is cut short");
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  const count = view.getUint32(0);
  let at = packHeaderBytes;
  while (entries.length < count) {
    if (at + entryHeaderBytes > value.length) return bad("the pack is cut short");
    const end = at + entryHeaderBytes + view.getUint32(at + 37);
    if (end > value.length) return bad("the entry is cut short");
    if (crc32(value.subarray(at + 4, end), group) !== view.getUint32(at))
      return bad("the entry's checksum is wrong");
    const index = view.getFloat64(at + 4);
    if (index !== firstIndex + entries.length) return bad(`the entry of index ${index} is in its place`);
    const type = entryTypes[view.getUint8(at + 36)];
    if (type === undefined) return bad("the entry's type is unknown");
    entries.push({
      index,
      term: view.getFloat64(at + 12),
      type,
      logTimeMs: view.getFloat64(at + 20),
      wallTimeMs: view.getFloat64(at + 28),
      data: value.subarray(at + entryHeaderBytes, end),
    });
    at = end;
  }
  if (count === 0) return bad("the pack is empty");
  if (at !== value.length) return bad("bytes follow the pack's last entry");
  return { type: "good", entries };
}

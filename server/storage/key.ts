import { strict as assert } from "node:assert";
import { storageLimits } from "./storage-limits.ts";

/*
 * Keys are bytes, big-endian, so that the database's order is: the store's own records, then group by group
 * its hard state, its base, its packs by index, its checkpoints by key in one slot and then the other.
 */
const storeSpace = 0;
const groupSpace = 1;
const kinds = { hardState: 1, base: 2, pack: 3, checkpointsInSlot0: 4, checkpointsInSlot1: 5 } as const;
const groupPrefixBytes = 6;
const indexBytes = 8;

/**
 * A group's checkpoints lie in one slot, which the base's record names, and a snapshot is staged in the other: to swap it
 * in is to name the other slot.
 */
export type Slot = 0 | 1;

export function otherSlot(slot: Slot): Slot {
  return slot === 0 ? 1 : 0;
}

export type StoredKey =
  | { readonly type: "identity" }
  | { readonly type: "state" }
  | { readonly type: "founding" }
  | { readonly type: "seen" }
  | { readonly type: "hardState" | "base"; readonly group: number }
  | { readonly type: "pack"; readonly group: number; readonly firstIndex: number }
  | { readonly type: "checkpoint"; readonly group: number; readonly slot: Slot; readonly key: string }
  | { readonly type: "unknown" };

export const identityKey: Uint8Array = Uint8Array.of(storeSpace, 1);
export const stateKey: Uint8Array = Uint8Array.of(storeSpace, 2);
export const foundingKey: Uint8Array = Uint8Array.of(storeSpace, 3);
export const seenKey: Uint8Array = Uint8Array.of(storeSpace, 4);

function groupKey(group: number, kind: number, more: number): Uint8Array {
  assert(Number.isInteger(group) && group >= 0 && group <= storageLimits.groupIdMax, `group id ${group}`);
  const key = new Uint8Array(groupPrefixBytes + more);
  key[0] = groupSpace;
  new DataView(key.buffer).setUint32(1, group);
  key[groupPrefixBytes - 1] = kind;
  return key;
}

export function hardStateKey(group: number): Uint8Array {
  return groupKey(group, kinds.hardState, 0);
}

export function baseKey(group: number): Uint8Array {
  return groupKey(group, kinds.base, 0);
}

/** `firstIndex`: of the first entry in the pack. */
export function packKey(group: number, firstIndex: number): Uint8Array {
  assert(Number.isSafeInteger(firstIndex) && firstIndex >= 1, `index ${firstIndex}`);
  const key = groupKey(group, kinds.pack, indexBytes);
  const view = new DataView(key.buffer);
  view.setUint32(groupPrefixBytes, Math.floor(firstIndex / 2 ** 32));
  view.setUint32(groupPrefixBytes + 4, firstIndex >>> 0);
  return key;
}

export function checkpointKey(group: number, { slot, key }: { slot: Slot; key: string }): Uint8Array {
  const text = Buffer.from(key, "utf8");
  assert(text.length <= storageLimits.checkpointKeyBytesMax, `checkpoint key of ${text.length} bytes`);
  const bytes = groupKey(group, kinds.checkpointsInSlot0 + slot, text.length);
  bytes.set(text, groupPrefixBytes);
  return bytes;
}

export function parseKey(bytes: Uint8Array): StoredKey {
  if (bytes.length === 2 && bytes[0] === storeSpace) {
    if (bytes[1] === identityKey[1]) return { type: "identity" };
    if (bytes[1] === stateKey[1]) return { type: "state" };
    if (bytes[1] === foundingKey[1]) return { type: "founding" };
    if (bytes[1] === seenKey[1]) return { type: "seen" };
  }
  if (bytes.length < groupPrefixBytes || bytes[0] !== groupSpace) return { type: "unknown" };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const group = view.getUint32(1);
  const kind = bytes[groupPrefixBytes - 1];
  if (group > storageLimits.groupIdMax) return { type: "unknown" };
  const more = bytes.length - groupPrefixBytes;
  if (kind === kinds.hardState && more === 0) return { type: "hardState", group };
  if (kind === kinds.base && more === 0) return { type: "base", group };
  if (kind === kinds.pack && more === indexBytes) {
    const firstIndex = view.getUint32(groupPrefixBytes) * 2 ** 32 + view.getUint32(groupPrefixBytes + 4);
    return { type: "pack", group, firstIndex };
  }
  if (kind === kinds.checkpointsInSlot0 || kind === kinds.checkpointsInSlot1) {
    const slot = kind === kinds.checkpointsInSlot0 ? 0 : 1;
    const key = Buffer.from(bytes.subarray(groupPrefixBytes)).toString("utf8");
    return { type: "checkpoint", group, slot, key };
  }
  return { type: "unknown" };
}

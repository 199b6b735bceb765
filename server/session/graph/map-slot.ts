import { $changes, type ChangeTree, type MapSchema, OPERATION, type Root } from "@colyseus/schema";
import type { ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";
import { corrupt } from "./graph-error.ts";
import { type MapJournal, mapInternals } from "./schema-internals.ts";

/**
 * The wire indexes of one MapSchema's keys. They are no part of a graph's hash: when a key is deleted and set again,
 * its index depends on whether a patch went out between. But clients keep indexes of keys long gone: a restored room
 * that numbered its keys anew would, by adding and deleting a key between two patches, make them drop another one.
 */
export interface MapSlots {
  /** Of the map's keys, in the map's order. */
  readonly indexes: readonly number[];
  readonly nextIndex: number;
  /** Keys that were deleted since the last patch: set again before the next, they get their index back. */
  readonly deleted: readonly { readonly key: string; readonly index: number }[];
}

export function slotsOf(map: object): MapSlots {
  const { $items, journal } = mapInternals(map as MapSchema);
  const deleted = [...(journal.snapshots?.keys() ?? [])].flatMap((index) => {
    const key = journal.keyByIndex.get(index);
    return key === undefined || $items.has(key) ? [] : [{ key, index }];
  });
  const indexes = [...$items.keys()].map((key) => journal.indexByKey[key] as number);
  return { indexes, nextIndex: journal.nextIndex, deleted };
}

export function writeSlots(out: ByteWriter, { indexes, nextIndex, deleted }: MapSlots): void {
  out.varint(indexes.length);
  for (const index of indexes) out.varint(index);
  out.varint(nextIndex);
  out.varint(deleted.length);
  for (const { key, index } of deleted) {
    out.string(key);
    out.varint(index);
  }
}

export function readSlots(bytes: ByteReader): MapSlots {
  const indexes = Array.from({ length: bytes.count() }, () => bytes.varint());
  const nextIndex = bytes.varint();
  const deleted = Array.from({ length: bytes.count() }, () => ({
    key: bytes.string(),
    index: bytes.varint(),
  }));
  return { indexes, nextIndex, deleted };
}

/** To be called when the map has its items. */
export function restoreSlots(map: object, { indexes, nextIndex }: MapSlots): void {
  const { $items, journal } = mapInternals(map as MapSchema);
  if (indexes.length !== $items.size) throw corrupt(`${indexes.length} indexes for a map of ${$items.size}`);
  let place = 0;
  for (const key of $items.keys()) setSlot(journal, { key, index: indexes[place++] as number });
  sortSlots(journal);
  journal.nextIndex = nextIndex;
}

/** In place of what was deleted: only a view looks at it, and a client that comes to a restored room never had it. */
const unseen = Object.freeze({ [$changes]: Object.freeze({ flags: 0 }) });

/**
 * To be called when the map is attached and nothing is pending: until the next patch the deleted keys are known, and
 * that patch deletes them, which costs a client that never saw them nothing.
 */
export function restoreDeleted(
  map: object,
  { deleted }: MapSlots,
  { tree, root }: { tree: ChangeTree; root: Root },
): void {
  if (deleted.length === 0) return;
  const { journal } = mapInternals(map as MapSchema);
  journal.snapshots ??= new Map();
  for (const { key, index } of deleted) {
    setSlot(journal, { key, index });
    journal.snapshots.set(index, unseen);
    // A key set again is sent with its name only over a pending delete.
    tree.recordDelete(index, OPERATION.DELETE);
  }
  sortSlots(journal);
  root.enqueueChangeTree(tree);
}

function setSlot(
  { keyByIndex, indexByKey }: MapJournal,
  { key, index }: { key: string; index: number },
): void {
  keyByIndex.set(index, key);
  indexByKey[key] = index;
}

/** A full state goes through a map in the order in which its indexes were given. */
function sortSlots({ keyByIndex }: MapJournal): void {
  const sorted = [...keyByIndex].sort(([a], [b]) => a - b);
  keyByIndex.clear();
  for (const [index, key] of sorted) keyByIndex.set(index, key);
}

import assert from "node:assert/strict";
import {
  $childType,
  $refId,
  $values,
  ArraySchema,
  CollectionSchema,
  Decoder,
  type Encoder,
  MapSchema,
  Schema,
  SetSchema,
} from "@colyseus/schema";
import { restoreSlots } from "../../session/graph/map-slot.ts";
import { newSchemaObject } from "../../session/graph/schema-builder.ts";
import {
  arrayInternals,
  type CollectionOwner,
  indexedInternals,
  mapInternals,
  type TreeOwner,
  treeOf,
} from "../../session/graph/schema-internals.ts";
import { prepareSchema, type RestoredSchema } from "../../session/graph/schema-restore.ts";
import type { FullState } from "./led-step.ts";

/** A full state, and the patches behind it, as clients were sent them. */
export interface SentState {
  readonly full: FullState;
  readonly patches: readonly Uint8Array[];
}

type SchemaClass = typeof Schema & (new () => Schema);

/** By refId: the next free index of each collection that never gives one twice. */
export function nextIndexesOf({ root }: Encoder): [refId: number, next: number][] {
  const indexes: [number, number][] = [];
  for (const { ref } of Object.values(root.changeTrees)) {
    const refId = (ref as TreeOwner)[$refId] as number;
    if (ref instanceof MapSchema) indexes.push([refId, mapInternals(ref).journal.nextIndex]);
    else if (isIndexed(ref)) indexes.push([refId, indexedInternals(ref).$refId]);
  }
  return indexes;
}

function isIndexed(ref: object): boolean {
  return ref instanceof SetSchema || ref instanceof CollectionSchema;
}

/**
 * The state that clients have, for a new Encoder to go on with: every instance with its refId, every key with its index, so
 * that whoever follows the patches follows the next ones, too (design 5.8).
 */
export function takeOver(
  stateClass: SchemaClass,
  { full, patches }: SentState,
  nextRefId: number,
): { state: Schema; restored: RestoredSchema } {
  const decoder = new Decoder(stateClass.initializeForDecoder());
  const next = new Map(full.nextIndexes);
  for (const frame of [full.frame, ...patches]) {
    decoder.decode(frame, { offset: 1 });
    countIndexes(decoder, next);
  }
  const copies = new Map<object, object>();
  const { refs } = decoder.root;
  for (const ref of refs.values()) copies.set(ref, newSchemaObject(kindOf(ref), shapeOf(ref)));
  for (const [refId, ref] of refs) fill(ref, { refId, copies, next: next.get(refId) ?? 0 });
  const state = copies.get(decoder.state as object) as Schema;
  const none = {
    slots: new Map(),
    flags: new Map(),
    seen: { views: [], bound: new Set<never>(), marks: [] },
  };
  return {
    state,
    restored: prepareSchema({ schemaObjects: [...copies.values()], ...none }, state, { nextRefId }),
  };
}

/** An index that a patch has given stays given, though a later one has taken its key away. */
function countIndexes({ root }: Decoder, next: Map<number, number>): void {
  for (const [refId, ref] of root.refs) {
    const given =
      ref instanceof MapSchema
        ? mapInternals(ref).journal.keyByIndex.keys()
        : isIndexed(ref)
          ? indexedInternals(ref).$items.keys()
          : [];
    for (const index of given) if (index >= (next.get(refId) ?? 0)) next.set(refId, index + 1);
  }
}

function kindOf(ref: object): Parameters<typeof newSchemaObject>[0] {
  if (ref instanceof MapSchema) return "mapSchema";
  if (ref instanceof ArraySchema) return "arraySchema";
  if (ref instanceof SetSchema) return "setSchema";
  if (ref instanceof CollectionSchema) return "collectionSchema";
  assert(ref instanceof Schema, "a state holds instances and collections of the schema library");
  return "schema";
}

function shapeOf(ref: object): Parameters<typeof newSchemaObject>[1] {
  return { type: ref.constructor } as never;
}

function fill(
  ref: object,
  { refId, copies, next }: { refId: number; copies: ReadonlyMap<object, object>; next: number },
): void {
  const copy = copies.get(ref) as object;
  const own = <T>(value: T): T => (copies.get(value as object) as T | undefined) ?? value;
  const pinned = ref instanceof ArraySchema ? arrayInternals(copy) : copy;
  Object.defineProperty(pinned, $refId, { value: refId, enumerable: false, writable: true });
  if (ref instanceof Schema) {
    const values = (ref as unknown as { [$values]: unknown[] })[$values];
    const filled = (copy as { [$values]: unknown[] })[$values];
    values.forEach((value, index) => {
      filled[index] = own(value);
    });
  } else (copy as CollectionOwner)[$childType] = (ref as unknown as CollectionOwner)[$childType];
  if (ref instanceof MapSchema) {
    const { $items, journal } = mapInternals(ref);
    const inside = mapInternals(copy as MapSchema);
    for (const [key, value] of $items) inside.$items.set(key, own(value));
    const indexes = [...$items.keys()].map((key) => journal.indexByKey[key] as number);
    restoreSlots(copy, { indexes, nextIndex: next, deleted: [] });
  } else if (ref instanceof ArraySchema) {
    const inside = arrayInternals(copy);
    inside.items = [...(arrayInternals(ref) ?? ref).items].map(own);
    inside.tmpItems = inside.items.slice();
  } else if (isIndexed(ref)) {
    const inside = indexedInternals(copy);
    for (const [index, value] of indexedInternals(ref).$items) inside.$items.set(index, own(value));
    inside.$refId = next;
  }
  // Whenever it is attached, all of it is new to clients.
  treeOf(copy).needsRestage = true;
}

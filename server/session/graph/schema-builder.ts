import assert from "node:assert";
import {
  $childType,
  $refId,
  $values,
  ArraySchema,
  CollectionSchema,
  MapSchema,
  Schema,
  SetSchema,
} from "@colyseus/schema";
import type { Shape } from "./class-registry.ts";
import { corrupt, GraphError } from "./graph-error.ts";
import type { LeftOut } from "./graph-options.ts";
import { type GraphRecord, Holes } from "./graph-reader.ts";
import type { KindName } from "./record.ts";
import {
  arrayInternals,
  type CollectionOwner,
  indexedInternals,
  mapInternals,
  savedFlags,
  treeOf,
} from "./schema-internals.ts";

/** An empty schema instance or collection, unattached; its class's constructor does not run. */
export function newSchemaObject(kind: KindName, shape: Shape | null): object {
  switch (kind) {
    case "mapSchema":
      return new MapSchema();
    case "arraySchema":
      return new ArraySchema();
    case "setSchema":
      return new SetSchema();
    case "collectionSchema":
      return new CollectionSchema();
    case "schema": {
      if (shape === null) throw corrupt("a schema instance without a class");
      const instance = Object.create(shape.type.prototype) as object;
      Schema.initialize(instance);
      return instance;
    }
    default:
      throw new assert.AssertionError({ message: `${kind} is not of the schema library` });
  }
}

/**
 * Lays values into a schema object, past its setters: they would record changes, and snap or refuse values that are as
 * they were. What holds it is told in `restoreSchema`.
 */
export function fillSchema(
  record: GraphRecord,
  object: object,
  shape: Shape | null,
  leftOut?: LeftOut,
): void {
  const [refId, paused, childType, nextIndex] = record.scalars;
  const indexed = record.kind === "setSchema" || record.kind === "collectionSchema";
  const known = refId === undefined || typeof refId === "number";
  if (!known || typeof paused !== "boolean" || (indexed && typeof nextIndex !== "number")) {
    throw corrupt(`what a ${record.kind} is known by`);
  }
  const pinnable = object as { [$refId]?: number };
  if (refId !== undefined) {
    const pin = { value: refId, enumerable: false, writable: true };
    Object.defineProperty(record.kind === "arraySchema" ? arrayInternals(object) : pinnable, $refId, pin);
  }
  if (record.kind === "schema") fillInstance(record, object, shape as Shape, leftOut);
  else (object as CollectionOwner)[$childType] = childType;
  if (record.kind === "mapSchema") fillMap(record, object as MapSchema);
  if (record.kind === "arraySchema") fillArray(record, object);
  if (indexed) fillIndexed(record, object, nextIndex);
  const tree = treeOf(object);
  tree.paused = paused;
  // Whenever it is attached, all of it is new to clients.
  tree.needsRestage = true;
}

/** Where flags follow what every record of the kind has. */
const flagsAt: Partial<Record<KindName, number>> = {
  schema: 2,
  mapSchema: 3,
  arraySchema: 3,
  setSchema: 4,
  collectionSchema: 4,
};

/** Null: there are none, the state has no field with a view tag. */
export function flagsOf({ kind, scalars }: GraphRecord): number | null {
  const at = flagsAt[kind];
  const flags = at === undefined ? undefined : scalars[at];
  if (flags === undefined) return null;
  if (typeof flags !== "number" || (flags & savedFlags) !== flags) throw corrupt(`the flags of a ${kind}`);
  return flags;
}

function fillInstance(
  { entries, props }: GraphRecord,
  object: object,
  { fields, className }: Shape,
  leftOut: LeftOut | undefined,
): void {
  const values = (object as { [$values]: unknown[] })[$values];
  for (const [name, value] of props) {
    const index = fields.indexOf(name);
    if (index === -1 && leftOut !== undefined) {
      leftOut.set(object, { ...leftOut.get(object), [name]: value });
      continue;
    }
    if (index === -1) {
      const message = `the saved graph has a field ${name} of ${className}, which is not known here`;
      throw new GraphError("GRAPH_FIELD_UNKNOWN", message, { name });
    }
    values[index] = value;
  }
  for (let at = 0; at + 1 < entries.length; at += 2) {
    const value = entries[at + 1];
    const descriptor = { value, enumerable: true, writable: true, configurable: true };
    Object.defineProperty(object, entries[at] as string, descriptor);
  }
}

function fillMap({ entries }: GraphRecord, map: MapSchema): void {
  const inside = mapInternals(map);
  for (let at = 0; at + 1 < entries.length; at += 2) {
    const key = entries[at] as string;
    inside.$items.set(key, entries[at + 1]);
  }
}

function fillArray({ entries, entryCount }: GraphRecord, array: object): void {
  const inside = arrayInternals(array);
  let index = 0;
  for (const entry of entries) {
    if (entry instanceof Holes) index += entry.count;
    else inside.items[index++] = entry;
  }
  inside.items.length = entryCount;
  inside.tmpItems = inside.items.slice();
}

function fillIndexed({ entries }: GraphRecord, collection: object, nextIndex: unknown): void {
  const inside = indexedInternals(collection);
  for (let at = 0; at + 1 < entries.length; at += 2)
    inside.$items.set(entries[at] as number, entries[at + 1]);
  inside.$refId = nextIndex as number;
}

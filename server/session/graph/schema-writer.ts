import { $childType, $refId, $values } from "@colyseus/schema";
import type { Shape } from "./class-registry.ts";
import { lockOf, type RecordWriter, refuseOwnKeys, writeHeader } from "./record-writer.ts";
import {
  arrayInternals,
  type CollectionOwner,
  indexedInternals,
  mapInternals,
  ownKeys,
  savedFlags,
  type TreeOwner,
  treeOf,
} from "./schema-internals.ts";

/*
 * The refId is state: clients know instances by it. What is still to be sent is not: a client that comes to a restored
 * room is sent everything. Nor are a map's wire indexes: they depend on when a node's patches went out.
 */

/** Fields by name, those that are undefined left out; then own properties that are not synchronised. */
export function writeSchema(writer: RecordWriter, object: object, shape: Shape): void {
  const values = (object as { [$values]: unknown[] })[$values];
  const own = Reflect.ownKeys(object).filter((key) => !ownKeys.has(key));
  let set = 0;
  for (const value of values) if (value !== undefined) set += 1;
  writeHeader(writer, shape, { lock: lockOf(object), scalars: true, entries: own.length > 0, props: true });
  writer.out.varint(writer.hasFilters ? 3 : 2);
  writeTree(writer, object);
  if (writer.hasFilters) writeFlags(writer, object);
  if (own.length > 0) writeOwn(writer, object, own);
  writer.out.varint(set);
  for (let index = 0; index < values.length; index++) {
    const value = values[index];
    if (value === undefined) continue;
    const name = shape.fields[index] as string;
    writer.out.string(name);
    writer.value(value, "property", name);
  }
}

function writeOwn(writer: RecordWriter, object: object, keys: readonly (string | symbol)[]): void {
  writer.out.varint(keys.length * 2);
  for (const key of keys) {
    const descriptor = Reflect.getOwnPropertyDescriptor(object, key) as PropertyDescriptor;
    if (typeof key === "symbol" || !("value" in descriptor) || !descriptor.enumerable) {
      const what = "a property that is not a plain one";
      writer.problem("property", String(key), { what, remedy: "a plain property, or a schema field" });
      continue;
    }
    writer.value(key, "property", key);
    writer.value(descriptor.value, "property", key);
  }
}

/** What every schema instance and collection has: its refId, and whether tracking is paused. */
function writeTree(writer: RecordWriter, object: object): void {
  writer.value((object as TreeOwner)[$refId], "property", "");
  writer.value(treeOf(object).paused, "property", "");
}

/** At the end of the scalars. What is filtered, and by what, is history too: it is not always what the parents say. */
function writeFlags(writer: RecordWriter, object: object): void {
  writer.value(treeOf(object).flags & savedFlags, "property", "");
}

interface CollectionHeader {
  readonly scalars: readonly unknown[];
  readonly size: number;
}

function openCollection(
  writer: RecordWriter,
  object: object,
  shape: Shape,
  { scalars, size }: CollectionHeader,
): void {
  writeHeader(writer, shape, { lock: 0, scalars: true, entries: size > 0 });
  refuseOwnKeys(writer, object, shape, ownKeys);
  if (!Object.isExtensible(object)) {
    writer.problem("property", "", { what: `a ${shape.kind} that is locked`, remedy: "one that is not" });
  }
  writer.out.varint((writer.hasFilters ? 4 : 3) + scalars.length);
  writeTree(writer, object);
  writer.value((object as CollectionOwner)[$childType], "property", "");
  for (const scalar of scalars) writer.value(scalar, "property", "");
  if (writer.hasFilters) writeFlags(writer, object);
}

/** Keys and values by turns, in order. */
export function writeMapSchema(writer: RecordWriter, object: object, shape: Shape): void {
  const items = mapInternals(object as never).$items;
  openCollection(writer, object, shape, { scalars: [], size: items.size });
  if (items.size === 0) return;
  writer.out.varint(items.size * 2);
  let place = 0;
  for (const [key, value] of items) {
    writer.value(key, "mapKey", place++);
    writer.value(value, "mapValue", key);
  }
}

export function writeArraySchema(writer: RecordWriter, object: object, shape: Shape): void {
  const inside = arrayInternals(object);
  const { items } = inside;
  openCollection(writer, inside, shape, { scalars: [], size: items.length });
  if (items.length === 0) return;
  writer.out.varint(items.length);
  for (let index = 0; index < items.length; index++) {
    if (index in items) writer.value(items[index], "index", index);
    else writer.holes(1);
  }
}

/** SetSchema and CollectionSchema: indexes and values by turns, in order, and the next free index. */
export function writeIndexedSchema(writer: RecordWriter, object: object, shape: Shape): void {
  const inside = indexedInternals(object);
  const { size } = inside.$items;
  openCollection(writer, object, shape, { scalars: [inside.$refId], size });
  if (size === 0) return;
  writer.out.varint(size * 2);
  for (const [index, value] of inside.$items) {
    writer.value(index, "mapKey", index);
    writer.value(value, "setValue", index);
  }
}

import type { StateView } from "@colyseus/schema";
import type { View } from "./byte-store.ts";
import type { Shape } from "./class-registry.ts";
import type { Lock } from "./record.ts";
import { lockOf, type RecordWriter, refuseOwnKeys, writeHeader, writeProps } from "./record-writer.ts";
import { writeArraySchema, writeIndexedSchema, writeMapSchema, writeSchema } from "./schema-writer.ts";
import { writeStateView } from "./view-marks.ts";

/** Writes the record of one object: kind, parts, class, and what it holds. */
export function writeContents(writer: RecordWriter, object: object, shape: Shape): void {
  switch (shape.kind) {
    case "object":
    case "nullObject":
      writeObject(writer, object, shape);
      break;
    case "array":
      writeArray(writer, object as unknown[], shape);
      break;
    case "map":
      writeMap(writer, object as Map<unknown, unknown>, shape);
      break;
    case "set":
      writeSet(writer, object as Set<unknown>, shape);
      break;
    case "date":
      writeScalars(writer, object, shape, [Date.prototype.getTime.call(object)], none);
      break;
    case "regExp":
      writeRegExp(writer, object as RegExp, shape);
      break;
    case "error":
      writeError(writer, object, shape);
      break;
    case "arrayBuffer":
      writer.addBuffer(object as ArrayBuffer);
      writeScalars(writer, object, shape, [], none);
      break;
    case "view":
      writer.addView(object as View);
      writeScalars(writer, object, shape, [], none);
      break;
    case "schema":
      writeSchema(writer, object, shape);
      break;
    case "mapSchema":
      writeMapSchema(writer, object, shape);
      break;
    case "arraySchema":
      writeArraySchema(writer, object, shape);
      break;
    case "setSchema":
    case "collectionSchema":
      writeIndexedSchema(writer, object, shape);
      break;
    case "stateView":
      writeStateView(writer, object as StateView, shape);
      break;
  }
}

const none: ReadonlySet<string | symbol> = new Set();
const regExpKeys: ReadonlySet<string | symbol> = new Set(["lastIndex"]);
/** A stack names files and lines of the process that threw: not state. */
const errorKeys: ReadonlySet<string | symbol> = new Set(["stack"]);

function writeObject(writer: RecordWriter, object: object, shape: Shape): void {
  const lock = lockOf(object);
  const keys = Reflect.ownKeys(object);
  writeHeader(writer, shape, { lock, props: keys.length > 0 });
  if (keys.length > 0) writeProps(writer, object, keys, lock);
}

/** Elements in order, gaps kept; then properties that are no elements, such as a match's `index`. */
function writeArray(writer: RecordWriter, array: unknown[], shape: Shape): void {
  const { length } = array;
  const lock = lockOf(array);
  const keys = Reflect.ownKeys(array);
  // Own keys come in a fixed order: indexes, then "length", then the rest.
  const dense = keys[length] === "length";
  const elements = dense ? length : keys.indexOf("length");
  const extra = keys.slice(elements + 1);
  writeHeader(writer, shape, { lock, entries: length > 0, props: extra.length > 0 });
  if (length > 0) {
    writer.out.varint(length);
    if (dense) for (let index = 0; index < length; index++) writer.value(array[index], "index", index);
    else writeSparse(writer, array, keys.slice(0, elements).map(Number));
  }
  if (extra.length > 0) writeProps(writer, array, extra, lock);
  if (writer.checking) checkElements(writer, array, keys.slice(0, elements) as string[], lock);
}

function writeSparse(writer: RecordWriter, array: unknown[], indexes: readonly number[]): void {
  let next = 0;
  for (const index of indexes) {
    if (index > next) writer.holes(index - next);
    writer.value(array[index], "index", index);
    next = index + 1;
  }
  if (next < array.length) writer.holes(array.length - next);
}

/** Elements that are not plain are so rare, and arrays so long, that only a check looks at each. */
function checkElements(writer: RecordWriter, array: unknown[], keys: readonly string[], lock: Lock): void {
  for (const key of keys) {
    const descriptor = Reflect.getOwnPropertyDescriptor(array, key) as PropertyDescriptor;
    const plain =
      descriptor.enumerable && descriptor.writable === lock < 3 && descriptor.configurable === lock < 2;
    if (!plain)
      writer.problem("index", key, { what: "an element that is no plain value", remedy: "a plain element" });
  }
}

function writeMap(writer: RecordWriter, map: Map<unknown, unknown>, shape: Shape): void {
  const lock = lockOf(map);
  const keys = Reflect.ownKeys(map);
  const size = mapSize.call(map) as number;
  writeHeader(writer, shape, { lock, entries: size > 0, props: keys.length > 0 });
  if (size > 0) {
    writer.out.varint(size * 2);
    let place = 0;
    Map.prototype.forEach.call(map, (value: unknown, key: unknown) => {
      writer.value(key, "mapKey", place);
      if (typeof key === "object" || typeof key === "function") writer.value(value, "setValue", place);
      else writer.value(value, "mapValue", key);
      place += 1;
    });
  }
  if (keys.length > 0) writeProps(writer, map, keys, lock);
}

function writeSet(writer: RecordWriter, set: Set<unknown>, shape: Shape): void {
  const lock = lockOf(set);
  const keys = Reflect.ownKeys(set);
  const size = setSize.call(set) as number;
  writeHeader(writer, shape, { lock, entries: size > 0, props: keys.length > 0 });
  if (size > 0) {
    writer.out.varint(size);
    let place = 0;
    Set.prototype.forEach.call(set, (value: unknown) => writer.value(value, "setValue", place++));
  }
  if (keys.length > 0) writeProps(writer, set, keys, lock);
}

// A subclass may have a `size`, or iteration, of its own: what is inside counts.
const mapSize = Object.getOwnPropertyDescriptor(Map.prototype, "size")?.get as () => unknown;
const setSize = Object.getOwnPropertyDescriptor(Set.prototype, "size")?.get as () => unknown;

/** An object whose contents are a few values; properties of a user's, beside `known` ones, are a problem. */
function writeScalars(
  writer: RecordWriter,
  object: object,
  shape: Shape,
  scalars: readonly unknown[],
  known: ReadonlySet<string | symbol>,
): void {
  writeHeader(writer, shape, { lock: lockOfScalar(writer, object, shape), scalars: scalars.length > 0 });
  if (scalars.length > 0) {
    writer.out.varint(scalars.length);
    for (const scalar of scalars) writer.value(scalar, "property", "");
  }
  if (shape.kind === "view") return;
  refuseOwnKeys(writer, object, shape, known);
}

/** The elements of a typed array are own keys too: too many to look at; properties beside them are unheard of. */
function lockOfScalar(writer: RecordWriter, object: object, shape: Shape): Lock {
  if (shape.kind !== "view") return lockOf(object);
  if (!Object.isExtensible(object)) {
    writer.problem("property", "", { what: "a typed array that is locked", remedy: "one that is not" });
  }
  return 0;
}

function writeRegExp(writer: RecordWriter, regExp: RegExp, shape: Shape): void {
  writeScalars(writer, regExp, shape, [regExp.source, regExp.flags, regExp.lastIndex], regExpKeys);
}

/** `message`, `cause` and `errors` are own, and not enumerable; the scalars name those that are so. */
function writeError(writer: RecordWriter, error: object, shape: Shape): void {
  const lock = lockOf(error);
  const keys = Reflect.ownKeys(error).filter((key) => !errorKeys.has(key));
  const hidden = keys.filter((key): key is string => {
    return typeof key === "string" && !Object.prototype.propertyIsEnumerable.call(error, key);
  });
  writeHeader(writer, shape, { lock, scalars: hidden.length > 0, entries: hidden.length > 0, props: true });
  if (hidden.length > 0) {
    writer.out.varint(hidden.length);
    for (const key of hidden) writer.value(key, "property", key);
    writer.out.varint(hidden.length);
    for (const key of hidden) writer.value((error as Record<string, unknown>)[key], "property", key);
  }
  const shown = keys.filter((key) => typeof key === "symbol" || !hidden.includes(key));
  writeProps(writer, error, shown, lock);
}

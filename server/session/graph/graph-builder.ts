import { StateView } from "@colyseus/schema";
import { type ClassRegistry, registryOf, type Shape } from "./class-registry.ts";
import { corrupt, GraphError } from "./graph-error.ts";
import type { ClassLike, GraphOptions } from "./graph-options.ts";
import { type GraphRecord, Holes, Named, Pointer, type SavedGraph, type SavedValue } from "./graph-reader.ts";
import { type MapSlots, restoreSlots } from "./map-slot.ts";
import type { KindName } from "./record.ts";
import { fillSchema, flagsOf, newSchemaObject } from "./schema-builder.ts";
import { viewInternals } from "./schema-internals.ts";
import { type RestoredViews, schemaKinds } from "./view-marks.ts";

export interface BuiltGraph {
  readonly root: Record<string, unknown>;
  /** Schema instances and collections, in the order of their records. */
  readonly schemaObjects: readonly object[];
  /** The wire indexes of the maps among them. */
  readonly slots: ReadonlyMap<object, MapSlots>;
  /** What the library had derived about each, if the state has fields with a view tag. */
  readonly flags: ReadonlyMap<object, number>;
  readonly seen: RestoredViews;
}

/**
 * Makes the objects of a graph: first all of them, empty, so that any may hold any other; then what they hold; then
 * their locks.
 * @throws GRAPH_CORRUPT, GRAPH_CLASS_UNKNOWN, GRAPH_FIELD_UNKNOWN, GRAPH_REFERENCE_UNKNOWN
 */
export function buildGraph(saved: SavedGraph, options: GraphOptions): BuiltGraph {
  return new GraphBuilder(saved, options).build();
}

/**
 * The root with these of its fields only, and what can be reached from them.
 * @throws as buildGraph
 */
export function buildFields(
  saved: SavedGraph,
  options: GraphOptions,
  names: ReadonlySet<string>,
): Record<string, unknown> {
  const [root, ...others] = saved.records;
  if (root === undefined) throw corrupt("it has no object");
  const records = [{ ...root, props: root.props.filter(([name]) => names.has(name)) }, ...others];
  return new GraphBuilder({ ...saved, records }, options, reachable(records)).build().root;
}

function reachable(records: readonly GraphRecord[]): ReadonlySet<number> {
  const found = new Set([0]);
  const follow = (value: SavedValue) => {
    if (value instanceof Pointer) found.add(value.record);
  };
  // What is added meanwhile is come to as well.
  for (const at of found) {
    const { scalars, entries, props } = records[at] as GraphRecord;
    for (const value of scalars) follow(value);
    for (const value of entries) follow(value);
    for (const [, value] of props) follow(value);
  }
  return found;
}

type Fillable = Record<string, unknown>;
type ViewConstructor = new (buffer: ArrayBuffer, byteOffset: number, length: number) => object;

class GraphBuilder {
  readonly #saved: SavedGraph;
  readonly #registry: ClassRegistry;
  readonly #otherCode: boolean;
  readonly #resolve: GraphOptions["resolve"];
  readonly #leftOut: GraphOptions["leftOut"];
  readonly #objects: (object | undefined)[];
  readonly #reach: ReadonlySet<number> | null;

  /** @param reach the records that are made; null: all */
  constructor(saved: SavedGraph, options: GraphOptions, reach: ReadonlySet<number> | null = null) {
    this.#saved = saved;
    this.#registry = registryOf(options);
    this.#resolve = options.resolve;
    this.#leftOut = options.leftOut;
    this.#otherCode = options.otherCode === true;
    this.#reach = reach;
    this.#objects = new Array<object | undefined>(saved.records.length);
  }

  build(): BuiltGraph {
    const { records } = this.#saved;
    for (const [at, record] of records.entries())
      if (this.#makes(at)) this.#objects[at] = this.#empty(record);
    this.#buildStores();
    for (const [at, record] of records.entries()) if (this.#makes(at)) this.#fill(record, this.#at(at));
    const slots = new Map(
      [...this.#saved.slots].flatMap(([at, saved]) =>
        this.#makes(at) ? [[this.#at(at), saved] as const] : [],
      ),
    );
    for (const [map, saved] of slots) restoreSlots(map, saved);
    const schemaObjects: object[] = [];
    for (const [at, { kind, lock }] of records.entries()) {
      if (!this.#makes(at)) continue;
      if (lock === 1) Object.preventExtensions(this.#at(at));
      if (lock === 2) Object.seal(this.#at(at));
      if (lock === 3) Object.freeze(this.#at(at));
      if (schemaKinds.has(kind)) schemaObjects.push(this.#at(at));
    }
    return { root: this.#at(0) as Fillable, schemaObjects, slots, flags: this.#flags(), seen: this.#seen() };
  }

  #flags(): ReadonlyMap<object, number> {
    const flags = new Map<object, number>();
    for (const [at, record] of this.#saved.records.entries()) {
      const saved = this.#makes(at) ? flagsOf(record) : null;
      if (saved !== null) flags.set(this.#at(at), saved);
    }
    return flags;
  }

  #seen(): RestoredViews {
    const views: StateView[] = [];
    const bound = new Set<StateView>();
    for (const [at, { kind, scalars }] of this.#saved.records.entries()) {
      if (kind !== "stateView" || !this.#makes(at)) continue;
      views.push(this.#at(at) as StateView);
      if (scalars[1] === true) bound.add(this.#at(at) as StateView);
    }
    // Views that are not made would shift the places of those that are.
    const marks = this.#reach === null ? this.#saved.marks : [];
    return {
      views,
      bound,
      marks: marks.map(({ record, ...seen }) => ({ object: this.#at(record), ...seen })),
    };
  }

  #makes(record: number): boolean {
    return this.#reach === null || this.#reach.has(record);
  }

  #at(record: number): object {
    const object = this.#objects[record];
    if (object === undefined) throw corrupt(`object ${record} was not saved`);
    return object;
  }

  #shape({ kind, className }: GraphRecord): Shape | null {
    if (className === null) return null;
    const shape = this.#named(className);
    if (shape.kind !== kind) throw corrupt(`${className} is a ${shape.kind}, not a ${kind}`);
    return shape;
  }

  /** The object of a record, without what it holds; undefined for what a byte store brings. */
  #empty(record: GraphRecord): object | undefined {
    const shape = this.#shape(record);
    const prototype = shape?.type.prototype ?? null;
    switch (record.kind) {
      case "object":
        return prototype === null ? {} : (Object.create(prototype) as object);
      case "nullObject":
        return Object.create(null) as object;
      case "array":
        return withPrototype([], prototype);
      case "map":
        return withPrototype(new Map(), prototype);
      case "set":
        return withPrototype(new Set(), prototype);
      case "date":
        return new Date(record.scalars[0] as number);
      case "regExp":
        return newRegExp(record.scalars);
      case "error":
        return withPrototype(new Error(), named(prototype));
      case "arrayBuffer":
      case "view":
        return undefined;
      case "stateView":
        return new StateView(record.scalars[0] === true);
      default:
        return newSchemaObject(record.kind, shape);
    }
  }

  #buildStores(): void {
    const { records, stores } = this.#saved;
    for (const { bytes, record, windows } of stores) {
      const { buffer } = bytes;
      if (record !== null) this.#place(record, "arrayBuffer", buffer);
      for (const window of windows) {
        const saved = records[window.record];
        const name = saved?.className ?? "";
        const shape = this.#registry.ofName(name);
        if (saved === undefined || shape?.kind !== "view") throw corrupt("a typed array of no known type");
        this.#place(window.record, "view", newView(shape.type, buffer, window));
      }
    }
  }

  #place(record: number, kind: KindName, object: object): void {
    if (!this.#makes(record)) return;
    const fits = this.#saved.records[record]?.kind === kind && this.#objects[record] === undefined;
    if (!fits) throw corrupt(`object ${record} is not the ${kind} that it should be`);
    this.#objects[record] = object;
  }

  #value(value: SavedValue): unknown {
    if (value instanceof Pointer) return this.#at(value.record);
    if (value instanceof Named)
      return value.type === "class" ? this.#class(value.name) : this.#reference(value.name);
    if (value instanceof Holes) throw corrupt("a gap outside an array");
    return value;
  }

  #class(name: string): unknown {
    return this.#named(name).type;
  }

  #named(name: string): Shape {
    const other = () => (this.#otherCode ? this.#registry.ofOtherFields(name) : undefined);
    const shape = this.#registry.ofName(name) ?? other();
    if (shape === undefined) throw unknownClass(name);
    return shape;
  }

  #reference(name: string): object {
    const object = this.#resolve(name);
    if (object !== undefined) return object;
    const message = `the saved graph refers to ${JSON.stringify(name)}, which does not exist here`;
    throw new GraphError("GRAPH_REFERENCE_UNKNOWN", message, { name });
  }

  #fill(record: GraphRecord, object: object): void {
    switch (record.kind) {
      case "array":
        this.#fillArray(record, object as unknown[]);
        break;
      case "map":
        for (const [key, value] of this.#pairs(record)) Map.prototype.set.call(object, key, value);
        break;
      case "set":
        for (const value of record.entries) Set.prototype.add.call(object, this.#value(value));
        break;
      case "error":
        this.#fillError(record, object);
        break;
      case "schema":
      case "mapSchema":
      case "arraySchema":
      case "setSchema":
      case "collectionSchema":
        fillSchema(this.#resolved(record), object, this.#shape(record), this.#leftOut);
        return;
      case "stateView":
        fillView(object as StateView, this.#value(record.scalars[2]));
        break;
      default:
        break;
    }
    for (const [key, value] of record.props) define(object, key, this.#value(value), true);
    if (record.kind === "error") setStack(object as Error);
  }

  #pairs({ entries }: GraphRecord): (readonly [unknown, unknown])[] {
    if (entries.length % 2 !== 0) throw corrupt("a key without a value");
    return Array.from({ length: entries.length / 2 }, (_, pair) => {
      return [this.#value(entries[pair * 2]), this.#value(entries[pair * 2 + 1])] as const;
    });
  }

  #fillArray(record: GraphRecord, array: unknown[]): void {
    let index = 0;
    for (const entry of record.entries) {
      if (entry instanceof Holes) index += entry.count;
      else define(array, index++, this.#value(entry), true);
    }
    array.length = record.entryCount;
  }

  #fillError({ scalars, entries }: GraphRecord, error: object): void {
    for (const [at, key] of scalars.entries()) define(error, String(key), this.#value(entries[at]), false);
  }

  /** The record with real values in place of pointers and names. */
  #resolved(record: GraphRecord): GraphRecord {
    return {
      ...record,
      scalars: record.scalars.map((value) => this.#value(value)),
      entries: record.entries.map((value) => (value instanceof Holes ? value : this.#value(value))),
      props: record.props.map(([key, value]) => [key, this.#value(value)] as const),
    };
  }
}

function fillView(view: StateView, items: unknown): void {
  if (items !== undefined) viewInternals(view).items = items as unknown[];
  else Reflect.deleteProperty(view, "items");
}

function unknownClass(name: string): GraphError {
  const [bare, digest] = name.split("~");
  const message =
    digest === undefined
      ? `the saved graph has the class ${name}, which is not known here: is it listed in classes?`
      : `the saved graph has a schema class ${bare} with fields that no schema class here has`;
  return new GraphError("GRAPH_CLASS_UNKNOWN", message, { name });
}

function withPrototype(object: object, prototype: object | null): object {
  return prototype === null ? object : (Object.setPrototypeOf(object, prototype) as object);
}

function named(prototype: object | null): object {
  if (prototype === null) throw corrupt("an error without a class");
  return prototype;
}

function newRegExp([source, flags, lastIndex]: readonly SavedValue[]): RegExp {
  try {
    const regExp = new RegExp(source as string, flags as string);
    regExp.lastIndex = lastIndex as number;
    return regExp;
  } catch (error) {
    throw corrupt(`a regular expression: ${(error as Error).message}`);
  }
}

function newView(
  type: ClassLike,
  buffer: ArrayBuffer,
  window: { byteOffset: number; length: number },
): object {
  try {
    if (type === Buffer) return Buffer.from(buffer, window.byteOffset, window.length);
    return new (type as unknown as ViewConstructor)(buffer, window.byteOffset, window.length);
  } catch (error) {
    throw corrupt(`a typed array: ${(error as Error).message}`);
  }
}

/** An own property, whatever setters or `__proto__` the prototype has under that key. */
function define(object: object, key: string | number, value: unknown, enumerable: boolean): void {
  if (enumerable && !(key in object)) (object as Fillable)[key] = value;
  else Object.defineProperty(object, key, { value, enumerable, writable: true, configurable: true });
}

/** Where an error was restored says nothing of where it was thrown, and would differ between processes. */
function setStack(error: Error): void {
  const name = Object.getPrototypeOf(error)?.constructor?.name ?? "Error";
  const message: unknown = error.message;
  const value = typeof message !== "string" || message === "" ? name : `${name}: ${message}`;
  Object.defineProperty(error, "stack", { value, enumerable: false, writable: true, configurable: true });
}

import {
  $changes,
  $childType,
  $refId,
  ArraySchema,
  ChangeTree,
  type MapSchema,
  type Root,
  type StateView,
} from "@colyseus/schema";

/**
 * What is read and written inside @colyseus/schema 5.0.34, in one place. The names are the library's; it declares them
 * protected or not at all. `test/session/graph/schema-*.test.ts` hold what is relied on.
 */
export const $proxyTarget: unique symbol = Symbol.for("$proxyTarget") as never;

export interface TreeOwner {
  [$changes]: ChangeTree;
  [$refId]?: number | undefined;
}

export interface CollectionOwner extends TreeOwner {
  /** A primitive's name, a schema class, or undefined while the collection has never been in a field. */
  [$childType]: unknown;
}

/** The wire indexes of a map's keys. Those of keys deleted since the last patch stay, with a snapshot, until the next. */
export interface MapJournal {
  keyByIndex: Map<number, string>;
  indexByKey: Record<string, number>;
  nextIndex: number;
  snapshots?: Map<number, unknown> | undefined;
}

export interface MapInternals extends CollectionOwner {
  $items: Map<string, unknown>;
  journal: MapJournal;
}

export interface ArrayInternals extends CollectionOwner {
  items: unknown[];
  tmpItems: unknown[];
}

/** SetSchema and CollectionSchema: their indexes are seen by users (`add` returns one), so they are state. */
export interface IndexedInternals extends CollectionOwner {
  $items: Map<number, unknown>;
  /** The next free index, for all its name. */
  $refId: number;
}

export function mapInternals(map: MapSchema): MapInternals {
  return map as unknown as MapInternals;
}

export function arrayInternals(array: object): ArrayInternals {
  // The public object is a proxy, slow to read through.
  return (array as { [$proxyTarget]: ArrayInternals })[$proxyTarget];
}

export function indexedInternals(collection: object): IndexedInternals {
  return collection as unknown as IndexedInternals;
}

/** Own properties of the library's objects that are its own business; any other is a user's. */
export const ownKeys: ReadonlySet<string | symbol> = new Set<string | symbol>([
  $changes,
  $childType,
  $refId,
  $proxyTarget,
  Symbol.for("$values"),
  Symbol.unscopables,
  "childType",
  "$items",
  "journal",
  "_stream",
  "deletedItems",
  "$refId",
  "items",
  "tmpItems",
  "deletedIndexes",
  "isMovingItems",
  "_needsCompaction",
]);

/** The object that users hold: a proxy of the library's own, around the array's inside. */
export function isArraySchemaProxy(value: object): boolean {
  return value instanceof ArraySchema && treeOf(value).ref === value;
}

/**
 * Flags of a ChangeTree that the library derives as instances come and go: filtered, seen with its parent, sent in patches
 * only, in full states only, and: to be derived anew before the next patch.
 */
export const savedFlags = 1 | 2 | 16 | 32 | 256;
export const pendingFlag = 256;

/** What a StateView is beside its public members. */
export interface ViewInternals {
  /** Undefined until it first sees something. */
  readonly _root: Root | undefined;
  /** Its bit in the bitmaps that each instance has of its views; node-local. */
  readonly _slot: number;
  readonly _bit: number;
  items?: unknown[];
  _bindRoot(root: Root): void;
  _setSubscribed(tree: ChangeTree): void;
}

/** Own properties of a StateView that are its own business, or are saved by themselves. */
export const ownViewKeys: ReadonlySet<string | symbol> = new Set([
  "iterable",
  "items",
  "id",
  "_root",
  "_slot",
  "_bit",
  "changes",
]);

export function viewInternals(view: StateView): ViewInternals {
  return view as unknown as ViewInternals;
}

export function treeOf(owner: object): ChangeTree {
  return (owner as TreeOwner)[$changes];
}

/** Made by a room's code, not by a client's decoder, whose instances follow no changes. */
export function isTracked(owner: object): boolean {
  return treeOf(owner) instanceof ChangeTree;
}

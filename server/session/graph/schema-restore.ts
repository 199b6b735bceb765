import assert from "node:assert";
import {
  $childType,
  $refId,
  $values,
  type ChangeTree,
  type Encoder,
  type Ref,
  type Root,
  type Schema,
} from "@colyseus/schema";
import { type MapSlots, restoreDeleted } from "./map-slot.ts";
import {
  arrayInternals,
  type CollectionOwner,
  indexedInternals,
  mapInternals,
  pendingFlag,
  savedFlags,
  type TreeOwner,
  treeOf,
} from "./schema-internals.ts";
import { type RestoredViews, restoreViews } from "./view-marks.ts";

/** What an Encoder's root knows beyond the instances themselves; plain data, to be saved in the same graph. */
export interface SchemaCapture {
  /** The refId that the next new instance gets: they are never given twice in a room's life. */
  readonly nextRefId: number;
}

/** The library declares the counter protected, though its own development mode writes it. */
interface RootInternals {
  nextUniqueId: number;
}

export function captureSchema(encoder: Encoder): SchemaCapture {
  return { nextRefId: (encoder.root as unknown as RootInternals).nextUniqueId };
}

export interface RestoredSchema {
  /**
   * To be called once, with the Encoder that was made for the state, before anything is changed or sent: from then on
   * new instances get the refIds that they would have got, and nothing is pending: clients get the full state first.
   */
  afterAttach(encoder: Encoder): void;
  /** Instances that the state does not hold: views may have seen them, and will again if they come back. */
  readonly unattached: readonly object[];
}

/** What a restored graph has of the schema library's. */
export interface RestoredObjects {
  /** Instances and collections; those that the state does not hold were removed from it, or not yet added. */
  readonly schemaObjects: readonly object[];
  /** The wire indexes of the maps among them. */
  readonly slots: ReadonlyMap<object, MapSlots>;
  readonly flags: ReadonlyMap<object, number>;
  readonly seen: RestoredViews;
}

interface Edge {
  readonly parent: object;
  readonly child: object;
  readonly index: number;
}

/**
 * Makes a restored state ready for `new Encoder(state)`: to be called before that, and `afterAttach` after it.
 */
export function prepareSchema(
  { schemaObjects, slots, flags, seen }: RestoredObjects,
  state: Schema,
  { nextRefId }: SchemaCapture,
): RestoredSchema {
  const attached = new Set<object>();
  const edges: Edge[] = [];
  walk(state, attached, edges);
  // The library takes the parent that came last for the first one, and goes from the root downwards itself.
  for (const { parent, child, index } of edges.reverse()) treeOf(child).addParent(parent as Ref, index);
  return {
    unattached: schemaObjects.filter((object) => !attached.has(object)),
    afterAttach(encoder) {
      assert(encoder.state === state, "the Encoder is for another state");
      encoder.discardChanges();
      encoder.discardUnreliableChanges();
      for (const object of attached) settle(treeOf(object), object, nextRefId);
      (encoder.root as unknown as RootInternals).nextUniqueId = nextRefId;
      linkUnattached(schemaObjects, attached);
      for (const [map, saved] of slots) {
        if (attached.has(map)) restoreDeleted(map, saved, { tree: treeOf(map), root: encoder.root });
      }
      restoreFlags(flags, encoder.root);
      restoreViews(seen, encoder.root);
    },
  };
}

/** What attaching has derived, and put off, is not all of what the saved ones went through. */
function restoreFlags(flags: ReadonlyMap<object, number>, root: Root): void {
  if (flags.size === 0) return;
  for (const tree of root.pendingFilterRefresh) tree.flags &= ~pendingFlag;
  root.pendingFilterRefresh.length = 0;
  for (const [object, saved] of flags) {
    const tree = treeOf(object);
    tree.flags = (tree.flags & ~savedFlags) | (saved & ~pendingFlag);
    if ((saved & pendingFlag) !== 0) root.enqueueFilterRefresh(tree);
  }
}

/** As after its first patch. */
function settle(tree: ChangeTree, object: object, nextRefId: number): void {
  const refId = (object as TreeOwner)[$refId];
  assert(
    refId !== undefined && refId < nextRefId,
    `refId ${refId} of a restored instance is not below ${nextRefId}`,
  );
  tree.isNew = false;
}

/**
 * An instance that was never in the state may hold one that is. That one knows it, and the library counts on that when
 * the holder is added and removed later. (Links among unattached ones come when they are attached.)
 */
function linkUnattached(schemaObjects: readonly object[], attached: ReadonlySet<object>): void {
  for (const object of schemaObjects) {
    if (attached.has(object) || (object as TreeOwner)[$refId] !== undefined) continue;
    for (const { child, index } of childrenOf(object)) {
      if (attached.has(child)) treeOf(child).addParent(object as Ref, index);
    }
  }
}

function walk(object: object, attached: Set<object>, edges: Edge[]): void {
  if (attached.has(object)) return;
  attached.add(object);
  for (const { child, index } of childrenOf(object)) {
    edges.push({ parent: object, child, index });
    walk(child, attached, edges);
  }
}

/** The schema instances and collections that an object holds, with the index that the library knows each by. */
function childrenOf(object: object): { child: object; index: number }[] {
  const found: { child: object; index: number }[] = [];
  const add = (child: unknown, index: number) => {
    if (typeof child === "object" && child !== null && treeOf(child) !== undefined)
      found.push({ child, index });
  };
  const values = (object as { [$values]?: unknown[] })[$values];
  if (values !== undefined) values.forEach(add);
  else if (typeof (object as CollectionOwner)[$childType] === "string") return found;
  else if (arrayInternals(object) !== undefined) arrayInternals(object).items.forEach(add);
  else if (mapInternals(object as never).journal !== undefined) {
    const { $items, journal } = mapInternals(object as never);
    for (const [key, child] of $items) add(child, journal.indexByKey[key] as number);
  } else for (const [index, child] of indexedInternals(object).$items) add(child, index);
  return found;
}

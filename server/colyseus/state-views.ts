import { $changes, $refId, $values, type ChangeTree, type Ref, type Root, StateView } from "@colyseus/schema";
import {
  arrayInternals,
  indexedInternals,
  type MapInternals,
  mapInternals,
  type ViewInternals,
} from "../session/graph/schema-internals.ts";
import { currentWorld } from "../session/sandbox.ts";
import { checkOwner, isOwned } from "./mutation-guard.ts";

/*
 * A stock StateView remembers, when a patch is encoded, that it sees what its parent shares with it; it sees through
 * parents that an instance has left; and its place in the bitmaps comes from the garbage collector. Each node encodes for
 * its own clients only, so what a view sees must not come from any of that. In a replicated room it is what was added, and
 * what those share with their children, by the parents that hold them now: no more, and at once.
 */

type Method = (...args: unknown[]) => unknown;
interface View extends Omit<StateView, "_root" | "items">, ViewInternals {}
interface Link {
  ref: Ref;
  index: number;
  next?: Link;
}

/** Of a field that is `.view()`, and of what is added without a tag. */
export const defaultTag = -1;
/** States that a view has seen something of: they cannot be replaced by others. */
const seenRoots = new WeakSet<Root>();

export function isSeenByViews(root: Root): boolean {
  return seenRoots.has(root);
}

/** The library's own code changes a view: it calls itself for children, and looks at what was added, not at what is seen. */
let isChanging = false;
let isEncoding = false;

/** What has just left its place is still seen there: that it left is about to be sent. */
export function whileEncoding<T>(encode: () => T): T {
  isEncoding = true;
  try {
    return encode();
  } finally {
    isEncoding = false;
  }
}

let patched = false;

/** Views of replicated rooms: alike on every replica, and changed inside of applies only. Others stay as they are. */
export function patchStateViews(): void {
  if (patched) return;
  patched = true;
  const table = StateView.prototype as unknown as Record<string, Method>;
  const stock = { ...methodsOf(table) };
  const bind = stock["_bindRoot"] as Method;
  table["_bindRoot"] = function (this: View, root) {
    bind.call(this, root);
    if (isOwned(this._root)) seenRoots.add(this._root as Root);
  };
  patchSight(table, stock);
  const changing: Record<string, (view: View, act: () => unknown, args: unknown[]) => unknown> = {
    add: (view, act, [obj, tag, includeParent]) =>
      add(view, act, obj as Ref, { tag: tag as number | undefined, includeParent }),
    remove: (view, act, [obj, tag]) => remove(view, act, obj as Ref, tag as number | undefined),
    subscribe: (_view, act, [obj]) => subscribe(act, obj as Ref),
    unsubscribe: (_view, act, [obj]) => onStraight(obj as Ref, act),
    clear: (_view, act) => act(),
    dispose(view, act) {
      act();
      // Of a bit that will be another view's.
      Object.assign(view, { _slot: 0, _bit: 0 });
    },
  };
  for (const [name, change] of Object.entries(changing)) {
    table[name] = function (this: View, ...args) {
      checkOwner(this._root);
      checkOwner(treeOf(args[0])?.root);
      const method = stock[name] as Method;
      if (currentWorld() === null || isChanging) return method.apply(this, args);
      const act = () => {
        isChanging = true;
        try {
          return method.apply(this, args);
        } finally {
          isChanging = false;
        }
      };
      return change(this, act, args);
    };
  }
}

function methodsOf(table: Record<string, Method>): Record<string, Method> {
  const names = Object.getOwnPropertyNames(table).filter((name) => name !== "constructor");
  return Object.fromEntries(names.map((name) => [name, table[name] as Method]));
}

function patchSight(table: Record<string, Method>, stock: Record<string, Method>): void {
  const hasBit = stock["isVisible"] as (this: View, tree: ChangeTree) => boolean;
  const isSeen = stock["isChangeTreeVisible"] as (this: View, tree: ChangeTree) => boolean;
  table["isVisible"] = function (this: View, tree) {
    if (hasBit.call(this, tree as ChangeTree)) return true;
    return !isChanging && isOwned(this._root) && isShared(this, tree as ChangeTree);
  };
  table["isChangeTreeVisible"] = function (this: View, tree) {
    return isOwned(this._root) ? this.isVisible(tree as ChangeTree) : isSeen.call(this, tree as ChangeTree);
  };
}

function treeOf(obj: unknown): ChangeTree | undefined {
  return (obj as Partial<Record<typeof $changes, ChangeTree>> | null | undefined)?.[$changes];
}

function isShared(view: View, tree: ChangeTree): boolean {
  if (!tree.isVisibilitySharedWithParent) return false;
  const isAt = tree.root !== undefined && tree.extraParents === undefined;
  return linksOf(tree).some(({ ref }) => {
    const parent = treeOf(ref) as ChangeTree;
    if (!parent.isFiltered || !view.isVisible(parent)) return false;
    return isAt || placeIn(parent, tree) !== null || (isEncoding && hasJustLeft(parent, tree));
  });
}

/** Since the last patch. */
function hasJustLeft(parent: ChangeTree, tree: ChangeTree): boolean {
  const holds = (value: unknown) => treeOf(value) === tree;
  const target = parent.refTarget as object;
  if (parent.isArray) return arrayInternals(parent.ref as object).tmpItems.some(holds);
  const { journal, deletedItems } = target as Partial<MapInternals & { deletedItems: object }>;
  return [...(journal?.snapshots?.values() ?? []), ...Object.values(deletedItems ?? {})].some(holds);
}

function linksOf(tree: ChangeTree): Link[] {
  const links: Link[] = [];
  if (tree.parentRef === undefined) return links;
  links.push({ ref: tree.parentRef, index: tree._parentIndex as number });
  for (let at = tree.extraParents as Link | undefined; at !== undefined; at = at.next)
    links.push({ ref: at.ref, index: at.index });
  return links;
}

/** Where `parent` holds it now, by the index that the library knows that place by; null: it does not. */
function placeIn(parent: ChangeTree, tree: ChangeTree): number | null {
  if (parent.root === undefined || parent.root !== tree.root) return null;
  const holds = (value: unknown) => treeOf(value) === tree;
  const target = parent.refTarget as object;
  const values = (target as { [$values]?: unknown[] })[$values];
  if (values !== undefined) return found(values.findIndex(holds));
  if (parent.isArray) {
    const { items, tmpItems } = arrayInternals(parent.ref as object);
    return items.some(holds) ? found(tmpItems.findIndex(holds)) : null;
  }
  const { journal } = mapInternals(target as never);
  for (const [key, value] of indexedInternals(target).$items as Map<string | number, unknown>)
    if (holds(value)) return journal === undefined ? (key as number) : (journal.indexByKey[key] ?? null);
  return null;
}

function found(index: number): number | null {
  return index === -1 ? null : index;
}

/**
 * Parents that hold the instance come first, with the places where they do; those that it has left stay, for what is to
 * be sent about them. The order of the library depends on what a node has sent; of several the newest is the first here.
 */
export function straighten(tree: ChangeTree): void {
  if (tree.extraParents === undefined) return;
  const links = linksOf(tree).map((link) => ({
    ...link,
    place: placeIn(treeOf(link.ref) as ChangeTree, tree),
  }));
  const age = ({ ref }: Link) => (ref as { [$refId]?: number })[$refId] ?? -1;
  const holding = links.filter(({ place }) => place !== null).sort((a, b) => age(b) - age(a));
  const left = links.filter(({ place }) => place === null);
  const [first, ...others] = [...holding, ...left].map(({ ref, index, place }) => ({
    ref,
    index: place ?? index,
  }));
  if (first === undefined) return;
  tree.parentRef = first.ref;
  tree._parentIndex = first.index;
  const chain = others.reduceRight<Link | undefined>(
    (next, link) => (next === undefined ? link : { ...link, next }),
    undefined,
  );
  if (chain !== undefined) tree.extraParents = chain;
}

/** With the instance's way up to the root straight. */
function onStraight(obj: Ref, act: () => unknown): unknown {
  const way = new Set<ChangeTree>();
  for (let tree = treeOf(obj); tree?.root !== undefined && !way.has(tree); tree = treeOf(tree.parentRef)) {
    way.add(tree);
    straighten(tree);
  }
  return act();
}

function add(
  view: View,
  act: () => unknown,
  obj: Ref,
  { tag = defaultTag, includeParent = true }: { tag: number | undefined; includeParent: unknown },
): unknown {
  const tree = treeOf(obj);
  if (tree === undefined) return act();
  if (tree.root === undefined) return addDetached(view, obj, tree, { tag, lists: includeParent !== false });
  onStraight(obj, act);
  // The stock one says whether anything is to be sent: a matter of what a node has sent before.
  return true;
}

/** What was in the state is seen when it comes back; nothing of it is sent now. */
function addDetached(
  view: View,
  obj: Ref,
  tree: ChangeTree,
  { tag, lists }: { tag: number; lists: boolean },
): boolean {
  if ((obj as { [$refId]?: number })[$refId] === undefined)
    throw new Error(
      `Cannot add a detached instance to the StateView. Make sure to assign the "${obj.constructor.name}" instance to the state before calling view.add()`,
    );
  if (view.iterable && lists && !view.items?.includes(obj)) view.items?.push(obj);
  if (view._root === undefined) return true;
  view.markVisible(tree);
  view.addTag(tree, tag);
  return true;
}

function remove(view: View, act: () => unknown, obj: Ref, tag = defaultTag): unknown {
  const tree = treeOf(obj);
  if (tree === undefined || tree.root !== undefined) return onStraight(obj, act);
  const result = act();
  // Which of them the stock one hides depends on the parent that it has left.
  if (tag === defaultTag) hide(view, tree);
  return result;
}

function hide(view: View, tree: ChangeTree): void {
  view.unmarkVisible(tree);
  tree.forEachChild((child) => hide(view, child));
}

function subscribe(act: () => unknown, obj: Ref): unknown {
  const tree = treeOf(obj);
  if (tree !== undefined && tree.root === undefined)
    throw new Error(
      `Cannot subscribe the StateView to a detached collection. Make sure to assign the "${obj.constructor.name}" instance to the state before calling view.subscribe()`,
    );
  return onStraight(obj, act);
}

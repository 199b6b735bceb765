import type { Root, StateView } from "@colyseus/schema";
import type { ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";
import type { Shape } from "./class-registry.ts";
import { corrupt } from "./graph-error.ts";
import type { KindName } from "./record.ts";
import { type RecordWriter, writeHeader, writeProps } from "./record-writer.ts";
import { ownViewKeys, treeOf, viewInternals } from "./schema-internals.ts";

/*
 * What a StateView sees is not in it: each instance has a bit for each view. A view's bit is its node's own, so the bits
 * are saved by the order in which the views stand in the graph. What a view has still to send is not saved, as with
 * patches: a client that comes to a restored room is sent everything that its view sees.
 */

/** What the views of a graph see of one instance: views by their place among the graph's views, as a bit set. */
export interface SavedMarks {
  /** The instance's record. */
  readonly record: number;
  readonly visible: Uint8Array;
  readonly subscribed: Uint8Array;
  readonly tags: readonly (readonly [number, Uint8Array])[];
}

interface Row {
  readonly kind: KindName;
  readonly object: object;
}

/** Where a view's bit is. */
interface Place {
  readonly slot: number;
  readonly bit: number;
}

/** Where what views see is kept. */
export const schemaKinds: ReadonlySet<KindName> = new Set<KindName>([
  "schema",
  "mapSchema",
  "arraySchema",
  "setSchema",
  "collectionSchema",
]);

const nobody = new Uint8Array(0);

/** Whether it is iterable, whether it has seen anything yet, and its list; then properties of the user's own. */
export function writeStateView(writer: RecordWriter, view: StateView, shape: Shape): void {
  const own = Reflect.ownKeys(view).filter((key) => !ownViewKeys.has(key));
  writeHeader(writer, shape, { lock: 0, scalars: true, props: own.length > 0 });
  if (!Object.isExtensible(view))
    writer.problem("property", "", { what: "a StateView that is locked", remedy: "one that is not" });
  const { _root: root, items } = viewInternals(view);
  writer.out.varint(3);
  writer.value(view.iterable, "property", "iterable");
  writer.value(root !== undefined, "property", "");
  writer.value(items, "property", "items");
  if (own.length > 0) writeProps(writer, view, own, 0);
}

/** Nothing in a graph without views. */
export function writeMarks(out: ByteWriter, rows: readonly Row[]): void {
  const places = rows.flatMap(({ kind, object }) => (kind === "stateView" ? [placeOf(object)] : []));
  if (places.length === 0) return;
  const marked = rows.flatMap(({ kind, object }, record) => {
    const marks = schemaKinds.has(kind) ? marksOf(object, record, places) : null;
    return marks === null ? [] : [marks];
  });
  out.varint(marked.length);
  for (const { record, visible, subscribed, tags } of marked) {
    out.varint(record);
    out.block(visible);
    out.block(subscribed);
    out.varint(tags.length);
    for (const [tag, holders] of tags) {
      out.varint(tag);
      out.block(holders);
    }
  }
}

function placeOf(view: object): Place {
  const { _root: root, _slot: slot, _bit: bit } = viewInternals(view as StateView);
  return root === undefined ? { slot: 0, bit: 0 } : { slot, bit };
}

function marksOf(object: object, record: number, places: readonly Place[]): SavedMarks | null {
  const { visibleViews, subscribedViews, tagViews } = treeOf(object);
  const visible = among(places, visibleViews);
  const subscribed = among(places, subscribedViews);
  // In whatever order a view got its tags, it has the same ones.
  const tags = [...(tagViews ?? [])]
    .map(([tag, bitmap]) => [tag, among(places, bitmap)] as const)
    .filter(([, holders]) => holders.length > 0)
    .sort(([a], [b]) => a - b);
  const isSeen = visible.length > 0 || subscribed.length > 0 || tags.length > 0;
  return isSeen ? { record, visible, subscribed, tags } : null;
}

/** Which views have their bit in `bitmap`; as short as it can be. */
function among(places: readonly Place[], bitmap: readonly number[] | undefined): Uint8Array {
  if (bitmap === undefined) return nobody;
  const holders = new Uint8Array(Math.ceil(places.length / 8));
  let length = 0;
  for (let at = 0; at < places.length; at++) {
    const { slot, bit } = places[at] as Place;
    if (((bitmap[slot] ?? 0) & bit) === 0) continue;
    holders[at >> 3] = (holders[at >> 3] as number) | (1 << (at & 7));
    length = (at >> 3) + 1;
  }
  return holders.subarray(0, length);
}

export function readMarks(bytes: ByteReader, kinds: readonly KindName[]): SavedMarks[] {
  const views = kinds.filter((kind) => kind === "stateView").length;
  if (views === 0) return [];
  const holders = () => {
    const places = bytes.block();
    if (places.length > Math.ceil(views / 8)) throw corrupt(`marks of more than ${views} views`);
    return places;
  };
  return Array.from({ length: bytes.count() }, () => {
    const record = bytes.varint();
    if (!schemaKinds.has(kinds[record] as KindName)) throw corrupt(`a view sees object ${record}`);
    const [visible, subscribed] = [holders(), holders()];
    const tags = Array.from({ length: bytes.count() }, () => [bytes.varint(), holders()] as const);
    return { record, visible, subscribed, tags };
  });
}

/** The views' places that are set. */
export function membersOf(holders: Uint8Array): number[] {
  return [...holders].flatMap((byte, at) =>
    [0, 1, 2, 3, 4, 5, 6, 7].filter((bit) => (byte & (1 << bit)) !== 0).map((bit) => at * 8 + bit),
  );
}

/** What the graph's views see of an object. */
export interface Marks extends Omit<SavedMarks, "record"> {
  readonly object: object;
}

export interface RestoredViews {
  /** In the graph's order. */
  readonly views: readonly StateView[];
  /** Those that had seen something: only they have a bit. */
  readonly bound: ReadonlySet<StateView>;
  readonly marks: readonly Marks[];
}

/** To be called when the views' state is attached to its Encoder. */
export function restoreViews({ views, bound, marks }: RestoredViews, root: Root): void {
  for (const view of views) if (bound.has(view)) viewInternals(view)._bindRoot(root);
  const each = (holders: Uint8Array, mark: (view: StateView) => void) => {
    for (const at of membersOf(holders)) {
      const view = views[at];
      if (view === undefined || !bound.has(view)) throw corrupt(`view ${at} of ${views.length}`);
      mark(view);
    }
  };
  for (const { object, visible, subscribed, tags } of marks) {
    const tree = treeOf(object);
    each(visible, (view) => view.markVisible(tree));
    each(subscribed, (view) => viewInternals(view)._setSubscribed(tree));
    for (const [tag, holders] of tags) each(holders, (view) => view.addTag(tree, tag));
  }
}

import { pathText, quoted, stepText } from "./graph-path.ts";
import {
  type GraphRecord,
  Holes,
  Named,
  Pointer,
  readGraph,
  type SavedGraph,
  type SavedValue,
} from "./graph-reader.ts";
import type { KindName } from "./record.ts";
import { membersOf, type SavedMarks } from "./view-marks.ts";

/**
 * The first difference between two saved graphs, nearest to the root, for humans: where, what the first has there, and
 * what the second; null if they are equal. `room.state.players.get("p1").x: 3 against 4`
 * @throws GRAPH_CORRUPT, GRAPH_VERSION
 */
export function diffGraphs(a: Uint8Array, b: Uint8Array, rootName = "room"): string | null {
  const first = new Side(readGraph(a), rootName);
  const second = new Side(readGraph(b), rootName);
  // Up to the first difference both walks met the same objects under the same numbers.
  for (const [at, record] of first.records.entries()) {
    const other = second.records[at];
    if (other === undefined) return `${first.path(at)}: there against nothing`;
    const difference = recordDifference(first, second, record, other);
    if (difference !== null) return `${first.path(at)}${difference}`;
  }
  return storeDifference(first, second) ?? viewDifference(first, second);
}

interface Held {
  readonly text: string;
  readonly value: SavedValue;
}

/** One of the two graphs, with the way to each of its objects. */
class Side {
  readonly records: readonly GraphRecord[];
  readonly stores: SavedGraph["stores"];
  readonly marks: ReadonlyMap<number, string>;
  readonly #rootName: string;
  readonly #ways: { parent: number; text: string }[] = [{ parent: 0, text: "" }];

  constructor({ records, stores, marks }: SavedGraph, rootName: string) {
    this.records = records;
    this.stores = stores;
    this.marks = new Map(marks.map((each) => [each.record, this.#seenBy(each)]));
    this.#rootName = rootName;
    for (const [parent, record] of records.entries()) {
      for (const { text, value } of heldBy(record)) {
        if (value instanceof Pointer) this.#ways[value.record] ??= { parent, text };
      }
    }
  }

  #seenBy({ visible, subscribed, tags }: SavedMarks): string {
    const words = [`${membersOf(visible).join(" ")} see it`];
    if (subscribed.length > 0) words.push(`${membersOf(subscribed).join(" ")} subscribed`);
    for (const [tag, holders] of tags) words.push(`${membersOf(holders).join(" ")} with tag ${tag}`);
    return `views ${words.join(", ")}`;
  }

  path(record: number): string {
    const steps: string[] = [];
    for (let at = record; at !== 0; ) {
      const way = this.#ways[at];
      if (way === undefined) break;
      steps.push(way.text);
      at = way.parent;
    }
    return pathText(this.#rootName, steps.reverse());
  }

  show(value: SavedValue): string {
    if (value instanceof Holes) return "no element";
    if (value instanceof Named) return `the ${value.type} ${quoted(value.name)}`;
    if (value instanceof Pointer)
      return `the ${labelOf(this.records[value.record])} at ${this.path(value.record)}`;
    if (typeof value === "string") return quoted(value);
    if (Object.is(value, -0)) return "-0";
    return typeof value === "bigint" ? `${value}n` : String(value);
  }
}

function labelOf(record: GraphRecord | undefined): string {
  return record?.className?.split("~")[0] ?? record?.kind ?? "object";
}

function same(a: SavedValue, b: SavedValue): boolean {
  if (a instanceof Pointer) return b instanceof Pointer && a.record === b.record;
  if (a instanceof Named) return b instanceof Named && a.type === b.type && a.name === b.name;
  if (a instanceof Holes) return b instanceof Holes && a.count === b.count;
  return Object.is(a, b);
}

const lockNames = ["open", "not extensible", "sealed", "frozen"] as const;

function recordDifference(first: Side, second: Side, a: GraphRecord, b: GraphRecord): string | null {
  const [labelA, labelB] = [a.className ?? a.kind, b.className ?? b.kind];
  if (a.kind !== b.kind || labelA !== labelB) return `: ${labelA} against ${labelB}`;
  if (a.lock !== b.lock) return `: ${lockNames[a.lock]} against ${lockNames[b.lock]}`;
  const [heldA, heldB] = [heldBy(a), heldBy(b)];
  for (let at = 0; at < Math.max(heldA.length, heldB.length); at++) {
    const [one, other] = [heldA[at], heldB[at]];
    if (one?.text === other?.text && same(one?.value, other?.value)) continue;
    if (one !== undefined && !heldB.some(({ text }) => text === one.text)) {
      return `${one.text}: ${first.show(one.value)} against nothing`;
    }
    if (other !== undefined && !heldA.some(({ text }) => text === other.text)) {
      return `${other.text}: nothing against ${second.show(other.value)}`;
    }
    if (one?.text !== other?.text) return `${one?.text}: in another order`;
    return `${one?.text}: ${first.show(one?.value)} against ${second.show(other?.value)}`;
  }
  if (a.entryCount !== b.entryCount) return `.length: ${a.entryCount} against ${b.entryCount}`;
  return null;
}

function storeDifference(first: Side, second: Side): string | null {
  for (const [at, store] of first.stores.entries()) {
    const other = second.stores[at];
    const path = first.path(store.record ?? store.windows[0]?.record ?? 0);
    if (other === undefined) return `${path}: bytes against none`;
    if (JSON.stringify([store.record, store.windows]) !== JSON.stringify([other.record, other.windows])) {
      return `${path}: another part of its memory, or other memory`;
    }
    const { length } = store.bytes;
    if (length !== other.bytes.length) return `${path}: ${length} bytes against ${other.bytes.length}`;
    const differs = store.bytes.findIndex((byte, index) => byte !== other.bytes[index]);
    if (differs !== -1)
      return `${path}: byte ${differs}: ${store.bytes[differs]} against ${other.bytes[differs]}`;
  }
  return null;
}

function viewDifference(first: Side, second: Side): string | null {
  for (const record of new Set([...first.marks.keys(), ...second.marks.keys()])) {
    const [a, b] = [first, second].map(({ marks }) => marks.get(record) ?? "no view sees it");
    if (a !== b) return `${first.path(record)}: ${a} against ${b}`;
  }
  return null;
}

/** Names of what a record has beside what users put there. */
const scalarNames: Partial<Record<KindName, readonly string[]>> = {
  date: ["time"],
  regExp: ["source", "flags", "lastIndex"],
  schema: ["refId", "paused", "flags"],
  mapSchema: ["refId", "paused", "childType", "flags"],
  arraySchema: ["refId", "paused", "childType", "flags"],
  setSchema: ["refId", "paused", "childType", "nextIndex", "flags"],
  collectionSchema: ["refId", "paused", "childType", "nextIndex", "flags"],
  stateView: ["iterable", "use", "items"],
};

function heldBy(record: GraphRecord): Held[] {
  const names = scalarNames[record.kind] ?? [];
  const scalars = names.map((name, at) => ({ text: ` (its ${name})`, value: record.scalars[at] }));
  const props = record.props.map(([key, value]) => ({ text: stepText("property", key), value }));
  return [...scalars, ...entriesOf(record), ...props];
}

function entriesOf({ kind, scalars, entries }: GraphRecord): Held[] {
  switch (kind) {
    case "array":
    case "arraySchema":
      return elementsOf(entries);
    case "set":
      return entries.map((value, at) => ({ text: stepText("setValue", at), value }));
    case "error":
      return entries.map((value, at) => ({ text: stepText("property", scalars[at]), value }));
    default:
      return entries.flatMap((value, at) => {
        const place = Math.floor(at / 2);
        if (at % 2 === 0) return [{ text: stepText("mapKey", place), value }];
        const key = entries[at - 1];
        if (kind === "schema") return [{ text: stepText("property", key), value }];
        if (kind !== "map" && kind !== "mapSchema") return [{ text: stepText("setValue", key), value }];
        const byPlace = key instanceof Pointer || key instanceof Named;
        return [{ text: byPlace ? stepText("setValue", place) : stepText("mapValue", key), value }];
      });
  }
}

function elementsOf(entries: readonly SavedValue[]): Held[] {
  let index = 0;
  return entries.map((value) => {
    const text = stepText("index", index);
    index += value instanceof Holes ? value.count : 1;
    return { text, value };
  });
}

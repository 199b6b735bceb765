import { crc32 } from "node:zlib";
import { ByteReader } from "./byte-reader.ts";
import { corrupt, GraphError } from "./graph-error.ts";
import { type MapSlots, readSlots } from "./map-slot.ts";
import { graphVersion, type KindName, kindNames, type Lock, parts, tags } from "./record.ts";
import { readMarks, type SavedMarks } from "./view-marks.ts";

/** An object among the values of a record: the number of its record. */
export class Pointer {
  readonly record: number;
  constructor(record: number) {
    this.record = record;
  }
}

/** Something that was named instead of saved. */
export class Named {
  readonly type: "reference" | "class";
  readonly name: string;
  constructor(type: "reference" | "class", name: string) {
    this.type = type;
    this.name = name;
  }
}

/** So many elements of an array that are not there. */
export class Holes {
  readonly count: number;
  constructor(count: number) {
    this.count = count;
  }
}

/** A primitive, a Pointer, a Named, or (among entries) Holes. */
export type SavedValue = unknown;

export interface GraphRecord {
  readonly kind: KindName;
  readonly lock: Lock;
  readonly className: string | null;
  readonly scalars: readonly SavedValue[];
  /** Arrays: how long, with holes. */
  readonly entryCount: number;
  readonly entries: readonly SavedValue[];
  readonly props: readonly (readonly [string, SavedValue])[];
}

export interface SavedStore {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The ArrayBuffer's own record, if it has one. */
  readonly record: number | null;
  readonly windows: readonly {
    readonly record: number;
    readonly byteOffset: number;
    readonly length: number;
  }[];
}

export interface SavedGraph {
  /** The root's is the first. */
  readonly records: readonly GraphRecord[];
  readonly stores: readonly SavedStore[];
  /** By the number of the map's record. */
  readonly slots: ReadonlyMap<number, MapSlots>;
  readonly marks: readonly SavedMarks[];
}

/** At the end: the length of what is saved but not hashed, and the checksum. */
export const trailerBytes = 8;

/**
 * The part of `bytes` that is the graph itself.
 * @throws GRAPH_CORRUPT
 */
export function graphPart(bytes: Uint8Array): Uint8Array {
  if (bytes.length <= trailerBytes) throw corrupt(`it has ${bytes.length} bytes`);
  const trailer = new DataView(bytes.buffer, bytes.byteOffset + bytes.length - trailerBytes, trailerBytes);
  if (crc32(bytes.subarray(0, bytes.length - 4)) !== trailer.getUint32(4, true))
    throw corrupt("its checksum is wrong");
  const length = bytes.length - trailerBytes - trailer.getUint32(0, true);
  if (length < 0) throw corrupt("its parts are longer than it is");
  return bytes.subarray(0, length);
}

/**
 * The records in `bytes`, with nothing made of them yet.
 * @throws GRAPH_CORRUPT, GRAPH_VERSION
 */
export function readGraph(bytes: Uint8Array): SavedGraph {
  const graph = graphPart(bytes);
  return new GraphReader(bytes.subarray(0, bytes.length - trailerBytes), graph.length).read();
}

/** The language's limit. */
const arrayLengthMax = 2 ** 32 - 1;

const neverLocked: ReadonlySet<KindName> = new Set<KindName>([
  "view",
  "mapSchema",
  "arraySchema",
  "setSchema",
  "collectionSchema",
  "stateView",
]);

/** Of those scalars that have one type only. */
const scalarTypes: Partial<Record<KindName, readonly string[]>> = {
  date: ["number"],
  regExp: ["string", "string", "number"],
};

/** What most objects have of one thing or another. */
const nothing: readonly never[] = [];

class GraphReader {
  readonly #in: ByteReader;
  /** Records that were promised so far, the root's included. */
  #promised = 1;

  readonly #slotBytes: number;

  constructor(bytes: Uint8Array, graphBytes: number) {
    this.#in = new ByteReader(bytes);
    this.#slotBytes = bytes.length - graphBytes;
  }

  read(): SavedGraph {
    const version = this.#in.byte();
    if (version !== graphVersion) {
      const message = `the saved graph has version ${version}; this program reads version ${graphVersion}`;
      throw new GraphError("GRAPH_VERSION", message);
    }
    const records: GraphRecord[] = [];
    while (records.length < this.#promised) records.push(this.#record());
    const stores = Array.from({ length: this.#in.count() }, () => this.#store());
    const marks = readMarks(
      this.#in,
      records.map(({ kind }) => kind),
    );
    if (this.#in.remaining !== this.#slotBytes) throw corrupt("the graph ends where it should not");
    const slots = new Map<number, MapSlots>();
    for (const [at, { kind }] of records.entries())
      if (kind === "mapSchema") slots.set(at, readSlots(this.#in));
    if (this.#in.remaining > 0) throw corrupt(`${this.#in.remaining} bytes are left over`);
    return { records, stores, slots, marks };
  }

  #record(): GraphRecord {
    const code = this.#in.byte();
    const kind = kindNames.get(code);
    if (kind === undefined) throw corrupt(`kind ${code} of an object`);
    const flags = this.#in.byte();
    const className = flags & parts.className ? this.#in.string() : null;
    const scalars = flags & parts.scalars ? this.#scalars(this.#in.count()) : nothing;
    const entryCount = flags & parts.entries ? this.#in.varint() : 0;
    if (entryCount > arrayLengthMax) throw corrupt(`an object of ${entryCount} entries`);
    const entries = entryCount > 0 ? this.#entries(entryCount) : nothing;
    const props = flags & parts.props ? this.#props(this.#in.count()) : nothing;
    const lock = (flags & parts.lockMask) as Lock;
    if (lock !== 0 && neverLocked.has(kind)) throw corrupt(`a locked ${kind}`);
    const types = scalarTypes[kind];
    if (types?.some((type, at) => type !== typeof scalars[at])) throw corrupt(`a ${kind}`);
    return { kind, lock, className, scalars, entryCount, entries, props };
  }

  #scalars(count: number): SavedValue[] {
    const scalars: SavedValue[] = [];
    while (scalars.length < count) scalars.push(this.#value());
    return scalars;
  }

  #props(count: number): [string, SavedValue][] {
    const props: [string, SavedValue][] = [];
    while (props.length < count) props.push([this.#in.string(), this.#value()]);
    return props;
  }

  #entries(entryCount: number): SavedValue[] {
    const entries: SavedValue[] = [];
    let filled = 0;
    while (filled < entryCount) {
      const value = this.#value();
      entries.push(value);
      filled += value instanceof Holes ? value.count : 1;
    }
    if (filled !== entryCount) throw corrupt(`${filled} entries instead of ${entryCount}`);
    return entries;
  }

  #value(): SavedValue {
    const tag = this.#in.byte();
    if (tag >= tags.smallInteger) return tag - tags.smallInteger;
    switch (tag) {
      case tags.undefined:
        return undefined;
      case tags.null:
        return null;
      case tags.false:
        return false;
      case tags.true:
        return true;
      case tags.nan:
        return Number.NaN;
      case tags.integer:
        return this.#integer();
      case tags.float64:
        return this.#in.float64();
      case tags.bigint:
        return this.#bigint();
      case tags.string:
        return this.#in.string();
      case tags.symbol:
        return Symbol.for(this.#in.string());
      case tags.holes:
        return this.#holes();
      case tags.newObject:
        return new Pointer(this.#promised++);
      case tags.oldObject:
        return this.#oldObject();
      case tags.reference:
        return new Named("reference", this.#in.string());
      case tags.class:
        return new Named("class", this.#in.string());
      default:
        throw corrupt(`tag ${tag} of a value`);
    }
  }

  #integer(): number {
    const zigzag = this.#in.varint();
    return zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2;
  }

  #bigint(): bigint {
    const negative = this.#in.byte() === 1;
    const digits = Buffer.from(this.#in.block()).toString("hex");
    const value = BigInt(`0x${digits === "" ? "0" : digits}`);
    return negative ? -value : value;
  }

  #holes(): Holes {
    const count = this.#in.varint();
    if (count === 0) throw corrupt("a gap of no elements");
    return new Holes(count);
  }

  #oldObject(): Pointer {
    const record = this.#in.varint();
    if (record >= this.#promised) throw corrupt(`object ${record} of ${this.#promised}`);
    return new Pointer(record);
  }

  #store(): SavedStore {
    const owner = this.#in.varint();
    const bytes = this.#in.block();
    const windows = Array.from({ length: this.#in.count() }, () => {
      return { record: this.#in.varint(), byteOffset: this.#in.varint(), length: this.#in.varint() };
    });
    return { bytes, record: owner === 0 ? null : owner - 1, windows };
  }
}

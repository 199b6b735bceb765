import { types } from "node:util";
import { ByteStores, type View } from "./byte-store.ts";
import { BytesExceeded, ByteWriter } from "./byte-writer.ts";
import { type ClassRegistry, type Refusal, registryOf, type Shape } from "./class-registry.ts";
import { GraphError, type GraphProblem } from "./graph-error.ts";
import { type GraphLimits, type GraphOptions, graphLimits } from "./graph-options.ts";
import { pathText, type StepType, stepText } from "./graph-path.ts";
import { slotsOf, writeSlots } from "./map-slot.ts";
import { writeContents } from "./object-writer.ts";
import { graphVersion, tags } from "./record.ts";
import type { RecordWriter } from "./record-writer.ts";
import { functionRefusal, stateRefusal, unknownRefusal } from "./refusal.ts";
import { isArraySchemaProxy } from "./schema-internals.ts";
import { writeMarks } from "./view-marks.ts";

/**
 * - `write`: stops at the first problem.
 * - `check`: collects problems; what it writes is thrown away.
 * - `measure`: finds what weighs most in a graph that is too big.
 */
export type WriteMode = "write" | "check" | "measure";

/** Thrown at the first problem when writing; never leaves this folder. */
export class Unsavable extends Error {}
class EnoughProblems extends Error {}

/** What one long string must weigh to be named as such when a graph is too big. */
const stringNamedBytes = 4_096;
const measuredBytesMax = 256 * 1024 * 1024;

/** One walk over one graph. */
export class GraphWriter implements RecordWriter {
  readonly out: ByteWriter;
  readonly registry: ClassRegistry;
  readonly checking: boolean;
  readonly hasFilters: boolean;
  readonly problems: GraphProblem[] = [];
  readonly stores = new ByteStores();
  readonly #mode: WriteMode;
  readonly #limits: GraphLimits;
  readonly #references: ReadonlyMap<object, string>;
  readonly #rootName: string;
  readonly #schemaRoot: GraphOptions["schemaRoot"];
  readonly #ids = new Map<object, number>();
  // One row an object, in the order of their records.
  readonly #objects: object[] = [];
  readonly #shapes: Shape[] = [];
  readonly #parents: number[] = [];
  readonly #stepTypes: StepType[] = [];
  readonly #stepKeys: unknown[] = [];
  readonly #depths: number[] = [];
  readonly #weights: number[] = [];
  readonly #longStrings: { path: string; bytes: number }[] = [];
  /** The record being written. */
  #current = 0;

  constructor(options: GraphOptions, mode: WriteMode) {
    this.#mode = mode;
    this.checking = mode === "check";
    this.#limits = graphLimits(options);
    this.#references = options.references;
    this.#rootName = options.rootName ?? "room";
    this.#schemaRoot = options.schemaRoot;
    this.hasFilters = options.schemaRoot?.types.hasFilters === true;
    this.registry = registryOf(options);
    const bytesMax = mode === "write" ? this.#limits.checkpointBytesMax : measuredBytesMax;
    this.out = new ByteWriter({ bytesMax, discard: mode !== "write" });
  }

  /** Writes the graph: everything that its hash is taken of. */
  write(root: object): void {
    this.out.byte(graphVersion);
    const shape = this.#shapeOf(root, "property", "");
    if (shape === null) return;
    this.#enter(root, shape, "property", "");
    try {
      for (this.#current = 0; this.#current < this.#objects.length; this.#current++) {
        const before = this.out.length;
        writeContents(this, this.#objects[this.#current] as object, this.#shapes[this.#current] as Shape);
        this.#weights.push(this.out.length - before);
      }
      this.stores.write(this.out, (record, bytes) => {
        this.#weights[record] = (this.#weights[record] as number) + bytes;
      });
      writeMarks(
        this.out,
        this.#shapes.map(({ kind }, record) => ({ kind, object: this.#objects[record] as object })),
      );
    } catch (error) {
      // When looking around, as far as it went is good enough.
      const enough =
        error instanceof EnoughProblems || (error instanceof BytesExceeded && this.#mode !== "write");
      if (!enough) throw error;
    }
  }

  /** After `write`, the wire indexes of its maps: saved, but not hashed. */
  writeSlots(): void {
    for (const [record, { kind }] of this.#shapes.entries()) {
      if (kind === "mapSchema") writeSlots(this.out, slotsOf(this.#objects[record] as object));
    }
  }

  problem(step: StepType, key: unknown, refusal: Refusal): void {
    if (this.#mode === "write") throw new Unsavable(refusal.what);
    if (this.#mode === "measure") return;
    this.problems.push({ path: this.#pathOf(this.#current, stepText(step, key)), ...refusal });
    if (this.problems.length >= this.#limits.problemsMax) throw new EnoughProblems();
  }

  /** A value that the current object holds, and how one gets to it from there. */
  value(value: unknown, step: StepType, key: unknown): void {
    switch (typeof value) {
      case "undefined":
        this.out.byte(tags.undefined);
        break;
      case "boolean":
        this.out.byte(value ? tags.true : tags.false);
        break;
      case "number":
        this.#number(value);
        break;
      case "bigint":
        this.#bigint(value);
        break;
      case "string":
        this.#string(value, step, key);
        break;
      case "symbol":
        this.#symbol(value, step, key);
        break;
      case "function":
        this.#function(value, step, key);
        break;
      case "object":
        if (value === null) this.out.byte(tags.null);
        else this.#object(value, step, key);
        break;
    }
  }

  holes(count: number): void {
    this.out.byte(tags.holes);
    this.out.varint(count);
  }

  #number(value: number): void {
    if (Number.isInteger(value) && Math.abs(value) <= 0x3fff_ffff && !Object.is(value, -0)) {
      if (value >= 0 && value < tags.smallInteger) {
        this.out.byte(tags.smallInteger + value);
        return;
      }
      this.out.byte(tags.integer);
      // Zigzag: small negative numbers stay short.
      this.out.varint(value < 0 ? -2 * value - 1 : 2 * value);
      return;
    }
    // The bits of a NaN are the engine's choice: they are not saved.
    if (Number.isNaN(value)) {
      this.out.byte(tags.nan);
      return;
    }
    this.out.byte(tags.float64);
    this.out.float64(value);
  }

  #bigint(value: bigint): void {
    const digits = (value < 0n ? -value : value).toString(16);
    this.out.byte(tags.bigint);
    this.out.byte(value < 0n ? 1 : 0);
    this.out.block(Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, "hex"));
  }

  #string(value: string, step: StepType, key: unknown): void {
    this.out.byte(tags.string);
    const before = this.out.length;
    this.out.string(value);
    const bytes = this.out.length - before;
    if (this.#mode !== "measure" || bytes < stringNamedBytes) return;
    this.#longStrings.push({ path: this.#pathOf(this.#current, stepText(step, key)), bytes });
  }

  #symbol(value: symbol, step: StepType, key: unknown): void {
    const name = Symbol.keyFor(value);
    if (name === undefined) {
      const remedy = `Symbol.for(${JSON.stringify(value.description ?? "name")}), or transient`;
      this.problem(step, key, { what: `${String(value)}, which no other process can have`, remedy });
      this.out.byte(tags.undefined);
      return;
    }
    this.out.byte(tags.symbol);
    this.out.string(name);
  }

  // biome-ignore lint/complexity/noBannedTypes: any function can be found in a room
  #function(value: Function, step: StepType, key: unknown): void {
    const name = this.#references.get(value);
    if (name !== undefined) {
      this.#named(tags.reference, name);
      return;
    }
    const className = this.registry.ofClass(value)?.className;
    if (className !== undefined && className !== null) {
      this.#named(tags.class, className);
      return;
    }
    this.problem(step, key, functionRefusal(value));
    this.out.byte(tags.undefined);
  }

  #named(tag: number, name: string): void {
    this.out.byte(tag);
    this.out.string(name);
  }

  #object(value: object, step: StepType, key: unknown): void {
    const id = this.#ids.get(value);
    if (id !== undefined) {
      this.out.byte(tags.oldObject);
      this.out.varint(id);
      return;
    }
    const name = this.#references.get(value);
    if (name !== undefined) {
      this.#named(tags.reference, name);
      return;
    }
    const shape = this.#shapeOf(value, step, key);
    if (shape === null) {
      this.out.byte(tags.undefined);
      return;
    }
    this.out.byte(tags.newObject);
    this.#enter(value, shape, step, key);
  }

  #shapeOf(value: object, step: StepType, key: unknown): Shape | null {
    // A proxy's traps would run, and see the walk; ArraySchema is one whose inside is known.
    const known =
      types.isProxy(value) && !isArraySchemaProxy(value) ? undefined : this.#shapeOfPrototype(value);
    const refusal =
      known === undefined
        ? unknownRefusal(value)
        : (known.refusal ?? stateRefusal(value, known.kind, this.#schemaRoot));
    if (refusal === null) return known as Shape;
    this.problem(step, key, refusal);
    return null;
  }

  #shapeOfPrototype(value: object): Shape | undefined {
    return this.registry.ofPrototype(Object.getPrototypeOf(value) as object | null);
  }

  #enter(value: object, shape: Shape, step: StepType, key: unknown): void {
    const id = this.#objects.length;
    const parent = this.#current;
    const depth = id === 0 ? 0 : (this.#depths[parent] as number) + 1;
    if (depth > this.#limits.depthMax) {
      const path = this.#pathOf(parent, stepText(step, key));
      const message = `${path} is more than ${this.#limits.depthMax} steps from ${this.#rootName} (limits.depthMax)`;
      throw new GraphError("GRAPH_TOO_DEEP", message, { path });
    }
    this.#ids.set(value, id);
    this.#objects.push(value);
    this.#shapes.push(shape);
    this.#parents.push(parent);
    this.#stepTypes.push(step);
    this.#stepKeys.push(key);
    this.#depths.push(depth);
  }

  #pathOf(record: number, last: string): string {
    const steps = last === "" ? [] : [last];
    for (let at = record; at !== 0; at = this.#parents[at] as number) {
      steps.push(stepText(this.#stepTypes[at] as StepType, this.#stepKeys[at]));
    }
    return pathText(this.#rootName, steps.reverse());
  }

  /** After a walk in mode `measure`: paths of at most two steps, and long strings, the heaviest first. */
  heaviest(count: number): { path: string; bytes: number }[] {
    const weights = this.#objects.map((_, record) => this.#weights[record] ?? 0);
    for (let record = weights.length - 1; record > 0; record--) {
      const parent = this.#parents[record] as number;
      weights[parent] = (weights[parent] as number) + (weights[record] as number);
    }
    const near = weights
      .map((bytes, record) => ({ record, bytes }))
      .filter(({ record }) => record !== 0 && (this.#depths[record] as number) <= 2)
      .map(({ record, bytes }) => ({ path: this.#pathOf(record, ""), bytes }));
    return [...near, ...this.#longStrings].sort((a, b) => b.bytes - a.bytes).slice(0, count);
  }

  addView(view: View): void {
    this.stores.addView(this.#current, view);
  }

  addBuffer(buffer: ArrayBuffer): void {
    this.stores.addBuffer(this.#current, buffer);
  }
}

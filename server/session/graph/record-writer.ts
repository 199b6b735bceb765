import type { View } from "./byte-store.ts";
import type { ByteWriter } from "./byte-writer.ts";
import type { Refusal, Shape } from "./class-registry.ts";
import type { StepType } from "./graph-path.ts";
import { kinds, type Lock, parts } from "./record.ts";

/** What writing one record needs of the walk that it is part of. */
export interface RecordWriter {
  readonly out: ByteWriter;
  /** True if problems are wanted more than speed. */
  readonly checking: boolean;
  /** The state has fields with a view tag: what that does to an instance is written with it. */
  readonly hasFilters: boolean;
  /** A value that the object holds, and how one gets to it from there. */
  value(value: unknown, step: StepType, key: unknown): void;
  /** So many elements that are not there. */
  holes(count: number): void;
  addView(view: View): void;
  addBuffer(buffer: ArrayBuffer): void;
  problem(step: StepType, key: unknown, refusal: Refusal): void;
}

export function lockOf(object: object): Lock {
  if (Object.isExtensible(object)) return 0;
  if (Object.isFrozen(object)) return 3;
  return Object.isSealed(object) ? 2 : 1;
}

export interface Header {
  readonly lock: Lock;
  readonly scalars?: boolean;
  readonly entries?: boolean;
  readonly props?: boolean;
}

export function writeHeader(writer: RecordWriter, { kind, className }: Shape, header: Header): void {
  writer.out.byte(kinds[kind]);
  writer.out.byte(
    header.lock |
      (className === null ? 0 : parts.className) |
      (header.scalars === true ? parts.scalars : 0) |
      (header.entries === true ? parts.entries : 0) |
      (header.props === true ? parts.props : 0),
  );
  if (className !== null) writer.out.string(className);
}

type Keys = readonly (string | symbol)[];

/** Own properties, in their order. All must be plain ones: enumerable, and writable as far as the lock lets them. */
export function writeProps(writer: RecordWriter, object: object, keys: Keys, lock: Lock): void {
  writer.out.varint(keys.length);
  for (const key of keys) {
    if (typeof key === "symbol") {
      const what = `a property under ${String(key)}`;
      writer.problem("property", String(key), { what, remedy: "a name instead of a symbol, or transient" });
      continue;
    }
    const descriptor = Reflect.getOwnPropertyDescriptor(object, key) as PropertyDescriptor;
    writer.out.string(key);
    if (descriptor.get !== undefined || descriptor.set !== undefined) {
      writer.problem("property", key, {
        what: "a getter or setter of an object",
        remedy: "a class that has it",
      });
      continue;
    }
    const hidden = !descriptor.enumerable;
    if (hidden || descriptor.writable !== lock < 3 || descriptor.configurable !== lock < 2) {
      const what = hidden ? "a property that is not enumerable" : "a property that is locked by itself";
      writer.problem("property", key, { what, remedy: "a plain property, or transient" });
    }
    writer.value(descriptor.value, "property", key);
  }
}

/** A user's property on an object of the library's or the language's. */
export function refuseOwnKeys(
  writer: RecordWriter,
  object: object,
  { kind }: Shape,
  known: ReadonlySet<string | symbol>,
): void {
  for (const key of Reflect.ownKeys(object)) {
    if (known.has(key)) continue;
    writer.problem("property", String(key), {
      what: `a property of one's own on a ${kind}`,
      remedy: "a Map beside it",
    });
  }
}

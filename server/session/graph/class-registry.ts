import { createHash } from "node:crypto";
import {
  $numFields,
  ArraySchema,
  CollectionSchema,
  MapSchema,
  Schema,
  SetSchema,
  StateView,
  TypeContext,
} from "@colyseus/schema";
import { GraphError } from "./graph-error.ts";
import type { ClassLike, GraphOptions } from "./graph-options.ts";
import { firstPrivateName } from "./private-name.ts";
import type { KindName } from "./record.ts";

export interface Refusal {
  readonly what: string;
  readonly remedy: string;
  /** The class that only has to be listed. */
  readonly unlisted?: ClassLike;
}

/** How objects of one prototype are saved. */
export interface Shape {
  readonly kind: KindName;
  /** Under which name; null for what needs none. */
  readonly className: string | null;
  readonly type: ClassLike;
  /** Why not, if not. */
  readonly refusal: Refusal | null;
  /** Of schema classes: the fields' names by index; a gap where an index is not used. */
  readonly fields: readonly (string | undefined)[];
}

const errorClasses: readonly ClassLike[] = [
  Error,
  TypeError,
  RangeError,
  SyntaxError,
  ReferenceError,
  EvalError,
  URIError,
  AggregateError,
];

/** Float16Array is not in every engine's type declarations yet. */
const float16Array = (globalThis as { Float16Array?: ClassLike }).Float16Array;

const viewClasses: readonly ClassLike[] = [
  Buffer,
  DataView,
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  BigInt64Array,
  BigUint64Array,
  Float32Array,
  Float64Array,
  ...(float16Array === undefined ? [] : [float16Array]),
];

const unnamed: readonly (readonly [KindName, ClassLike])[] = [
  ["object", Object],
  ["array", Array],
  ["map", Map],
  ["set", Set],
  ["date", Date],
  ["regExp", RegExp],
  ["arrayBuffer", ArrayBuffer],
  ["mapSchema", MapSchema],
  ["arraySchema", ArraySchema],
  ["setSchema", SetSchema],
  ["collectionSchema", CollectionSchema],
  ["stateView", StateView as unknown as ClassLike],
];

/** What a listed class may extend, and its instances are still made of properties and known contents. */
const extendable: ReadonlySet<KindName> = new Set<KindName>(["object", "array", "map", "set", "error"]);

function builtInShapes(): Shape[] {
  const shape = (kind: KindName, type: ClassLike, className: string | null): Shape => {
    return { kind, className, type, refusal: null, fields: [] };
  };
  return [
    ...unnamed.map(([kind, type]) => shape(kind, type, null)),
    ...errorClasses.map((type) => shape("error", type, type.name)),
    ...viewClasses.map((type) => shape("view", type, type.name)),
  ];
}

const nullPrototype: ClassLike = Object.freeze({ name: "null", prototype: Object.create(null) as object });

/** `new ClassRegistry` is slow (it reads classes' sources): see `registryOf`. */
export class ClassRegistry {
  readonly nullObject: Shape;
  readonly #byPrototype = new Map<object, Shape>();
  readonly #byName = new Map<string, Shape>();
  readonly #byClass = new Map<unknown, Shape>();

  /** @throws GRAPH_CLASS_NAME */
  constructor(classes: readonly ClassLike[], stateClasses: readonly ClassLike[]) {
    this.nullObject = {
      kind: "nullObject",
      className: null,
      type: nullPrototype,
      refusal: null,
      fields: [],
    };
    for (const shape of builtInShapes()) this.#add(shape);
    for (const schemaClass of [...stateClasses, ...classes.filter(isSchemaClass)])
      this.#addSchemaClasses(schemaClass);
    for (const listed of new Set(classes)) if (!isSchemaClass(listed)) this.#add(this.#listedShape(listed));
  }

  ofPrototype(prototype: object | null): Shape | undefined {
    return prototype === null ? this.nullObject : this.#byPrototype.get(prototype);
  }

  ofName(name: string): Shape | undefined {
    return this.#byName.get(name);
  }

  /** The schema class of that name whatever its fields are; undefined: there is none, or more than one. */
  ofOtherFields(name: string): Shape | undefined {
    const bare = bareName(name);
    if (bare === null) return undefined;
    const found = [...this.#byName.values()].filter(
      ({ kind, className }) => kind === "schema" && bareName(className ?? "") === bare,
    );
    return found.length === 1 ? found[0] : undefined;
  }

  /** A class as a value: only listed ones and schema classes have a name to be saved under. */
  ofClass(type: unknown): Shape | undefined {
    return this.#byClass.get(type);
  }

  #add(shape: Shape): void {
    this.#byPrototype.set(shape.type.prototype, shape);
    if (shape.className === null) return;
    if (shape.className === "" || this.#byName.has(shape.className)) {
      const fault =
        shape.className === "" ? "has no name" : `has the name ${shape.className}, which is taken`;
      throw new GraphError("GRAPH_CLASS_NAME", `classes: a class ${fault}; each needs a name of its own`, {
        name: shape.className,
      });
    }
    this.#byName.set(shape.className, shape);
    this.#byClass.set(shape.type, shape);
  }

  #addSchemaClasses(schemaClass: ClassLike): void {
    if (!isSchemaClass(schemaClass)) {
      const { name } = schemaClass;
      const remedy =
        "if it is one of another copy of @colyseus/schema, leave one of them (npm ls @colyseus/schema)";
      throw new GraphError("GRAPH_CLASS_NAME", `stateClasses: ${name} is not a schema class: ${remedy}`, {
        name,
      });
    }
    // Not the cached context: the Encoder's must not be made before all subclasses are known to it.
    const context = new TypeContext(schemaClass as unknown as typeof Schema);
    for (const found of context.schemas.keys()) {
      if (this.#byPrototype.has(found.prototype)) continue;
      const fields = fieldNames(found);
      const key = schemaKey(found);
      let className = key;
      for (let twin = 2; this.#byName.has(className); twin++) className = `${key}.${twin}`;
      const refusal = privateRefusal(found as unknown as ClassLike);
      this.#add({ kind: "schema", className, type: found as unknown as ClassLike, refusal, fields });
    }
  }

  #listedShape(listed: ClassLike): Shape {
    const shape = { className: listed.name, type: listed, fields: [] };
    if (listed.prototype instanceof StateView)
      return { ...shape, kind: "object", refusal: viewClassRefusal(listed.name) };
    const native = nativeBase(listed);
    const base = native === null ? "object" : this.#byPrototype.get(native.prototype)?.kind;
    if (base === undefined || !extendable.has(base)) {
      const what = `an instance of ${listed.name}, which extends ${native?.name}: what that holds cannot be seen`;
      return { ...shape, kind: "object", refusal: { what, remedy: hooksRemedy } };
    }
    return { ...shape, kind: base, refusal: privateRefusal(listed) };
  }
}

export const hooksRemedy =
  "transient (onCreate makes it anew), with onCacheRoom and onRestoreRoom if it must be kept";

export function viewClassRefusal(name: string): Refusal {
  return {
    what: `an instance of ${name}, which extends StateView`,
    remedy: "a plain StateView: what is your own may be set on it as a property",
  };
}

export function isSchemaClass(candidate: ClassLike): boolean {
  return candidate.prototype instanceof Schema;
}

function isNative(type: ClassLike): boolean {
  return /\{\s*\[native code\]\s*\}$/.test(Function.prototype.toString.call(type));
}

function* ancestry(type: ClassLike): Iterable<ClassLike> {
  let at: ClassLike | null = type;
  while (typeof at === "function" && at !== Function.prototype) {
    yield at;
    at = Object.getPrototypeOf(at) as ClassLike | null;
  }
}

function nativeBase(listed: ClassLike): ClassLike | null {
  for (const ancestor of ancestry(listed)) if (isNative(ancestor)) return ancestor;
  return null;
}

function privateRefusal(listed: ClassLike): Refusal | null {
  for (const ancestor of ancestry(listed)) {
    if (ancestor === (Schema as unknown) || isNative(ancestor)) return null;
    const name = firstPrivateName(Function.prototype.toString.call(ancestor));
    if (name === null) continue;
    return { what: `an instance of ${listed.name}, whose ${name} cannot be seen`, remedy: hooksRemedy };
  }
  return null;
}

interface FieldLike {
  readonly name: string;
  readonly type: unknown;
}

function fieldsOf(schemaClass: typeof Schema): (FieldLike | undefined)[] {
  const metadata = schemaClass[Symbol.metadata] as unknown as Record<string | number, unknown>;
  const last = (metadata[$numFields] as number | undefined) ?? -1;
  return Array.from({ length: last + 1 }, (_, index) => metadata[index] as FieldLike | undefined);
}

function fieldNames(schemaClass: typeof Schema): (string | undefined)[] {
  return fieldsOf(schemaClass).map((field) => field?.name);
}

function typeText(type: unknown): string {
  if (typeof type === "string") return type;
  if (typeof type === "function") return type.name;
  if (typeof type !== "object" || type === null) return String(type);
  return Object.entries(type)
    .map(([collection, child]) => `${collection}<${typeText(child)}>`)
    .join();
}

/** Most schema classes have no name of their own (`schema({…})` gives "klass"): the fields tell them apart. */
function schemaKey(schemaClass: typeof Schema): string {
  const fields = fieldsOf(schemaClass).map((field) => `${field?.name}:${typeText(field?.type)}`);
  const digest = createHash("sha1").update(fields.join()).digest("hex").slice(0, 8);
  return `${schemaClass.name}~${digest}`;
}

/** Null: no schema class's. */
function bareName(className: string): string | null {
  const at = className.lastIndexOf("~");
  return at === -1 ? null : className.slice(0, at);
}

const registries = new WeakMap<
  readonly ClassLike[],
  { stateClasses: readonly ClassLike[]; registry: ClassRegistry }
>();

/** The registry of these options' classes, made once for each `classes` array as long as the state's classes stay. */
export function registryOf({ classes, stateClasses }: GraphOptions): ClassRegistry {
  const known = registries.get(classes);
  const same = known?.stateClasses.length === stateClasses.length;
  if (known !== undefined && same && stateClasses.every((c, i) => c === known.stateClasses[i]))
    return known.registry;
  const registry = new ClassRegistry(classes, stateClasses);
  registries.set(classes, { stateClasses: [...stateClasses], registry });
  return registry;
}

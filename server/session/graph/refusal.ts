import { types } from "node:util";
import { type MapSchema, type Root, Schema, StateView, StreamSchema } from "@colyseus/schema";
import { hooksRemedy, type Refusal, viewClassRefusal } from "./class-registry.ts";
import type { ClassLike } from "./graph-options.ts";
import type { KindName } from "./record.ts";
import { isArraySchemaProxy, isTracked, viewInternals } from "./schema-internals.ts";

/** What is in the way when an object's prototype is not known. */
export function unknownRefusal(value: object): Refusal {
  if (types.isProxy(value)) return { what: "a Proxy", remedy: `save what is behind it; else ${hooksRemedy}` };
  if (value instanceof StateView) return viewClassRefusal(classNameOf(value));
  if (value instanceof StreamSchema) return streamRefusal;
  const name = classNameOf(value);
  if (value instanceof Schema) {
    const what = `an instance of the schema class ${name}, which the room's state cannot hold`;
    return { what, remedy: `classes: [${name}]`, ...unlistedOf(value) };
  }
  if (types.isPromise(value))
    return { what: "a Promise", remedy: "await it before the handler ends, or transient" };
  if (isBuiltIn(value)) return { what: `a ${name}`, remedy: `plain data instead; else ${hooksRemedy}` };
  if (name === "") {
    return { what: "an object whose prototype is another object", remedy: "a class, listed in classes" };
  }
  return {
    what: `an instance of ${name}, which is not listed`,
    remedy: `classes: [${name}], or transient, or hooks`,
    ...unlistedOf(value),
  };
}

const streamRefusal: Refusal = {
  what: "a stream: streams are not supported yet",
  remedy: "a map without .stream()",
};

function classNameOf(value: object): string {
  return classOf(value)?.name ?? "";
}

/** Null: it has no class of its own. */
function classOf(value: object): ClassLike | null {
  for (let at = value; at !== null; at = Object.getPrototypeOf(at) as object) {
    const type = Object.getOwnPropertyDescriptor(at, "constructor")?.value as unknown;
    if (typeof type === "function") return type === Object ? null : (type as ClassLike);
  }
  return null;
}

function unlistedOf(value: object): Pick<Refusal, "unlisted"> {
  const unlisted = classOf(value);
  return unlisted === null ? {} : { unlisted };
}

/** Made by the language or by Node, so that listing its class would not help. */
function isBuiltIn(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as object | null;
  const type = prototype?.constructor;
  if (typeof type !== "function") return Object.prototype.toString.call(value) !== "[object Object]";
  if (type === Object) return false;
  return /\{\s*\[native code\]\s*\}$/.test(Function.prototype.toString.call(type)) || value instanceof URL;
}

/** What is in the way in the state of an object whose prototype is known; null if nothing is. */
export function stateRefusal(value: object, kind: KindName, schemaRoot: Root | undefined): Refusal | null {
  switch (kind) {
    case "object":
    case "nullObject":
      return null;
    case "array":
      return Array.isArray(value) ? null : impostor("an array");
    case "map":
      return types.isMap(value) ? null : impostor("a Map");
    case "set":
      return types.isSet(value) ? null : impostor("a Set");
    case "date":
      return types.isDate(value) ? null : impostor("a Date");
    case "regExp":
      return types.isRegExp(value) ? null : impostor("a RegExp");
    case "error":
      return types.isNativeError(value) ? null : impostor("an Error");
    case "arrayBuffer":
      return types.isArrayBuffer(value) ? bufferRefusal(value) : impostor("an ArrayBuffer");
    case "view":
      return ArrayBuffer.isView(value) ? bufferRefusal(value.buffer) : impostor("a typed array");
    case "schema":
    case "mapSchema":
    case "setSchema":
    case "collectionSchema":
    case "arraySchema":
      return schemaRefusal(value, kind);
    case "stateView":
      return viewRefusal(value, schemaRoot);
  }
}

function viewRefusal(value: object, schemaRoot: Root | undefined): Refusal | null {
  if (!(value instanceof StateView) || !Object.hasOwn(value, "changes")) return impostor("a StateView");
  const { _root: root } = viewInternals(value);
  if (root === undefined || root === schemaRoot) return null;
  return { what: "a StateView of another state than the room's", remedy: "a new StateView for this state" };
}

function impostor(what: string): Refusal {
  return { what: `an object that inherits from ${what}, but is none`, remedy: "a real one, or plain data" };
}

function bufferRefusal(buffer: ArrayBufferLike): Refusal | null {
  const remedy = "an ArrayBuffer of fixed size, in use";
  if (!types.isArrayBuffer(buffer)) return { what: "a SharedArrayBuffer", remedy };
  if (buffer.detached) return { what: "an ArrayBuffer that was transferred away", remedy };
  if (buffer.resizable) return { what: "a resizable ArrayBuffer", remedy };
  return null;
}

function schemaRefusal(value: object, kind: KindName): Refusal | null {
  if (!isTracked(value)) {
    return { what: "a schema instance that a decoder made", remedy: "an instance made with new" };
  }
  if (kind === "arraySchema" && !isArraySchemaProxy(value)) {
    return { what: "the inside of an ArraySchema", remedy: "the ArraySchema itself" };
  }
  if (kind !== "schema" && (value as MapSchema)._stream !== undefined) return streamRefusal;
  return null;
}

// biome-ignore lint/complexity/noBannedTypes: any function can be found in a room
export function functionRefusal(value: Function): Refusal {
  const source = Function.prototype.toString.call(value);
  const isClass = source.startsWith("class ");
  const name = value.name === "" ? "without a name" : value.name;
  if (isClass) {
    const unlisted = value as unknown as ClassLike;
    return {
      what: `the class ${name}, which is not listed`,
      remedy: `classes: [${name}], or transient`,
      unlisted,
    };
  }
  return { what: `a function (${name})`, remedy: "a method of a class instead, or transient" };
}

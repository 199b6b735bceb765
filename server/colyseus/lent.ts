import { types } from "node:util";
import { currentWorld, type World } from "../session/sandbox.ts";
import { outsideLog } from "../session/session-error.ts";

type Method = (this: unknown, ...args: unknown[]) => unknown;

/** By the proxy: what is behind it. */
const behind = new WeakMap<object, object>();
/** What is guarded by itself, and is lent as it is: rooms, clients, clocks. */
const lendsItself = new WeakSet<object>();
/** One proxy an object and run: what is the same stays the same, and a path is told as it was come by. */
const lentIn = new WeakMap<World, WeakMap<object, object>>();

/** It looks after its own changes. */
export function lendItself(object: object): void {
  lendsItself.add(object);
}

/** What room code may look at while a message runs that is in no log: a proxy that takes no change; elsewhere the value itself. */
export function lent<T>(value: T, path: string): T {
  const world = currentWorld();
  if (world?.forbids === undefined) return value;
  if (typeof value !== "object" || value === null || behind.has(value) || isLentAsItIs(value)) return value;
  let known = lentIn.get(world);
  if (known === undefined) {
    known = new WeakMap();
    lentIn.set(world, known);
  }
  let proxy = known.get(value);
  if (proxy === undefined) {
    proxy = new Proxy(targetOf(value), handlerOf(value, path));
    known.set(value, proxy);
    behind.set(proxy, value);
  }
  return proxy as T;
}

/** @throws SessionError MUTATION_OUTSIDE_LOG while a message runs that is in no log */
export function checkLent(path: string): void {
  if (currentWorld()?.forbids !== undefined) throw outsideLog(`${path} was assigned`);
}

/** A message as room code gave it, without proxies: an encoder knows objects by what they are. */
export function returned(value: unknown): unknown {
  if (currentWorld()?.forbids === undefined || typeof value !== "object" || value === null) return value;
  const own = behind.get(value);
  if (own !== undefined) return own;
  if (Array.isArray(value)) return value.map(returned);
  if (value instanceof Map) return new Map([...value].map(([key, each]) => [returned(key), returned(each)]));
  if (value instanceof Set) return new Set([...value].map(returned));
  if (Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, returned(each)]));
}

function isLentAsItIs(value: object): boolean {
  return lendsItself.has(value) || types.isPromise(value) || types.isRegExp(value);
}

/** A proxy may not tell anything of a frozen object but what it is: a copy that is not frozen stands for it. */
function targetOf(value: object): object {
  if (!Object.isFrozen(value) || hasSlots(value)) return value;
  if (Array.isArray(value)) return [...(value as unknown[])];
  return Object.create(Object.getPrototypeOf(value) as object | null, changeable(value)) as object;
}

function changeable(value: object): PropertyDescriptorMap {
  const descriptors = Object.getOwnPropertyDescriptors(value);
  for (const descriptor of Object.values(descriptors)) descriptor.configurable = true;
  return descriptors;
}

/** Built-in methods of it work on the object itself only. */
function hasSlots(value: object): boolean {
  return (
    types.isMap(value) ||
    types.isSet(value) ||
    types.isWeakMap(value) ||
    types.isWeakSet(value) ||
    types.isDate(value) ||
    types.isAnyArrayBuffer(value) ||
    ArrayBuffer.isView(value)
  );
}

const changingMethods: ReadonlySet<string> = new Set([
  ...["set", "add", "delete", "clear", "getOrInsert", "getOrInsertComputed"],
  ...[
    "fill",
    "copyWithin",
    "sort",
    "reverse",
    "resize",
    "transfer",
    "transferToFixedLength",
    "write",
    "swap16",
  ],
  ...["swap32", "swap64"],
]);

function isChanging(value: object, name: string): boolean {
  if (changingMethods.has(name)) return true;
  // Dates and DataViews set, buffers write, by many names.
  return /^(?:set|write)[A-Z]/.test(name) && !types.isMap(value) && !types.isSet(value);
}

function refuse(path: string, how: string): never {
  throw outsideLog(`${path} was changed (${how})`);
}

function memberPath(path: string, key: PropertyKey): string {
  if (typeof key === "symbol") return path;
  return /^\d+$/.test(String(key)) ? `${path}[${String(key)}]` : `${path}.${String(key)}`;
}

function handlerOf(value: object, path: string): ProxyHandler<object> {
  const at = (key: PropertyKey) => memberPath(path, key);
  const slots = hasSlots(value);
  return {
    get(target, key, receiver) {
      if (slots) return slotMember(target, key, path, receiver as object);
      const member: unknown = Reflect.get(target, key, receiver);
      return lent(member, at(key));
    },
    getOwnPropertyDescriptor(target, key) {
      const descriptor = Reflect.getOwnPropertyDescriptor(target, key);
      if (descriptor?.configurable === true && "value" in descriptor)
        descriptor.value = lent(descriptor.value, at(key));
      return descriptor;
    },
    set: (_target, key) => refuse(at(key), "assigned"),
    deleteProperty: (_target, key) => refuse(at(key), "deleted"),
    defineProperty: (_target, key) => refuse(at(key), "defined"),
    setPrototypeOf: () => refuse(path, "its prototype"),
    preventExtensions: () => refuse(path, "frozen"),
  };
}

/** Of a Map, Set, Date, typed array: what is built in is asked of the object itself. */
function slotMember(target: object, key: PropertyKey, path: string, proxy: object): unknown {
  const member: unknown = Reflect.get(target, key, target);
  if (typeof member !== "function" || key === "constructor") return lent(member, memberPath(path, key));
  if (!builtIns.has(member)) return member;
  const name = String(key);
  if (typeof key === "string" && isChanging(target, name)) return () => refuse(path, `${name}()`);
  const inside = (value: unknown) => lent(value, `${path}${name === "get" ? ".get()" : "[]"}`);
  return (...args: unknown[]) => {
    const given = args.map((arg) =>
      typeof arg === "function" ? visiting(arg as Method, inside, proxy) : own(arg),
    );
    const result: unknown = Reflect.apply(member, target, given);
    return types.isGeneratorObject(result) || isIterator(result) ? lentEach(result, inside) : inside(result);
  };
}

const typedArrays = Object.getPrototypeOf(Uint8Array.prototype) as object;
const builtIns: ReadonlySet<unknown> = new Set(
  [
    ...[Map, Set, WeakMap, WeakSet, Date, ArrayBuffer, SharedArrayBuffer, DataView, Buffer, Uint8Array].map(
      ({ prototype }) => prototype as object,
    ),
    typedArrays,
  ].flatMap((prototype) =>
    Reflect.ownKeys(prototype).map(
      (key) => Object.getOwnPropertyDescriptor(prototype, key)?.value as unknown,
    ),
  ),
);

function own(value: unknown): unknown {
  return (typeof value === "object" && value !== null ? behind.get(value) : undefined) ?? value;
}

/** A callback of `forEach` and the like: elements come lent. */
function visiting(callback: Method, inside: (value: unknown) => unknown, proxy: object): Method {
  return function (...args) {
    return callback.apply(
      this,
      args.map((arg) =>
        typeof arg === "object" && arg !== null && own(proxy) === arg ? proxy : inside(arg),
      ),
    );
  };
}

function isIterator(value: unknown): value is Iterable<unknown> {
  return (
    typeof value === "object" && value !== null && typeof (value as { next?: unknown }).next === "function"
  );
}

function* lentEach(values: unknown, inside: (value: unknown) => unknown): Generator<unknown> {
  for (const value of values as Iterable<unknown>) {
    // Of entries() and of a Map itself: a pair that was made for this step.
    yield Array.isArray(value) ? value.map(inside) : inside(value);
  }
}

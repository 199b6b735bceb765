import { types } from "node:util";
import { currentWorld } from "../session/sandbox.ts";
import { outsideLog } from "../session/session-error.ts";

type Method = (this: unknown, ...args: unknown[]) => unknown;

/** By the proxy: what is behind it. */
const behind = new WeakMap<object, object>();
/** What is guarded by itself, and is lent as it is: rooms, clients, clocks. */
const lendsItself = new WeakSet<object>();
/** One proxy an object: what is the same stays the same. */
const loans = new WeakMap<object, Loan>();

/** It looks after its own changes. */
export function lendItself(object: object): void {
  lendsItself.add(object);
}

/** What room code may look at while a message runs that is in no log: a proxy that takes no change; elsewhere the value itself. */
export function lent<T>(value: T, path: string): T {
  const world = currentWorld();
  if (world?.forbids === undefined) return value;
  if (!isObject(value) || behind.has(value) || isLentAsItIs(value)) return value;
  let loan = loans.get(value);
  if (loan === undefined || loan.wasFrozen !== Object.isFrozen(value)) {
    loan = new Loan(value);
    loans.set(value, loan);
    behind.set(loan.proxy, value);
  }
  // As it was come by last.
  loan.path = path;
  return loan.proxy as T;
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

/** Something that is lent, and where room code has it from. */
class Loan implements ProxyHandler<object> {
  path = "";
  readonly proxy: object;
  readonly wasFrozen: boolean;
  readonly #hasSlots: boolean;

  constructor(value: object) {
    this.#hasSlots = hasSlots(value);
    this.wasFrozen = Object.isFrozen(value);
    this.proxy = new Proxy(targetOf(value), this);
  }

  get(target: object, key: PropertyKey, receiver: unknown): unknown {
    if (this.#hasSlots) return slotMember(target, key, this);
    const member: unknown = Reflect.get(target, key, receiver);
    return isObject(member) ? lent(member, memberPath(this.path, key)) : member;
  }

  getOwnPropertyDescriptor(target: object, key: PropertyKey): PropertyDescriptor | undefined {
    const descriptor = Reflect.getOwnPropertyDescriptor(target, key);
    if (descriptor?.configurable === true && "value" in descriptor)
      descriptor.value = lent(descriptor.value as unknown, memberPath(this.path, key));
    return descriptor;
  }

  set(_target: object, key: PropertyKey): never {
    return refuse(memberPath(this.path, key), "assigned");
  }

  deleteProperty(_target: object, key: PropertyKey): never {
    return refuse(memberPath(this.path, key), "deleted");
  }

  defineProperty(_target: object, key: PropertyKey): never {
    return refuse(memberPath(this.path, key), "defined");
  }

  setPrototypeOf(): never {
    return refuse(this.path, "its prototype");
  }

  preventExtensions(): never {
    return refuse(this.path, "frozen");
  }
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** Of a Map, Set, Date, typed array: what is built in is asked of the object itself. */
function slotMember(target: object, key: PropertyKey, { path, proxy }: Loan): unknown {
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
  return isObject(value) && typeof (value as { next?: unknown }).next === "function";
}

function* lentEach(values: unknown, inside: (value: unknown) => unknown): Generator<unknown> {
  for (const value of values as Iterable<unknown>) {
    // Of entries() and of a Map itself: a pair that was made for this step.
    yield Array.isArray(value) ? value.map(inside) : inside(value);
  }
}

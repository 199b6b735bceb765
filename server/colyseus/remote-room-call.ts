import { type Room, Room as StockRoom } from "@colyseus/core";
import { applying, seamOfRoom } from "./seam.ts";

// biome-ignore lint/suspicious/noExplicitAny: methods are wrapped by name, whatever they take
type Method = (this: any, ...args: any[]) => any;

const matchMakerFile = /[\\/]@colyseus[\\/]core[\\/](build|src)[\\/]MatchMaker\./;
/** Colyseus's to call, and nobody else's. */
const hooks = new Set([
  ...["constructor", "onCreate", "onAuth", "onJoin", "onDrop", "onReconnect", "onLeave", "onDispose"],
  ...["onBeforePatch", "onBeforeShutdown", "onCacheRoom", "onRestoreRoom", "onUncaughtException"],
]);

/**
 * `matchMaker.remoteRoomCall` looks a room up in a table that nobody else can reach, and applies its method there and then:
 * on this replica alone. So it is known by its frame, right above the method that it calls. The matchmaker calls rooms for
 * itself, too, but from functions of other names.
 */
function isRemoteRoomCall(): boolean {
  const prepare = Error.prepareStackTrace;
  const limit = Error.stackTraceLimit;
  try {
    Error.stackTraceLimit = 4;
    Error.prepareStackTrace = (_error, sites) => {
      // 0 is this function, 1 who asks, 2 the method's stand-in. The other way in, over IPC, is a function without a name.
      const caller = sites[3];
      const name = caller?.getFunctionName() ?? "";
      return matchMakerFile.test(caller?.getFileName() ?? "") && (name === "" || name === "remoteRoomCall");
    };
    return new Error().stack as unknown as boolean;
  } finally {
    Error.prepareStackTrace = prepare;
    Error.stackTraceLimit = limit;
  }
}

/**
 * To be asked by what stands in for a method. From `remoteRoomCall` it goes through the log, and runs on every replica; null:
 * it is called from within the room, or from elsewhere.
 */
export function remotely(room: Room, name: string, args: unknown[]): Promise<unknown> | null {
  const seam = applying(room) === null ? seamOfRoom(room) : undefined;
  if (seam === undefined || !isRemoteRoomCall()) return null;
  return seam.sessions().call(room.roomId, name, args);
}

/** The user's own methods, of the class and of those that it extends, up to the stock Room; hooks are nobody's to call. */
export function wrapRemoteCalls(prototype: Record<string, Method>, stock: object): void {
  for (const [name, method] of ownMethods(stock))
    if (!Object.hasOwn(prototype, name)) prototype[name] = standIn(name, method);
}

/** What `@colyseus/monitor` has given the stock Room, to change rooms by. */
const monitorMethods = [
  ...["_forceClientDisconnect", "_sendMessageToClient", "_editStateProperty", "_deleteStateProperty"],
];

/** Once all modules are loaded: what an operator does in Colyseus's monitor goes through the log, too. */
export function wrapMonitorCalls(): void {
  const table = StockRoom.prototype as unknown as Record<string, Method>;
  for (const name of monitorMethods) {
    const method = table[name];
    if (method !== undefined) table[name] = standIn(name, method);
  }
}

export function* ownMethods(prototype: object): Iterable<[name: string, method: Method]> {
  for (
    let at = prototype;
    at !== StockRoom.prototype && at !== null;
    at = Object.getPrototypeOf(at) as object
  )
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at)))
      if (isOwn(name, value)) yield [name, value];
}

/** A method may be an arrow function in a field; and what is in a field may be a class, or have fields of its own. */
export function wrapOwnRemoteCalls(room: Room): void {
  const table = room as unknown as Record<string, Method>;
  for (const [name, value] of Object.entries(table)) {
    if (!isOwn(name, value) || stockFields.has(name)) continue;
    const apply = (method: Method, self: Room, args: unknown[]): unknown =>
      remotely(self, name, args) ?? method.apply(self, args);
    const wrapped = new Proxy(value, { apply });
    originals.set(wrapped, value);
    table[name] = wrapped;
  }
}

const originals = new WeakMap<object, Method>();

/** The function that onCreate has left in a field, and may have given to somebody before it was wrapped. */
export function unwrapped<F extends Method>(method: F): F {
  return (originals.get(method) ?? method) as F;
}

function standIn(name: string, method: Method): Method {
  const called = function (this: Room, ...args: unknown[]) {
    return remotely(this, name, args) ?? method.apply(this, args);
  };
  // A clock timer that is given a method of the room is saved by its name.
  return Object.defineProperty(called, "name", { value: method.name });
}

const stockFields: ReadonlySet<string> = new Set(Object.keys(new StockRoom()));

function isOwn(name: string, value: unknown): value is Method {
  return typeof value === "function" && !(name in StockRoom.prototype) && !hooks.has(name);
}

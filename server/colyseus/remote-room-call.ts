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
 * on this replica alone. So it is known by its frame: the matchmaker calls the room by itself, too, but nowhere else a method
 * that it does not know by name.
 */
export function isRemoteRoomCall(): boolean {
  const prepare = Error.prepareStackTrace;
  const limit = Error.stackTraceLimit;
  try {
    Error.stackTraceLimit = 3;
    Error.prepareStackTrace = (_error, sites) => {
      // 0 is this function, 1 the wrapper; the other way in, over IPC, is a function without a name.
      const caller = sites[2];
      const name = caller?.getFunctionName() ?? "";
      return matchMakerFile.test(caller?.getFileName() ?? "") && (name === "" || name === "remoteRoomCall");
    };
    return new Error().stack as unknown as boolean;
  } finally {
    Error.prepareStackTrace = prepare;
    Error.stackTraceLimit = limit;
  }
}

/** From `remoteRoomCall` it goes through the log, and runs on every replica; from anywhere else it is what it was. */
function wrapped(name: string, method: Method): Method {
  const remote = function (this: Room, ...args: unknown[]) {
    const seam = applying(this) === null ? seamOfRoom(this) : undefined;
    if (seam === undefined || !isRemoteRoomCall()) return method.apply(this, args);
    return seam.sessions().call(this.roomId, name, args);
  };
  // A clock timer that is given a method of the room is saved by its name.
  Object.defineProperty(remote, "name", { value: method.name });
  return remote;
}

/** The user's own methods, of the class and of those that it extends, up to the stock Room; hooks are nobody's to call. */
export function wrapRemoteCalls(prototype: Record<string, Method>, stock: object): void {
  for (let at = stock; at !== StockRoom.prototype && at !== null; at = Object.getPrototypeOf(at) as object)
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at)))
      if (isOwn(name, value) && !Object.hasOwn(prototype, name)) prototype[name] = wrapped(name, value);
}

/** A method may be an arrow function in a field. */
export function wrapOwnRemoteCalls(room: Room): void {
  const table = room as unknown as Record<string, Method>;
  for (const [name, value] of Object.entries(table))
    if (isOwn(name, value) && !stockFields.has(name)) table[name] = wrapped(name, value);
}

const stockFields: ReadonlySet<string> = new Set(Object.keys(new StockRoom()));

function isOwn(name: string, value: unknown): value is Method {
  return typeof value === "function" && !(name in StockRoom.prototype) && !hooks.has(name);
}

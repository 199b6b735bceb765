import { type Client, matchMaker, type Room, SchemaSerializer } from "@colyseus/core";
import type { Encoder } from "@colyseus/schema";
import type { EffectPromise } from "../../session/room-effects.ts";
import { SessionError } from "../../session/session-error.ts";
import { afterPatchMethods } from "../after-patch.ts";
import type { LoggedClient } from "../logged-client.ts";
import { isThenable } from "../room-hooks.ts";
import { partsOf } from "../room-parts.ts";
import { endSubscriptions, livePresence } from "./live-presence.ts";

// biome-ignore lint/suspicious/noExplicitAny: methods of the stock room are replaced by name, whatever they take
type Callback = (this: any, ...args: any[]) => any;
// biome-ignore lint/suspicious/noExplicitAny: TypeScript asks for this signature of a mixin's base
export type RoomClass = new (...args: any[]) => Room;

/** Whoever holds back what a live room says, until it is agreed. */
export interface LiveRoomHost {
  /** Its steps wait to be agreed, or it is no longer the room: its time stands still. */
  readonly isHeld: boolean;
  /** Its records are being put back: hooks are silent. For how long a seat is kept then, in seconds; undefined: it is not. */
  readonly restoring: { readonly keepSeconds: (sessionId: string) => number | undefined } | null;
  /** The state's changes since the patch before, as clients are sent them. */
  patch(bytes: Uint8Array): void;
  /** Something is there to be agreed. */
  changed(): void;
  /** A handler, hook or leave that goes on. */
  pending(promise: PromiseLike<unknown>): void;
  /** @returns for how long the seat is kept, in seconds */
  keeps(client: LoggedClient, seconds: number | "manual"): number | "manual";
  failed(error: unknown, where: string): void;
  /** Runs the room's code under the eyes of whoever ends a process that it never comes back to. */
  watched<T>(act: () => T): T;
  effect(name: string, argument: unknown): EffectPromise<unknown>;
}

const hosts = new WeakMap<object, LiveRoomHost>();
let next: LiveRoomHost | null = null;

function hostOf(room: object): LiveRoomHost {
  const host = hosts.get(room) ?? next;
  if (host === null) throw new Error("a live room is made by its leader's instance only");
  hosts.set(room, host);
  return host;
}

const classes = new WeakMap<object, RoomClass>();

/** The user's room itself, an ordinary Colyseus room, with the little that a leader's instance must know of it. */
export function newLiveRoom(base: RoomClass, host: LiveRoomHost): Room {
  let Live = classes.get(base);
  if (Live === undefined) {
    Live = liveClass(base);
    classes.set(base, Live);
  }
  next = host;
  try {
    const room = new Live();
    hosts.set(room, host);
    wrapOwnHooks(room);
    partsOf(room).presence = livePresence(matchMaker.presence, (callback) =>
      guarded(room, "a subscription", callback),
    );
    return room;
  } finally {
    next = null;
  }
}

function liveClass(base: RoomClass): RoomClass {
  const Live = class extends base {};
  Object.defineProperty(Live, "name", { value: base.name });
  const prototype = Live.prototype as unknown as Record<string, Callback>;
  const stock = base.prototype as unknown as Record<string, Callback>;
  for (const name of hookNames) {
    const hook = stock[name];
    if (hook !== undefined) prototype[name] = silenced(name, hook);
  }
  Object.assign(prototype, patchMethods(stock), codeMethods(stock), seatMethods(stock), outsideMethods());
  return Live;
}

const hookNames = ["onJoin", "onDrop", "onLeave"] as const;

/** A hook may be an arrow function in a field, which hides the prototype's. */
function wrapOwnHooks(room: Room): void {
  const table = room as unknown as Record<string, Callback>;
  for (const name of hookNames) {
    const hook = Object.hasOwn(room, name) ? table[name] : undefined;
    if (hook !== undefined) table[name] = silenced(name, hook);
  }
}

/** While records are put back, leaving only keeps the seat. */
function silenced(name: string, hook: Callback): Callback {
  return function (this: Room, client: Client, ...rest: unknown[]) {
    const { restoring } = hostOf(this);
    if (restoring === null) return hook.call(this, client, ...rest);
    const seconds = restoring.keepSeconds(client.sessionId);
    if (name !== "onJoin" && seconds !== undefined)
      this.allowReconnection(client as never, seconds).then(undefined, () => {});
    return undefined;
  };
}

function patchMethods(stock: Record<string, Callback>): Record<string, Callback> {
  const { _flushPendingClientFrames } = afterPatchMethods(stock);
  return {
    _flushPendingClientFrames: _flushPendingClientFrames as Callback,
    broadcastPatch(this: Room) {
      const host = hostOf(this);
      if (host.isHeld) return false;
      host.changed();
      return host.watched(() => stock["broadcastPatch"]?.call(this) as unknown);
    },
    setSerializer(this: Room, serializer: unknown) {
      if (serializer instanceof SchemaSerializer) patchForAll(serializer, hostOf(this));
      stock["setSerializer"]?.call(this, serializer);
    },
  };
}

/** What `SchemaSerializer` keeps to itself. */
interface Serializer {
  readonly encoder: Encoder;
  needFullEncode: boolean;
  applyPatches(): boolean;
}

const patchCode = 15;

/** One patch, whoever is there: replicas and clients follow the same ones. */
function patchForAll(stock: object, host: LiveRoomHost): void {
  const serializer = stock as Serializer;
  serializer.applyPatches = () => {
    const { encoder } = serializer;
    if (!encoder.hasChanges) return false;
    encoder.sharedBuffer[0] = patchCode;
    host.patch(Uint8Array.from(encoder.encode({ offset: 1 })));
    encoder.discardChanges();
    serializer.needFullEncode = true;
    return true;
  };
}

/** A failure of room code is a line in the log, where the stock room would end the process. */
function guarded(room: Room, where: string, callback: Callback): Callback {
  if (room.onUncaughtException !== undefined) return callback;
  return function (this: unknown, ...args: unknown[]) {
    const host = hostOf(room);
    try {
      const result: unknown = callback.apply(this, args);
      if (isThenable(result)) result.then(undefined, (error: unknown) => host.failed(error, where));
      return result;
    } catch (error) {
      host.failed(error, where);
      return undefined;
    }
  };
}

/** Timers of the room's clock that fail, or never come back, are its own matter. */
export function guardClock(room: Room): void {
  const clock = room.clock as unknown as Record<string, Callback>;
  const tick = clock["tick"] as Callback;
  clock["tick"] = (...args) => hostOf(room).watched(() => tick.apply(clock, args) as unknown);
  if (room.onUncaughtException !== undefined) return;
  for (const name of ["setTimeout", "setInterval"]) {
    const make = clock[name] as Callback;
    clock[name] = function (this: unknown, handler: Callback, ...rest: unknown[]) {
      return make.call(this, guarded(room, `clock.${name}`, handler), ...rest);
    };
  }
}

function codeMethods(stock: Record<string, Callback>): Record<string, Callback> {
  const registering = (name: "onMessage" | "onMessageBytes"): Callback =>
    function (this: Room, type: string | number, ...rest: unknown[]) {
      const handler = rest.at(-1) as Callback;
      const tracked: Callback = (...args) => {
        const result: unknown = handler(...args);
        if (isThenable(result)) {
          const host = hostOf(this);
          host.pending(result);
          if (this.onUncaughtException === undefined)
            result.then(undefined, (error: unknown) => host.failed(error, `the handler of "${type}"`));
        }
        return result;
      };
      return stock[name]?.call(this, type, ...rest.slice(0, -1), tracked);
    };
  return {
    onMessage: registering("onMessage"),
    onMessageBytes: registering("onMessageBytes"),
    setTimestep(this: Room, step: Callback | undefined, ...rest: unknown[]) {
      if (step === undefined) return stock["setTimestep"]?.call(this, step, ...rest);
      const safe = guarded(this, "timestep", step);
      const unlessHeld: Callback = (...args) => {
        const host = hostOf(this);
        return host.isHeld ? undefined : host.watched(() => safe(...args) as unknown);
      };
      return stock["setTimestep"]?.call(this, unlessHeld, ...rest);
    },
    defineInput(this: Room) {
      throw new SessionError(
        "NOT_SUPPORTED",
        `${this.constructor.name} cannot be run by its leader: defineInput() counts what each replica has taken. Use messages.`,
      );
    },
    setFixedTimestep(this: Room, step: Callback, ...rest: unknown[]) {
      const safe = guarded(this, "timestep", step);
      const watched: Callback = (...args) => hostOf(this).watched(() => safe(...args) as unknown);
      return stock["setFixedTimestep"]?.call(this, watched, ...rest);
    },
  };
}

function seatMethods(stock: Record<string, Callback>): Record<string, Callback> {
  return {
    _onLeave(this: Room, client: LoggedClient, code?: number) {
      const host = hostOf(this);
      client.leaveCode = code ?? null;
      client.isLeaving = true;
      const left = stock["_onLeave"]?.call(this, client, code) as Promise<unknown>;
      const hasLeft = () => {
        client.isLeaving = false;
        host.changed();
      };
      left.then(hasLeft, hasLeft);
      host.pending(left);
      return left;
    },
    allowReconnection(this: Room, client: LoggedClient, seconds: number | "manual" = "manual") {
      const kept = hostOf(this).keeps(client, seconds);
      const deferred = stock["allowReconnection"]?.call(this, client, kept) as PromiseLike<unknown>;
      // A rejection is the ordinary end of the wait.
      deferred.then(undefined, () => {});
      return deferred;
    },
    // A node that stops does not end the room: it goes on elsewhere.
    onBeforeShutdown() {},
  };
}

/** What replicated rooms have beside ordinary ones; here everything is outside of applies already. */
function outsideMethods(): Record<string, Callback> {
  return {
    async propose(this: Room, method: string, ...data: unknown[]) {
      return await (this as unknown as Record<string, Callback>)[method]?.(...data);
    },
    onPrimary(this: Room, act: () => unknown) {
      void guarded(this, "onPrimary", act).call(this);
    },
    effect(this: Room, name: string, argument: unknown) {
      return hostOf(this).effect(name, argument);
    },
  };
}

/** Its timers and Colyseus's; what its code has set up by itself goes on without effect. */
export function stopRoom(room: Room): void {
  const parts = partsOf(room);
  const timers = room as unknown as { _simulationInterval: unknown };
  endSubscriptions(parts.presence, (error) => hostOf(room).failed(error, "the end of its subscriptions"));
  clearInterval(timers._simulationInterval as NodeJS.Timeout);
  // A room without patches would tick by an interval of its own.
  timers._simulationInterval = true;
  parts.patchRate = null;
  clearTimeout(parts._autoDisposeTimeout as NodeJS.Timeout);
  for (const timer of Object.values(parts._reservedSeatTimeouts)) clearTimeout(timer as NodeJS.Timeout);
  parts.clock.clear();
  parts.clock.stop();
}

import {
  type AuthContext,
  type Client,
  ClientState,
  type DefineInputOptions,
  type FixedTimestepCallback,
  type RewindOptions,
  type Room,
} from "@colyseus/core";
import { outsideWorld } from "../session/sandbox.ts";
import { outsideLog, SessionError } from "../session/session-error.ts";
import { afterPatchMethods } from "./after-patch.ts";
import { attachSocket } from "./attach-socket.ts";
import { checkRoomClass } from "./check-room-class.ts";
import { ownClock, patchClock, unwrapClock } from "./clock-patch.ts";
import { checkClose } from "./close-frame.ts";
import { changingMethods, registeringMethods } from "./colyseus-version.ts";
import { type EffectMethod, effectMethods, takeEffects } from "./effects.ts";
import { beginFixedSteps, setFixedSteps } from "./fixed-timestep.ts";
import { advertiseSteps, defineInputs, type InputClass, inputsOf } from "./input-definition.ts";
import { askAuth, wrapAuth, wrapOwnAuth } from "./instance-auth.ts";
import { noteHandler } from "./late-handlers.ts";
import { ledClass } from "./led/led-room.ts";
import type { LoggedClient } from "./logged-client.ts";
import { messageHandler } from "./message-handler.ts";
import { guardMutations } from "./mutation-guard.ts";
import { presenceAccessor } from "./presence/room-presence.ts";
import { remotely, wrapRemoteCalls } from "./remote-room-call.ts";
import { patchHandlers } from "./room-handlers.ts";
import { isThenable, wrapHooks, wrapOwnHooks } from "./room-hooks.ts";
import { partsOf } from "./room-parts.ts";
import { installPlugins } from "./room-plugins.ts";
import { allowRewind, patchHistories } from "./room-rewind.ts";
import { viewMethods } from "./room-views.ts";
import { applying, hearing, type ReplicatedOptions, seamOfRoom, takeSeam } from "./seam.ts";
import { patchStateViews } from "./state-views.ts";
import { watchedReconnection } from "./watched-reconnection.ts";
import { wholeCluster } from "./whole-cluster.ts";

// biome-ignore lint/suspicious/noExplicitAny: TypeScript asks for this signature of a mixin's base
type RoomClass = new (...args: any[]) => Room;
// biome-ignore lint/suspicious/noExplicitAny: methods of the stock room are replaced by name, whatever they take
type Callback = (this: any, ...args: any[]) => any;

/** What a replicated room has beyond an ordinary one. */
export interface ReplicatedRoom {
  /**
   * Runs a method of the room on every replica, through the log: the way for changes from outside (a route, an event bus).
   * @param data plain data
   * @returns what the method returns or resolves with; rejects with what it throws
   */
  propose(method: string, ...data: unknown[]): Promise<unknown>;
  /**
   * Runs `act` on one node only, outside of the log: for what counts, tells or pays, and does not change the room. As a rule
   * once; not at all if that node dies just then; never on replay. A failure is a line in the log.
   */
  onPrimary(act: () => unknown): void;
  readonly effect: EffectMethod;
}
// biome-ignore lint/suspicious/noExplicitAny: as of a mixin's base
type Proposing = new (...args: any[]) => ReplicatedRoom;

const replicatedClasses = new WeakMap<object, ReplicatedOptions>();

/** True for a class that `replicated()` made. */
export function isReplicated(roomClass: unknown): boolean {
  return typeof roomClass === "function" && replicatedClasses.has(roomClass);
}

/** What `replicated()` was given for this class. */
export function replicatedOptions(roomClass: unknown): ReplicatedOptions {
  return replicatedClasses.get(roomClass as object) ?? {};
}

/**
 * Makes an ordinary Colyseus room run on several nodes at once. Its code stays as it is: every join, leave, message and
 * tick goes through the log first, and then runs on every replica.
 * @throws SessionError NOT_SUPPORTED, with the name of what this version cannot replicate yet
 */
export function replicated<Base extends RoomClass>(
  base: Base,
  options: ReplicatedOptions = {},
): Base & Proposing {
  checkRoomClass(base, options);
  const stock = options.run === "leader" ? ledClass(base) : base;
  patchClock();
  patchHandlers(isReplicated);
  patchHistories();
  guardMutations();
  patchStateViews();

  const Replicated = class extends stock {
    // biome-ignore lint/suspicious/noExplicitAny: TypeScript asks for this signature of a mixin
    constructor(...args: any[]) {
      super(...args);
      const seam = takeSeam(this);
      if (seam === null)
        throw outside(
          base.name,
          "is constructed by hand: rooms are created by matchmaking (matchMaker.createRoom)",
        );
      const parts = partsOf(this);
      parts.clock.now = () => seam.environment.world.nowMs();
      parts.clock.currentTime = parts.clock.now();
      ownClock(parts.clock, seam.environment.world);
      unwrapClock(parts.clock, seam);
      wrapOwnHooks(this);
      wrapOwnAuth(this);
      takeEffects(this);
    }
  };
  Object.defineProperty(Replicated, "name", { value: base.name });
  defineSeamMethods(Replicated.prototype as unknown as Record<string, Callback>, stock);
  replicatedClasses.set(Replicated, options);
  return Replicated as unknown as Base & Proposing; // `propose` is put on the prototype by name
}

function outside(room: string, what: string): SessionError {
  return outsideLog(`${room} ${what}`);
}

/** What changes nothing but the log's numbers: allowed where there are none. */
const speaking: ReadonlySet<string> = new Set(["broadcast", "broadcastBytes"]);

/** The stock room's own. */
const tickRateDefault = 60;

function defineSeamMethods(prototype: Record<string, Callback>, base: RoomClass): void {
  const stock = base.prototype as unknown as Record<string, Callback>;
  for (const name of changingMethods) {
    prototype[name] = function (this: Room, ...args: unknown[]) {
      if (name === "kickClient") checkClose("kickClient()", args[1], args[2]);
      if (name === "disconnect") checkClose("disconnect()", args[0], undefined);
      const speaks = speaking.has(name) && hearing(this) !== null;
      if (speaks || applying(this) !== null) return stock[name]?.apply(this, args);
      const called = remotely(this, name, args);
      if (called !== null) return called;
      const error = outside(`${this.constructor.name}.${name}()`, "was called outside of the room");
      if (name !== "disconnect") throw error;
      if (wholeCluster.isOneProcess)
        return prototype["propose"]?.call(this, name, ...args.filter((arg) => arg !== undefined));
      // matchMaker.disconnectAll() asks all rooms, and plain ones must not be left out for this one.
      const refused = Promise.reject(error);
      refused.catch(() => seamOfRoom(this)?.environment.report(error, name));
      return refused;
    };
  }
  Object.assign(
    prototype,
    matchmakingMethods(stock),
    connectionMethods(stock),
    codeMethods(stock),
    viewMethods(stock, applying),
    afterPatchMethods(stock),
    effectMethods(),
  );
  for (const name of registeringMethods) {
    const method = prototype[name];
    prototype[name] = function (this: Room, ...args: unknown[]) {
      if (seamOfRoom(this) !== undefined && applying(this) === null)
        throw outside(`${this.constructor.name}.${name}()`, "was called outside of the room");
      return method?.apply(this, args);
    };
  }
  wrapHooks(prototype, stock);
  wrapAuth(prototype, stock);
  wrapRemoteCalls(prototype, stock);
  Object.defineProperty(prototype, "presence", presenceAccessor);
  const init = prototype["__init"] as Callback;
  prototype["__init"] = function (this: Room) {
    installPlugins(this, prototype, stock);
    init.call(this);
  };
}

/** Properties that do something when they are assigned; `state`, `maxClients` do it through methods in `changing`. */
const acting = ["autoDispose", "patchRate", "unreliablePatchRate"] as const;

function guardAssignment(room: Room, name: (typeof acting)[number]): void {
  const stock = Object.getOwnPropertyDescriptor(room, name);
  if (stock?.set === undefined) throw new Error(`the stock room has no setter for ${name}`);
  const set = stock.set;
  Object.defineProperty(room, name, {
    ...stock,
    set: (value: unknown) => {
      if (applying(room) === null)
        throw outside(`${room.constructor.name}.${name}`, "was assigned outside of the room");
      set.call(room, value);
    },
  });
}

/** What matchmaking asks of a room: through the log if it comes from outside. */
function matchmakingMethods(stock: Record<string, Callback>): Record<string, Callback> {
  return {
    async _reserveSeat(this: Room, ...args: unknown[]) {
      const seam = seamOfRoom(this);
      if (seam === undefined || applying(this) !== null) return stock["_reserveSeat"]?.apply(this, args);
      const [sessionId, options = true, auth, seconds = this.seatReservationTimeout] = args as [
        string,
        unknown,
        unknown,
        number?,
      ];
      return await seam.sessions().reserve(this.roomId, { sessionId, options, auth, seconds });
    },
    async _reserveMultipleSeats(
      this: Room,
      sessionIds: string[],
      options: unknown[],
      auth: unknown[],
      seconds?: number,
    ) {
      const seats: boolean[] = [];
      for (const [at, sessionId] of sessionIds.entries()) {
        seats.push(await partsOf(this)._reserveSeat(sessionId, options[at], auth[at], seconds));
      }
      return seats;
    },
    checkReconnectionToken(this: Room, token: string) {
      const seam = seamOfRoom(this);
      const room = seam?.sessions().room(this.roomId);
      // Only a look: the seat changes hands when the new connection is attached through the log.
      for (const seat of room?.seats.values() ?? []) if (seat.accepts(token)) return seat.sessionId;
      return undefined;
    },
    hasReservedSeat(this: Room, sessionId: string, token?: string) {
      if (stock["hasReservedSeat"]?.call(this, sessionId, token)) return true;
      const seat = seamOfRoom(this)?.sessions().room(this.roomId)?.seats.get(sessionId);
      return typeof token === "string" && seat?.accepts(token) === true;
    },
    async propose(this: Room, method: string, ...data: unknown[]) {
      const seam = seamOfRoom(this);
      if (seam === undefined)
        throw new SessionError("NOT_IN_ROOM", "propose() belongs to a room that is running");
      if (applying(this) !== null) return (this as unknown as Record<string, Callback>)[method]?.(...data);
      return await seam.sessions().call(this.roomId, method, data);
    },
    onPrimary(this: Room, act: () => unknown) {
      const seam = applying(this);
      if (seam === null)
        throw outside(`${this.constructor.name}.onPrimary()`, "was called outside of the room");
      if (seam.environment.isPrimary())
        actOutside(act, (error) => seam.environment.report(error, "onPrimary"));
    },
    onBeforeShutdown(this: Room) {
      // A node that stops does not end its replicated rooms: they go on elsewhere.
      if (applying(this) !== null) stock["onBeforeShutdown"]?.call(this);
    },
  };
}

/** From a macrotask of its own: what `act` awaits would go on within the room, were it begun while that is applied. */
function actOutside(act: () => unknown, failed: (error: unknown) => void): void {
  const begin = async (): Promise<void> => {
    try {
      await act();
    } catch (error) {
      failed(error);
    }
  };
  outsideWorld(() => setImmediate(() => void begin()));
}

/** Where the stock room meets its clients. */
function connectionMethods(stock: Record<string, Callback>): Record<string, Callback> {
  return {
    async _onJoin(
      this: Room,
      client: Client,
      context: AuthContext,
      connection?: { reconnectionToken?: string; skipHandshake?: boolean },
    ) {
      const seam = seamOfRoom(this);
      if (seam === undefined || applying(this) !== null)
        return stock["_onJoin"]?.call(this, client, context, connection);
      return await attachSocket(seam.sessions(), this.roomId, client, connection ?? {}, (hasClosed) =>
        askAuth(this, client, context, hasClosed),
      );
    },
    _onMessage(this: Room, client: Client, frame: Uint8Array) {
      if (applying(this) === null)
        throw outside(`${this.constructor.name}._onMessage()`, "was called outside of the room");
      return stock["_onMessage"]?.call(this, client, frame);
    },
    _onLeave(this: Room, client: LoggedClient, code?: number) {
      const seam = applying(this);
      if (seam === null)
        throw outside(`${this.constructor.name}._onLeave()`, "was called outside of the room");
      client.leaveCode = code ?? null;
      client.isLeaving = true;
      const left = stock["_onLeave"]?.call(this, client, code) as Promise<unknown>;
      const hasLeft = () => {
        client.isLeaving = false;
      };
      seam.environment.track(left.then(hasLeft, hasLeft), "onLeave");
      return left;
    },
    allowReconnection(this: Room, client: Client, seconds: number | "manual") {
      const seam = applying(this);
      if (seam === null)
        throw outside(`${this.constructor.name}.allowReconnection()`, "was called outside of the room");
      letRejoin(client as unknown as LoggedClient);
      if (seconds === "manual") seam.environment.world.tellOnce("manual-reconnection", manualReconnection);
      const deferred = stock["allowReconnection"]?.call(this, client, seconds) as PromiseLike<unknown>;
      // A rejection is the ordinary end of the wait: without a handler of the room's own it is nobody's error.
      deferred.then(
        () => {},
        () => {},
      );
      return watchedReconnection(deferred, seam.environment);
    },
  };
}

function manualReconnection(): string {
  return `allowReconnection(client, "manual") keeps a seat until room code lets it go, and code that awaits it keeps the room from rest for as long: bound it, or give it seconds`;
}

/**
 * A seat that was attached again had been kept, so its player had joined, and so had who shows the token that is given by
 * joining: a connection that ends before its client's acknowledgement has arrived must not cost the seat. The stock room
 * looks at each connection for itself, and would refuse.
 */
function letRejoin(client: LoggedClient): void {
  if ((client.epoch > 1 || client.hasToken) && client.state === ClientState.LEAVING)
    delete client._enqueuedMessages;
}

/** Where the stock room calls the user's code: promises are counted, so that a room is saved at rest only. */
function codeMethods(stock: Record<string, Callback>): Record<string, Callback> {
  const registering = (name: "onMessage" | "onMessageBytes"): Callback =>
    function (this: Room, type: string | number, ...rest: unknown[]) {
      const tracked = messageHandler(this, type, rest.at(-1) as Callback);
      noteHandler(this, type);
      return stock[name]?.call(this, type, ...rest.slice(0, -1), tracked);
    };
  return {
    __init(this: Room) {
      stock["__init"]?.call(this);
      for (const name of acting) guardAssignment(this, name);
    },
    onMessage: registering("onMessage"),
    onMessageBytes: registering("onMessageBytes"),
    setTimestep(this: Room, step: Callback | undefined, delayMs?: number) {
      const seam = seamOfRoom(this);
      setFixedSteps(this, null);
      if (step === undefined || seam === undefined) return stock["setTimestep"]?.call(this, step, delayMs);
      const guarded: Callback = (deltaMs) => {
        try {
          const result = step(deltaMs);
          if (!isThenable(result)) return;
          if (this.onUncaughtException === undefined) seam.environment.track(result, "the timestep");
          else {
            seam.environment.watch(result, "the timestep");
            return result;
          }
        } catch (error) {
          if (this.onUncaughtException !== undefined) throw error;
          outsideWorld(() => seam.environment.report(error, "timestep"));
        }
      };
      return delayMs === undefined
        ? stock["setTimestep"]?.call(this, guarded)
        : stock["setTimestep"]?.call(this, guarded, delayMs);
    },
    defineInput(this: Room, type: InputClass, options?: DefineInputOptions) {
      return defineInputs(this, { type, options }, () => stock["defineInput"]?.call(this, type, options));
    },
    allowRewindState(this: Room, options?: RewindOptions) {
      return allowRewind(this, options, () => stock["allowRewindState"]?.call(this, options));
    },
    setFixedTimestep(
      this: Room,
      step: FixedTimestepCallback,
      tickRate = tickRateDefault,
      { subSteps = inputsOf(this)?.options.subSteps ?? 1 }: { subSteps?: number } = {},
    ) {
      const advance = beginFixedSteps(this, step, { tickRate, subSteps });
      advertiseSteps(this, { tickRate, subSteps });
      return stock["setTimestep"]?.call(this, advance, 1000 / tickRate);
    },
  };
}

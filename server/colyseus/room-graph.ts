import { ClientArray, Delayed, type Room, Room as StockRoom } from "@colyseus/core";
import type { Schema } from "@colyseus/schema";
import type { GraphOptions } from "../session/graph/graph-options.ts";
import { captureSchema } from "../session/graph/schema-restore.ts";
import type { RoomTimer, RoomTimers } from "../session/room-timers.ts";
import type { Seat } from "../session/seat.ts";
import { type DelayedOrigin, originOf } from "./clock-patch.ts";
import { isEffects } from "./effects.ts";
import { type FixedSteps, fixedStepsOf } from "./fixed-timestep.ts";
import { LoggedClient } from "./logged-client.ts";
import { type NewsPart, news } from "./presence/room-news.ts";
import { presenceInside, presenceName, presenceReferences } from "./presence/room-presence.ts";
import {
  type InputsPart,
  inputClasses,
  inputReferences,
  inputsName,
  inputsNamed,
  inputsPart,
} from "./room-inputs.ts";
import { partsOf, type RoomParts } from "./room-parts.ts";
import { pluginFields, pluginsOf } from "./room-plugins.ts";
import { hasHistory, type RewindPart, rewindPart, rewindReferences } from "./room-rewind.ts";
import type { BroadcastAfterPatch, Seam } from "./seam.ts";

/** When a timer is due, and its place in the order of creation. */
export interface SavedTimer {
  readonly id: number;
  readonly dueMs: number;
}

export interface SavedClient {
  readonly sessionId: string;
  readonly epoch: number;
  readonly node: string;
  readonly token: string;
  readonly state: number;
  readonly auth: unknown;
  readonly userData: unknown;
  readonly view: unknown;
  readonly joinedAt: number;
  readonly lastMessageTime: number;
  readonly numMessagesLastSecond: number;
  readonly messageCountResetsAt: number;
  readonly pendingFrames: readonly Uint8Array[];
  /** What room code has put on the client; not there if it has nothing. */
  readonly extras?: object;
  /** Of a seat that is kept for a reconnection: how it was left, and until when. */
  readonly left: { readonly code: number | null; readonly timer: SavedTimer | null } | null;
}

/** A client of an earlier attachment, or of a player who is gone, that room code still holds. */
export interface PastClient {
  readonly sessionId: string;
  readonly epoch: number;
  readonly node: string;
  readonly token: string;
  readonly state: number;
  readonly auth: unknown;
  readonly userData: unknown;
  readonly view: unknown;
  readonly extras?: object;
}

export interface SavedDelayed {
  readonly origin: DelayedOrigin;
  readonly args: unknown[];
  readonly elapsedTime: number;
  readonly paused: boolean;
  readonly time: number;
  readonly type: number;
}

/** A room's checkpoint, before it is bytes: everything that room code can see or that the stock room remembers. */
export interface RoomGraph extends Record<string, unknown>, InputsPart, RewindPart, NewsPart {
  readonly fields: Record<string, unknown>;
  /** By the plugin's key. */
  readonly plugins: Record<string, Record<string, unknown>>;
  readonly state: Schema | undefined;
  readonly schema: { readonly nextRefId: number } | null;
  readonly listing: Record<string, unknown>;
  readonly flags: {
    readonly locked: boolean;
    readonly lockedExplicitly: boolean;
    readonly autoDispose: boolean;
    readonly patchRate: number | null;
    readonly maxClients: number;
    readonly seatReservationTimeout: number;
    readonly maxMessagesPerSecond: number;
  };
  readonly clock: {
    readonly currentTime: number;
    readonly elapsedTime: number;
    readonly deltaTime: number;
    /** Not there: it runs. */
    readonly running?: false;
  };
  readonly steps: FixedSteps | null;
  readonly delayed: SavedDelayed[];
  /** Timers of Colyseus's own that onCreate makes again, by ordinal. */
  readonly timers: (SavedTimer & { readonly ordinal: number })[];
  readonly autoDisposeTimer: SavedTimer | null;
  readonly nextTimerId: number;
  readonly reserved: {
    readonly sessionId: string;
    readonly options: unknown;
    readonly auth: unknown;
    readonly timer: SavedTimer | null;
  }[];
  /** In the order of `room.clients`, then the kept ones. */
  readonly clients: SavedClient[];
  readonly past: PastClient[];
  readonly afterPatch: readonly BroadcastAfterPatch[];
  /** What `onCacheRoom` gave; not there if the room has none. */
  readonly cached?: unknown;
}

/** What an instance of the stock Room has by itself, or gets later: never the user's. */
export const stockFields: ReadonlySet<string> = new Set<string>([
  ...Object.keys(new StockRoom()),
  ...["_autoDisposeTimeout", "_simulationInterval", "_listing", "_inputController", "_autoPlugins"],
  // Of @colyseus/testing: what a test waits for.
  ...["_waitingForMessage", "_waitingForPatch", "_waitingForTimestep"],
  ...[
    "state",
    "autoDispose",
    "patchRate",
    "maxClients",
    "unreliablePatchRate",
    "messages",
    "plugins",
    "presence",
  ],
]);
/** The listing's fields that are this node's own. */
const nodesOwn = new Set(["processId", "publicAddress", "roomId", "name"]);

export function userFields(room: Room, seam: Seam): Record<string, unknown> {
  const transient = new Set(seam.options.transient);
  const fields: Record<string, unknown> = {};
  for (const name of Reflect.ownKeys(room)) {
    if (typeof name === "string" && (stockFields.has(name) || transient.has(name))) continue;
    const descriptor = Reflect.getOwnPropertyDescriptor(room, name) as PropertyDescriptor;
    if (typeof name === "symbol" || descriptor.enumerable !== true || !("value" in descriptor)) {
      // Whoever writes the graph says that it cannot be saved, and where it is.
      Object.defineProperty(fields, name, descriptor);
      continue;
    }
    const value = descriptor.value as unknown;
    if (isEffects(room, value)) continue;
    // Functions that constructor and onCreate leave in fields are code, made again by them; later ones would be lost.
    if (typeof value === "function" && seam.functions.get(name) === value) continue;
    fields[name] = value;
  }
  return fields;
}

function savedTimer(timer: unknown): SavedTimer | null {
  const { id, dueMs, active } = (timer ?? {}) as Partial<RoomTimer>;
  return id === undefined || dueMs === undefined || active !== true ? null : { id, dueMs };
}

function extrasOf({ extras }: LoggedClient): { readonly extras?: object } {
  return extras === null ? {} : { extras };
}

function savedClient(client: LoggedClient, left: SavedClient["left"]): SavedClient {
  return {
    sessionId: client.sessionId,
    epoch: client.epoch,
    node: client.node,
    token: client.reconnectionToken,
    state: client.state,
    auth: client.auth,
    userData: client.userData,
    view: client.view,
    joinedAt: client._joinedAt,
    lastMessageTime: client._lastMessageTime,
    numMessagesLastSecond: client._numMessagesLastSecond,
    messageCountResetsAt: client._messageCountResetsAt,
    pendingFrames: client._pendingFrames,
    left,
    ...extrasOf(client),
  };
}

function pastClient(client: LoggedClient): PastClient {
  const { sessionId, epoch, node, reconnectionToken: token, state, auth, userData, view } = client;
  return { sessionId, epoch, node, token, state, auth, userData, view, ...extrasOf(client) };
}

/**
 * The whole room as one graph. `kept`: the last client of each seat that waits for a reconnection; `past`: those that
 * `graphOptions` has found.
 */
export function graphOf(
  room: Room,
  seam: Seam,
  timers: RoomTimers,
  kept: ReadonlyMap<string, LoggedClient>,
  past: readonly LoggedClient[],
  remembered: readonly object[],
): RoomGraph {
  const parts = partsOf(room);
  const encoder = parts._serializer.encoder;
  return {
    fields: userFields(room, seam),
    plugins: pluginFields(room, seam),
    state: parts.state,
    schema: encoder === undefined ? null : captureSchema(encoder),
    listing: Object.fromEntries(Object.entries(parts._listing).filter(([name]) => !nodesOwn.has(name))),
    flags: {
      locked: parts.locked,
      lockedExplicitly: parts._lockedExplicitly,
      autoDispose: parts.autoDispose,
      patchRate: parts.patchRate,
      maxClients: parts.maxClients,
      seatReservationTimeout: parts.seatReservationTimeout,
      maxMessagesPerSecond: parts.maxMessagesPerSecond,
    },
    clock: {
      currentTime: parts.clock.currentTime,
      elapsedTime: parts.clock.elapsedTime,
      deltaTime: parts.clock.deltaTime,
      ...((parts.clock.running as boolean) ? {} : { running: false as const }),
    },
    steps: fixedStepsOf(room),
    delayed: activeDelayed(parts).map((delayed) => ({
      origin: originOf(delayed) ?? { type: "closure", site: "unknown" },
      args: (delayed as unknown as { args?: unknown[] }).args ?? [],
      elapsedTime: delayed.elapsedTime,
      paused: delayed.paused,
      time: delayed.time,
      type: (delayed as unknown as { type: number }).type,
    })),
    timers: timers.live.flatMap(({ id, dueMs, createOrdinal }) =>
      createOrdinal === null ? [] : [{ id, dueMs, ordinal: createOrdinal }],
    ),
    autoDisposeTimer: savedTimer(parts._autoDisposeTimeout),
    nextTimerId: timers.nextId,
    reserved: Object.entries(parts._reservedSeats).flatMap(([sessionId, [options, auth, , waiting]]) =>
      waiting === true
        ? []
        : [{ sessionId, options, auth, timer: savedTimer(parts._reservedSeatTimeouts[sessionId]) }],
    ),
    clients: [
      ...[...parts.clients].map((client) => savedClient(client, null)),
      ...[...kept.values()].map((client) =>
        savedClient(client, {
          code: client.leaveCode,
          timer: savedTimer(parts._reservedSeatTimeouts[client.sessionId]),
        }),
      ),
    ],
    past: past.map(pastClient),
    afterPatch: seam.afterPatch,
    ...news(seam).part,
    ...rewindPart(room, remembered),
    ...inputsPart(room, [...parts.clients, ...kept.values()], past),
  };
}

export function activeDelayed(parts: RoomParts): Delayed[] {
  return parts.clock.delayed.filter((delayed) => delayed.active);
}

const spentName = "spent";

/** The names of what is in the graph but is not data. What room code alone still holds is found on the way. */
class References extends Map<object, string> {
  readonly past: LoggedClient[] = [];
  readonly remembered = new Set<object>();

  override get(object: object): string | undefined {
    const name = super.get(object);
    if (name !== undefined) return name;
    // A clock timer that has fired or was cleared, and that a field still holds, is no more than that: it does nothing.
    if (object instanceof Delayed && !object.active) return spentName;
    if (hasHistory(object)) this.remembered.add(object);
    if (!(object instanceof LoggedClient)) return inputsName(object, (client) => this.get(client));
    this.addPast(object);
    return super.get(object);
  }

  addPast(client: LoggedClient): void {
    this.set(client, `past:${this.past.length}`);
    this.past.push(client);
  }
}

export interface RoomGraphOptions extends GraphOptions {
  /** Past clients: those that were given, then those that a walk through the graph has found since. */
  readonly past: readonly LoggedClient[];
  /** In the same way: entities of the state, and past ones, with a history. */
  readonly remembered: ReadonlySet<object>;
}

function spentDelayed(): Delayed {
  const delayed = new Delayed(() => {}, [], 0, 1);
  delayed.active = false;
  return delayed;
}

type Classes = GraphOptions["classes"];
const savedClasses = new WeakMap<Seam, Classes>();

/** One array a room: what is found out about its classes is kept by it. */
function classesOf(room: Room, seam: Seam): Classes {
  const inputs = inputClasses(room);
  const listed = seam.options.classes ?? [];
  const known = savedClasses.get(seam);
  if (known?.length === listed.length + 1 + inputs.length) return known;
  // `this.clients.filter(…)` and its kin make a ClientArray.
  const classes: Classes = [...listed, ClientArray, ...inputs];
  savedClasses.set(seam, classes);
  return classes;
}

/** How the graph's objects that are not data are named: the room, its clients, its clock, its timers. */
export function graphOptions(
  room: Room,
  seam: Seam,
  clients: Iterable<LoggedClient>,
  past: readonly LoggedClient[] = [],
  remembered: readonly object[] = [],
): RoomGraphOptions {
  const parts = partsOf(room);
  const references = new References([
    [room, "room"],
    [parts.clock, "clock"],
    [parts.clients, "clients"],
    ...presenceReferences(room),
    ...[...pluginsOf(room)].map(([key, plugin]): [object, string] => [plugin, `plugin:${key}`]),
    ...[...clients].map((client): [object, string] => [client, `client:${client.sessionId}`]),
    ...inputReferences(room),
    ...rewindReferences(room),
  ]);
  activeDelayed(parts).forEach((delayed, at) => {
    references.set(delayed, `delayed:${at}`);
  });
  for (const client of past) references.addPast(client);
  for (const entity of remembered) references.remembered.add(entity);
  const named = new Map<string, object>([...references].map(([object, name]) => [name, object]));
  return {
    classes: classesOf(room, seam),
    stateClasses: parts.state === undefined ? [] : [parts.state.constructor as never],
    schemaRoot: parts._serializer.encoder?.root,
    references,
    resolve: (name) => {
      if (name === spentName) return spentDelayed();
      if (name === presenceName) return presenceInside(room);
      return inputsNamed(name, (inner) => named.get(inner));
    },
    rootName: "room",
    past: references.past,
    remembered: references.remembered,
  };
}

/** Seats' last clients that wait for a reconnection. */
export function keptClients(
  last: ReadonlyMap<string, LoggedClient>,
  seats: ReadonlyMap<string, Seat>,
  isKept: (seat: Seat) => boolean,
): Map<string, LoggedClient> {
  const kept = new Map<string, LoggedClient>();
  // By id: the order in which they left must not tell a restored room from the one that was saved.
  for (const [sessionId, client] of [...last].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const seat = seats.get(sessionId);
    if (seat !== undefined && isKept(seat)) kept.set(sessionId, client);
  }
  return kept;
}

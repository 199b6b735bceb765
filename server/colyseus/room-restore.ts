import { ClientState, type Delayed, type Room } from "@colyseus/core";
import { openGraph, restoreSchema } from "../session/graph/graph.ts";
import type { GraphOptions, LeftOut } from "../session/graph/graph-options.ts";
import type { RoomTimer, RoomTimers } from "../session/room-timers.ts";
import { Seat } from "../session/seat.ts";
import { originOf, setOrigin } from "./clock-patch.ts";
import type { ColyseusRoom, RoomUpgrade } from "./colyseus-room.ts";
import { setFixedSteps } from "./fixed-timestep.ts";
import { LoggedClient } from "./logged-client.ts";
import { news } from "./presence/room-news.ts";
import { restoreCached } from "./room-cache.ts";
import {
  graphOptions,
  type PastClient,
  type RoomGraph,
  type SavedClient,
  type SavedDelayed,
  type SavedTimer,
  userFields,
} from "./room-graph.ts";
import { allocateInputs, restoreInputs } from "./room-inputs.ts";
import type { RoomParts } from "./room-parts.ts";
import { restorePlugins } from "./room-plugins.ts";
import { restoreRewind } from "./room-rewind.ts";
import { dropState, rememberLeft } from "./room-views.ts";
import type { Seam } from "./seam.ts";

interface Restoration {
  readonly program: ColyseusRoom;
  readonly room: Room;
  readonly parts: RoomParts;
  readonly seam: Seam;
  readonly timers: RoomTimers;
  readonly seats: ReadonlyMap<string, Seat>;
  /** The other version of the room's code that has saved it; undefined: this one has. */
  readonly upgradeFrom: string | undefined;
}

const joinContext = { token: undefined, headers: new Headers(), ip: undefined };

/**
 * Lays a saved room over one that onCreate has just made again (design 5.5). The stock room's private records are put
 * back by its own methods, with the user's hooks silenced; then every value is set to what was saved.
 */
export async function restoreRoom(restoration: Restoration, saved: Uint8Array): Promise<void> {
  const { parts, seam, seats, program } = restoration;
  // Made twice: first what must stand before references can be resolved.
  const read = openGraph(saved);
  const outline = read.makeFields(["delayed", "clients", "past"], blindOptions(restoration)) as RoomGraph;
  const delayed = restoreDelayed(restoration, outline.delayed);
  const clients = new Map<string, LoggedClient>();
  for (const client of outline.clients) {
    const seat = seats.get(client.sessionId);
    if (seat === undefined) throw new Error(`the checkpoint has a client ${client.sessionId} without a seat`);
    clients.set(client.sessionId, loggedClient(restoration, seat, client));
  }
  const past = outline.past.map((client) => loggedClient(restoration, pastSeat(client), client));
  allocateInputs(restoration.room, [...clients.values(), ...past]);
  const graph = read.make(sightedOptions(restoration, clients, past, delayed)) as RoomGraph;
  past.forEach((client, at) => {
    layOverPast(client, graph.past[at] as PastClient);
  });
  delayed.forEach((each, at) => {
    Object.assign(each, { args: graph.delayed[at]?.args ?? [] });
  });
  const keepSeconds = new Map(
    graph.clients.flatMap(({ sessionId, left }) =>
      left === null ? [] : [[sessionId, left.timer === null ? Number.POSITIVE_INFINITY : 1] as const],
    ),
  );
  seam.restoring = { keepSeconds };
  try {
    parts.maxClients = Number.POSITIVE_INFINITY;
    // Kept seats first: they are not in room.clients, whose order is the order of joining.
    for (const client of [...graph.clients].sort(
      (a, b) => Number(b.left !== null) - Number(a.left !== null),
    )) {
      await rejoin(restoration, clients.get(client.sessionId) as LoggedClient, client);
    }
    for (const { sessionId, options, auth } of graph.reserved)
      await parts._reserveSeat(sessionId, options, auth);
  } finally {
    seam.restoring = null;
  }
  await layOver(restoration, graph);
  news(seam).restore(graph);
  restoreInputs(restoration.room, graph, { clients: [...clients.values()], past });
  restoreRewind(restoration.room, graph);
  await restoreCached(restoration.room, graph);
  // What onRestoreRoom may have begun besides is not the saved room's.
  parts.clock.delayed = [...delayed];
  seam.leaves.length = 0;
  seam.afterPatch.splice(0, seam.afterPatch.length, ...graph.afterPatch);
  settleTimers(restoration, graph);
  for (const client of clients.values()) program.adopt(client);
}

function blindOptions(restoration: Restoration): GraphOptions {
  const { room, seam } = restoration;
  const blind = { type: "reference" };
  return { ...graphOptions(room, seam, []), ...upgrading(restoration, new Map()), resolve: () => blind };
}

function sightedOptions(
  restoration: Restoration,
  clients: ReadonlyMap<string, LoggedClient>,
  past: readonly LoggedClient[],
  delayed: readonly Delayed[],
): GraphOptions {
  const { room, seam, program } = restoration;
  const options = graphOptions(room, seam, clients.values(), past);
  const resolve = (name: string) =>
    name.startsWith("delayed:") ? delayed[Number(name.slice("delayed:".length))] : options.resolve(name);
  return { ...options, ...upgrading(restoration, program.leftOut), resolve };
}

/** Fields that this code does not have are the business of its onUpgrade; without one they would be lost in silence. */
function upgrading({ room, upgradeFrom }: Restoration, leftOut: LeftOut): Partial<GraphOptions> {
  if (upgradeFrom === undefined) return {};
  const takes = typeof (room as Room & RoomUpgrade).onUpgrade === "function";
  return takes ? { otherCode: true, leftOut } : { otherCode: true };
}

/** A past client does nothing any more: it needs no more of its seat than the name. */
function pastSeat({ sessionId, epoch }: PastClient): Seat {
  return Object.assign(new Seat(sessionId), { epoch });
}

function layOverPast(client: LoggedClient, { state, auth, userData, view, extras }: PastClient): void {
  delete client._enqueuedMessages;
  Object.assign(client, { readyState: 3, state, auth, userData, view, ...extras });
}

function loggedClient({ seam }: Restoration, seat: Seat, saved: SavedClient | PastClient): LoggedClient {
  const attachedThen = Object.create(seat, {
    epoch: { value: saved.epoch },
    token: { value: saved.token },
  }) as Seat;
  const client = new LoggedClient(
    {
      environment: seam.environment,
      leave: (left, code, reason) => seam.leaves.push({ client: left, code, reason }),
    },
    attachedThen,
  );
  Object.defineProperties(client, { seat: { value: seat }, node: { value: saved.node, enumerable: true } });
  return client;
}

/** Timers made in onCreate are there again; those with a name are made again. The order of the list is kept. */
function restoreDelayed({ parts, room }: Restoration, saved: readonly SavedDelayed[]): Delayed[] {
  const created = new Map<number, Delayed>();
  for (const delayed of parts.clock.delayed) {
    const origin = originOf(delayed);
    if (origin?.type === "created") created.set(origin.ordinal, delayed);
  }
  const restored = saved.map((each) => {
    const delayed = delayedOf(each, created, parts, room);
    Object.assign(delayed, {
      elapsedTime: each.elapsedTime,
      paused: each.paused,
      time: each.time,
      active: true,
    });
    return delayed;
  });
  parts.clock.delayed = [...restored];
  return restored;
}

function delayedOf(
  saved: SavedDelayed,
  created: ReadonlyMap<number, Delayed>,
  parts: RoomParts,
  room: Room,
): Delayed {
  const { origin } = saved;
  if (origin.type === "created") {
    const delayed = created.get(origin.ordinal);
    if (delayed === undefined)
      throw new Error(
        `onCreate made ${created.size} clock timers, the checkpoint has number ${origin.ordinal}`,
      );
    return delayed;
  }
  if (origin.type === "closure") throw new Error(`a closure of ${origin.site} is in a checkpoint`);
  const method = (room as unknown as Record<string, unknown>)[origin.name];
  if (typeof method !== "function")
    throw new Error(`the room has no method "${origin.name}", which a saved timer calls`);
  const make = saved.type === 0 ? parts.clock.setInterval : parts.clock.setTimeout;
  const delayed = make.call(parts.clock, method as () => void, saved.time);
  setOrigin(delayed, origin);
  return delayed;
}

/** The stock room's own join, and leave where the seat is kept, with the hooks silenced. */
async function rejoin({ parts }: Restoration, client: LoggedClient, saved: SavedClient): Promise<void> {
  await parts._reserveSeat(client.sessionId, true, undefined);
  await parts._onJoin(client, joinContext, { skipHandshake: true });
  delete client._enqueuedMessages;
  if (saved.left !== null) {
    client.readyState = 3;
    client.ref.removeAllListeners();
    await parts._onLeave(client, saved.left.code ?? undefined);
  }
  Object.assign(client, {
    state: saved.state,
    auth: saved.auth,
    userData: saved.userData,
    view: saved.view,
    _joinedAt: saved.joinedAt,
    _lastMessageTime: saved.lastMessageTime,
    _numMessagesLastSecond: saved.numMessagesLastSecond,
    _messageCountResetsAt: saved.messageCountResetsAt,
    _pendingFrames: [...saved.pendingFrames],
    ...saved.extras,
  });
  if (saved.state === ClientState.JOINING) client._enqueuedMessages = [];
}

async function layOver({ room, parts, seam, upgradeFrom }: Restoration, graph: RoomGraph): Promise<void> {
  // Fields that were deleted since onCreate must not come back, and their order is part of what room code can see.
  // But those that are new with this code stay.
  if (upgradeFrom === undefined)
    for (const name of Object.keys(userFields(room, seam))) Reflect.deleteProperty(room, name);
  for (const [name, value] of Object.entries(graph.fields))
    (room as unknown as Record<string, unknown>)[name] = value;
  restorePlugins(room, seam, graph.plugins);
  if (graph.state !== undefined && graph.schema !== null) {
    const restored = restoreSchema(graph, graph.state, graph.schema);
    // What onCreate made is gone, with whatever its views saw of it.
    dropState(room);
    parts.state = graph.state;
    const { encoder } = parts._serializer;
    if (encoder === undefined) throw new Error("the restored state has no encoder");
    restored.afterAttach(encoder);
    rememberLeft(encoder.root, restored.unattached);
  }
  const { flags } = graph;
  parts.maxClients = flags.maxClients;
  parts.seatReservationTimeout = flags.seatReservationTimeout;
  parts.maxMessagesPerSecond = flags.maxMessagesPerSecond;
  if (parts.autoDispose !== flags.autoDispose) parts.autoDispose = flags.autoDispose;
  // Another rate is another timer, and never at rest; but a room with a timestep may have stopped its patches.
  if (parts.patchRate !== flags.patchRate) parts.patchRate = flags.patchRate;
  if (flags.locked !== parts.locked) await (flags.locked ? parts.lock(true) : parts.unlock(true));
  parts._lockedExplicitly = flags.lockedExplicitly;
  Object.assign(parts._listing, graph.listing);
  Object.assign(parts.clock, graph.clock);
  setFixedSteps(room, graph.steps);
}

/** Every timer as it was: those of onCreate by ordinal, the seats' and the room's own by where the stock room keeps them. */
function settleTimers({ parts, timers }: Restoration, graph: RoomGraph): void {
  const settled = new Set<RoomTimer>();
  const settle = (timer: unknown, saved: SavedTimer | null, what: string) => {
    if (saved === null) return;
    const live = timers.live.find((each) => each === timer);
    if (live === undefined) throw new Error(`the restored room lacks its timer for ${what}`);
    live.id = saved.id;
    live.dueMs = saved.dueMs;
    settled.add(live);
  };
  if (graph.autoDisposeTimer === null) {
    timers.clear(parts._autoDisposeTimeout);
    parts._autoDisposeTimeout = undefined;
  } else if (!graph.timers.some(({ id }) => id === graph.autoDisposeTimer?.id)) {
    parts.resetAutoDisposeTimeout();
    settle(parts._autoDisposeTimeout, graph.autoDisposeTimer, "autoDispose");
  }
  for (const { ordinal, ...saved } of graph.timers) {
    settle(
      timers.live.find((each) => each.createOrdinal === ordinal),
      saved,
      `onCreate's number ${ordinal}`,
    );
  }
  for (const { sessionId, timer } of graph.reserved)
    settle(parts._reservedSeatTimeouts[sessionId], timer, `the reserved seat ${sessionId}`);
  for (const { sessionId, left } of graph.clients) {
    if (left !== null)
      settle(parts._reservedSeatTimeouts[sessionId], left.timer, `the kept seat ${sessionId}`);
  }
  for (const timer of [...timers.live]) if (!settled.has(timer)) timers.clear(timer);
  timers.nextId = graph.nextTimerId;
}

import type { Room } from "@colyseus/core";
import type { Schema } from "@colyseus/schema";
import type { LoggedClient } from "../logged-client.ts";
import { partsOf, type RoomParts } from "../room-parts.ts";
import type { LedPerson, LedRoomData } from "./led-room-data.ts";
import { type Connection, type LedFlags, unpacked } from "./led-step.ts";
import { takeOver } from "./state-handover.ts";

const joinContext = { token: undefined, headers: new Headers(), ip: undefined };
const readyStateClosed = 3;

export interface LedRestoration {
  readonly room: Room;
  readonly data: LedRoomData;
  /** The room's log time. */
  readonly nowMs: number;
  /** Its client joins, in the order of `room.clients`. */
  newClient(connection: Connection): LoggedClient;
}

/** For how long the seat is still kept, in seconds; undefined: it is not. */
export function keptSeconds({ data, nowMs }: Pick<LedRestoration, "data" | "nowMs">, sessionId: string) {
  const until = data.people.get(sessionId)?.keptUntilMs ?? null;
  if (until === null) return undefined;
  return until.atMs === null ? Number.POSITIVE_INFINITY : Math.max(0, (until.atMs - nowMs) / 1000);
}

/**
 * Puts what is agreed over a room that onCreate has just made again: the state as clients have it, the seats, what else
 * Colyseus keeps. Hooks are silent meanwhile.
 */
export async function restoreLed(restoration: LedRestoration): Promise<void> {
  const { room, data } = restoration;
  const parts = partsOf(room);
  restoreState(parts, data);
  parts.maxClients = Number.POSITIVE_INFINITY;
  const leaving = new Set<string>();
  for (const input of data.inputs.values())
    if (input.type === "drop") leaving.add(`${input.epoch} ${input.sessionId}`);
  const seated: { connection: Connection; person: LedPerson; isKept: boolean }[] = [];
  for (const person of data.people.values()) {
    const { connection, keptUntilMs } = person;
    if (connection === null) continue;
    // That it was dropped is not worked off: its hook begins again.
    const isKept = keptUntilMs !== null && !leaving.has(`${connection.epoch} ${connection.sessionId}`);
    seated.push({ connection, person, isKept });
  }
  // Kept seats first: they are not in room.clients.
  for (const each of seated.filter(({ isKept }) => isKept)) await rejoin(parts, restoration, each);
  for (const each of seated.filter(({ isKept }) => !isKept)) await rejoin(parts, restoration, each);
  for (const [sessionId, person] of data.people) await reserveAgain(parts, restoration, sessionId, person);
  if (data.flags !== null) await restoreFlags(parts, unpacked(data.flags) as LedFlags);
  parts.clock.currentTime = parts.clock.now();
  parts.clock.elapsedTime = data.elapsedMs;
}

function restoreState(parts: RoomParts, { state: sent, nextRefId }: LedRoomData): void {
  if (sent === null) return;
  const stateClass = parts.state?.constructor as Parameters<typeof takeOver>[0] | undefined;
  if (stateClass === undefined)
    throw new Error("the room has a state, but its constructor and onCreate make none: make it there");
  const { state, restored } = takeOver(stateClass, sent, nextRefId);
  parts.state = state as Schema;
  const { encoder } = parts._serializer;
  if (encoder === undefined) throw new Error("the state has no encoder");
  restored.afterAttach(encoder);
}

async function rejoin(
  parts: RoomParts,
  { newClient }: LedRestoration,
  { connection, person, isKept }: { connection: Connection; person: LedPerson; isKept: boolean },
): Promise<void> {
  const client = newClient(connection);
  await parts._reserveSeat(client.sessionId, true, undefined);
  await parts._onJoin(client, joinContext, { skipHandshake: true });
  delete client._enqueuedMessages;
  const { auth, userData } = unpackedPerson(person);
  Object.assign(client, { state: 1, auth, userData });
  if (!isKept) return;
  client.readyState = readyStateClosed;
  client.ref.removeAllListeners();
  await parts._onLeave(client, person.dropCode);
}

export function unpackedPerson(person: LedPerson): { auth: unknown; userData: unknown } {
  return { auth: unpacked(person.auth), userData: unpacked(person.userData) };
}

async function reserveAgain(
  parts: RoomParts,
  { nowMs }: LedRestoration,
  sessionId: string,
  { isReserved, options, auth, reservation }: LedPerson,
): Promise<void> {
  if (!isReserved) return;
  const passed = (nowMs - reservation.atMs) / 1000;
  const seconds = Math.max(0, reservation.seconds - passed);
  await parts._reserveSeat(sessionId, unpacked(options), unpacked(auth), seconds);
}

async function restoreFlags(parts: RoomParts, flags: LedFlags): Promise<void> {
  parts.maxClients = flags.maxClients;
  parts.seatReservationTimeout = flags.seatReservationTimeout;
  parts.maxMessagesPerSecond = flags.maxMessagesPerSecond;
  if (parts.autoDispose !== flags.autoDispose) parts.autoDispose = flags.autoDispose;
  if (flags.locked !== parts.locked) await (flags.locked ? parts.lock(true) : parts.unlock(true));
  parts._lockedExplicitly = flags.lockedExplicitly;
  Object.assign(parts._listing, flags.listing);
}

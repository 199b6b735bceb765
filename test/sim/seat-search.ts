import { SessionError } from "../../server/session/session-error.ts";
import type { Sessions } from "../../server/session/sessions.ts";

const roundsMax = 4;
const withoutSeat = new Set(["ROOM_NOT_FOUND", "ROOM_QUARANTINED", "ROOM_STANDS_STILL"]);
const seconds = 4;

/**
 * As the matchmaker does: a room of the key, and another one if there is no seat in it.
 * @returns the room's id, with a seat reserved for `sessionId`
 */
export async function findSeat(
  sessions: Sessions,
  { key, sessionId, roomName }: { key: string; sessionId: string; roomName: string },
): Promise<string> {
  // Rooms of one key keep seats so briefly that players come too late.
  const options = key === "key 2" ? { keepSeconds: 1, stepMs: 70 } : {};
  let exclude: string | null = null;
  for (let round = 0; round < roundsMax; round++) {
    const roomId: string = await sessions.allocate({ key, roomName, options, fresh: false, exclude });
    if (await reserve(sessions, roomId, sessionId)) return roomId;
    exclude = roomId;
  }
  throw new SessionError("ROOM_FULL", `no seat in ${roundsMax} rounds`);
}

async function reserve(sessions: Sessions, roomId: string, sessionId: string): Promise<boolean> {
  try {
    return await sessions.reserve(roomId, { sessionId, options: {}, auth: null, seconds });
  } catch (error) {
    if (error instanceof SessionError && withoutSeat.has(error.code)) return false;
    throw error;
  }
}

import { matchMaker, type Room } from "@colyseus/core";
import { isReplicated } from "./replicated.ts";
import type { RoomListings } from "./room-listings.ts";
import { partsOf } from "./room-parts.ts";

/** A room of this process alone: an ordinary Colyseus room beside the replicated ones. */
export function plainRoom(roomId: string): Room | undefined {
  const room = matchMaker.getLocalRoomById(roomId);
  return room === undefined || isReplicated(room.constructor) ? undefined : room;
}

/**
 * They end with their process, as Colyseus ends them when it shuts down: locked, told by `onBeforeShutdown`, disposed.
 * @returns what a room's code threw
 */
export async function endPlainRooms(listings: RoomListings, msMax: number): Promise<readonly unknown[]> {
  const failures: unknown[] = [];
  const ended = listings.query({}).map(async ({ roomId }) => {
    const room = plainRoom(roomId);
    if (room === undefined) return;
    const gone = new Promise<void>((resolve) => partsOf(room)._events.once("disconnect", resolve));
    try {
      await room.lock();
      room.onBeforeShutdown();
      await gone;
    } catch (error) {
      failures.push(error);
    }
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, msMax);
  });
  await Promise.race([Promise.all(ended), late]);
  clearTimeout(timer);
  return failures;
}

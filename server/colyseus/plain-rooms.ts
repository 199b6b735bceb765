import { matchMaker, type Room } from "@colyseus/core";
import { isReplicated } from "./replicated.ts";
import type { RoomListings } from "./room-listings.ts";
import { partsOf } from "./room-parts.ts";

/** A room of this process alone: an ordinary Colyseus room beside the replicated ones. */
export function plainRoom(roomId: string): Room | undefined {
  const room = matchMaker.getLocalRoomById(roomId);
  return room === undefined || isReplicated(room.constructor) ? undefined : room;
}

/** Those of this process; they end with it, as Colyseus ends them when it shuts down. */
export class PlainRooms {
  readonly #listings: RoomListings;
  readonly #failed: (error: unknown) => void;
  /** Once they are told to end: those that have not. */
  #ending: Set<Room> | null = null;
  readonly #told = new WeakSet<Room>();

  /** @param failed is told what a room's code throws while it is ended */
  constructor(listings: RoomListings, failed: (error: unknown) => void) {
    this.#listings = listings;
    this.#failed = failed;
  }

  /** No new ones are to be made. */
  get areEnding(): boolean {
    return this.#ending !== null;
  }

  get count(): number {
    return this.#ending?.size ?? this.#listed().length;
  }

  /** Each is locked, and told once by `onBeforeShutdown`; it ends when it likes. Again: those that were just being made. */
  end(): void {
    this.#ending ??= new Set();
    const ending = this.#ending;
    for (const room of this.#listed()) {
      if (this.#told.has(room)) continue;
      this.#told.add(room);
      ending.add(room);
      // Once all is done, its onDispose too.
      partsOf(room)._events.once("disconnect", () => ending.delete(room));
      tellToEnd(room).catch((error: unknown) => {
        ending.delete(room);
        this.#failed(error);
      });
    }
  }

  #listed(): Room[] {
    return this.#listings.query({}).flatMap(({ roomId }) => plainRoom(roomId) ?? []);
  }
}

async function tellToEnd(room: Room): Promise<void> {
  await room.lock();
  room.onBeforeShutdown();
}

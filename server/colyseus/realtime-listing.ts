import { inspect } from "node:util";
import { type IRoomCache, matchMaker } from "@colyseus/core";
import { outsideWorld } from "../session/sandbox.ts";
import { isReplicated } from "./replicated.ts";
import type { RoomListings } from "./room-listings.ts";

/** What the stock `subscribeLobby` hears of a room: its id, and whether it is to be shown no more. */
type Publish = (message: `${string},${"0" | "1"}`) => void;

/**
 * Tells this node's lobbies of replicated rooms. Not by the events of the stock room: they come once a replica, in the
 * middle of an apply, again when a replica is replaced, and for a client only where that is attached. What is listed when
 * a turn has ended is compared with what was told last.
 */
export class RealtimeListing {
  readonly #listings: RoomListings;
  readonly #publish: Publish;
  /** Rooms that are shown, as they were told. */
  readonly #told = new Map<string, string>();
  readonly #touched = new Set<string>();

  constructor(listings: RoomListings, publish: Publish) {
    this.#listings = listings;
    this.#publish = publish;
    listings.onTouched((roomId) => this.#touch(roomId));
  }

  #touch(roomId: string): void {
    this.#touched.add(roomId);
    // A replica that is replaced goes and comes in one turn: for the lobby nothing has happened.
    if (this.#touched.size === 1) outsideWorld(() => setImmediate(() => this.#tell()));
  }

  #tell(): void {
    const touched = [...this.#touched];
    this.#touched.clear();
    for (const roomId of touched) {
      const told = this.#told.get(roomId);
      const now = shown(this.#listings.get(roomId));
      if (now === told) continue;
      if (now === undefined) this.#told.delete(roomId);
      else this.#told.set(roomId, now);
      this.#publish(`${roomId},${now === undefined ? "1" : "0"}`);
    }
  }
}

/** What a lobby would see of it, as text, whatever room code keeps in its metadata. Undefined: nothing. */
function shown(listing: IRoomCache | undefined): string | undefined {
  if (listing === undefined || listing.private || listing.unlisted) return undefined;
  const handler = matchMaker.getAllHandlers()[listing.name];
  if (handler?.realtimeListingEnabled !== true || !isReplicated(handler.klass)) return undefined;
  const whole = { depth: null, maxArrayLength: null, maxStringLength: null, breakLength: Infinity };
  return inspect(listing, { ...whole, sorted: true, customInspect: false });
}

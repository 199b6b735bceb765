import { inspect } from "node:util";
import { type IRoomCache, matchMaker } from "@colyseus/core";
import { outsideWorld } from "../session/sandbox.ts";
import { isReplicated } from "./replicated.ts";

/** What the stock `subscribeLobby` hears of a room: its id, and whether it is to be shown no more. */
type Publish = (message: `${string},${"0" | "1"}`) => void;

/**
 * Tells this node's lobbies of replicated rooms, and of other nodes' plain ones; of its own Colyseus tells them. Not by the events of the stock room: they come once a replica, in the
 * middle of an apply, again when a replica is replaced, and for a client only where that is attached. What is listed when
 * a turn has ended is compared with what was told last.
 */
export class RealtimeListing {
  readonly #listing: (roomId: string) => IRoomCache | undefined;
  readonly #publish: Publish;
  /** Rooms that are shown, as they were told. */
  readonly #told = new Map<string, string>();
  readonly #touched = new Set<string>();

  /** @param listing what this node knows of a room */
  constructor(listing: (roomId: string) => IRoomCache | undefined, publish: Publish) {
    this.#listing = listing;
    this.#publish = publish;
  }

  /** Something may have changed, in the middle of an apply perhaps. */
  touch(roomId: string): void {
    this.#touched.add(roomId);
    // A replica that is replaced goes and comes in one turn: for the lobby nothing has happened.
    if (this.#touched.size === 1) outsideWorld(() => setImmediate(() => this.#tell()));
  }

  #tell(): void {
    const touched = [...this.#touched];
    this.#touched.clear();
    for (const roomId of touched) {
      const told = this.#told.get(roomId);
      const now = shown(this.#listing(roomId));
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
  if (handler?.realtimeListingEnabled !== true) return undefined;
  if (!isReplicated(handler.klass) && listing.processId === matchMaker.processId) return undefined;
  const whole = { depth: null, maxArrayLength: null, maxStringLength: null, breakLength: Infinity };
  return inspect(listing, { ...whole, sorted: true, customInspect: false });
}

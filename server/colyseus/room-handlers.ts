import { matchMaker, RegisteredHandler, type Room, RoomInternalState } from "@colyseus/core";
import { onceApplied } from "../session/sandbox.ts";
import { partsOf } from "./room-parts.ts";
import { seamOfRoom } from "./seam.ts";

let patched = false;

/**
 * What a developer hangs on `defineRoom(replicated(X))`. Listeners of its events are the node's own code: they run outside
 * of the room, once the command has been applied, on every node. Realtime listing is not made of them: see RealtimeListing.
 */
export function patchHandlers(isReplicated: (roomClass: unknown) => boolean): void {
  if (patched) return;
  patched = true;
  const stock = RegisteredHandler.prototype;
  const { enableRealtimeListing } = stock;
  const emit = stock.emit as (this: RegisteredHandler, event: string, ...args: unknown[]) => boolean;
  stock.enableRealtimeListing = function (this: RegisteredHandler) {
    if (!isReplicated(this.klass)) return enableRealtimeListing.call(this);
    this.realtimeListingEnabled = true;
    return this;
  };
  const emitOutside = function (this: RegisteredHandler, event: string, ...args: unknown[]): boolean {
    if (!isReplicated(this.klass)) return emit.call(this, event, ...args);
    const room = args[0] as Room;
    onceApplied(() => {
      if (!isNews(event, room)) return;
      try {
        emit.call(this, event, ...args);
      } catch (error) {
        seamOfRoom(room)?.environment.report(error, `a listener of "${event}"`);
      }
    });
    return this.listenerCount(event) > 0;
  };
  stock.emit = emitOutside as typeof stock.emit;
}

/** A room begins and ends once: not where a replica of it is restored, replaced or given up. */
function isNews(event: string, room: Room): boolean {
  if (event === "create")
    return seamOfRoom(room)?.isRestored === false && matchMaker.getLocalRoomById(room.roomId) === room;
  if (event === "dispose") return partsOf(room)._internalState === RoomInternalState.DISPOSING;
  return true;
}

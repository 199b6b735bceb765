import { Room } from "@colyseus/core";
import { SessionError } from "../../session/session-error.ts";
import { ownMethods } from "../remote-room-call.ts";
import { seamOfRoom } from "../seam.ts";
import type { RoomClass } from "./live-room.ts";

const bases = new WeakMap<object, RoomClass>();

/** The room class that such an empty room stands for; undefined: it stands for itself. */
export function ledBase(room: Room): RoomClass | undefined {
  return ledBaseOf(room.constructor);
}

/** The same, by the replicated class. */
export function ledBaseOf(roomClass: object): RoomClass | undefined {
  return bases.get(Object.getPrototypeOf(roomClass) as object);
}

/**
 * What stands for such a room on every node, for Colyseus's matchmaking and transport: an empty room. Its methods are those of
 * the room itself, by way of the log.
 * @throws SessionError NOT_SUPPORTED
 */
export function ledClass<Base extends RoomClass>(base: Base): Base {
  if (base.prototype.onAuth !== Room.prototype.onAuth)
    throw new SessionError(
      "NOT_SUPPORTED",
      `${base.name} cannot be run by its leader: it has an onAuth of the instance, which would be asked on another node. Make it static.`,
    );
  const Led = class extends Room {
    override autoDispose = false;
    override hasReservedSeat(sessionId: string): boolean {
      const room = seamOfRoom(this)?.sessions().room(this.roomId);
      return room?.program.hasReservation(sessionId) === true;
    }
  };
  Object.defineProperty(Led, "name", { value: base.name });
  const { onAuth } = base as unknown as typeof Room;
  if (onAuth !== Room.onAuth) Led.onAuth = onAuth.bind(base);
  for (const [name] of ownMethods(base.prototype)) {
    const call = async function (this: Room, ...data: unknown[]): Promise<unknown> {
      return await seamOfRoom(this)?.sessions().call(this.roomId, name, data);
    };
    Object.defineProperty(Led.prototype, name, { value: call, writable: true, configurable: true });
  }
  bases.set(Led, base);
  return Led as unknown as Base;
}

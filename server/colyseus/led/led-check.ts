import type { Room } from "@colyseus/core";
import { SessionError } from "../../session/session-error.ts";
import { checkMessageTypes } from "../message-consistency.ts";
import { cacheHooksOf } from "../room-cache.ts";
import { userFields } from "../room-graph.ts";
import { partsOf } from "../room-parts.ts";
import { checkStreams } from "../room-views.ts";
import type { Seam } from "../seam.ts";

/**
 * Everything about a room that its leader runs which another leader could not go on with: found right after onCreate, and not
 * when the first one dies.
 * @throws SessionError NOT_SUPPORTED that names it, and what to do
 */
export function checkLedRoom(room: Room, seam: Seam): void {
  const { name } = room.constructor;
  const refuse = (what: string, remedy: string): never => {
    throw new SessionError("NOT_SUPPORTED", `${name} cannot be run by its leader: ${what}. ${remedy}`);
  };
  const { encoder, hasUnreliableFields } = partsOf(room)._serializer as {
    encoder?: { context: { hasFilters: boolean } };
    hasUnreliableFields?: boolean;
  };
  if (encoder?.context.hasFilters === true)
    refuse("its state has fields with a view tag", "Send what is for some clients only by client.send().");
  if (hasUnreliableFields === true) refuse("its state has unreliable fields", "Declare them without it.");
  if (partsOf(room).plugins !== undefined)
    refuse("it has plugins, whose fields would be lost", "Do without, or let it run on every replica.");
  checkStreams(room);
  checkMessageTypes(room, seam.options.messages);
  if (cacheHooksOf(room.constructor).length > 0) return;
  const own = Object.entries(room).filter(([, value]) => typeof value === "function");
  const fields = Object.keys(userFields(room, { ...seam, functions: new Map(own) }));
  if (fields.length === 0) return;
  refuse(
    `its fields ${fields.join(", ")} would be lost with its leader`,
    "Save them by onCacheRoom and onRestoreRoom, or name those that onCreate makes anew in transient.",
  );
}

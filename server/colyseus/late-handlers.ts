import type { Room } from "@colyseus/core";
import { closureSite } from "./clock-patch.ts";
import { partsOf } from "./room-parts.ts";

/** Handlers of messages are code: a restored room has those that onCreate makes, and no others. */
interface Handlers {
  /** By message type: what there was when onCreate had ended. */
  readonly created: ReadonlyMap<string, readonly unknown[]>;
  /** Where room code has registered one since, by message type. */
  readonly sites: Map<string, string>;
}

const handlersOf = new WeakMap<Room, Handlers>();

/** To be called once the room is made. */
export function rememberHandlers(room: Room): void {
  const { events } = partsOf(room).onMessageEvents;
  const created = new Map(Object.entries(events).map(([type, handlers = []]) => [type, [...handlers]]));
  handlersOf.set(room, { created, sites: new Map() });
}

/** Room code registers a handler now. */
export function noteHandler(room: Room, type: string | number): void {
  handlersOf.get(room)?.sites.set(String(type), closureSite());
}

/** Null: the room has the handlers that it was made with. */
export function changedHandlers(room: Room): string | null {
  const { created, sites } = handlersOf.get(room) ?? {};
  if (created === undefined) return null;
  const { events } = partsOf(room).onMessageEvents;
  for (const type of new Set([...created.keys(), ...Object.keys(events)])) {
    const [before, now] = [created.get(type) ?? [], events[type] ?? []];
    if (before.length === now.length && before.every((handler, at) => handler === now[at])) continue;
    const how =
      now.length < before.length ? "removed" : `registered at ${sites?.get(type) ?? "an unknown place"}`;
    return `a handler of "${type}" was ${how} after onCreate, which a restored room would not know: register all in onCreate, and let them look at the room`;
  }
  return null;
}

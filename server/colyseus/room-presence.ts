import type { Room } from "@colyseus/core";
import { SessionError } from "../session/session-error.ts";
import { applying } from "./seam.ts";

/** Why, and what to do instead: until the nodes agree about presence keys. */
export const presenceRefusal = Object.freeze({
  what: "it uses this.presence, whose keys are in the memory of each node alone: replicas would read different things, and what the leader has written would be lost with it",
  remedy:
    "Ask a store that all nodes share, in an effect of the room; what comes by itself goes in with room.propose().",
});

const presences = new WeakMap<object, unknown>();

/** Inside of the room it is refused, however it is reached; outside it is the node's own. */
export const presenceAccessor: PropertyDescriptor = {
  configurable: true,
  get(this: Room) {
    if (applying(this) === null) return presences.get(this);
    const { what, remedy } = presenceRefusal;
    throw new SessionError("NOT_SUPPORTED", `${this.constructor.name} cannot go on: ${what}. ${remedy}`);
  },
  set(this: Room, presence: unknown) {
    presences.set(this, presence);
  },
};

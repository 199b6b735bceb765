import { matchMaker, type Presence, type Room } from "@colyseus/core";
import { refusedEffect } from "../../session/room-effects.ts";
import type { EffectCall } from "../../session/room-program.ts";
import { outsideLog, SessionError } from "../../session/session-error.ts";
import { applying, type Seam } from "../seam.ts";
import { news } from "./room-news.ts";
import { isKeyed, isOwnChannel, isShared, type PresenceMethod, presenceMethods } from "./shared-presence.ts";

/** Why, and what to do instead. */
export const unsharedPresence = Object.freeze({
  what: "it uses this.presence, and this server's presence is in the memory of each node alone: replicas would read different things, and what the leader has written would be lost with it",
  remedy:
    "Leave the server the one that testudo() brings, or give it another one that all nodes share (new RedisPresence(); one that extends LocalPresence says so by shared = true), or ask a store of your own in an effect of the room.",
});

/** In log time, as of every effect that says nothing else. */
const timeoutDefaultMs = 5_000;

type Call = (...args: unknown[]) => unknown;

const presences = new WeakMap<object, unknown>();
const insides = new WeakMap<object, Presence>();

/** Inside of the room its calls go through the log, however they are reached; outside it is the node's own. */
export const presenceAccessor: PropertyDescriptor = {
  configurable: true,
  get(this: Room) {
    if (applying(this) === null) return presences.get(this);
    if (!isShared(matchMaker.presence)) throw notShared(this.constructor.name);
    return presenceInside(this);
  },
  set(this: Room, presence: unknown) {
    presences.set(this, presence);
  },
};

export function notShared(name: string): SessionError {
  const { what, remedy } = unsharedPresence;
  return new SessionError("NOT_SUPPORTED", `${name} cannot go on: ${what}. ${remedy}`);
}

/** The one that room code sees: the same object each time, as it may be kept. */
export function presenceInside(room: Room): Presence {
  const known = insides.get(room);
  if (known !== undefined) return known;
  const methods: Record<string, Call> = {};
  for (const name of presenceMethods)
    methods[name] = (...args) => {
      const { effects } = inside(room, name).environment.world;
      const seconds = name === "brpop" ? args.at(-1) : 0;
      if (!isWait(seconds)) return refusedEffect(endless(seconds));
      const timeoutMs = timeoutDefaultMs + seconds * 1_000;
      return effects.make({ name: `presence.${name}`, argument: args, timeoutMs });
    };
  for (const name of ["setMaxListeners", "shutdown"] as const)
    methods[name] = () => {
      throw new SessionError("INSIDE_ROOM", `this.presence.${name}() is the server's to call, not a room's`);
    };
  const presence = {
    ...methods,
    async subscribe(channel: string, callback: Call) {
      news(inside(room, "subscribe")).subscribe(channel, callback);
      return presence;
    },
    unsubscribe(channel: string, callback?: Call) {
      news(inside(room, "unsubscribe")).unsubscribe(channel, callback);
    },
  } as unknown as Presence;
  insides.set(room, Object.freeze(presence));
  return presence;
}

/** A field of the room may hold it. */
export const presenceName = "presence";

export function presenceReferences(room: Room): [object, string][] {
  const presence = insides.get(room);
  return presence === undefined ? [] : [[presence, presenceName]];
}

function inside(room: Room, name: string): Seam {
  const seam = applying(room);
  if (seam === null)
    throw outsideLog(`presence.${name}() of ${room.constructor.name} was called outside of the room`);
  return seam;
}

/** `brpop` says by itself how long it waits; 0, as all others do: no longer than it takes. */
function isWait(seconds: unknown): seconds is number {
  return typeof seconds === "number" && seconds >= 0 && seconds < Number.POSITIVE_INFINITY;
}

function endless(seconds: unknown): SessionError {
  return new SessionError(
    "NOT_SUPPORTED",
    `presence.brpop() of a room waits for a number of seconds, not ${String(seconds)}: one that waits for ever is never saved`,
  );
}

/** On the leader's node, outside of the room. */
export async function callPresence(
  method: PresenceMethod,
  args: readonly unknown[],
  { key }: EffectCall,
): Promise<unknown> {
  const { presence } = matchMaker;
  if (!isShared(presence)) throw notShared("a room");
  if (method === "publish" && isOwnChannel(args[0]))
    throw new SessionError(
      "NOT_SUPPORTED",
      `the channel ${String(args[0])} is Colyseus's own: call yours otherwise`,
    );
  const call = presence[method] as Call;
  const value = isKeyed(presence) ? presence.call(key, method, args) : call.apply(presence, [...args]);
  // Some say what they are themselves; nobody waits for that.
  if (method !== "publish") return await value;
  await value;
}

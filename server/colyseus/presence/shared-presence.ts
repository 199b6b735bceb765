import { LocalPresence, type Presence } from "@colyseus/core";

/**
 * A presence that remembers what a call has come to, by the call's key: asked again with the same key it says the same, and
 * does nothing. What rooms ask of it is done exactly once; of any other, at least once.
 */
export interface KeyedPresence {
  call(key: string, method: PresenceMethod, args: readonly unknown[]): Promise<unknown>;
}

/**
 * A presence that numbers what is published on a channel, and keeps it for a while: a room's next leader goes on where the
 * one before was, and nothing is missed or doubled.
 */
export interface LoggedPresence {
  /**
   * Calls back for what is published on the channel behind position `after`, in order; null: from now on.
   * @param callback is also what `unsubscribe(channel, callback)` is given
   * @param lost it has ended, for what comes next is not known any more
   * @returns the position behind which it began
   * @throws an Error with the code WATCH_TOO_OLD if what came behind `after` is not known any more
   */
  subscribeFrom(
    channel: string,
    after: number | null,
    callback: (message: unknown, position: number) => void,
    lost?: (error: Error) => void,
  ): Promise<number>;
}

/** What rooms may ask of the server's presence: each is an effect. Subscriptions are the room's own: see RoomNews. */
export const presenceMethods = [
  ...["publish", "channels", "exists", "set", "setex", "expire", "get", "del"],
  ...["sadd", "smembers", "sismember", "srem", "scard", "sinter"],
  ...["hset", "hincrby", "hincrbyex", "hget", "hgetall", "hdel", "hlen"],
  ...["incr", "decr", "llen", "rpush", "lpush", "rpop", "lpop", "brpop"],
] as readonly PresenceMethod[];

export type PresenceMethod = Exclude<
  keyof Presence,
  "subscribe" | "unsubscribe" | "setMaxListeners" | "shutdown"
>;

/**
 * All nodes have the same keys and channels in it. It may say so by itself, `shared: true`; what is not Colyseus's
 * LocalPresence is a store outside of the process.
 */
export function isShared(presence: unknown): boolean {
  const { shared } = presence as { readonly shared?: unknown };
  return typeof shared === "boolean" ? shared : !(presence instanceof LocalPresence);
}

export function isKeyed(presence: object): presence is KeyedPresence {
  return typeof (presence as Partial<KeyedPresence>).call === "function";
}

export function isLogged(presence: object): presence is LoggedPresence {
  return typeof (presence as Partial<LoggedPresence>).subscribeFrom === "function";
}

/** Colyseus's own, of each process by itself: a room is not to speak there, nor would another node hear it. */
const ownChannel = /^(?:\$|p:|ipc:|concurrent:)/;

export function isOwnChannel(channel: unknown): boolean {
  return typeof channel === "string" && ownChannel.test(channel);
}

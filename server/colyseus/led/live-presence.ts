import type { Presence } from "@colyseus/core";

// biome-ignore lint/suspicious/noExplicitAny: whatever is published
type Callback = (...args: any[]) => any;

interface Subscription {
  readonly channel: string;
  readonly callback: Callback;
  /** What the server's presence knows it by: a function that several rooms share is each one's own. */
  readonly heard: Callback;
}

/** By what a live room has as `this.presence`: what it has subscribed to there. */
const subscriptionsOf = new WeakMap<object, Set<Subscription>>();

/** The server's presence, for one live room: what that subscribes to ends with it, and nobody else's does. */
export function livePresence(presence: Presence, guarded: (callback: Callback) => Callback): Presence {
  const subscriptions = new Set<Subscription>();
  const own: Record<string, Callback> = {
    async subscribe(channel: string, callback: Callback) {
      const safe = guarded(callback);
      const subscription: Subscription = {
        channel,
        callback,
        heard: (...args) => (subscriptions.has(subscription) ? (safe(...args) as unknown) : undefined),
      };
      subscriptions.add(subscription);
      return (await presence.subscribe(channel, subscription.heard)) as unknown;
    },
    /** As of an emitter: the newest one of this callback; without one, all of the channel. */
    async unsubscribe(channel: string, callback?: Callback) {
      const meant = [...subscriptions].filter(
        (each) => each.channel === channel && (callback === undefined || each.callback === callback),
      );
      for (const each of callback === undefined ? meant : meant.slice(-1)) {
        subscriptions.delete(each);
        await presence.unsubscribe(channel, each.heard);
      }
    },
  };
  const live = new Proxy(presence, {
    get(target, name) {
      if (typeof name === "string" && Object.hasOwn(own, name)) return own[name];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
  subscriptionsOf.set(live, subscriptions);
  return live;
}

/** The room is over: it hears of nothing from now on. @param live what it has as `this.presence` */
export function endSubscriptions(live: unknown, failed: (error: unknown) => void): void {
  const presence = live as Presence;
  for (const { channel } of subscriptionsOf.get(presence) ?? [])
    void Promise.resolve(presence.unsubscribe(channel)).catch(failed);
}

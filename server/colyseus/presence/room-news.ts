import { sessionLimits } from "../../session/limits.ts";
import type { RoomEnvironment } from "../../session/room-program.ts";
import { outsideWorld } from "../../session/sandbox.ts";
import { SessionError } from "../../session/session-error.ts";
import { closureSite, methodName } from "../clock-patch.ts";
import { unwrapped } from "../remote-room-call.ts";
import type { Seam } from "../seam.ts";
import { isOwnChannel } from "./shared-presence.ts";

type Callback = (message: unknown) => unknown;

/** What a restored room finds a subscription's callback by, as of clock timers (design 5.5). */
type NewsOrigin =
  | { readonly type: "created"; readonly ordinal: number }
  | { readonly type: "method"; readonly name: string }
  /** The room is not at rest until it has unsubscribed. */
  | { readonly type: "closure"; readonly site: string };

interface Subscription {
  readonly channel: string;
  readonly callback: Callback;
  readonly origin: NewsOrigin;
}

/** In the room's graph; not there as long as it has never subscribed to anything. */
export interface NewsPart {
  readonly news?: {
    readonly subscriptions: readonly Omit<Subscription, "callback">[];
    /** The last one that was heard, where the presence numbers what is published. */
    readonly positions: readonly (readonly [channel: string, position: number | null])[];
    readonly term: number;
  };
}

/** Something that was published on a channel, on its way through the log. */
export interface NewsItem {
  readonly channel: string;
  /** Null: the presence does not number what is published. */
  readonly position: number | null;
  /** Nothing was published: the room hears what comes behind this position. */
  readonly begins?: true;
  readonly message?: unknown;
}

/** What one leader has heard: one that leads no more is not listened to, as its successor may have told the same. */
export interface NewsBatch {
  readonly term: number;
  readonly items: readonly NewsItem[];
}

/** Under this name a batch is called like a method of the room; none can be called so. */
export const newsMethod = "presence.news";

const channelLengthMax = 256;

/**
 * What one room has subscribed to on the server's presence. It is the room's own, agreed and saved like its timers; the
 * leader's node alone is subscribed in fact (NewsKeeper), and what it hears enters the log.
 */
export class RoomNews {
  readonly #seam: Seam;
  #subscriptions: readonly Subscription[] = [];
  readonly #positions = new Map<string, number | null>();
  #term = 0;
  #ordinal = 0;

  constructor(seam: Seam) {
    this.#seam = seam;
  }

  /** What is to be heard, and from where on. */
  get channels(): ReadonlyMap<string, number | null> {
    return this.#positions;
  }

  /** @throws SessionError NOT_SUPPORTED, SUBSCRIPTIONS_TOO_MANY */
  subscribe(channel: string, callback: Callback): void {
    const isChannel = typeof channel === "string" && channel !== "" && channel.length <= channelLengthMax;
    if (!isChannel || isOwnChannel(channel) || typeof callback !== "function")
      throw new SessionError(
        "NOT_SUPPORTED",
        `presence.subscribe(channel, callback) takes a channel of 1 to ${channelLengthMax} characters that is not Colyseus's own ($…, p:…, ipc:…, concurrent:…), and a function`,
      );
    const { subscriptionsMax } = sessionLimits;
    if (this.#subscriptions.length >= subscriptionsMax)
      throw new SessionError(
        "SUBSCRIPTIONS_TOO_MANY",
        `a room has at most ${subscriptionsMax} subscriptions: unsubscribe from those that are no longer needed`,
      );
    this.#subscriptions = [...this.#subscriptions, { channel, callback, origin: this.#originFor(callback) }];
    if (!this.#positions.has(channel)) this.#positions.set(channel, null);
    if (this.#seam.environment.isPrimary()) outsideWorld(() => this.#seam.subscribed());
  }

  /** As of an emitter: the newest one of this callback; without one, all of the channel. */
  unsubscribe(channel: string, callback?: Callback): void {
    const isMeant = (each: Subscription) => each.channel === channel && this.#isOf(each, callback);
    const newest = callback === undefined ? undefined : this.#subscriptions.findLast(isMeant);
    const goes = (each: Subscription) => (callback === undefined ? isMeant(each) : each === newest);
    this.#subscriptions = this.#subscriptions.filter((each) => !goes(each));
    if (!this.#subscriptions.some((each) => each.channel === channel)) this.#positions.delete(channel);
  }

  /** A method goes by its name: what is in a field of that name is wrapped once onCreate has ended. */
  #isOf({ origin, callback: own }: Subscription, callback: Callback | undefined): boolean {
    if (callback === undefined) return true;
    if (origin.type === "method") return origin.name === methodName(this.#seam.room, callback);
    return unwrapped(own) === unwrapped(callback);
  }

  /** In the room's world: one entry of the log. */
  hear({ term, items }: NewsBatch): void {
    if (term < this.#term) return;
    this.#term = term;
    for (const item of items) this.#hearOne(item);
  }

  #hearOne({ channel, position, begins, message }: NewsItem): void {
    const last = this.#positions.get(channel);
    if (last === undefined) return;
    const isKnown = position !== null && last !== null && position <= last;
    if (isKnown || (begins && last !== null)) return;
    if (position !== null) this.#positions.set(channel, position);
    if (begins) return;
    const { environment } = this.#seam;
    for (const { callback, origin } of this.#subscriptions.filter((each) => each.channel === channel))
      run(environment, `the subscription to "${channel}"`, () =>
        origin.type === "method" ? callback.call(this.#seam.room, message) : callback(message),
      );
  }

  /** Null: it can be saved. */
  restlessBecause(): string | null {
    for (const { channel, origin } of this.#subscriptions)
      if (origin.type === "closure")
        return `the subscription to "${channel}" made at ${origin.site} is a closure: give it a method of the room, or subscribe in onCreate`;
    return null;
  }

  get part(): NewsPart {
    if (this.#subscriptions.length === 0 && this.#term === 0) return {};
    const subscriptions = this.#subscriptions.map(({ channel, origin }) => ({ channel, origin }));
    return { news: { subscriptions, positions: [...this.#positions], term: this.#term } };
  }

  /** After onCreate has subscribed anew. */
  restore({ news }: NewsPart): void {
    const created = new Map<number, Callback>();
    for (const { origin, callback } of this.#subscriptions)
      if (origin.type === "created") created.set(origin.ordinal, callback);
    this.#subscriptions = (news?.subscriptions ?? []).map((saved) => ({
      ...saved,
      callback: this.#callbackOf(saved, created),
    }));
    this.#positions.clear();
    for (const [channel, position] of news?.positions ?? []) this.#positions.set(channel, position);
    this.#term = news?.term ?? 0;
  }

  #callbackOf(
    { channel, origin }: Omit<Subscription, "callback">,
    created: ReadonlyMap<number, Callback>,
  ): Callback {
    if (origin.type === "closure") throw new Error(`a closure of ${origin.site} is in a checkpoint`);
    const callback =
      origin.type === "created"
        ? created.get(origin.ordinal)
        : (this.#seam.room as Record<string, unknown>)[origin.name];
    if (typeof callback === "function") return callback as Callback;
    throw new Error(
      `the room has nothing that hears "${channel}": onCreate made ${created.size} subscriptions, the checkpoint has ${JSON.stringify(origin)}`,
    );
  }

  #originFor(callback: Callback): NewsOrigin {
    const name = methodName(this.#seam.room, callback);
    if (name !== null) return { type: "method", name };
    if (this.#seam.creating) return { type: "created", ordinal: this.#ordinal++ };
    return { type: "closure", site: closureSite() };
  }
}

/** A failure in room code is a result, and hurts no other subscription. */
function run(environment: RoomEnvironment, what: string, act: () => unknown): void {
  try {
    const result = act();
    if (typeof (result as PromiseLike<unknown> | undefined)?.then === "function")
      environment.track(result as PromiseLike<unknown>, what);
  } catch (error) {
    environment.report(error, what);
  }
}

const newsOf = new WeakMap<Seam, RoomNews>();

export function news(seam: Seam): RoomNews {
  let known = newsOf.get(seam);
  if (known === undefined) {
    known = new RoomNews(seam);
    newsOf.set(seam, known);
  }
  return known;
}

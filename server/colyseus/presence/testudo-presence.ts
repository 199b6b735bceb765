import { matchMaker, type Presence } from "@colyseus/core";
import { EmbeddedKeeper } from "../../cluster/embedded-keeper.ts";
import type { Consistency } from "../../group/reads.ts";
import { KeeperError } from "../../menu/keeper-error.ts";
import type { PresenceKeys } from "../../menu/presence-keys.ts";
import type { ReadMethod, WriteMethod } from "../../menu/presence-state.ts";
import { refuseInside } from "../../session/session-error.ts";
import { isReplicated } from "../replicated.ts";
import {
  atLeastOne,
  checkSubscription,
  millisecondsOf,
  publishedText,
  wholeNumber,
} from "./presence-arguments.ts";
import { channelKind, countsKey, globTest, isOwnKey, ProcessPresence } from "./presence-channels.ts";
import { presenceMethods } from "./shared-presence.ts";

// biome-ignore lint/suspicious/noExplicitAny: as Colyseus types them
type Callback = (...args: any[]) => void;

export interface PresenceNode {
  readonly keys: PresenceKeys;
  /** What the other nodes count, by process. */
  readonly otherCounts: () => Record<string, string>;
  /** Where others listen. */
  readonly otherChannels: () => readonly string[];
  /** Ends this node. */
  readonly stop: () => Promise<void>;
  readonly warn: (message: string, error: unknown) => void;
}

interface Subscription {
  readonly callback: Callback;
  readonly end: () => void;
}

/**
 * Colyseus's presence on the cluster's own log, with what RedisPresence means by each method: what one node writes all
 * nodes read, and what is published in a channel is told once, in one order, to all who listen there, on every node. A
 * write that was acknowledged survives as rooms do. What Colyseus keeps there about its own process stays in the process.
 *
 * Without arguments: a cluster of one in memory, for a single process.
 *
 * Colyseus gives each room a presence that is derived from this one (`Object.create`): so its fields are no private names.
 */
export class TestudoPresence implements Presence {
  /** Of what is read; see `withReads`. */
  readonly reads: Consistency = "linearizable";
  /** See `call`. */
  private readonly once: string | null = null;
  private readonly keys: PresenceKeys;
  private readonly own = new ProcessPresence();
  private readonly node: PresenceNode | null;
  private readonly embedded: EmbeddedKeeper | null;
  private readonly subscriptions = new Map<string, Subscription[]>();

  constructor(node: PresenceNode | null = null) {
    this.node = node;
    this.embedded = node === null ? new EmbeddedKeeper(refuseInside) : null;
    this.keys = node?.keys ?? (this.embedded as EmbeddedKeeper).keeper.presence;
  }

  /** All nodes see the same. */
  get shared(): true {
    return true;
  }

  /** The same presence, read as is said here: `local` at once, from this node's replica, which may lag. */
  withReads(reads: Consistency): TestudoPresence {
    return Object.create(this, { reads: { value: reads } }) as TestudoPresence;
  }

  /**
   * Calls a method as something that is done once: asked for again with the same key, by any node, it is not carried out
   * again, and gives what it gave. The newest 4,096 are remembered, for 60 s of log time.
   * @throws ARGUMENT for methods that listen or wait; else what the method throws
   */
  async call(key: string, method: string, args: readonly unknown[]): Promise<unknown> {
    if (!callable.has(method))
      throw new KeeperError(
        "ARGUMENT",
        `"${method}" cannot be called with a key of its own: ${[...callable].join(", ")} can`,
      );
    const once = this.asked(key) as unknown as Record<string, (...args: unknown[]) => unknown>;
    return await once[method]?.(...args);
  }

  private asked(key: string): TestudoPresence {
    return Object.create(this, { once: { value: key } }) as TestudoPresence;
  }

  // ---- channels -----------------------------------------------------------------------------------------------------

  async subscribe(topic: string, callback: Callback): Promise<this> {
    checkSubscription(topic, callback);
    const kind = channelKind(topic, isPlainName);
    if (kind !== "shared") await this.own.subscribe(topic, callback);
    if (kind === "local") return this;
    this.listen(topic, null, callback, (error) => {
      this.node?.warn(
        `channel ${topic} goes on behind messages that this node does not know any more`,
        error,
      );
      this.unsubscribe(topic, callback);
      this.subscribe(topic, callback).catch(() => {});
    });
    return this;
  }

  /**
   * As `subscribe`, with each message's position, and from behind one on.
   * @param after a position, as it was told with a message; null: from now on
   * @param lost it has ended: this node was behind for so long that it does not know all messages. By default `callback` is
   * not called any more, and a warning says so
   * @returns the position behind which it begins
   * @throws WATCH_TOO_OLD if not all messages behind `after` are known: the newest 1,024, 1 MiB, of the last 10 s, are
   */
  async subscribeFrom(
    topic: string,
    after: number | null,
    callback: (message: unknown, position: number) => void,
    lost: (error: KeeperError) => void = (error) =>
      this.node?.warn(`channel ${topic} is told no more`, error),
  ): Promise<number> {
    checkSubscription(topic, callback);
    const from = after ?? (await this.position());
    this.listen(topic, from, callback, lost);
    return from;
  }

  /** Of now, for `subscribeFrom`: whatever is published after this call comes behind it. */
  position(): Promise<number> {
    return this.keys.position();
  }

  private listen(
    topic: string,
    after: number | null,
    callback: Callback,
    lost: (error: KeeperError) => void,
  ): void {
    const end = this.keys.listen(topic, after, {
      tell: ({ text, index }) => callback(JSON.parse(text), index),
      lost,
    });
    this.subscriptions.set(topic, [...(this.subscriptions.get(topic) ?? []), { callback, end }]);
  }

  unsubscribe(topic: string, callback?: Callback): this {
    this.own.unsubscribe(topic, callback as Callback);
    const all = this.subscriptions.get(topic) ?? [];
    const last = all.findLastIndex((each) => each.callback === callback);
    const over = callback === undefined ? all : last < 0 ? [] : [all[last] as Subscription];
    for (const { end } of over) end();
    const left = all.filter((each) => !over.includes(each));
    if (left.length > 0) this.subscriptions.set(topic, left);
    else this.subscriptions.delete(topic);
    return this;
  }

  /** Resolves once it is agreed: then whoever listens is told, unless their nodes die before. */
  async publish(topic: string, data: unknown): Promise<void> {
    const text = publishedText(topic, data);
    const kind = channelKind(topic, isPlainName);
    if (kind === "local" || (kind === "near" && this.own.listens(topic))) {
      this.own.publish(topic, data);
      return;
    }
    const published = this.keys.call("publish", [topic, text], { once: this.once });
    if (kind === "shared") await published;
    // Colyseus does not wait for it: who asks another process has a timeout.
    else
      await published.catch((error) => this.node?.warn(`nothing could be said in channel ${topic}`, error));
  }

  /** Where anybody listens, on any node. */
  async channels(pattern = "*"): Promise<string[]> {
    const matches = globTest(pattern);
    const all = new Set([...this.ownChannels(), ...(this.node?.otherChannels() ?? [])]);
    return [...all].filter(matches);
  }

  ownChannels(): string[] {
    return [...new Set([...this.subscriptions.keys(), ...(this.own.subscriptions.eventNames() as string[])])];
  }

  // ---- keys ---------------------------------------------------------------------------------------------------------

  private isOwn(key: unknown): boolean {
    return isOwnKey(key, (name) => isReplicated(matchMaker.getRoomClass(name)));
  }

  private async read<T>(method: ReadMethod, ...args: unknown[]): Promise<T> {
    if (this.isOwn(args[0])) return await ownCall<T>(this.own, method, args);
    if (this.once !== null) return (await this.keys.call(method, args, { once: this.once })) as T;
    return (await this.keys.read(method, args, { consistency: this.reads })) as T;
  }

  private async write<T>(method: WriteMethod, ...args: unknown[]): Promise<T> {
    return (await this.keys.call(method, args, { once: this.once })) as T;
  }

  exists(key: string): Promise<boolean> {
    return this.read("exists", key);
  }

  async set(key: string, value: string): Promise<void> {
    await (this.isOwn(key) ? this.own.set(key, value) : this.write("set", key, value));
  }

  async setex(key: string, value: string, seconds: number): Promise<void> {
    const ms = millisecondsOf(seconds, { min: 1 });
    await (this.isOwn(key) ? this.own.setex(key, value, seconds) : this.write("setex", key, value, ms));
  }

  async expire(key: string, seconds: number): Promise<void> {
    const ms = millisecondsOf(seconds);
    await (this.isOwn(key) ? this.own.expire(key, seconds) : this.write("expire", key, ms));
  }

  get(key: string): Promise<string | null> {
    return this.read("get", key);
  }

  async del(key: string): Promise<void> {
    await (this.isOwn(key) ? this.own.del(key) : this.write("del", key));
  }

  async sadd(key: string, value: unknown): Promise<number> {
    return await this.write("sadd", key, ...atLeastOne("sadd", [value].flat()));
  }

  smembers(key: string): Promise<string[]> {
    return this.read("smembers", key);
  }

  sismember(key: string, field: string): Promise<number> {
    return this.read("sismember", key, field);
  }

  async srem(key: string, value: unknown): Promise<number> {
    return await this.write("srem", key, ...atLeastOne("srem", [value].flat()));
  }

  scard(key: string): Promise<number> {
    return this.read("scard", key);
  }

  sinter(...keys: string[]): Promise<string[]> {
    return this.read("sinter", ...(atLeastOne("sinter", keys.flat()) as string[]));
  }

  async hset(key: string, field: string, value: string): Promise<boolean> {
    if (this.isOwn(key)) return await this.own.hset(key, field, value);
    return await this.write("hset", key, field, value);
  }

  async hincrby(key: string, field: string, value: number): Promise<number> {
    if (this.isOwn(key)) return await this.own.hincrby(key, field, value);
    return await this.write("hincrby", key, field, wholeNumber(value));
  }

  async hincrbyex(key: string, field: string, value: number, expireInSeconds: number): Promise<number> {
    if (this.isOwn(key)) return await this.own.hincrbyex(key, field, value, expireInSeconds);
    const ms = millisecondsOf(expireInSeconds, { min: 1 });
    return await this.write("hincrbyex", key, field, wholeNumber(value), ms);
  }

  hget(key: string, field: string): Promise<string | null> {
    return this.read("hget", key, field);
  }

  async hgetall(key: string): Promise<Record<string, string>> {
    const fields = await this.read<Record<string, string>>("hgetall", key);
    return key === countsKey ? { ...fields, ...this.node?.otherCounts() } : fields;
  }

  async hdel(key: string, field: string): Promise<boolean> {
    if (!this.isOwn(key)) return await this.write("hdel", key, field);
    const isDone = await this.own.hdel(key, field);
    const { MatchMakerState, processId, state } = matchMaker;
    if (
      this.node !== null &&
      key === countsKey &&
      field === processId &&
      state === MatchMakerState.SHUTTING_DOWN
    ) {
      // matchMaker.gracefullyShutdown() begins with this. A room that the log creates meanwhile must come to life here
      // as everywhere, which Colyseus refuses in this state; what is to end is this node.
      await matchMaker.accept(true);
      await this.node.stop();
    }
    return isDone;
  }

  hlen(key: string): Promise<number> {
    return this.read("hlen", key);
  }

  incr(key: string): Promise<number> {
    return this.write("incr", key);
  }

  decr(key: string): Promise<number> {
    return this.write("decr", key);
  }

  llen(key: string): Promise<number> {
    return this.read("llen", key);
  }

  async rpush(key: string, ...values: string[]): Promise<number> {
    return await this.write("rpush", key, ...atLeastOne("rpush", values.flat()));
  }

  async lpush(key: string, ...values: string[]): Promise<number> {
    return await this.write("lpush", key, ...atLeastOne("lpush", values.flat()));
  }

  rpop(key: string): Promise<string | null> {
    return this.write("rpop", key);
  }

  lpop(key: string): Promise<string | null> {
    return this.write("lpop", key);
  }

  /** @param args keys, and how many seconds to wait at most; 0: for ever */
  async brpop(...args: [...keys: string[], timeoutInSeconds: number]): Promise<[string, string] | null> {
    const keys = atLeastOne("brpop", args.slice(0, -1).flat()) as string[];
    const ms = millisecondsOf(args.at(-1), { min: 0 });
    const untilMs = ms === 0 ? Number.POSITIVE_INFINITY : performance.now() + ms;
    for (let attempt = 0; ; attempt++) {
      // Each remembers what it gave: whoever asks again with the same key comes to the one that gave something.
      const asked = this.once === null ? this : this.asked(`${this.once}/${attempt}`);
      const popped = await asked.write<[string, string] | null>("rpopFirst", ...keys);
      if (popped !== null || performance.now() >= untilMs) return popped;
      await this.untilAny(keys, untilMs);
    }
  }

  private untilAny(keys: readonly string[], untilMs: number): Promise<void> {
    return new Promise((resolve) => {
      const isBounded = untilMs < Number.POSITIVE_INFINITY;
      const leftMs = isBounded ? untilMs - performance.now() : 2 ** 31 - 1;
      const timer = setTimeout(() => {
        giveUp();
        resolve();
      }, leftMs);
      const giveUp = this.keys.onceAny(keys, () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** Any number may listen. */
  setMaxListeners(number: number): void {
    this.own.setMaxListeners(number);
  }

  /** Nobody is told anything any more. */
  shutdown(): void {
    for (const { end } of [...this.subscriptions.values()].flat()) end();
    this.subscriptions.clear();
    this.own.shutdown();
    void this.embedded?.stop();
  }
}

function isPlainName(name: string): boolean {
  const roomClass = matchMaker.getRoomClass(name);
  return roomClass !== undefined && !isReplicated(roomClass);
}

const callable: ReadonlySet<string> = new Set(presenceMethods);

async function ownCall<T>(own: ProcessPresence, method: ReadMethod, args: unknown[]): Promise<T> {
  return (await (own as unknown as Record<string, (...args: unknown[]) => unknown>)[method]?.(...args)) as T;
}

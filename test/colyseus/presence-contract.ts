import type { Presence } from "@colyseus/core";
import * as assert from "uvu/assert";

interface Contract {
  readonly presence: () => Presence;
  /** What the stock LocalPresence does in its own way, and RedisPresence does not. */
  readonly isLocal?: boolean;
}

export type Test = (name: string, run: () => Promise<void>) => void;

let keys = 0;
/** A key that nobody has used yet. */
const newKey = (kind: string) => `${kind}:${process.pid}:${Date.now()}:${++keys}`;
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const sorted = (texts: string[]) => [...texts].sort();

async function failure(asked: () => unknown): Promise<string> {
  try {
    const value = await asked();
    // What RedisPresence's sadd makes of it.
    if (value instanceof Error) return String(value);
  } catch (error) {
    return String((error as { code?: string }).code ?? error);
  }
  return "nothing was thrown";
}

/** What Colyseus and its users expect of a presence, with the results of RedisPresence. */
export function presenceContract(test: Test, { presence, isLocal = false }: Contract): void {
  test("[T10] strings: set, get, exists, del", async () => {
    const key = newKey("string");
    assert.not.ok(await presence().get(key));
    assert.is(await presence().exists(key), false);
    await presence().set(key, "one");
    await presence().set(key, "two");
    assert.is(await presence().get(key), "two");
    assert.is(await presence().exists(key), true);
    await presence().del(key);
    assert.is(await presence().exists(key), false);
    await presence().del(key);
  });

  test("[T10] strings expire; what is set anew does not", async () => {
    const [one, other, third] = [newKey("passing"), newKey("passing"), newKey("passing")];
    await presence().setex(one, "x", 1);
    await presence().set(other, "y");
    await presence().expire(other, 1);
    await presence().setex(third, "z", 1);
    await presence().del(third);
    await presence().set(third, "stays");
    assert.is(await presence().get(one), "x");
    assert.is(await presence().get(other), "y");
    await sleep(1_400);
    assert.not.ok(await presence().get(one));
    assert.is(await presence().exists(other), false);
    assert.is(await presence().get(third), "stays");
  });

  test("[T10] counters: incr, decr, from nothing and from text", async () => {
    const key = newKey("counter");
    assert.is(await presence().incr(key), 1);
    assert.is(await presence().incr(key), 2);
    assert.is(await presence().decr(key), 1);
    assert.is(String(await presence().get(key)), "1");
    const given = await Promise.all(Array.from({ length: 20 }, () => presence().incr(key)));
    assert.equal(
      [...given].sort((a, b) => a - b),
      Array.from({ length: 20 }, (_, at) => at + 2),
    );
  });

  test("[T10] sets: each member once", async () => {
    const [one, other] = [newKey("set"), newKey("set")];
    for (const member of ["a", "b", "a", "c"]) await presence().sadd(one, member);
    for (const member of ["c", "b", "d"]) await presence().sadd(other, member);
    assert.equal(sorted(await presence().smembers(one)), ["a", "b", "c"]);
    assert.is(await presence().scard(one), 3);
    assert.is(await presence().sismember(one, "a"), 1);
    assert.is(await presence().sismember(one, "d"), 0);
    assert.equal(sorted(await presence().sinter(one, other)), ["b", "c"]);
    await presence().srem(one, "a");
    assert.equal(sorted(await presence().smembers(one)), ["b", "c"]);
    assert.equal(await presence().smembers(newKey("set")), []);
    assert.is(await presence().scard(newKey("set")), 0);
  });

  test("[T10] hashes: fields with values", async () => {
    const key = newKey("hash");
    assert.equal(await presence().hgetall(key), {});
    await presence().hset(key, "a", "1");
    await presence().hset(key, "b", "2");
    assert.is(await presence().hget(key, "a"), "1");
    assert.not.ok(await presence().hget(key, "c"));
    assert.equal({ ...(await presence().hgetall(key)) }, { a: "1", b: "2" });
    assert.is(await presence().hlen(key), 2);
    assert.is(await presence().hincrby(key, "a", 4), 5);
    assert.is(await presence().hincrby(key, "new", -2), -2);
    assert.is(await presence().hdel(key, "a"), true);
    assert.is(await presence().hdel(key, "a"), false);
    assert.equal({ ...(await presence().hgetall(key)) }, { b: "2", new: "-2" });
  });

  test("[T10] a hash that is counted up for a while is gone then", async () => {
    const key = newKey("hash");
    assert.is(await presence().hincrbyex(key, "a", 1, 1), 1);
    assert.is(await presence().hincrbyex(key, "a", 1, 1), 2);
    assert.is(await presence().hget(key, "a"), "2");
    await sleep(1_400);
    assert.not.ok(await presence().hget(key, "a"));
  });

  test("[T10] lists: from both ends", async () => {
    const key = newKey("list");
    assert.is(await presence().rpush(key, "a", "b"), 2);
    assert.is(await presence().rpush(key, "c"), 3);
    assert.is(await presence().lpush(key, "x", "y"), 5);
    assert.is(await presence().llen(key), 5);
    assert.is(await presence().lpop(key), "y");
    assert.is(await presence().rpop(key), "c");
    for (const expected of ["x", "a", "b"]) assert.is(await presence().lpop(key), expected);
    assert.is(await presence().llen(key), 0);
  });

  test("[T10] brpop takes what is there, or waits for it", async () => {
    const [one, other] = [newKey("list"), newKey("list")];
    await presence().rpush(other, "a", "b");
    assert.equal(await presence().brpop(one, other, 1), [other, "b"]);
    assert.equal(await presence().brpop(one, other, 1), [other, "a"]);
    const waiting = presence().brpop(one, other, 20);
    await sleep(150);
    await presence().rpush(one, "late");
    assert.equal(await waiting, [one, "late"]);
    assert.is(await presence().brpop(one, other, 1), null);
  });

  if (isLocal) return;

  test("[T10] what is not there, or of another kind, is told as Redis tells it", async () => {
    const key = newKey("kind");
    assert.is(await presence().get(key), null);
    assert.is(await presence().hget(key, "a"), null);
    assert.is(await presence().lpop(key), null);
    assert.is(await presence().rpop(key), null);
    assert.is(await presence().hset(key, "a", "1"), true);
    assert.is(await presence().hset(key, "a", "2"), false);
    for (const act of [
      () => presence().get(key),
      () => presence().incr(key),
      () => presence().sadd(key, "a"),
      () => presence().rpush(key, "a"),
      () => presence().smembers(key),
      () => presence().lpop(key),
    ])
      assert.match(await failure(act), /WRONG_?TYPE/);
    assert.equal(await presence().hgetall(key), { a: "2" });
    await presence().set(key, "7");
    assert.is(await presence().incr(key), 8);
    await presence().set(key, "seven");
    assert.match(await failure(() => presence().incr(key)), /NOT_A_NUMBER|not an integer/);
    assert.is(await presence().get(key), "seven");
  });

  test("[T10] what is empty is not there; numbers are text; many members and values at once", async () => {
    const key = newKey("empty");
    await presence().sadd(key, ["a", "b", "a"]);
    assert.is(await presence().scard(key), 2);
    await presence().srem(key, ["a", "b"]);
    assert.is(await presence().exists(key), false);
    await presence().rpush(key, "a");
    await presence().rpop(key);
    assert.is(await presence().exists(key), false);
    await presence().hset(key, "n", 5 as never);
    assert.equal(await presence().hgetall(key), { n: "5" });
    await presence().hdel(key, "n");
    assert.is(await presence().exists(key), false);
    await presence().set(key, "x");
    await presence().expire(key, 0);
    assert.is(await presence().exists(key), false);
    assert.equal(await presence().sinter(key, newKey("empty")), []);
  });
}

/** Channels: of a presence that is in this process. */
export function channelContract(test: Test, { presence, isLocal = false }: Contract): void {
  test("[T11] who listens in a channel is told what is published there, in order, until it listens no more", async () => {
    const channel = newKey("channel");
    const told: unknown[] = [];
    const callback = (message: unknown) => told.push(message);
    const other = (message: unknown) => told.push(["other", message]);
    await presence().subscribe(channel, callback);
    await presence().subscribe(channel, other);
    await presence().subscribe(newKey("channel"), callback);
    for (let number = 0; number < 5; number++) await presence().publish(channel, number);
    await sleep(100);
    assert.equal(
      told.filter((each) => typeof each === "number"),
      [0, 1, 2, 3, 4],
    );
    assert.is(told.length, 10);
    presence().unsubscribe(channel, callback);
    await presence().publish(channel, { plain: ["data", null] });
    await sleep(100);
    assert.equal(told.slice(10), [["other", { plain: ["data", null] }]]);
    presence().unsubscribe(channel);
    await presence().publish(channel, 9);
    await sleep(100);
    assert.is(told.length, 11);
  });

  test("[T11] channels in which somebody listens, by pattern", async () => {
    const [one, other] = [`${newKey("found")}.a`, `${newKey("found")}.b`];
    const callback = () => {};
    await presence().subscribe(one, callback);
    await presence().subscribe(other, callback);
    const channels = async (pattern: string) => sorted(await presence().channels(pattern));
    assert.equal(await channels("found:*.a"), [one]);
    assert.equal(await channels("found:*"), [one, other]);
    assert.equal(await channels("foun?:*.b"), [other]);
    if (!isLocal) assert.equal(await channels("found:*.[bc]"), [other]);
    if (!isLocal) assert.equal(await channels("ound:*"), []);
    presence().unsubscribe(one, callback);
    // Redis is told by another connection than the one that is asked.
    await sleep(100);
    assert.equal(await channels("found:*"), [other]);
  });
}

// test-run: seconds=60
import { LocalPresence } from "@colyseus/core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TestudoPresence } from "../../server/colyseus/presence/testudo-presence.ts";
import { keeperLimits } from "../../server/menu/keeper-limits.ts";
import { runInWorld } from "../../server/session/sandbox.ts";
import { refusalOf } from "../menu/refusal-of.ts";
import { stillWorld } from "../session/still-world.ts";
import { channelContract, presenceContract } from "./presence-contract.ts";

function contract(name: string, make: () => LocalPresence | TestudoPresence, isLocal: boolean) {
  const test = suite(name);
  const made = make();
  presenceContract(test, { presence: () => made, isLocal });
  channelContract(test, { presence: () => made, isLocal });
  test.after(() => made.shutdown());
  return test;
}

const stock = contract("LocalPresence", () => new LocalPresence(), true);
const embedded = contract("TestudoPresence, alone", () => new TestudoPresence(), false);
const local = contract(
  "TestudoPresence, read locally",
  () => new TestudoPresence().withReads("local"),
  false,
);

const test = suite("TestudoPresence");
const presence = new TestudoPresence();
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test("[T12] a subscription goes on exactly behind a position, or says that it cannot", async () => {
  const told: [unknown, number][] = [];
  const listen = (message: unknown, position: number) => told.push([message, position]);
  await presence.subscribeFrom("news", null, listen);
  for (const message of ["a", "b", "c"]) await presence.publish("news", message);
  await presence.publish("other news", "x");
  await sleep(30);
  assert.equal(
    told.map(([message]) => message),
    ["a", "b", "c"],
  );
  presence.unsubscribe("news", listen);
  const before = await presence.position();
  await presence.publish("news", "d");
  const since: unknown[] = [];
  await presence.subscribeFrom("news", before, (message) => since.push(message));
  const again: unknown[] = [];
  await presence.subscribeFrom("news", told[1]?.[1] ?? 0, (message) => again.push(message));
  await presence.publish("news", "e");
  await sleep(30);
  assert.equal(again, ["c", "d", "e"]);
  assert.equal(since, ["d", "e"]);
  await Promise.all(Array.from({ length: 1_100 }, (_, at) => presence.publish("news", at)));
  assert.match(
    await refusalOf(() => presence.subscribeFrom("news", told[0]?.[1] ?? 0, () => {})),
    /^WATCH_TOO_OLD: .*read what there is now/,
  );
});

test("[T13] a call with a key of its own is carried out once, and gives what it gave, refusals too", async () => {
  assert.is(await presence.call("k1", "incr", ["once"]), 1);
  assert.is(await presence.call("k1", "incr", ["once"]), 1);
  assert.is(await presence.call("k2", "incr", ["once"]), 2);
  assert.equal(await Promise.all([3, 3, 3].map(() => presence.call("k3", "hset", ["h", "f", "v"]))), [
    true,
    true,
    true,
  ]);
  assert.is(await presence.call("k4", "hset", ["h", "f", "w"]), false);
  assert.is(await presence.call("k5", "hget", ["h", "f"]), "w");
  await presence.hset("h", "f", "later");
  assert.is(await presence.call("k5", "hget", ["h", "f"]), "w");
  await presence.rpush("list", "a", "b");
  assert.is(await presence.call("k6", "rpop", ["list"]), "b");
  assert.is(await presence.call("k6", "rpop", ["list"]), "b");
  const told: unknown[] = [];
  await presence.subscribe("calls", (message: unknown) => told.push(message));
  await presence.call("k7", "publish", ["calls", { n: 1 }]);
  await presence.call("k7", "publish", ["calls", { n: 1 }]);
  await sleep(30);
  assert.equal(told, [{ n: 1 }]);
  assert.match(await refusalOf(() => presence.call("k8", "incr", ["h"])), /^WRONG_TYPE/);
  await presence.del("h");
  assert.match(await refusalOf(() => presence.call("k8", "incr", ["h"])), /^WRONG_TYPE/);
  assert.is(await presence.exists("h"), false);
  await presence.call("k9", "setex", ["passing", "x", 5]);
  assert.is(await presence.get("passing"), "x");
  assert.match(
    await refusalOf(() => presence.call("k10", "subscribe", ["list", 1])),
    /^ARGUMENT: "subscribe" cannot be called with a key/,
  );
  assert.match(await refusalOf(() => presence.call("k10", "constructor", [])), /^ARGUMENT/);
  assert.ok(presence.shared);
});

test("[T13] who waits for an element with a key of its own gets the same one, asked again", async () => {
  const waits = presence.call("wait", "brpop", ["empty", "awaited", 5]);
  await presence.rpush("awaited", "one", "two");
  assert.equal(await waits, ["awaited", "two"]);
  assert.equal(await presence.call("wait", "brpop", ["empty", "awaited", 5]), ["awaited", "two"]);
  assert.equal(await presence.call("wait too", "brpop", ["awaited", 5]), ["awaited", "one"]);
  assert.is(await presence.call("wait three", "brpop", ["awaited", 0.05]), null);
});

test("[T13] a subscription tells from where on it listens", async () => {
  const told: [unknown, number][] = [];
  const from = await presence.subscribeFrom("numbered", null, (...heard) => told.push(heard));
  await presence.publish("numbered", 1);
  await sleep(30);
  assert.is(told.length, 1);
  assert.ok((told[0] as [unknown, number])[1] > from);
  const again: unknown[] = [];
  assert.is(await presence.subscribeFrom("numbered", from, (message) => again.push(message)), from);
  await sleep(30);
  assert.equal(again, [1]);
});

test("[T14] a presence that is derived from it, as Colyseus gives each room one, is this one", async () => {
  const scoped = Object.create(presence) as TestudoPresence;
  await scoped.set("scoped", "1");
  assert.is(await presence.get("scoped"), "1");
  const told: unknown[] = [];
  const listen = (message: unknown) => told.push(message);
  await scoped.subscribe("scoped channel", listen);
  await scoped.publish("scoped channel", 1);
  await sleep(30);
  presence.unsubscribe("scoped channel", listen);
  await presence.publish("scoped channel", 2);
  await sleep(30);
  assert.equal(told, [1]);
  assert.equal({ ...(await scoped.hgetall("roomcount")) }, {});
  assert.is(await scoped.withReads("local").get("scoped"), "1");
});

test("[T14] what Colyseus keeps of its own process, and asks its own process, stays in it", async () => {
  await presence.hset("roomcount", "p1", "1,2");
  assert.equal({ ...(await presence.hgetall("roomcount")) }, { p1: "1,2" });
  assert.is(await presence.hdel("roomcount", "p1"), true);
  const told: unknown[] = [];
  const message = { identity: () => "kept" };
  for (const channel of ["p:me", "$room", "ipc:1", "$lobby", "concurrent:a:b"]) {
    await presence.subscribe(channel, (each: unknown) => told.push(each));
    void presence.publish(channel, message);
  }
  // At once, and as it is: nothing was written down.
  assert.is(told.length, 5);
  assert.ok(told.every((each) => each === message));
});

test("[T14] inside of an apply only what Colyseus keeps of its process may be touched: everything else would be asked for by every replica", async () => {
  const world = stillWorld("room R");
  // What waits here is told outside of the world again.
  const inside = (act: () => Promise<unknown>) =>
    new Promise<string>((resolve) => {
      setImmediate(() => {
        let told = "";
        runInWorld(world, () => {
          void refusalOf(act).then((refusal) => {
            told = refusal;
          });
        });
        setImmediate(() => resolve(told));
      });
    });
  for (const act of [
    () => presence.set("inside", "1"),
    () => presence.get("inside"),
    () => presence.publish("inside channel", 1),
    () => presence.subscribe("inside channel", () => {}),
  ])
    assert.match(await inside(act), /^INSIDE_ROOM: .* inside room R: .*let an effect of the room do it/);
  for (const act of [
    () => presence.hset("roomcount", "p", "1,1"),
    () => presence.subscribe("$roomId", () => {}),
    () => presence.publish("$lobby", "x"),
  ])
    assert.is(await inside(act), "nothing was thrown");
});

test("[T15] what is wrong is said with words, and nothing is done", async () => {
  const cases: [() => Promise<unknown>, RegExp][] = [
    [
      () => presence.set(7 as never, null as never),
      /ARGUMENT: argument 2 of set is null: a string or a number is expected/,
    ],
    [() => presence.get("" as never), /ARGUMENT: the key of get takes 0 bytes/],
    [() => presence.get(undefined as never), /ARGUMENT: the key of get is a undefined: a string/],
    [
      () => presence.set("k".repeat(1_025), "v"),
      /ARGUMENT: the key of set takes 1025 bytes in UTF-8: 1 to 1024/,
    ],
    [
      () => presence.set("k", "v".repeat(49_153)),
      /VALUE_TOO_BIG: argument 2 of set takes 49153 bytes, 49152 are allowed/,
    ],
    [
      () => presence.rpush("k", "v".repeat(40_000), "v".repeat(40_000)),
      /MENU_TOO_LONG: .* at most 65536 bytes/,
    ],
    [() => presence.setex("k", "v", 0), /ARGUMENT: 0 is no number of seconds/],
    [() => presence.expire("k", "soon" as never), /ARGUMENT: soon is no number of seconds/],
    [() => presence.hincrby("k", "f", 0.5), /ARGUMENT: 0\.5 cannot be added: a whole number/],
    [() => presence.sadd("k", []), /ARGUMENT: sadd takes at least one/],
    [() => presence.sadd("k", { a: 1 }), /ARGUMENT: argument 2 of sadd is a object/],
    [() => presence.brpop(1), /ARGUMENT: brpop takes at least one/],
    [() => presence.subscribe("", () => {}), /ARGUMENT: the channel takes 0 bytes/],
    [() => presence.publish("big", "v".repeat(49_152)), /VALUE_TOO_BIG: argument 2 of publish/],
  ];
  for (const [act, words] of cases) assert.match(await refusalOf(act), words);
  assert.is(await presence.exists("k"), false);
  for (let at = 0; ; at++) {
    const told = await refusalOf(() => presence.set(`fill${at}`, "v".repeat(48_000)));
    if (told === "nothing was thrown") continue;
    assert.match(
      told,
      /FULL: all presence keys together would take \d+ bytes, 2097152 are allowed: delete keys/,
    );
    assert.ok(at > 40);
    break;
  }
});

test("[T55] a channel, a listener or a message that is none is refused with words, and who listens goes on", async () => {
  const told: unknown[] = [];
  const listen = (message: unknown) => told.push(message);
  await presence.subscribe("heard", listen);
  // biome-ignore lint/suspicious/noExplicitAny: what no TypeScript would let through
  const wrong = (value: unknown): any => value;
  const circular: Record<string, unknown> = {};
  circular["itself"] = circular;
  for (const [act, words] of [
    [() => presence.subscribe(wrong(7), listen), /the channel is a number: a string is expected/],
    [
      () => presence.subscribe("heard", wrong("listen")),
      /to be called in channel "heard" is a string: a function is expected/,
    ],
    [() => presence.subscribeFrom("heard", null, wrong(undefined)), /is undefined: a function is expected/],
    [() => presence.publish(wrong(7), 1), /the channel is a number/],
    [() => presence.publish("c".repeat(1_025), 1), /the channel takes 1025 bytes in UTF-8: 1 to 1024 are/],
    [
      () => presence.publish("heard", circular),
      /in channel "heard" cannot be told: .*circular.*; publish what/,
    ],
    [() => presence.publish("heard", 1n), /cannot be told: .*BigInt; publish what JSON can say/],
    [() => presence.publish("heard", listen), /cannot be told: it is nothing in JSON/],
    [
      () => presence.withReads(wrong("soon")).get("k"),
      /consistency is "soon": "local", "lease", "linearizable" are allowed/,
    ],
  ] as const)
    assert.match(await refusalOf(async () => await act()), new RegExp(`^ARGUMENT: .*${words.source}`));
  await presence.publish("heard", "still");
  await sleep(30);
  assert.equal(told, ["still"]);
  presence.unsubscribe("heard", listen);
});

test("[T15] too many subscriptions are refused with words, and those that there are go on", async () => {
  const busy = new TestudoPresence();
  const told: unknown[] = [];
  const listen = (message: unknown) => told.push(message);
  const { subscriptionsMax } = keeperLimits;
  for (let at = 0; at < subscriptionsMax; at++) await busy.subscribe(`topic ${at}`, listen);
  assert.match(
    await refusalOf(() => busy.subscribe("one more", listen)),
    new RegExp(`^TOO_MANY_WATCHES: .*${subscriptionsMax}`),
  );
  await busy.publish("topic 0", "first");
  await busy.publish(`topic ${subscriptionsMax - 1}`, "last");
  await busy.publish("one more", "nobody");
  await sleep(30);
  assert.equal(told, ["first", "last"]);
  busy.unsubscribe("topic 0", listen);
  await busy.subscribe("one more", listen);
  busy.shutdown();
});

test.after(() => presence.shutdown());

stock.run();
embedded.run();
local.run();
test.run();

// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { LocalPresence, type Presence, Room } from "@colyseus/core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Effects } from "../../server/colyseus/effects.ts";
import {
  isShared,
  type KeyedPresence,
  type PresenceMethod,
  presenceMethods,
} from "../../server/colyseus/presence/shared-presence.ts";
import { sessionLimits } from "../../server/session/limits.ts";
import { agree, same, turns } from "./asking-room.ts";
import { type CallingRoom, callingScene, fall, SharedPresence, usePresence } from "./calling-room.ts";
import { defineTestRoom } from "./machine-harness.ts";
import type { Scene } from "./scene.ts";

/** Remembers what was done for which key. */
class RememberingPresence extends SharedPresence implements KeyedPresence {
  readonly known = new Map<string, Promise<unknown>>();
  readonly asked: string[] = [];
  call(key: string, method: PresenceMethod, args: readonly unknown[]): Promise<unknown> {
    this.asked.push(key);
    const known = this.known.get(key) ?? (async () => await (this[method] as never as Call)(...args))();
    this.known.set(key, known);
    return known;
  }
}

type Call = (...args: unknown[]) => unknown;

class GreedyRoom extends Room {
  effects = { "presence.get": { run: () => 1 } } satisfies Effects;
}
await defineTestRoom("greedy", GreedyRoom);

async function ask(scene: Scene, method: keyof Presence, ...args: unknown[]): Promise<unknown> {
  await scene.send("p1", "ask", [method, ...args]);
  await agree(scene);
  const told = scene.room<CallingRoom>("C").told.at(-1) as unknown[];
  for (const { nodeId } of scene.replicas)
    assert.equal(scene.room<CallingRoom>(nodeId).told.at(-1), told, `${method} on ${nodeId}`);
  assert.is(told[0], method);
  same(scene);
  return told[1];
}

const asked: [method: PresenceMethod, args: unknown[], answer: unknown][] = [
  ["set", ["gold", "7"], null],
  ["get", ["gold"], "7"],
  ["exists", ["gold"], true],
  ["setex", ["gold", "8", 100], null],
  ["expire", ["gold", 100], null],
  ["del", ["gold"], null],
  ["get", ["gold"], null],
  ["incr", ["turns"], 1],
  ["decr", ["turns"], 0],
  ["hset", ["ranks", "Livia", "3"], true],
  ["hincrby", ["ranks", "Livia", 4], 7],
  ["hincrbyex", ["ranks", "Livia", 1, 100], 8],
  ["hget", ["ranks", "Livia"], "8"],
  ["hgetall", ["ranks"], { Livia: "8" }],
  ["hlen", ["ranks"], 1],
  ["hdel", ["ranks", "Livia"], true],
  ["sadd", ["names", "Livia"], null],
  ["sadd", ["others", "Livia"], null],
  ["smembers", ["names"], ["Livia"]],
  ["sismember", ["names", "Livia"], 1],
  ["scard", ["names"], 1],
  ["sinter", ["names", "others"], ["Livia"]],
  ["srem", ["names", "Livia"], null],
  ["lpush", ["queue", "a", "b"], 2],
  ["rpush", ["queue", "c"], 3],
  ["llen", ["queue"], 3],
  ["lpop", ["queue"], "b"],
  ["rpop", ["queue"], "c"],
  ["brpop", ["queue", 1], ["queue", "a"]],
  ["publish", ["news", { is: "nobody's" }], null],
  ["channels", ["nobody*"], []],
];

test("[Y130] whatever a room asks of the presence is asked once, by the leader, and answered alike everywhere", async () => {
  const presence = await usePresence(new SharedPresence());
  const scene = await callingScene();
  await scene.join("p1", "A");
  for (const [method, args, answer] of asked) assert.equal(await ask(scene, method, ...args), answer, method);
  assert.equal(
    presenceMethods.filter((name) => !asked.some(([method]) => method === name)),
    [],
    "each is tried",
  );
  const own = new Set(["constructor", "subscribe", "unsubscribe", "setMaxListeners", "shutdown"]);
  const stock = Object.getOwnPropertyNames(LocalPresence.prototype).filter((name) => !own.has(name));
  assert.equal([...presenceMethods].sort(), stock.sort(), "the stock presence has no other");
  // What runs out there would keep this process alive.
  presence.del("ranks");
});

test("[Y130] calls are made in the room's order; what fails or is too much fails alike", async () => {
  const presence = await usePresence(new SharedPresence());
  const scene = await callingScene();
  await scene.join("p1", "A");
  for (const key of ["a", "b", "c"]) await scene.send("p1", "forget", key);
  await agree(scene);
  assert.equal(Object.keys(presence.keys), ["a", "b", "c"]);
  presence.get = () => {
    throw Object.assign(new Error("the store is down"), { code: "ECONNREFUSED" });
  };
  assert.equal(await ask(scene, "get", "a"), ["EffectError", "ECONNREFUSED", "the store is down"]);
  const much = new Uint8Array(sessionLimits.effectBytesMax);
  assert.is(((await ask(scene, "set", "a", much)) as unknown[])[1], "EFFECT_ARGUMENT_TOO_BIG");
  presence.smembers = async () => [new Map()] as never;
  assert.is(((await ask(scene, "smembers", "a")) as unknown[])[1], "EFFECT_RESULT_NOT_PLAIN");
});

test("[Y130] a presence that does not answer is given up in log time; brpop waits as long as it says besides", async () => {
  const presence = await usePresence(new SharedPresence());
  presence.get = () => new Promise(() => {}) as never;
  presence.brpop = () => new Promise(() => {});
  const scene = await callingScene();
  await scene.join("p1", "A");
  await scene.send("p1", "ask", ["get", "gold"]);
  await scene.send("p1", "ask", ["brpop", "queue", 2]);
  const told = () => scene.room<CallingRoom>("C").told.map((each) => (each as unknown[])[0]);
  await scene.tick(4_999);
  assert.equal(told(), []);
  await scene.tick(1);
  assert.equal(told(), ["get"]);
  await scene.tick(1_999);
  assert.equal(told(), ["get"]);
  await scene.tick(1);
  assert.equal(told(), ["get", "brpop"]);
  const endless = (await ask(scene, "brpop", "queue", Number.POSITIVE_INFINITY)) as unknown[];
  assert.match(endless[2] as string, /waits for a number of seconds, not Infinity/);
});

test("[Y130] not in onCreate; and nobody's effect has such a name", async () => {
  await usePresence(new SharedPresence());
  const scene = await callingScene();
  const refused = (await scene.value(scene.log.allocate("A", "eager0001", "calling", { asks: true }))) as {
    message: string;
  };
  assert.match(refused.message, /effect "presence\.get" in onCreate: .* pass it as an option/);
  const greedy = (await scene.value(scene.log.allocate("A", "greedy001", "greedy"))) as { message: string };
  assert.match(greedy.message, /effects\.presence\.get of GreedyRoom: .* call it otherwise/);
});

test("[Y130] what is the server's to do is refused inside; so is a channel that is Colyseus's own", async () => {
  await usePresence(new SharedPresence());
  const scene = await callingScene();
  await scene.join("p1", "A");
  for (const name of ["shutdown", "setMaxListeners"] as const)
    assert.match(
      ((await ask(scene, name)) as unknown[])[2] as string,
      `this.presence.${name}() is the server's`,
    );
  for (const channel of ["$lobby", "p:process", "ipc:x", "concurrent:duel"])
    assert.match(((await ask(scene, "publish", channel, 1)) as unknown[])[2] as string, /is Colyseus's own/);
});

test("[Y130] a room may keep it in a field, and outside of the room it is the node's own", async () => {
  const presence = await usePresence(new SharedPresence());
  const scene = await callingScene();
  await scene.join("p1", "A");
  await scene.send("p1", "keep");
  assert.ok(await scene.restore("C"));
  same(scene);
  assert.is(await ask(scene, "incr", "turns"), 1);
  const room = scene.room<CallingRoom>("C");
  await room.presence.incr("turns");
  assert.is(presence.get("turns"), 2);
  try {
    await room.kept?.incr("turns");
    assert.unreachable();
  } catch (error) {
    assert.match(
      (error as Error).message,
      /presence\.incr\(\) of CallingRoom was called outside of the room/,
    );
  }
});

test("[Y131] the leader falls when the call is made and not told: a presence that remembers keys does it once", async () => {
  for (const [presence, times] of [
    [new RememberingPresence(), 1],
    [new SharedPresence(), 2],
  ] as const) {
    await usePresence(presence);
    const scene = await callingScene();
    await scene.join("p1", "A");
    await scene.send("p1", "ask", ["incr", "turns"]);
    await turns();
    assert.is(scene.node("B").effectsDone.length, 1);
    scene.kill("B");
    await fall(scene, "C");
    await agree(scene, "C");
    const [told] = scene.room<CallingRoom>("A").told as unknown[][];
    assert.equal(told?.slice(0, 2), ["incr", times], "at least once, or exactly");
    assert.equal(scene.room<CallingRoom>("C").told, [told]);
    if (presence instanceof RememberingPresence)
      assert.equal(presence.asked, [`${scene.roomId}:1`, `${scene.roomId}:1`]);
    same(scene);
  }
});

test("[Y132] a presence in the memory of each node is refused inside of a room; one that says it is shared is not", async () => {
  assert.equal([new LocalPresence(), new SharedPresence(), {}].map(isShared), [false, true, true]);
  const unshared = Object.assign(new SharedPresence(), { shared: false });
  for (const presence of [new LocalPresence(), unshared]) {
    await usePresence(presence);
    const scene = await callingScene();
    await scene.join("p1", "A");
    await scene.send("p1", "ask", ["get", "gold"]);
    const [, refused] = (scene.room<CallingRoom>("C").told.at(-1) ?? []) as [string, unknown[]];
    assert.is(refused[1], "NOT_SUPPORTED");
    assert.match(refused[2] as string, /CallingRoom cannot go on: it uses this\.presence.*RedisPresence/);
    same(scene);
  }
});

test.run();

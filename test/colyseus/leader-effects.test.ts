// test-run: seconds=100 node=--import=./server/colyseus/register.ts
import { type Client, Room } from "@colyseus/core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { EffectCall, Effects, ReplicatedRoom } from "../../server/index.ts";
import { sessionLimits } from "../../server/session/limits.ts";
import { SharedPresence, usePresence } from "./calling-room.ts";
import { LedScene } from "./led-scene.ts";
import { defineTestRoom, requestFrame } from "./machine-harness.ts";

interface Attempt extends EffectCall {
  readonly what: string;
  settle(value: unknown): void;
}

const attempts: Attempt[] = [];
const begin = (what: string, call: EffectCall) =>
  new Promise((resolve) => attempts.push({ what, ...call, settle: resolve }));

class PayingRoom extends Room {
  declare effect: ReplicatedRoom["effect"];
  effects = {
    pay: { timeoutMs: 60_000, run: begin },
    brief: { timeoutMs: 30, run: begin },
  } satisfies Effects;

  override messages = {
    pay: async (_client: Client, what: string) => {
      const first = await this.effect("pay", `${what}, first`);
      return [first, await this.effect("pay", `${what}, second`)];
    },
    brief: async () => await this.effect("brief", "brief"),
    cancel: async () => {
      const paying = this.effect("pay", "to be cancelled");
      paying.cancel();
      return await paying;
    },
    many: async (_client: Client, count: number) =>
      await Promise.all(Array.from({ length: count }, (_, n) => this.effect("pay", `${n}`))),
    unknown: async () => await (this as unknown as { effect(name: string): Promise<unknown> }).effect("beg"),
    later: () => {
      this.clock.setTimeout(() => void this.effect("pay", "by a timer"), 1);
    },
  };

  override onDrop(client: Client): void {
    this.allowReconnection(client, 60);
  }
}

await defineTestRoom("paying", PayingRoom, { run: "leader" });

async function began(): Promise<LedScene> {
  attempts.length = 0;
  const scene = new LedScene();
  await scene.create("paying");
  await scene.join("ann", "A");
  await scene.join("ben", "B");
  return scene;
}

async function failure(scene: LedScene, type: string, payload?: unknown): Promise<string> {
  const { requestId } = scene.player("ann");
  const answer = (await scene.request("ann", type, payload)) ?? scene.player("ann").reply(requestId + 1);
  return JSON.stringify(answer?.payload);
}

const whats = () => attempts.map(({ what, key }) => [what, key]);

test("[Y161] an effect that begins again because its handler does has the key that it had, and whoever ran it is told", async () => {
  const scene = await began();
  await scene.frame("ann", requestFrame(1, "pay", "ann"));
  await scene.frame("ben", requestFrame(1, "pay", "ben"));
  assert.equal(
    attempts.map(({ what }) => what),
    ["ann, first", "ben, first"],
  );
  attempts[0]?.settle(10);
  await scene.settle();
  assert.is(attempts[2]?.what, "ann, second");
  const before = whats();
  assert.is(new Set(before.map(([, key]) => key)).size, 3);
  assert.equal(
    attempts.map(({ signal }) => signal.aborted),
    [false, false, false],
  );
  await scene.lead("B");
  assert.equal(
    attempts.slice(0, 3).map(({ signal }) => signal.aborted),
    [false, true, true],
    "one had finished",
  );
  assert.equal(whats().slice(3), before.slice(0, 2));
  // What the first one still says counts for nothing.
  attempts[1]?.settle("stale");
  attempts[3]?.settle(11);
  await scene.settle();
  assert.equal(whats().at(-1), before[2]);
  attempts[4]?.settle(20);
  attempts[5]?.settle(12);
  await scene.settle();
  attempts[6]?.settle(21);
  await scene.settle();
  assert.equal(
    ["ann", "ben"].map((name) => scene.player(name).reply(1)?.payload),
    [
      [11, 12],
      [20, 21],
    ],
  );
  assert.is(attempts.length, 7);
  assert.is(new Set(scene.hashes()).size, 1);
  await scene.lead(null);
});

test("[Y161] its time-out and a cancel end it, by the words of any other room, and abort its signal", async () => {
  const scene = await began();
  await scene.frame("ann", requestFrame(1, "brief"));
  for (let n = 0; n < 50 && scene.player("ann").reply(1) === undefined; n++) await scene.passes(10);
  assert.match(
    JSON.stringify(scene.player("ann").reply(1)?.payload),
    'effect \\"brief\\" took more than 30 ms',
  );
  scene.player("ann").requestId = 1;
  assert.match(await failure(scene, "cancel"), "the room's code has cancelled the effect");
  assert.equal(
    attempts.map(({ signal }) => signal.aborted),
    [true, true],
  );
  attempts[0]?.settle("too late");
  assert.match(await failure(scene, "unknown"), 'PayingRoom has no effect \\"beg\\": it has pay, brief');
  const { effectsMax } = sessionLimits;
  assert.match(await failure(scene, "many", effectsMax + 1), `at most ${effectsMax} effects at once`);
  await scene.lead(null);
});

test("[Y161] what no input has led to has a key of its instance; a room that is over makes none", async () => {
  const scene = await began();
  await scene.send("ann", "later");
  for (let n = 0; n < 50 && attempts.length === 0; n++) await scene.passes(10);
  assert.equal(whats(), [["by a timer", `${scene.roomId}:1:1`]]);
  await scene.lead(null);
  assert.is(attempts[0]?.signal.aborted, true);
});

class ListeningRoom extends Room {
  heard: unknown[] = [];

  override async onCreate(): Promise<void> {
    this.autoDispose = false;
    await this.presence.subscribe("news", this.onNews);
    await this.presence.subscribe("news", (news: unknown) => this.heard.push(["closure", news]));
    this.onMessage("quiet", () => void this.presence.unsubscribe("news", this.onNews));
    this.onMessage("heard", () => this.heard);
  }

  onNews = (news: unknown): void => {
    if (news === "fails") throw new Error("no such news");
    this.heard.push(["field", news]);
  };

  override onCacheRoom(): unknown {
    return this.heard;
  }

  override onRestoreRoom(heard: unknown[]): void {
    this.heard = heard;
  }
}

await defineTestRoom("listening", ListeningRoom, { run: "leader", cacheEveryMs: 5 });

test("[Y162] what a room that its leader runs has subscribed to ends with its instance, and no other's does", async () => {
  const presence = await usePresence(new SharedPresence());
  const listeners = () => presence.subscriptions.listenerCount("news");
  const other: unknown[] = [];
  await presence.subscribe("news", (news: unknown) => other.push(news));
  const scene = new LedScene();
  await scene.create("listening");
  await scene.join("ann", "A");
  assert.is(listeners(), 3);
  presence.publish("news", 1);
  presence.publish("news", "fails");
  await scene.passes(40);
  await scene.lead("B");
  await scene.passes(40);
  assert.is(listeners(), 3, "not A's any more");
  presence.publish("news", 2);
  await scene.send("ann", "quiet");
  await scene.settle();
  assert.is(listeners(), 2);
  presence.publish("news", 3);
  const heard = await scene.request("ann", "heard");
  assert.equal(heard?.payload, [
    ["field", 1],
    ["closure", 1],
    ["closure", "fails"],
    ["field", 2],
    ["closure", 2],
    ["closure", 3],
  ]);
  await scene.lead(null);
  await scene.settle();
  assert.equal([listeners(), other], [1, [1, "fails", 2, 3]]);
});

test.run();

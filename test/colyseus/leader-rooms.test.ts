// test-run: seconds=120 node=--import=./server/colyseus/register.ts
import { type Client, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { LedScene } from "./led-scene.ts";
import { defineTestRoom } from "./machine-harness.ts";
import { StateFollower } from "./state-follower.ts";

const Hero = schema({ name: t.string().default(""), gold: t.number().default(0) }, "Hero");
const DuelState = schema(
  { at: t.number().default(0), heroes: t.map(Hero), log: t.array("string") },
  "DuelState",
);
type DuelState = InstanceType<typeof DuelState>;

/** Everything that a deterministic room must not do. */
class DuelRoom extends Room<{ state: DuelState }> {
  override state = new DuelState();
  #secret = 0;

  override messages = {
    earn: (client: Client, gold: number) => {
      const hero = this.state.heroes.get(client.sessionId) as never as { gold: number };
      hero.gold += gold;
      this.state.at = Math.random();
      this.#secret += gold;
      this.broadcast("earned", [client.sessionId, gold]);
      return hero.gold;
    },
    secret: () => this.#secret,
  };

  override onJoin(client: Client, options: { name?: string }): void {
    this.state.heroes.set(client.sessionId, Object.assign(new Hero(), { name: options.name ?? "" }) as never);
    client.send("welcome", client.sessionId);
  }

  override onDrop(client: Client): void {
    this.allowReconnection(client, 20);
  }

  override onLeave(client: Client): void {
    this.state.heroes.delete(client.sessionId);
  }

  override onCacheRoom(): unknown {
    return { secret: this.#secret };
  }

  override onRestoreRoom({ secret }: { secret: number }): void {
    this.#secret = secret;
  }
}

await defineTestRoom("duel", DuelRoom, { run: "leader", cacheEveryMs: 10 });

const played: LedScene[] = [];
test.after(async () => {
  for (const scene of played) await scene.lead(null);
});

async function duel(): Promise<LedScene> {
  const scene = new LedScene();
  played.push(scene);
  await scene.create("duel");
  return scene;
}

test("[Y90] a room that its leader runs: join, message, state, leave", async () => {
  const scene = await duel();
  const one = await scene.join("one", "A", { name: "Livia" });
  const two = await scene.join("two", "B", { name: "Drusus" });
  assert.equal(one.messages, [["welcome", "one"]]);
  assert.equal(await scene.request("one", "earn", 5), { status: 0, payload: 5 });
  assert.equal(two.messages, [
    ["welcome", "two"],
    ["earned", ["one", 5]],
  ]);
  const follower = new StateFollower(DuelState).follow(two.socket);
  const seen = follower.state.toJSON() as { heroes: Record<string, unknown>; at: number };
  assert.equal(seen.heroes, { one: { name: "Livia", gold: 5 }, two: { name: "Drusus", gold: 0 } });
  assert.is(new Set(scene.hashes()).size, 1);
  await scene.frame("one", Uint8Array.of(12));
  follower.follow(two.socket);
  assert.equal(Object.keys((follower.state.toJSON() as typeof seen).heroes), ["two"]);
  assert.is(scene.seat("one"), undefined);
  // The leader falls: the next one goes on.
  scene.kill("A");
  await scene.lead("B");
  await scene.request("two", "earn", 3);
  follower.follow(two.socket);
  assert.equal((follower.state.toJSON() as typeof seen).heroes, { two: { name: "Drusus", gold: 3 } });
  assert.equal(follower.warnings, []);
  assert.is(new Set(scene.hashes()).size, 1);
});

test("[Y90, Y110, Y111] what such a room says to a stock client of a missing node is not sent there, but where it goes on", async () => {
  const scene = await duel();
  const one = await scene.join("one", "A");
  await scene.join("two", "B");
  await scene.lead("B");
  await scene.apply(scene.log.nodeMissing("B", "A", scene.log.index));
  const before = one.messages.length;
  assert.equal(await scene.request("two", "earn", 3), { status: 0, payload: 3 });
  await scene.request("two", "earn", 4);
  assert.is(one.messages.length, before, "its node lives, and holds it back");
  await scene.reconnect("one", "C");
  await scene.passes(50);
  const earned = scene.player("one").messages.filter(([name]) => name === "earned");
  assert.equal(earned, [
    ["earned", ["two", 3]],
    ["earned", ["two", 4]],
  ]);
  assert.is(new Set(scene.hashes()).size, 1);
});

test("[Y90] a room that everybody has left ends, also with a leader that has not made it", async () => {
  for (const changes of [false, true]) {
    const scene = await duel();
    await scene.join("one", "A");
    await scene.join("two", "B");
    if (changes) await scene.lead("C");
    await scene.frame("one", Uint8Array.of(12));
    await scene.frame("two", Uint8Array.of(12));
    await scene.passes(50);
    assert.ok(scene.isGone);
  }
});

test.run();

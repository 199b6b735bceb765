// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { type Client, type Delayed, Room } from "@colyseus/core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { defineTestRoom } from "./machine-harness.ts";
import { Scene } from "./scene.ts";

class ClockRoom extends Room {
  heard: unknown[] = [];
  timer: Delayed | null = null;
  interval: Delayed | null = null;
  holder: Client | null = null;

  override onCreate() {
    this.autoDispose = false;
    this.clock.setTimeout((word: string) => this.heard.push(word), 500, "made in onCreate");
    this.interval = this.clock.setInterval(() => this.heard.push("interval"), 200);
  }

  override onDrop(client: Client) {
    this.holder = client;
    this.allowReconnection(client, 5);
  }

  hear(...words: unknown[]): void {
    this.heard.push(words);
  }

  byName(ms: number, ...words: unknown[]): void {
    this.timer = this.clock.setTimeout(this.hear, ms, ...words);
  }

  byClosure(ms: number): void {
    this.timer = this.clock.setTimeout(() => this.heard.push("closure"), ms);
  }

  clearInside(): void {
    const own = this.clock.setInterval(() => {
      this.heard.push("once");
      own.clear();
    }, 50);
  }

  clearAll(): void {
    this.clock.clear();
  }

  async waitThenClear(): Promise<string> {
    this.clock.setTimeout(() => this.clock.clear(), 60);
    return await this.clock.duration(1_000).then(
      () => "waited",
      (error: Error) => error.message,
    );
  }

  alterPatches(rate: number | null): void {
    this.patchRate = rate;
  }
}

class SteppingRoom extends ClockRoom {
  override onCreate() {
    super.onCreate();
    this.setTimestep(() => {}, 50);
  }
}

await defineTestRoom("clock", ClockRoom);
await defineTestRoom("stepping", SteppingRoom);

async function clockScene(name = "clock"): Promise<Scene> {
  const scene = new Scene(["A", "B"]);
  await scene.create(name);
  await scene.join("s1");
  return scene;
}

const heard = (scene: Scene, nodeId: string) => scene.room<ClockRoom>(nodeId).heard;
const rest = (scene: Scene) => scene.first.machine.rooms.get(scene.roomId)?.restlessBecause();

test("[Y25] timers of onCreate come back by ordinal, with what was left of their time", async () => {
  const scene = await clockScene();
  await scene.tick(50, 8);
  assert.is(await scene.restore("B"), true);
  await scene.tick(50, 6);
  assert.equal(heard(scene, "B"), ["interval", "interval", "made in onCreate", "interval"]);
  assert.equal(heard(scene, "A"), heard(scene, "B"));
  assert.is(await scene.restore("B"), true);
  await scene.tick(50, 6);
  assert.is(scene.hashes()[0], scene.hashes()[1]);
  assert.is(
    heard(scene, "B").filter((word) => word === "made in onCreate").length,
    1,
    "what has fired does not come back",
  );
});

test("[Y25] a method is saved by name with its arguments, and called on the room", async () => {
  const scene = await clockScene();
  await scene.call("byName", 120, "ave", { n: 1 });
  assert.is(rest(scene), null);
  assert.is(await scene.restore("B"), true);
  await scene.tick(50, 4);
  assert.equal(heard(scene, "B")[0], ["ave", { n: 1 }]);
  assert.equal(heard(scene, "A"), heard(scene, "B"));
});

test("[Y25] a timer that has fired may stay in its field", async () => {
  const scene = await clockScene();
  await scene.call("byName", 20);
  await scene.tick(50, 3);
  assert.is(scene.room<ClockRoom>().timer?.active, false);
  assert.is(await scene.restore("B"), true);
  assert.is(scene.room<ClockRoom>("B").timer?.active, false);
  scene.room<ClockRoom>("B").timer?.clear();
  assert.is(scene.hashes()[0], scene.hashes()[1]);
});

test("[Y25] a closure holds the room until it has fired, and is named with file and line", async () => {
  const scene = await clockScene();
  await scene.call("byClosure", 300);
  assert.match(rest(scene) ?? "", /clock timer made at .*clock\.test\.ts:\d+/);
  assert.is(await scene.restore("B"), false);
  await scene.tick(50, 8);
  assert.ok(heard(scene, "A").includes("closure"));
  assert.is(rest(scene), null);
});

test("[Y25] Delayed.clear() in its own callback and clock.clear() hold on every replica and over a restore", async () => {
  const scene = await clockScene();
  await scene.call("clearInside");
  await scene.tick(50, 4);
  assert.is(heard(scene, "A").filter((word) => word === "once").length, 1);
  assert.is(rest(scene), null);
  await scene.call("clearAll");
  const count = heard(scene, "A").length;
  assert.is(await scene.restore("B"), true);
  await scene.tick(50, 12);
  assert.equal([heard(scene, "A").length, heard(scene, "B").length], [count, count]);
  assert.is(scene.hashes()[0], scene.hashes()[1]);
});

test("[Y25] an await on the clock holds the room; clock.clear() ends it with the stock error", async () => {
  const scene = await clockScene();
  const [result] = await scene.apply(scene.log.call("A", scene.roomId, "waitThenClear"));
  assert.match(rest(scene) ?? "", "has not finished");
  await scene.tick(50, 3);
  assert.is(result?.type === "done" ? await result.value : null, "Timer has been cleared");
  assert.is(rest(scene), null);
});

test("[Y25] another patchRate after onCreate holds the room and is named; none at all beside a timestep does not", async () => {
  const scene = await clockScene("stepping");
  await scene.call("alterPatches", null);
  assert.is(rest(scene), null);
  assert.is(await scene.restore("B"), true);
  assert.is(scene.room("B").patchRate, null);
  await scene.tick(50, 4);
  assert.is(scene.hashes()[0], scene.hashes()[1]);
  await scene.call("alterPatches", 20);
  assert.match(rest(scene) ?? "", "patchRate");
  assert.is(await scene.restore("B"), false);
});

test("[Y1] a client of an earlier attachment that a field still holds is saved, and stays another than the present one", async () => {
  const scene = await clockScene();
  await scene.drop("s1");
  await scene.reconnect("s1", "B");
  assert.is(await scene.restore("B"), true);
  for (const replica of scene.replicas) {
    const room = replica.room<ClockRoom>(scene.roomId);
    assert.is(room.holder?.sessionId, "s1");
    assert.is.not(room.holder, room.clients[0]);
  }
  await scene.frame("s1", Uint8Array.of(12));
  assert.is(await scene.restore("B"), true);
  assert.is(scene.room<ClockRoom>("B").holder?.sessionId, "s1");
  assert.is(scene.hashes()[0], scene.hashes()[1]);
});

test.run();

// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { type Client, type OnMessageException, Room, TimedEventException } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { defineTestRoom } from "./machine-harness.ts";
import { Scene } from "./scene.ts";

const Wound = schema({ n: t.number() }, "Wound");

class FragileRoom extends Room<{ state: InstanceType<typeof Wound> }> {
  override state = new Wound();
  list: string[] = [];

  override onCreate() {
    this.autoDispose = false;
    this.state.n = 0;
    let steps = 0;
    this.setTimestep(() => {
      this.state.n++;
      if (++steps % 7 === 0) throw new Error("a bad step");
    }, 50);
    this.onMessage("throw", () => {
      this.list.push("before");
      throw new Error("a bad message");
    });
    this.onMessage("reject", async () => {
      await this.clock.duration(20);
      this.list.push("before");
      throw Object.assign(new Error("a bad promise"), { code: 777 });
    });
    this.onMessage("timers", () => {
      this.clock.setTimeout(this.fails, 60, "x");
      this.clock.setTimeout(async () => {
        await Promise.resolve();
        throw new Error("a bad timer's promise");
      }, 60);
      this.clock.setTimeout(this.works, 60, "y");
    });
    this.onMessage("method", () => this.clock.setInterval(this.works, 100, "again"));
    this.onMessage("odd", () => {
      throw Object.create(null);
    });
  }

  override onJoin(_client: Client) {}

  override onDrop() {
    throw new Error("a bad drop");
  }

  override onLeave(client: Client) {
    this.list.push(`${client.sessionId} left`);
    throw new Error("a bad leave");
  }

  fails(): void {
    throw new Error("a bad timer");
  }

  works(word: string): void {
    this.list.push(`worked ${word}`);
  }
}

class CatchingRoom extends FragileRoom {
  caught: unknown[] = [];

  override onUncaughtException(error: Error, name: string) {
    this.caught.push([name, error.message, error.constructor.name]);
    if (error instanceof TimedEventException) this.caught.push((error as unknown as { args: unknown }).args);
    const { type } = error as OnMessageException<Room>;
    if (name === "onMessage") this.caught.push(type);
  }
}

await defineTestRoom("fragile", FragileRoom);
await defineTestRoom("catching", CatchingRoom);

async function fragile(roomName = "fragile"): Promise<Scene> {
  const scene = new Scene();
  await scene.create(roomName);
  await scene.join("a", "A");
  await scene.join("b", "B");
  return scene;
}

const equal = (scene: Scene) => {
  const hashes = scene.hashes();
  assert.equal(hashes, [hashes[0], hashes[0], hashes[0]]);
};
const lastError = (scene: Scene) => scene.first.machine.rooms.get(scene.roomId)?.world.lastError;

test("[Y13] a handler that throws is a result: what it did stays, the requester is told, nobody else is hurt", async () => {
  const scene = await fragile();
  const told = await scene.request("a", "throw");
  assert.equal(told, { status: 2, payload: { name: "Error", message: "a bad message" } });
  await scene.send("b", "throw");
  assert.equal(scene.room<FragileRoom>().list, ["before", "before"]);
  assert.match(lastError(scene) ?? "", "a bad message");
  assert.equal([scene.player("a").socket.closed, scene.player("b").socket.closed], [null, null]);
  equal(scene);
  await scene.send("a", "odd");
  assert.ok(lastError(scene) !== null);
  equal(scene);
});

test("[Y13] a handler that rejects is one too, with its code, when it comes to it", async () => {
  const scene = await fragile();
  const player = scene.player("a");
  await scene.request("a", "reject");
  await scene.send("b", "reject");
  await scene.tick(60, 3);
  assert.equal(player.reply(player.requestId), {
    status: 2,
    payload: { name: "Error", message: "a bad promise", code: 777 },
  });
  assert.equal(scene.room<FragileRoom>().list, ["before", "before"]);
  assert.match(lastError(scene) ?? "", "a bad promise");
  assert.is(scene.first.machine.rooms.get(scene.roomId)?.restlessBecause(), null);
  equal(scene);
});

test("[Y13] steps, timers and hooks that throw neither stop the others nor the room", async () => {
  const scene = await fragile();
  await scene.send("a", "timers");
  await scene.tick(50, 20);
  assert.equal(scene.room<FragileRoom>().list, ["worked y"]);
  assert.ok(scene.room<FragileRoom>().state.n >= 20, `${scene.room<FragileRoom>().state.n}`);
  await scene.drop("b", 1006);
  assert.equal(scene.room<FragileRoom>().list, ["worked y", "b left"]);
  assert.is(scene.seat("b"), undefined);
  equal(scene);
  const warned = scene.first.warnings.map((each) => (each as { error: string }).error);
  for (const words of ["a bad step", "a bad timer", "a bad timer's promise"])
    assert.ok(warned.includes(words), words);
});

test("[Y14] a room with onUncaughtException is told instead, as the stock room would", async () => {
  const scene = await fragile("catching");
  await scene.send("a", "throw");
  await scene.send("a", "reject");
  await scene.send("a", "timers");
  await scene.tick(50, 8);
  await scene.drop("b", 1006);
  const { caught, list } = scene.room<CatchingRoom>();
  const told = caught.filter((each) => Array.isArray(each) && each.length === 3);
  for (const [name, message] of [
    ["onMessage", "a bad message"],
    ["onMessage", "a bad promise"],
    ["setTimeout", "a bad timer"],
    ["setTimeout", "a bad timer's promise"],
    ["setTimestep", "a bad step"],
    ["onDrop", "a bad drop"],
  ]) {
    assert.ok(
      told.some((each) => (each as string[])[0] === name && (each as string[])[1] === message),
      `${name}: ${message}`,
    );
  }
  assert.ok(list.includes("worked y"));
  equal(scene);
});

test("[Y14] and its clock still knows a method of the room by name: such a timer is saved, and does not hold the room", async () => {
  const scene = await fragile("catching");
  await scene.send("a", "method");
  assert.is(scene.first.machine.rooms.get(scene.roomId)?.restlessBecause(), null);
  assert.is(await scene.restore("B"), true);
  await scene.tick(50, 9);
  for (const replica of scene.replicas) {
    const { list } = replica.room<FragileRoom>(scene.roomId);
    assert.equal(list.filter((line) => line === "worked again").length, 4);
  }
  equal(scene);
});

test.run();

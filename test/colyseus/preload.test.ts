// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import childProcess from "node:child_process";
import crypto, { randomUUID } from "node:crypto";
import dgram from "node:dgram";
import dns from "node:dns";
import fs, { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import http from "node:http";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { type Client, generateId, Room } from "@colyseus/core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { nanoid } from "../../server/colyseus/preload/nanoid.ts";
import { inMacrotask } from "../../server/session/macrotask.ts";
import { defineTestRoom } from "./machine-harness.ts";
import { Scene } from "./scene.ts";

const draws: Record<string, () => unknown> = {
  "Date.now": () => Date.now(),
  "new Date": () => new Date().toISOString(),
  "Date()": () => Date(),
  "performance.now": () => performance.now(),
  "process.hrtime": () => process.hrtime(),
  "process.hrtime.bigint": () => String(process.hrtime.bigint()),
  "Math.random": () => Math.random(),
  "crypto.randomUUID": () => crypto.randomUUID(),
  "an imported randomUUID": () => randomUUID(),
  "globalThis.crypto.randomUUID": () => globalThis.crypto.randomUUID(),
  "crypto.randomBytes": () => crypto.randomBytes(8).toString("hex"),
  "crypto.randomInt": () => [crypto.randomInt(100), crypto.randomInt(5, 9)],
  "crypto.randomFillSync": () => [...crypto.randomFillSync(new Uint8Array(6), 1, 3)],
  "crypto.getRandomValues": () => [...globalThis.crypto.getRandomValues(new Uint16Array(4))],
  "generateId of Colyseus": () => generateId(),
  nanoid: () => nanoid(),
  "Array.sort of Math.random": () => [1, 2, 3, 4, 5].map((n) => [Math.random(), n]).sort(),
};

const outside: Record<string, () => unknown> = {
  setTimeout: () => setTimeout(() => {}, 1),
  setInterval: () => setInterval(() => {}, 1),
  setImmediate: () => setImmediate(() => {}),
  "timers/promises": () => sleep(1),
  fetch: () => fetch("http://localhost:1/"),
  WebSocket: () => new WebSocket("ws://localhost:1/"),
  "http.get": () => http.get("http://localhost:1/"),
  "net.connect": () => net.connect(1),
  "dns.lookup": () => dns.lookup("localhost", () => {}),
  "dgram.createSocket": () => dgram.createSocket("udp4"),
  "fs.readFileSync": () => fs.readFileSync("package.json"),
  "an imported readFileSync": () => readFileSync("package.json"),
  "fs/promises": () => readFile("package.json"),
  "child_process.spawn": () => childProcess.spawn("true"),
  "process.exit": () => process.exit(1),
  Worker: () => new Worker("process.exit()", { eval: true }),
  "crypto.randomFill": () => crypto.randomFill(new Uint8Array(4), () => {}),
  "crypto.randomBytes with a callback": () => crypto.randomBytes(4, () => {}),
};

class DrawingRoom extends Room {
  drawn: Record<string, unknown> = {};
  refused: Record<string, string> = {};

  override onCreate() {
    this.autoDispose = false;
    this.onMessage("draw", (_client, name: string) => {
      this.drawn[name] = draws[name]?.();
    });
    this.onMessage("reach", async (_client: Client, name: string) => {
      try {
        await outside[name]?.();
        this.refused[name] = "nothing was thrown";
      } catch (error) {
        this.refused[name] = (error as Error).message;
      }
    });
    this.onMessage("ticks", async () => {
      const order: string[] = [];
      process.nextTick(() => order.push("tick"));
      queueMicrotask(() => order.push("microtask"));
      await Promise.resolve();
      order.push("await");
      this.drawn["ticks"] = order;
    });
  }
}

await defineTestRoom("drawing", DrawingRoom);
const scene = new Scene();
await scene.create("drawing");
await scene.join("s1");
const rooms = () => scene.replicas.map((replica) => replica.room<DrawingRoom>(scene.roomId));

for (const name of Object.keys(draws)) {
  test(`[Y17] ${name} inside a room is the log's: equal on every replica, and real again outside`, async () => {
    await scene.tick(37);
    await scene.send("s1", "draw", name);
    const [first, second, third] = rooms().map((room) => room.drawn[name]);
    assert.is.not(first, undefined);
    assert.equal([second, third], [first, first]);
    await inMacrotask(() => assert.is.not(JSON.stringify(draws[name]?.()), JSON.stringify(first)));
  });
}

test("[Y17] a room's time is the entry's stamps: log time on one clock, wall time on the other", async () => {
  await scene.send("s1", "draw", "Date.now");
  await scene.send("s1", "draw", "performance.now");
  await scene.send("s1", "draw", "process.hrtime.bigint");
  const { drawn } = scene.room<DrawingRoom>();
  assert.is(drawn["Date.now"], 1_700_000_000_000 + scene.log.logTimeMs);
  assert.is(drawn["performance.now"], scene.log.logTimeMs);
  assert.is(drawn["process.hrtime.bigint"], String(scene.log.logTimeMs * 1e6));
});

test("[Y17] randomFillSync fills what it was asked to, and no more", async () => {
  await scene.send("s1", "draw", "crypto.randomFillSync");
  const bytes = scene.room<DrawingRoom>().drawn["crypto.randomFillSync"] as number[];
  assert.equal([bytes[0], bytes[4], bytes[5]], [0, 0, 0]);
  assert.ok(bytes.slice(1, 4).some((byte) => byte !== 0));
});

for (const name of Object.keys(outside)) {
  test(`[Y18] ${name} inside a room is an error that names the remedy`, async () => {
    await scene.send("s1", "reach", name);
    for (const room of rooms()) {
      assert.match(
        room.refused[name] ?? "",
        /room\.propose\(\)|this\.clock\.setTimeout\(\)|use crypto|call it without one/,
      );
      assert.match(room.refused[name] ?? "", scene.roomId);
    }
    assert.is(scene.first.machine.rooms.get(scene.roomId)?.restlessBecause(), null);
  });
}

test("[Y18] outside of rooms nothing is refused", async () => {
  await sleep(1);
  assert.ok(fs.readFileSync("package.json").length > 0);
  const [low, high] = [Date.now(), new Date()];
  assert.ok(low > 1_700_000_000_000 && high.getTime() >= low);
  assert.instance(new Date(0), Date);
});

test("[Y19] an entry's microtasks and next ticks all run within it", async () => {
  await scene.send("s1", "ticks");
  for (const room of rooms())
    assert.equal([...(room.drawn["ticks"] as string[])].sort(), ["await", "microtask", "tick"]);
});

test.run();

// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { LocalPresence, matchMaker, Room } from "@colyseus/core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { adoptPresence } from "../../server/colyseus/presence/server-presence.ts";
import { same } from "./asking-room.ts";
import { callingScene, SharedPresence, toldAs, usePresence } from "./calling-room.ts";
import { defineTestRoom } from "./machine-harness.ts";

class DirectRoom extends Room {
  told: unknown;
  override onCreate() {
    this.autoDispose = false;
    this.onMessage("get", async () => {
      try {
        this.told = await matchMaker.presence.get("gold");
      } catch (error) {
        this.told = toldAs(error);
      }
    });
  }
}
await defineTestRoom("direct", DirectRoom);

test("[Y139] of a store that all nodes share Colyseus's own part stays in the process; the rest goes there", async () => {
  const shared = await usePresence(new SharedPresence());
  const local = new LocalPresence();
  adoptPresence(shared, local);
  const heard: unknown[] = [];
  for (const channel of ["$lobby", "p:process", "ipc:request", "concurrent:duel", "news"]) {
    await shared.subscribe(channel, (message: unknown) => heard.push(message));
    shared.publish(channel, channel);
    shared.unsubscribe(channel);
    shared.publish(channel, "nobody's");
  }
  assert.equal(heard, ["$lobby", "p:process", "ipc:request", "concurrent:duel", "news"]);
  await shared.subscribe("news", () => {});
  await shared.subscribe("$room", () => {});
  assert.equal([await shared.channels(), await local.channels()], [["news"], ["$room"]]);
  await shared.hset("roomcount", "process", "1,1");
  await shared.hincrbyex("ch:direct", "", 1, 0.01);
  await shared.hset("ch:mine", "a", "b");
  shared.set("roomcount", "a key of one's own");
  assert.equal(Object.keys(local.hash), ["roomcount", "ch:direct"]);
  assert.equal(Object.keys(shared.hash), ["ch:mine"]);
  assert.is(shared.get("roomcount"), "a key of one's own");
  assert.equal(await shared.hgetall("roomcount"), { process: "1,1" });
});

test("[Y139] one that is the process's own already is let be", async () => {
  const local = new LocalPresence();
  adoptPresence(local, local);
  await local.hset("roomcount", "process", "1,1");
  local.set("gold", "7");
  assert.equal([await local.hgetall("roomcount"), local.get("gold")], [{ process: "1,1" }, "7"]);
});

test("[Y139] inside of a room it is refused: it would be asked once more by every replica", async () => {
  const shared = await usePresence(new SharedPresence());
  adoptPresence(shared, new LocalPresence());
  const scene = await callingScene("direct");
  await scene.join("p1", "A");
  await scene.send("p1", "get");
  const told = scene.room<DirectRoom>("C").told as unknown[];
  assert.is(told[1], "INSIDE_ROOM");
  assert.match(told[2] as string, /"matchMaker\.presence\.get" inside room direct/);
  same(scene);
});

test.run();

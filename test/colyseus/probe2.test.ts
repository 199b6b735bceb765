import { test } from "uvu";
import { type Client, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { defineTestRoom, inMacrotask } from "./machine-harness.ts";
import { Scene } from "./scene.ts";
const S = schema({ n: t.number().default(0) }, "FState");
let foreign: () => Promise<unknown> = async () => {};
class FRoom extends Room {
  override state = new S();
  count = 0; told: unknown = null;
  override onCreate() { this.autoDispose = false;
    this.onMessage("wait", async () => { await foreign(); this.count++; this.told = Date.now(); return 7; });
    this.onMessage("noop", () => this.count);
  }
}
await defineTestRoom("foreign", FRoom, {});
test("[Y166] foreign", async () => {
    const scene = new Scene(["A", "B"]);
    await scene.create("foreign");
    await scene.join("p", "A");
    // A promise that was made outside, and settles outside, as of a database driver with an open socket.
    let go: (v: unknown) => void = () => {};
    const promise = new Promise((resolve) => { go = resolve; });
    foreign = () => promise;
    console.log("reply", await scene.request("p", "wait"));
    console.log("restless", scene.first.machine.rooms.get(scene.roomId)?.restlessBecause());
    setTimeout(() => go(1), 5);
    await new Promise((r) => setTimeout(r, 30));
    console.log((scene.room() as any).count, new Date((scene.room() as any).told).getFullYear(), await inMacrotask(() => scene.hashes()), scene.player("p").frames.slice(-1));
    console.log("restless", scene.first.machine.rooms.get(scene.roomId)?.restlessBecause());
    console.log(scene.first.errors, scene.first.warnings);
});
test.run();

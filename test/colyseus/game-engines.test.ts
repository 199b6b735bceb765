// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { test } from "uvu";
import * as assert from "uvu/assert";
import { BallsRoom, BricksRoom, CratesRoom, HerdRoom } from "./game-rooms.ts";
import { defineTestRoom } from "./machine-harness.ts";
import { Scene } from "./scene.ts";

await defineTestRoom("balls", BallsRoom, { transient: ["world"] });
await defineTestRoom("bricks", BricksRoom, { transient: ["world"] });
await defineTestRoom("crates", CratesRoom);
await defineTestRoom("herd", HerdRoom, { transient: ["world", "moving"] });

for (const [what, roomName] of [
  ["a physics world in wasm, saved by its own snapshot,", "balls"],
  ["a matter.js world in a field", "crates"],
  ["a cannon-es world, saved as what its bodies do,", "bricks"],
  ["an entity world, saved as its entities,", "herd"],
] as const) {
  test(`[Y75] ${what} goes through checkpoints, and goes on to the bit`, async () => {
    const scene = new Scene();
    await scene.create(roomName);
    await scene.join("p1");
    for (let round = 0; round < 6; round++) {
      await scene.send("p1", "add");
      await scene.tick(50, 8);
      if (round % 2 === 1) assert.ok(await scene.restore(round === 1 ? "B" : "C"), "it is at rest");
      assert.equal(new Set(scene.hashes()).size, 1, scene.hashes().join(" "));
    }
    await scene.tick(50, 60);
    assert.equal(new Set(scene.hashes()).size, 1, scene.hashes().join(" "));
    const sums = ["A", "B", "C"].map((id) => (scene.room(id).state as { sum: number }).sum);
    assert.is.not(sums[0], 0);
    assert.equal(new Set(sums).size, 1);
  });
}

test.run();

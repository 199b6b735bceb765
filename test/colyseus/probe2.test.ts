import { test } from "uvu";
import { Deck, EverythingRoom } from "./everything-room.ts";
import { defineTestRoom, inMacrotask } from "./machine-harness.ts";
import { Scene } from "./scene.ts";

await defineTestRoom("everything", EverythingRoom, { classes: [Deck], transient: ["scratch"] });
test("[Y166] keys", async () => {
  const scene = new Scene(["A"]);
  await scene.create("everything");
  await scene.join("p", "A");
  await inMacrotask(() => {
    for (let i = 0; i < 300; i++) scene.hashes();
    const t = performance.now();
    for (let i = 0; i < 2000; i++) scene.hashes();
    console.log((performance.now() - t) / 2000, "ms a hash");
  });
});
test.run();

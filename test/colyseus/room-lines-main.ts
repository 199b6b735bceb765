/** Three replicas of a room that prints, by every means, and one of them is restored: what is on the terminal then? */
import { writeSync } from "node:fs";
import { Room } from "@colyseus/core";
import { pino } from "pino";
import { defineTestRoom } from "./machine-harness.ts";
import { Scene } from "./scene.ts";

class TalkingRoom extends Room {
  logger = pino();
  written = 0;

  override onCreate(): void {
    this.autoDispose = false;
    console.log("[created]");
    this.onMessage("talk", () => {
      console.log("[log]");
      console.warn("[warn]");
      this.logger.info("[pino]");
      process.stdout.write("[stdout]\n", () => {
        process.stdout.write("[written]\n");
      });
      process.stderr.write("[stderr]\n");
      this.written += writeSync(1, "[writeSync]\n");
    });
  }
}

await defineTestRoom("talking", TalkingRoom, { transient: ["logger"] });
const scene = new Scene();
scene.node("B").leadsTerm = 1;
await scene.create("talking");
await scene.join("p1");
await scene.send("p1", "talk");
if (!(await scene.restore("B"))) throw new Error("the room is not at rest");
if (new Set(scene.hashes()).size !== 1) throw new Error(`the replicas differ: ${scene.hashes().join(" ")}`);
console.log("[outside]");
process.exitCode = 0;

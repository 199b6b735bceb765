// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import Matter from "matter-js";
import { World } from "miniplex";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { defineTestRoom } from "./machine-harness.ts";
import { Scene } from "./scene.ts";

/** What games keep in their rooms beside the state: libraries that hold everything in plain data need no more than that. */

const SumState = schema({ sum: t.number().default(0) }, "SumState");

/**
 * Everything of matter.js is plain data, but for what it counts and draws in its module: ids and colours of bodies depend
 * on which rooms the process had before, so the room gives its own (`testudo check` finds a room that does not).
 */
class CratesRoom extends Room<{ state: InstanceType<typeof SumState> }> {
  override state = new SumState();
  engine = Matter.Engine.create();
  crates: Matter.Body[] = [];
  lastId = 0;

  override onCreate(): void {
    this.autoDispose = false;
    this.engine.world.id = ++this.lastId;
    const floor = Matter.Bodies.rectangle(0, 300, 800, 20, { isStatic: true, ...this.own() });
    Matter.Composite.add(this.engine.world, floor);
    this.onMessage("drop", () => {
      const crate = Matter.Bodies.rectangle(Math.random() * 40, 0, 30, 30, this.own());
      Matter.Composite.add(this.engine.world, crate);
      this.crates.push(crate);
    });
    this.setFixedTimestep(({ dt }) => {
      Matter.Engine.update(this.engine, dt);
      this.state.sum = this.crates.reduce((sum, { position }) => sum + position.x * 7 + position.y, 0);
    }, 20);
  }

  own(): Matter.IChamferableBodyDefinition {
    return { id: ++this.lastId, render: { fillStyle: "#999" } };
  }
}

interface Entity {
  x: number;
  speed?: number;
}

/** An entity world with indexes of its own: saved as the list of its entities. */
class HerdRoom extends Room<{ state: InstanceType<typeof SumState> }> {
  override state = new SumState();
  world = new World<Entity>();
  moving = this.world.with("speed");

  override onCreate(): void {
    this.autoDispose = false;
    this.onMessage("spawn", () => {
      this.world.add({ x: 0, speed: Math.random() });
      this.world.add({ x: Math.random() });
    });
    this.setFixedTimestep(() => {
      for (const entity of this.moving) entity.x += entity.speed;
      this.state.sum = [...this.world].reduce((sum, { x }, at) => sum + x * (at + 1), 0);
    }, 20);
  }

  override onCacheRoom(): Entity[] {
    return this.world.entities;
  }

  override onRestoreRoom(entities: Entity[]): void {
    for (const entity of entities) this.world.add(entity);
  }
}

await defineTestRoom("crates", CratesRoom);
await defineTestRoom("herd", HerdRoom, { transient: ["world", "moving"] });

async function goesThroughCheckpoints(roomName: string, message: string): Promise<void> {
  const scene = new Scene();
  await scene.create(roomName);
  await scene.join("p1");
  for (let round = 0; round < 6; round++) {
    await scene.send("p1", message);
    await scene.tick(50, 8);
    if (round % 2 === 1) assert.ok(await scene.restore(round === 1 ? "B" : "C"), "it is at rest");
    assert.equal(new Set(scene.hashes()).size, 1, scene.hashes().join(" "));
  }
  await scene.tick(50, 60);
  assert.equal(new Set(scene.hashes()).size, 1, scene.hashes().join(" "));
  const sums = ["A", "B", "C"].map((id) => (scene.room(id).state as { sum: number }).sum);
  assert.is.not(sums[0], 0);
  assert.equal(new Set(sums).size, 1);
}

test("[Y75] a matter.js world in a field goes through checkpoints as it is", async () => {
  await goesThroughCheckpoints("crates", "drop");
});

test("[Y75] an entity world is saved as its entities", async () => {
  await goesThroughCheckpoints("herd", "spawn");
});

test.run();

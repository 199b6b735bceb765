/** Rooms with what games keep beside the state: physics in wasm and in JavaScript, an entity world. */

import { type Client, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import RAPIER from "@dimforge/rapier2d-compat";
import { Body, Box, World as CannonWorld, Plane, Vec3 } from "cannon-es";
import Matter from "matter-js";
import { World } from "miniplex";

await RAPIER.init();

/** Everything that moves, added up: equal on two replicas only if all of it is. */
const SumState = schema({ sum: t.float64().default(0), stopped: t.boolean().default(false) }, "SumState");

abstract class GameRoom extends Room<{ state: InstanceType<typeof SumState> }> {
  override state = new SumState();

  override onCreate(): void {
    this.autoDispose = false;
    this.onMessage("add", () => this.add());
    this.onMessage("stop", () => {
      this.state.stopped = true;
      return this.state.sum;
    });
    this.setFixedTimestep(({ dt }) => {
      if (!this.state.stopped) this.state.sum = this.step(dt);
    }, 20);
  }

  override onDrop(client: Client): void {
    this.allowReconnection(client, 60);
  }

  abstract add(): void;
  /** @returns the sum */
  abstract step(ms: number): number;
}

/** The world is rapier's own, and so is its snapshot; bodies are kept by their handles. */
export class BallsRoom extends GameRoom {
  world = new RAPIER.World({ x: 0, y: -9.81 });
  balls: number[] = [];

  override onCreate(): void {
    super.onCreate();
    this.world.createCollider(RAPIER.ColliderDesc.cuboid(20, 0.1));
  }

  override add(): void {
    const at = RAPIER.RigidBodyDesc.dynamic().setTranslation(Math.random() - 0.5, 3 + this.balls.length);
    const body = this.world.createRigidBody(at);
    this.world.createCollider(RAPIER.ColliderDesc.ball(0.4).setRestitution(0.6), body);
    this.balls.push(body.handle);
  }

  override step(): number {
    this.world.step();
    return this.balls.reduce((sum, handle) => sum + this.world.getRigidBody(handle).translation().y, 0);
  }

  override onCacheRoom(): Uint8Array {
    return this.world.takeSnapshot();
  }

  override onRestoreRoom(snapshot: Uint8Array): void {
    this.world.free();
    this.world = RAPIER.World.restoreSnapshot(snapshot);
  }
}

/**
 * Everything of matter.js is plain data, but for what it counts and draws in its module: ids and colours of bodies depend
 * on which rooms the process had before, so the room gives its own.
 */
export class CratesRoom extends GameRoom {
  engine = Matter.Engine.create();
  crates: Matter.Body[] = [];
  lastId = 0;

  override onCreate(): void {
    super.onCreate();
    this.engine.world.id = ++this.lastId;
    const floor = Matter.Bodies.rectangle(0, 300, 800, 20, { isStatic: true, ...this.own() });
    Matter.Composite.add(this.engine.world, floor);
  }

  override add(): void {
    const crate = Matter.Bodies.rectangle(Math.random() * 40, 0, 30, 30, this.own());
    Matter.Composite.add(this.engine.world, crate);
    this.crates.push(crate);
  }

  override step(ms: number): number {
    Matter.Engine.update(this.engine, ms);
    return this.crates.reduce((sum, { position }) => sum + position.x * 7 + position.y, 0);
  }

  own(): Matter.IChamferableBodyDefinition {
    return { id: ++this.lastId, render: { fillStyle: "#999" } };
  }
}

/**
 * cannon-es keeps listeners, tables and scratch in its world: saved is what its bodies do, and the world is built again. Ids of
 * bodies and shapes are counted in its module, and pairs of them are packed into 16 bits each: the room gives its own.
 */
export class BricksRoom extends GameRoom {
  world = new CannonWorld({ gravity: new Vec3(0, -9.81, 0) });

  override onCreate(): void {
    super.onCreate();
    const floor = this.put(new Body({ mass: 0, shape: new Plane() }));
    floor.quaternion.setFromEuler(-Math.PI / 2, 0, 0);
  }

  get bricks(): Body[] {
    return this.world.bodies.slice(1);
  }

  override add(): void {
    const brick = this.brick();
    brick.position.set(Math.random(), 2 + this.world.bodies.length, Math.random());
    brick.angularVelocity.set(Math.random(), Math.random(), 3);
  }

  override step(ms: number): number {
    this.world.step(ms / 1_000);
    return this.bricks.reduce(
      (sum, { position, quaternion }) => sum + position.x * 7 + position.y + quaternion.w,
      0,
    );
  }

  override onCacheRoom(): number[][][] {
    return this.bricks.map((brick) => this.moves(brick).map((each) => each.toArray()));
  }

  override onRestoreRoom(bricks: [number, number, number, number][][]): void {
    for (const moves of bricks) {
      const brick = this.brick();
      for (const [at, each] of this.moves(brick).entries())
        each.set(...(moves[at] as [number, number, number, number]));
      brick.updateInertiaWorld(true);
    }
  }

  moves({ position, quaternion, velocity, angularVelocity }: Body) {
    return [position, quaternion, velocity, angularVelocity];
  }

  brick(): Body {
    return this.put(new Body({ mass: 2, shape: new Box(new Vec3(0.5, 0.2, 0.3)) }));
  }

  put(body: Body): Body {
    body.id = this.world.bodies.length;
    for (const shape of body.shapes) shape.id = body.id;
    this.world.addBody(body);
    return body;
  }
}

interface Entity {
  x: number;
  speed?: number;
}

/** An entity world with indexes of its own: saved as the list of its entities. */
export class HerdRoom extends GameRoom {
  world = new World<Entity>();
  moving = this.world.with("speed");

  override add(): void {
    this.world.add({ x: 0, speed: Math.random() });
    this.world.add({ x: Math.random() });
  }

  override step(): number {
    for (const entity of this.moving) entity.x += entity.speed;
    return this.world.entities.reduce((sum, { x }, at) => sum + x * (at + 1), 0);
  }

  override onCacheRoom(): Entity[] {
    return this.world.entities;
  }

  override onRestoreRoom(entities: Entity[]): void {
    for (const entity of entities) this.world.add(entity);
  }
}

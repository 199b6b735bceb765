// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { type Client, matchMaker, Room } from "@colyseus/core";
import { StateView, schema, t } from "@colyseus/schema";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RoomShadow } from "../../server/colyseus/room-shadow.ts";
import { upgradable } from "../../server/session/code-switch.ts";
import { inMacrotask } from "../../server/session/macrotask.ts";
import { Watched } from "./collected.ts";
import { LedScene } from "./led-scene.ts";
import { defineTestRoom } from "./machine-harness.ts";
import { Scene } from "./scene.ts";

const Card = schema({ face: t.string() }, "KeptCard");
const Hand = schema({ name: t.string(), cards: t.array(Card).view() }, "KeptHand");
const Table = schema({ turn: t.number().default(0), hands: t.map(Hand) }, "KeptTable");
const Score = schema({ points: t.map("number") }, "KeptScore");

/** Whatever room code may hang on its room: views, timers, kept seats, state that leads back to the room's clients. */
class CardRoom extends Room<{ state: InstanceType<typeof Table> }> {
  override state = new Table();
  override messages = {
    draw: (client: Client) => {
      const card = Object.assign(new Card(), { face: `of ${client.sessionId}` });
      const hand = this.state.hands.get(client.sessionId) as unknown as InstanceType<typeof Hand>;
      hand.cards.push(card as never);
      client.view?.add(card);
      this.broadcast("drawn", client.sessionId);
      return hand.cards.length;
    },
  };
  override onCreate(): void {
    watched.add("room", this);
    watched.add("state", this.state);
    this.clock.setInterval(() => {
      this.state.turn++;
    }, 100);
    Object.assign(this.state, { of: this });
  }
  override onJoin(client: Client): void {
    watched.add("client", client);
    const hand = Object.assign(new Hand(), { name: client.sessionId, client });
    this.state.hands.set(client.sessionId, hand as never);
    client.view = new StateView();
    client.view.add(hand);
    watched.add("view", client.view);
  }
  override async onDrop(client: Client): Promise<void> {
    await this.allowReconnection(client, 20).then(undefined, () => {});
  }
}

class ScoreRoom extends Room<{ state: InstanceType<typeof Score> }> {
  override state = new Score();
  override messages = {
    draw: ({ sessionId }: Client) => {
      this.state.points.set(sessionId, 1 + (this.state.points.get(sessionId) ?? 0));
      return this.state.points.get(sessionId);
    },
  };
  override onCreate(): void {
    watched.add("room", this);
    watched.add("state", this.state);
    this.clock.setInterval(() => this.broadcast("time", this.clock.elapsedTime), 10);
  }
  override async onDrop(client: Client): Promise<void> {
    await this.allowReconnection(client, 0.02).then(undefined, () => {});
  }
}

/** This code does not take over what another one has saved. */
class StaleRoom extends CardRoom {
  onUpgrade(): void {
    throw new Error("never again");
  }
}

const remembered: object[] = [];

/** Whose state somebody outside has kept, as a studio may that looks at results. */
class RememberedRoom extends Room<{ state: InstanceType<typeof Score> }> {
  override state = new Score();
  override onCreate(): void {
    watched.add("room", this);
    remembered.push(this.state);
  }
}

/** Its checkpoint is one that it cannot be made of again. */
class OnceRoom extends CardRoom {
  isUsed = false;
  override onRestoreRoom(): void {
    throw new Error("never again");
  }
  override onCacheRoom(): object {
    return {};
  }
}

await defineTestRoom("kept-cards", CardRoom);
await defineTestRoom("kept-score", ScoreRoom, { run: "leader", cacheEveryMs: 1_000 });
await defineTestRoom("kept-once", OnceRoom);
await defineTestRoom("kept-stale", StaleRoom);
await defineTestRoom("kept-remembered", RememberedRoom);
matchMaker.getHandler("kept-cards").enableRealtimeListing();

let watched = new Watched();

/** Several on one machine, one after the other, each of which comes to its end. */
async function play(
  scene: Scene,
  { roomName, rooms }: { roomName: string; rooms: number },
  end: () => Promise<void>,
): Promise<void> {
  for (let n = 0; n < rooms; n++) {
    scene.anotherRoom();
    await scene.create(roomName);
    for (const player of ["a", "b", "c"]) {
      await scene.join(player);
      await scene.send(player, "draw");
    }
    watch(scene);
    await scene.tick(100, 3);
    await scene.drop("a");
    await scene.reconnect("a", "A");
    await scene.send("a", "draw");
    await inMacrotask(() => scene.first.save());
    await scene.drop("b");
    await scene.drop("a", 4_000);
    await scene.drop("c", 4_000);
    await end();
    assert.ok(scene.isGone);
    for (const roomId of [...scene.first.machine.gone()]) await scene.apply(scene.log.forget("A", roomId));
  }
  // Of the test's own.
  scene.first.notices.length = 0;
}

/** A replica of the room at hand, and what belongs to it. */
function watch(scene: Scene): void {
  const replica = scene.first.machine.rooms.get(scene.roomId);
  if (replica === undefined) throw new Error("there is no room");
  watched.add("replica", replica);
  watched.add("world", replica.world);
  watched.add("program", replica.program);
  for (const seat of replica.seats.values()) watched.add("seat", seat);
}

test.before.each(() => {
  watched = new Watched();
});

test("[Y176] of rooms that have ended nothing is left: views, timers, kept seats, state that leads to its clients", async () => {
  const scene = new Scene(["A"]);
  const rooms = 20;
  await play(scene, { roomName: "kept-cards", rooms }, async () => await scene.tick(25_000, 2));
  await watched.isGone(rooms);
});

test("[Y176] of rooms that their leader ran nothing is left", async () => {
  const scene = new LedScene(["A"]);
  const rooms = 5;
  await play(scene, { roomName: "kept-score", rooms }, async () => {
    for (let tries = 0; tries < 200 && !scene.isGone; tries++) {
      await scene.passes(10);
      await scene.tick(10);
    }
  });
  await watched.isGone(rooms);
});

test("[Y178] whoever keeps a state of a room that has ended keeps no room", async () => {
  const scene = new Scene(["A"]);
  const rooms = 20;
  for (let n = 0; n < rooms; n++) {
    scene.anotherRoom();
    await scene.create("kept-remembered");
    await scene.join("a");
    watch(scene);
    await scene.drop("a", 4_000);
    assert.ok(scene.isGone);
  }
  scene.first.notices.length = 0;
  await watched.isGone(rooms);
  assert.is(remembered.length, rooms);
  assert.throws(
    () => (remembered[0] as InstanceType<typeof Score>).points.set("a", 1),
    /room kept-remembered/,
  );
});

for (const [roomName, asSaved] of [
  ["kept-once", (bytes: Uint8Array) => bytes],
  ["kept-stale", (bytes: Uint8Array) => upgradable(bytes, "next")],
] as const) {
  test(`[Y177] of a room that could not be made of its checkpoint nothing is left: ${roomName}`, async () => {
    const scene = new Scene(["A"]);
    await scene.create(roomName);
    await scene.join("a");
    const checkpoint = (await inMacrotask(() => scene.first.save())).get(scene.roomId);
    const bytes = asSaved(checkpoint?.bytes as Uint8Array);
    const shadow = new RoomShadow({ nodeId: "A", log: { warn: () => {}, error: () => {} } });
    const tries = 20;
    watched = new Watched();
    for (let n = 0; n < tries; n++) {
      assert.match(String(await inMacrotask(() => shadow.failure(bytes))), "never again");
      assert.is(matchMaker.getLocalRoomById(`${scene.roomId}~shadow`), undefined);
    }
    await watched.isGone(tries);
  });
}

test.run();

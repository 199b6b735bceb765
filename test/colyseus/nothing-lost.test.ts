// test-run: seconds=60 node=--import=./server/colyseus/register.ts
/** What room code may do that a checkpoint does not take by itself: it is saved, or told of. */
import { type Client, type ClientArray, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { inMacrotask } from "../../server/session/macrotask.ts";
import { defineTestRoom } from "./machine-harness.ts";
import { Scene } from "./scene.ts";

const Notes = schema({ n: t.number().default(0) }, "NothingLostNotes");

// biome-ignore lint/suspicious/noExplicitAny: what rooms of games do that no type allows
type Act = (room: any, client: any) => unknown;
let act: Act = () => {};
let making: Act = () => {};

class LooseRoom extends Room<{ state: InstanceType<typeof Notes> }> {
  override state = new Notes();
  held: unknown = null;

  override onCreate(): void {
    this.autoDispose = false;
    this.onMessage("act", (client: Client) => act(this, client));
    this.onMessage("early", () => this.state.n++);
    making(this, null);
  }

  override onDrop(client: Client): void {
    this.allowReconnection(client, 50);
  }
}
await defineTestRoom("loose", LooseRoom, {});

async function loose(): Promise<Scene> {
  const scene = new Scene(["A", "B"]);
  await scene.create("loose");
  for (const name of ["ann", "ben"]) await scene.join(name, "A");
  return scene;
}

async function does(scene: Scene, what: Act): Promise<unknown> {
  act = what;
  return (await scene.request("ann", "act"))?.payload;
}

const restless = (scene: Scene) => scene.first.machine.rooms.get(scene.roomId)?.restlessBecause() ?? null;

async function isEqual(scene: Scene): Promise<void> {
  const [one, other] = await inMacrotask(() => scene.hashes());
  assert.is(one, other);
}

test("[Y167] what room code puts on a client is there after a restore, of clients that are here, kept or gone", async () => {
  const scene = await loose();
  await does(scene, (room, client) => {
    client.team = { name: "red", of: room.state };
    for (const each of room.clients) each.place = each.sessionId.length;
    room.held = { ben: room.clients.get("ben") };
  });
  await scene.drop("ben");
  assert.ok(await scene.restore("B"));
  await isEqual(scene);
  const read: Act = (room, client) => [
    client.team.name,
    client.team.of === room.state,
    client.place,
    room.held.ben.place,
  ];
  const seen: unknown[] = [];
  await does(scene, (room, client) => seen.push(read(room, client)));
  assert.equal(seen, [
    ["red", true, 3, 3],
    ["red", true, 3, 3],
  ]);
  await scene.reconnect("ben", "A");
  // As in Colyseus, who comes back is a client of its own.
  const places: unknown[] = [];
  await does(scene, (room) => places.push([room.clients.get("ben").place, room.held.ben.place]));
  assert.equal(places, [
    [undefined, 3],
    [undefined, 3],
  ]);
  assert.ok(await scene.restore("B"));
  await does(scene, (room, client) => {
    room.state.n = room.held.ben.place;
    client.team.name = "blue";
  });
  await isEqual(scene);
});

test("[Y167] what is on a client and cannot be saved is told of with its path", async () => {
  const scene = await loose();
  await does(scene, (_room, client) => {
    client.greet = () => 1;
  });
  assert.not.ok(await scene.restore("B"));
  assert.match(JSON.stringify(scene.node("B").warnings), /clients\[0\]\.extras\.greet is a function/);
});

test("[Y168] a handler that is registered, or removed, after onCreate keeps the room from rest, with its place", async () => {
  const scene = await loose();
  await does(scene, (room) => {
    room.held = room.onMessage("late", () => room.state.n++);
    room.transient = null;
  });
  assert.match(
    restless(scene) ?? "",
    /^a handler of "late" was registered at .*nothing-lost\.test\.ts:\d+:\d+\)? after onCreate.*register all in onCreate/,
  );
  assert.not.ok(await scene.restore("B"));
  await does(scene, (room) => {
    room.held();
    room.held = null;
  });
  assert.is(restless(scene), null, "it is as it was made");
  assert.ok(await scene.restore("B"));
  await isEqual(scene);

  making = (room) => Object.assign(room, { off: room.onMessage("twice", () => {}) });
  const other = await loose();
  making = () => {};
  await does(other, (room) => room.off());
  assert.match(restless(other) ?? "", /^a handler of "twice" was removed after onCreate/);
});

test("[Y169] fields under a symbol, hidden ones and getters of the room itself are no plain fields, and told of", async () => {
  for (const [name, what, path] of [
    [
      "a symbol",
      (room) => Object.assign(room, { [Symbol("secret")]: 1 }),
      /room\.fields\["Symbol\(secret\)"\] .*under Symbol/,
    ],
    [
      "hidden",
      (room) => Object.defineProperty(room, "hidden", { value: 1 }),
      /room\.hidden is a property that is not/,
    ],
    [
      "a getter",
      (room) => Object.defineProperty(room, "top", { get: () => 1, enumerable: true }),
      /room\.top is a getter/,
    ],
  ] as [string, Act, RegExp][]) {
    making = what;
    const scene = new Scene(["A"]);
    const made = (await scene.create("loose")) as { message?: string };
    making = () => {};
    assert.match(made.message ?? "", path, name);
    const later = await loose();
    await does(later, (room) => void what(room, null));
    assert.not.ok(await later.restore("B"), name);
    assert.match(JSON.stringify(later.node("B").warnings), /"where":"checkpoint"/, name);
  }
});

test("[Y169] clients that room code has picked from room.clients, and a clock that was stopped, are there after a restore", async () => {
  const scene = await loose();
  await does(scene, (room) => {
    room.held = room.clients.filter((each: Client) => each.sessionId !== "ann");
    room.clock.stop();
  });
  assert.ok(await scene.restore("B"));
  await isEqual(scene);
  const seen: unknown[] = [];
  await does(scene, (room) => {
    const held = room.held as ClientArray;
    held.push(room.clients.get("ann"));
    seen.push([
      held[0] === room.clients.get("ben"),
      held.get("ann") === room.clients.get("ann"),
      held.length,
      room.clock.running,
    ]);
  });
  assert.equal(seen, [
    [true, true, 2, false],
    [true, true, 2, false],
  ]);
  await isEqual(scene);
});

test("[Y171] a handler that awaited what is outside of the log, and no effect, is told of where it went on", async () => {
  const scene = await loose();
  let answer: (value: number) => void = () => {};
  const driver = new Promise<number>((resolve) => {
    answer = resolve;
  });
  await does(scene, async (room) => {
    room.held = await driver;
  });
  assert.match(restless(scene) ?? "", /the handler of "act" has not finished/);
  await inMacrotask(() => answer(5));
  await inMacrotask(() => {});
  for (const { warnings } of scene.replicas)
    assert.match(
      JSON.stringify(warnings),
      /"where":"the handler of \\"act\\"","error":"it waits for something outside the log.*await this\.effect/,
    );
});

test("[Y171] one that awaited the room's own clock is not, nor one whose replica is given up meanwhile", async () => {
  const scene = await loose();
  await does(scene, async (room) => {
    await room.clock.duration(20);
    await Promise.resolve();
    room.state.n++;
  });
  await scene.tick(60);
  void does(scene, (room) => room.clock.duration(1_000));
  await inMacrotask(() => scene.node("B").restore(new Map()));
  await inMacrotask(() => {});
  for (const { warnings } of scene.replicas) assert.equal(warnings, []);
});

test.run();

// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { type Client, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { inMacrotask } from "../../server/session/macrotask.ts";
import { defineTestRoom } from "./machine-harness.ts";
import { Scene } from "./scene.ts";

const Point = schema({ x: t.number() }, "Point");
const Plan = schema(
  {
    n: t.number(),
    point: t.ref(Point),
    points: t.map(Point),
    list: t.array("number"),
    set: t.set("string"),
    bag: t.collection("string"),
  },
  "Plan",
);

class PlanRoom extends Room<{ state: InstanceType<typeof Plan> }> {
  override state = new Plan();

  override onCreate() {
    this.autoDispose = false;
    this.state.n = 1;
    this.state.point = new Point();
    this.state.point.x = 1;
    this.state.points.set("a", new Point());
    for (const value of [3, 1, 2]) this.state.list.push(value);
    this.state.set.add("a");
    this.state.bag.add("a");
  }

  bump(by: number): number {
    this.state.n += by;
    return this.state.n;
  }

  async bumpLater(by: number): Promise<number> {
    await this.clock.duration(50);
    return this.bump(by);
  }

  fails(): void {
    throw new Error("no such plan");
  }
}

class OtherRoom extends Room {
  static reach: (() => void) | null = null;
  override onCreate() {
    this.autoDispose = false;
    this.onMessage("reach", () => OtherRoom.reach?.());
  }
}

await defineTestRoom("plan", PlanRoom);
await defineTestRoom("other", OtherRoom);

const scene = new Scene(["A", "B"]);
await scene.create("plan");
await scene.join("s1", "A");
const room = () => scene.room<PlanRoom>();

const changes: [string, () => unknown][] = [
  ["a field", () => (room().state.n = 5)],
  ["a field within", () => (room().state.point.x = 5)],
  ["a reference", () => (room().state.point = new Point())],
  ["a field of a map's item", () => ((room().state.points.get("a") as { x: number }).x = 5)],
  ["assign()", () => room().state.assign({ n: 9 })],
  ["map.set", () => room().state.points.set("b", new Point())],
  ["map.delete", () => room().state.points.delete("a")],
  ["map.clear", () => room().state.points.clear()],
  ["array.push", () => room().state.list.push(1)],
  ["array.pop", () => room().state.list.pop()],
  ["array.shift", () => room().state.list.shift()],
  ["array.unshift", () => room().state.list.unshift(1)],
  ["array.splice", () => room().state.list.splice(0, 1)],
  ["array.sort", () => room().state.list.sort()],
  ["array.reverse", () => room().state.list.reverse()],
  ["array.clear", () => room().state.list.clear()],
  ["array[0]", () => (room().state.list[0] = 9)],
  ["array.length", () => (room().state.list.length = 0)],
  ["set.add", () => room().state.set.add("b")],
  ["set.delete", () => room().state.set.delete("a")],
  ["set.clear", () => room().state.set.clear()],
  ["collection.add", () => room().state.bag.add("b")],
  ["collection.delete", () => room().state.bag.delete("a")],
  ["the state itself", () => (room().state = new Plan())],
  ["setState()", () => room().setState(new Plan())],
  ["broadcast()", () => room().broadcast("salve")],
  ["broadcastPatch()", () => room().broadcastPatch()],
  ["lock()", () => room().lock()],
  ["unlock()", () => room().unlock()],
  ["setMetadata()", () => room().setMetadata({ a: 1 })],
  ["setPrivate()", () => room().setPrivate(true)],
  ["setMatchmaking()", () => room().setMatchmaking({ maxClients: 1 })],
  ["maxClients", () => (room().maxClients = 1)],
  ["autoDispose", () => (room().autoDispose = true)],
  ["patchRate", () => (room().patchRate = 100)],
  ["disconnect()", () => room().disconnect()],
  ["kickClient()", () => room().kickClient("s1")],
  ["allowReconnection()", () => room().allowReconnection(room().clients[0] as Client, 5)],
  ["onMessage()", () => room().onMessage("late", () => {})],
  ["setTimestep()", () => room().setTimestep(() => {})],
  ["clock.setTimeout()", () => room().clock.setTimeout(() => {}, 5)],
  ["clock.setInterval()", () => room().clock.setInterval(() => {}, 5)],
  ["clock.duration()", () => room().clock.duration(5)],
  ["clock.clear()", () => room().clock.clear()],
  ["client.send()", () => room().clients[0]?.send("salve")],
  ["client.leave()", () => room().clients[0]?.leave()],
];

for (const [what, change] of changes) {
  test(`[Y15] from outside of the log, ${what} is MUTATION_OUTSIDE_LOG and changes nothing`, async () => {
    const before = scene.hashes();
    const listing = JSON.stringify(scene.first.programs.listings.query({ roomId: scene.roomId }));
    const frames = scene.player("s1").socket.frames.length;
    const json = JSON.stringify(room().state);
    let code = "";
    let words = "";
    // disconnect() says so by its promise, as matchMaker.disconnectAll() needs it.
    await inMacrotask(change).then(
      () => {},
      (error: Error & { code: string }) => {
        code = error.code;
        words = error.message;
      },
    );
    assert.is(code, "MUTATION_OUTSIDE_LOG");
    assert.match(words, "room.propose(");
    assert.is(JSON.stringify(room().state), json);
    assert.equal(scene.hashes(), before);
    assert.is(JSON.stringify(scene.first.programs.listings.query({ roomId: scene.roomId })), listing);
    assert.is(scene.player("s1").socket.frames.length, frames);
    await scene.tick(60);
    assert.is(scene.hashes()[0], scene.hashes()[1]);
    assert.is(scene.isGone, false);
  });
}

test("[Y15] another room's handler is outside, too", async () => {
  const other = new Scene(["A"]);
  await other.create("other");
  await other.join("o1");
  let code = "";
  OtherRoom.reach = () => {
    try {
      room().state.n = 99;
    } catch (error) {
      code = (error as { code: string }).code;
    }
  };
  await other.send("o1", "reach");
  assert.is(code, "MUTATION_OUTSIDE_LOG");
  assert.is(room().state.n, 1);
});

test("[Y15] state that is in no room yet may be changed by anybody", () => {
  const free = new Plan();
  free.n = 4;
  free.list.push(1);
  free.points.set("x", new Point());
  assert.is(free.n, 4);
});

test("[Y16] a call through the log runs on every replica, and its caller gets what it returns, resolves or throws", async () => {
  assert.is(await scene.call("bump", 4), 5);
  assert.equal(
    scene.replicas.map((replica) => replica.room<PlanRoom>(scene.roomId).state.n),
    [5, 5],
  );
  const [later] = await scene.apply(scene.log.call("A", scene.roomId, "bumpLater", 5));
  await scene.tick(60, 2);
  assert.is(later?.type === "done" ? await later.value : null, 10);
  const failed = (await scene.call("fails")) as { refused: string; message: string };
  assert.equal([failed.refused, failed.message], ["APPLICATION", "no such plan"]);
  const missing = (await scene.call("nothing")) as { message: string };
  assert.match(missing.message, 'no method "nothing" to propose');
  assert.is(scene.hashes()[0], scene.hashes()[1]);
});

test.run();

// test-run: seconds=120 node=--import=./server/colyseus/register.ts
import { type Client, definePlugins, Room, RoomPlugin } from "@colyseus/core";
import { Encoder, schema, t } from "@colyseus/schema";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { judgeRoom } from "../../server/check/room-verdict.ts";
import { replicated } from "../../server/colyseus/replicated.ts";
import { sessionLimits } from "../../server/session/limits.ts";
import { inMacrotask } from "../../server/session/macrotask.ts";
import { RoomMarks } from "../../server/session/room-mark.ts";
import { isRefusal } from "../../server/session/session-error.ts";
import type { Checkpoint } from "../../server/storage/storage.ts";
import { LedScene } from "./led-scene.ts";
import { defineTestRoom, messageFrame, Replica, requestFrame } from "./machine-harness.ts";
import { StateFollower } from "./state-follower.ts";

// A big state is told of otherwise.
Encoder.BUFFER_SIZE = 4 * 1024 * 1024;

const played: LedScene[] = [];
test.after(async () => {
  for (const scene of played) await scene.lead(null);
});

async function sceneOf(roomName: string, options: object = {}): Promise<LedScene> {
  const scene = new LedScene();
  played.push(scene);
  await scene.create(roomName, options);
  return scene;
}

const Item = schema({ text: t.string().default("") }, "Item");
const StoreState = schema({ items: t.map(Item), at: t.number().default(0) }, "StoreState");

/** Fails wherever it is asked to. */
class StoreRoom extends Room<{ state: InstanceType<typeof StoreState> }> {
  static failsOnRestore = false;
  static made = 0;
  override state = new StoreState();
  override autoDispose = false;
  override maxMessagesPerSecond = Number.POSITIVE_INFINITY;
  #notes: string[] = [];

  override messages = {
    put: (_client: Client, [key, length]: [string, number]) => {
      this.state.items.set(key, Object.assign(new Item(), { text: "x".repeat(length) }) as never);
      return key;
    },
    fail: () => {
      throw new Error("sync");
    },
    failLater: async () => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      throw new Error("async");
    },
    failByTimer: () => {
      this.clock.setTimeout(() => {
        throw new Error("timer");
      }, 1);
    },
    note: async (client: Client, text: string) => {
      await new Promise((resolve) => setTimeout(resolve, 30));
      this.#notes.push(text);
      client.send("noted", this.#notes);
      return this.#notes;
    },
    elapsed: () => this.clock.elapsedTime,
    lock: async (_client: Client, metadata: object) => {
      await this.setMetadata(metadata);
      await this.lock();
    },
    who: (client: Client) => [client.auth, client.userData],
  };

  override onCreate({ fails }: { fails?: boolean }): void {
    StoreRoom.made++;
    if (fails === true) throw new Error("no goods today");
  }

  override async onJoin(client: Client, { waits = 0 }: { waits?: number }): Promise<void> {
    if (waits > 0) await new Promise((resolve) => setTimeout(resolve, waits));
    client.userData = { waits };
    client.send("in", waits);
  }

  override onDrop(client: Client): void {
    this.allowReconnection(client, 60);
  }

  override onCacheRoom(): unknown {
    return this.#notes;
  }

  override onRestoreRoom(notes: string[]): void {
    if (StoreRoom.failsOnRestore) throw new Error("the notes are unreadable");
    this.#notes = [...notes];
  }

  sum(...numbers: number[]): number {
    return numbers.reduce((sum, each) => sum + each, 0);
  }
}

await defineTestRoom("store", StoreRoom, { run: "leader", cacheEveryMs: 5 });

function refusedBy(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return (error as Error).message;
  }
  return "";
}

test("[Y92] what another leader could not go on with is refused by name: at the definition, or right after onCreate", async () => {
  class DoorRoom extends Room {
    override onAuth(): boolean {
      return true;
    }
  }
  assert.match(
    refusedBy(() => replicated(DoorRoom, { run: "leader" })),
    /DoorRoom .*onAuth of the instance.*static/,
  );
  assert.match(
    refusedBy(() => replicated(Room, { run: "somewhere" as never })),
    /run is "somewhere".*"everywhere" and "leader"/,
  );
  assert.match(
    refusedBy(() => replicated(Room, { cacheEveryMs: 5 })),
    /cacheEveryMs is 5.*run: "leader"/,
  );
  assert.match(
    refusedBy(() => replicated(Room, { run: "leader", messages: { emote: "eventual" } })),
    /"emote" is "eventual", and one node alone runs the room.*"strong" or "latest"/,
  );
  const Hand = schema({ card: t.string().view() }, "Hand");
  class FieldsRoom extends Room {
    secrets = new Map();
    dispatcher = {};
    act = () => {};
  }
  class ViewRoom extends Room<{ state: InstanceType<typeof Hand> }> {
    override state = new Hand();
  }
  const Stick = schema({ x: t.number() }, "Stick");
  class InputRoom extends Room {
    override inputs = this.defineInput(Stick);
  }
  class DicePlugin extends RoomPlugin {
    override readonly pluginName = "dice" as const;
    throws = 0;
  }
  class PluginRoom extends Room {
    override plugins = definePlugins([new DicePlugin()]);
  }
  class TypesRoom extends Room {}
  const cases: [string, new () => Room, object, RegExp][] = [
    ["fields", FieldsRoom, { transient: ["dispatcher"] }, /FieldsRoom .*its fields secrets would be lost/],
    ["view", ViewRoom, {}, /ViewRoom .*view tag/],
    ["input", InputRoom, {}, /InputRoom .*defineInput/],
    ["plugin", PluginRoom, {}, /PluginRoom .*plugins/],
    ["types", TypesRoom, { messages: { steer: "latest" } }, /TypesRoom does not listen to/],
  ];
  for (const [name, roomClass, options, why] of cases) {
    await defineTestRoom(name, roomClass, { run: "leader", ...options });
    const scene = await sceneOf(name);
    assert.ok(scene.isGone, name);
    assert.match(JSON.stringify(scene.first.warnings), why);
  }
});

test("[Y93] what waits for the room's code has a limit: past it a command is refused and not taken, and can be sent again", async () => {
  const scene = await sceneOf("store");
  await scene.join("one", "A");
  await scene.lead(null);
  const frame = messageFrame("put", ["a", 1]);
  for (let n = 0; n < sessionLimits.inputsWaitingMax; n++) assert.is(await scene.frame("one", frame), null);
  const refused = await scene.frame("one", frame);
  assert.ok(isRefusal(refused));
  assert.match((refused as { message: string }).message, /1024 commands .*at most 1024 .*again in a moment/);
  assert.equal((refused as { refused: string }).refused, "ROOM_BUSY");
  await scene.lead("B");
  scene.player("one").epochSequence--;
  assert.is(await scene.frame("one", frame), null, "the same number is taken now");
  await scene.lead(null);
  const big = messageFrame("put", ["x".repeat(40_000), 1]);
  for (let n = 0; n < 6; n++) assert.is(await scene.frame("one", big), null);
  assert.ok(isRefusal(await scene.frame("one", big)), "256 KiB");
});

test("[Y94] a state of a MiB goes through the log in pieces; a step past its limit ends the room, and says so", async () => {
  const scene = await sceneOf("store");
  const one = await scene.join("one", "A");
  for (let n = 0; n < 16; n++) await scene.send("one", "put", [`k${n}`, 64 * 1024]);
  const two = await scene.join("two", "B");
  const follower = new StateFollower(StoreState).follow(two.socket);
  assert.is(follower.state.items.size, 16);
  await scene.lead("C");
  const third = await scene.join("three", "C");
  assert.equal(new StateFollower(StoreState).follow(third.socket).seen, follower.seen);
  assert.is(new Set(scene.hashes()).size, 1);
  await scene.send("one", "put", ["much", sessionLimits.stepBytesMax]);
  assert.ok(scene.isGone);
  assert.match(
    one.socket.closed?.reason ?? "",
    /StoreRoom: what came of it at once has \d+ bytes, at most 2097152/,
  );
  assert.is(one.socket.closed?.code, 4002);
});

test("[Y95] a room is at rest whatever its code is at: a replica that begins from its checkpoint has what waits", async () => {
  const scene = await sceneOf("store");
  await scene.join("one", "A");
  const asked = scene.request("one", "note", "a");
  await scene.passes(5);
  assert.is(await scene.restore("C"), true, "a handler waits for something outside");
  assert.is(new Set(scene.hashes()).size, 1);
  await scene.lead("C");
  await asked;
  await scene.passes(60);
  assert.equal(scene.player("one").messages.at(-1), ["noted", ["a"]]);
  assert.is(new Set(scene.hashes()).size, 1);
});

test("[Y96] a room that cannot be made, or not go on, is closed by agreement, with words", async () => {
  const before = StoreRoom.made;
  const scene = new LedScene();
  played.push(scene);
  scene.fate = () => "keep";
  await scene.create("store", { fails: true });
  const reserved = scene.reserve("one").then(String, (error: Error) => error.message);
  await scene.settle();
  scene.fate = () => "commit";
  await scene.settle();
  assert.match(await reserved, /no goods today/);
  assert.ok(scene.isGone);
  assert.is(StoreRoom.made, before + 1);
  const open = await sceneOf("store");
  const one = await open.join("one", "B");
  StoreRoom.failsOnRestore = true;
  try {
    await open.lead("C");
    assert.ok(open.isGone);
    assert.match(one.socket.closed?.reason ?? "", /the notes are unreadable/);
    await open.tend();
    assert.is(StoreRoom.made, before + 3, "it is not tried again");
  } finally {
    StoreRoom.failsOnRestore = false;
  }
});

test("[Y98] what the room's code throws is an answer, or a line in the log", async () => {
  const scene = await sceneOf("store");
  await scene.join("one", "B");
  await scene.send("one", "fail");
  await scene.send("one", "failLater");
  await scene.send("one", "failByTimer");
  await scene.passes(80);
  const lines = JSON.stringify(scene.first.warnings);
  for (const why of ["sync", "async", "timer"]) assert.match(lines, `"error":"${why}"`);
  assert.equal((await scene.request("one", "fail"))?.status, 2);
  assert.equal(await scene.request("one", "put", ["a", 1]), { status: 0, payload: "a" });
});

const watchedAt: [string, boolean][] = [];
let watchedScene: LedScene | null = null;

class EyesRoom extends Room {
  override autoDispose = false;
  override messages = { look: () => this.look("message") };

  override onCreate(): void {
    this.look("onCreate");
    this.setSimulationInterval(() => this.look("timestep"), 10);
    this.clock.setTimeout(() => this.look("clock"), 10);
  }
  override onJoin(): void {
    this.look("onJoin");
  }
  override onBeforePatch(): void {
    this.look("onBeforePatch");
  }
  look(where: string): void {
    watchedAt.push([where, watchedScene?.isWatched === true]);
  }
}

await defineTestRoom("eyes", EyesRoom, { run: "leader" });

test("[Y98] its code is watched wherever Colyseus calls it; a node that did not come back from it passes the room over", async () => {
  const scene = new LedScene();
  played.push(scene);
  watchedScene = scene;
  await scene.create("eyes");
  await scene.join("one", "A");
  await scene.send("one", "look");
  await scene.passes(60);
  const places = ["onCreate", "onJoin", "message", "timestep", "clock", "onBeforePatch"];
  assert.equal([...new Set(watchedAt.map(([where]) => where))].sort(), places.sort());
  assert.ok(watchedAt.every(([, isWatched]) => isWatched));
  const saved = await inMacrotask(() => scene.first.save());
  const mark = {
    roomId: scene.roomId,
    group: 0,
    act: "run",
    index: 3,
    why: "it did not come back",
    deaths: 1,
  } as const;
  const again = new Replica("A", 2, { marks: new RoomMarks([mark]) });
  scene.kill("A");
  await inMacrotask(() => again.restore(saved as Map<string, Checkpoint>));
  const standing = again.machine.standing(scene.roomId);
  assert.is(standing?.type, "marked");
  assert.is(again.machine.rooms.get(scene.roomId), undefined);
});

test("[Y99] what had not finished when the lead moved begins again; what had is not done twice", async () => {
  const scene = await sceneOf("store");
  await scene.join("one", "B");
  await scene.request("one", "note", "first");
  await scene.passes(60);
  void scene.request("one", "note", "second");
  await scene.passes(5);
  await scene.reserve("two", { waits: 30 });
  const joins = scene.attach("two", "C");
  await scene.passes(5);
  await scene.lead("C");
  await joins;
  await scene.passes(100);
  assert.equal(scene.player("one").messages.at(-1), ["noted", ["first", "second"]]);
  assert.equal(scene.player("two").messages, [["in", 30]]);
  assert.equal(await scene.request("two", "who"), { status: 0, payload: [undefined, { waits: 30 }] });
});

for (const where of ["has moved", "waits to be back"]) {
  test(`[Y99] what begins again is its player's, though that ${where} since`, async () => {
    const scene = await sceneOf("store");
    await scene.join("one", "B", {}, true);
    const frame = requestFrame(1, "note", "late");
    await scene.frame("one", frame);
    const sequence = scene.player("one").clientSequence;
    await scene.drop("one");
    if (where === "has moved") await scene.reconnect("one", "C");
    // Where it is, is worked off; what it asked is not.
    await scene.passes(5);
    await scene.lead("C");
    await scene.passes(100);
    if (where !== "has moved") await scene.reconnect("one", "A");
    await scene.frameAs("one", { stream: "client", sequence, frame });
    assert.equal(scene.player("one").reply(1), { status: 0, payload: ["late"] });
    assert.is(new Set(scene.hashes()).size, 1);
  });
}

test("[Y91] the wrapper's reply is kept, though another client has its seat as the handler comes to its end", async () => {
  const scene = await sceneOf("store");
  const one = await scene.join("one", "B", {}, true);
  const { token } = one;
  const frame = requestFrame(1, "note", "mine");
  await scene.frame("one", frame);
  const sequence = one.clientSequence;
  // Whoever has its token takes the seat, and falls before it has shown the new one.
  await scene.attach("one", "C", { presentedToken: token, wrapper: false, falls: true });
  await scene.passes(60);
  assert.is(one.reply(1), undefined, "it is none of that client's");
  await scene.attach("one", "A", { presentedToken: token, wrapper: true });
  await scene.frameAs("one", { stream: "client", sequence, frame });
  assert.equal(one.reply(1), { status: 0, payload: ["mine"] });
  assert.is(new Set(scene.hashes()).size, 1);
});

test("[Y100] while its steps are not agreed the room's time stands still, and no more is worked off", async () => {
  const scene = await sceneOf("store");
  await scene.join("one", "B");
  scene.fate = () => "keep";
  for (let n = 0; n < 20; n++) {
    await scene.send("one", "put", [`k${n}`, 1]);
    await scene.settle();
  }
  assert.is(scene.proposals.length, sessionLimits.stepPiecesInFlightMax);
  await scene.passes(200);
  assert.is(scene.proposals.length, sessionLimits.stepPiecesInFlightMax);
  scene.fate = () => "commit";
  await scene.settle();
  const before = (await scene.request("one", "elapsed"))?.payload as number;
  await scene.lead("A");
  const after = (await scene.request("one", "elapsed"))?.payload as number;
  assert.ok(before < 200, `its time stood still: ${before}`);
  assert.ok(after >= before, "and goes on with the next leader");
});

test("[Y101] people, metadata and locks are as they were with the next leader, and a kept seat is kept for the rest of its time", async () => {
  const scene = await sceneOf("store");
  await scene.join("one", "A", { waits: 1 });
  await scene.reserve("two", {}, { auth: { id: 7 } });
  await scene.attach("two", "B", {});
  await scene.request("one", "lock", { mode: "duel" });
  await scene.drop("two");
  await scene.lead("C");
  assert.is(await scene.reserve("three"), false, "locked");
  const listing = scene.replicas[1]?.programs.listings.get(scene.roomId);
  assert.equal([listing?.locked, listing?.metadata], [true, { mode: "duel" }]);
  await scene.reconnect("two", "C");
  assert.equal(await scene.request("two", "who"), { status: 0, payload: [{ id: 7 }, { waits: 0 }] });
  assert.equal(await scene.request("one", "who"), { status: 0, payload: [undefined, { waits: 1 }] });
  await scene.drop("two");
  scene.log.logTimeMs += 61_000;
  await scene.lead("B");
  await scene.passes(50);
  await scene.send("one", "put", ["a", 1]);
  assert.is(scene.seat("two"), undefined, "its time was over");
});

test("[Y102] propose and calls from any node reach the room's code, and come back with what it says", async () => {
  const scene = await sceneOf("store");
  assert.is(await scene.call("sum", 1, 2, 3), 6);
  await scene.lead("B");
  assert.is(await scene.call("sum", 4, 5), 9);
  assert.match(
    (await scene.call("subtract", 1).catch((error: Error) => error.message)) as string,
    /no method "subtract"/,
  );
});

const Everything = schema(
  {
    n: t.number(),
    f: t.float64(),
    item: t.ref(Item),
    map: t.map("string"),
    list: t.array("number"),
    set: t.set("string"),
    bag: t.collection("number"),
    items: t.array(Item),
  },
  "Everything",
);

class EverythingRoom extends Room<{ state: InstanceType<typeof Everything> }> {
  static newest: EverythingRoom | null = null;
  override state = new Everything();
  override autoDispose = false;
  override onCreate(): void {
    EverythingRoom.newest = this;
  }
  fill(): void {
    const { state } = this;
    const item = Object.assign(new Item(), { text: "one" });
    Object.assign(state, { n: 1 / 3, f: 1 / 3, item });
    for (const key of ["a", "b", "c"]) state.map.set(key, key.toUpperCase());
    state.list.push(1, 2, 3);
    for (const each of ["x", "y"]) state.set.add(each);
    state.bag.add(7);
    state.bag.add(7);
    state.items.push(item as never, Object.assign(new Item(), { text: "two" }) as never);
  }
  change(): void {
    const { state } = this;
    state.map.delete("b");
    state.map.set("d", "D");
    state.list.shift();
    state.set.delete("x");
    state.set.add("z");
    state.items.splice(0, 1);
    state.items.push(Object.assign(new Item(), { text: "three" }) as never);
  }
}

await defineTestRoom("everything-led", EverythingRoom, { run: "leader" });

test("[Y104] every kind of state goes on with the next leader as clients have it", async () => {
  const scene = await sceneOf("everything-led");
  const one = await scene.join("one", "C");
  const follower = new StateFollower(Everything).follow(one.socket);
  await scene.call("fill");
  for (const leader of ["B", "A", "C", "B"]) {
    await scene.lead(leader);
    await scene.call("change");
    const { state } = EverythingRoom.newest as EverythingRoom;
    assert.equal(
      follower.follow(one.socket).seen,
      new StateFollower(Everything).follow((await scene.join(leader, "A")).socket).seen,
    );
    assert.equal(JSON.stringify(follower.state.toJSON()), JSON.stringify(state.toJSON()));
    assert.is(state.f, 1 / 3);
    assert.is(state.n, Math.fround(1 / 3));
    assert.equal(follower.warnings, []);
  }
});

test("[Y103] testudo check says that its leader runs it, and does not try it out", async () => {
  const roomClass = replicated(StoreRoom, { run: "leader" });
  const made = StoreRoom.made;
  const { verdict } = await judgeRoom({ roomName: "store", roomClass, defaultOptions: {} } as never, null);
  assert.is(verdict.verdict, "works");
  assert.match(verdict.warnings[0] ?? "", /its leader alone runs it/);
  assert.is(StoreRoom.made, made);
});

test.run();

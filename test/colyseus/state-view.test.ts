// test-run: seconds=300 computes node=--import=./server/colyseus/register.ts
import { type Client, Room } from "@colyseus/core";
import { $changes, type ChangeTree, Encoder, StateView, schema, t } from "@colyseus/schema";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { partsOf } from "../../server/colyseus/room-parts.ts";
import { savedFlags } from "../../server/session/graph/schema-internals.ts";
import { sessionLimits } from "../../server/session/limits.ts";
import { inMacrotask } from "../../server/session/macrotask.ts";
import { RoomRandom } from "../../server/session/random.ts";
import type { SessionError } from "../../server/session/session-error.ts";
import { defineTestRoom } from "./machine-harness.ts";
import { Scene } from "./scene.ts";
import { StateFollower, visibleTo } from "./state-follower.ts";
import { Card, type Seat, Table, ViewsRoom } from "./views-room.ts";

await defineTestRoom("views", ViewsRoom);

type Follower = StateFollower<InstanceType<typeof Table>>;

const nodes = ["A", "B", "C"];
const acts = Object.getOwnPropertyNames(ViewsRoom.prototype).flatMap((name) =>
  name.startsWith("do") ? [name.slice(2)] : [],
);

/** A random player of the room: each call is one thing that somebody does. */
class Script {
  readonly scene = new Scene(nodes);
  readonly #random: RoomRandom;

  constructor(seed: number) {
    this.#random = RoomRandom.seeded(Uint8Array.of(...new Uint8Array(11), seed));
  }

  chance(share: number): boolean {
    return this.#random.next() < share;
  }

  below(n: number): number {
    return Math.floor(this.#random.next() * n);
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T;
  }

  async act(): Promise<void> {
    const { scene } = this;
    if (this.chance(0.25)) return await scene.tick(this.pick([17, 50, 51, 120]));
    const sessionId = this.pick(["p1", "p2w", "p3", "p4", "j1"]);
    const seat = scene.seat(sessionId);
    if (seat === undefined)
      return void (await scene.join(sessionId, this.pick(nodes), { judge: sessionId === "j1" }));
    const kept = !scene.room().clients.some((client) => client.sessionId === sessionId);
    if (kept || this.chance(0.05)) return void (await scene.reconnect(sessionId, this.pick(nodes)));
    if (this.chance(0.04)) return void (await scene.drop(sessionId));
    if (this.chance(0.02)) return void (await scene.drop(sessionId, 4000));
    await scene.send(sessionId, "act", [this.pick(acts), this.below(1000), this.below(1000)]);
  }
}

test("[Y34, Y35] restored replicas see with every view what one sees that never was restored, whatever is done with views", async () => {
  let restored = 0;
  for (let seed = 1; seed <= 8; seed++) {
    const script = new Script(seed);
    const { scene } = script;
    await scene.create("views");
    for (let step = 0; step < 300 && !scene.isGone; step++) {
      await script.act();
      if (scene.isGone) break;
      if (script.chance(0.15) && (await scene.restore("B"))) restored++;
      if (step === 60) await scene.restore("C");
      const sights = await inMacrotask(() => nodes.map((id) => scene.room<ViewsRoom>(id).sight()));
      assert.is(sights[1], sights[0], `seed ${seed}, step ${step}: B`);
      assert.is(sights[2], sights[0], `seed ${seed}, step ${step}: C`);
      const hashes = await inMacrotask(() => scene.hashes());
      assert.equal(hashes, [hashes[0], hashes[0], hashes[0]], `seed ${seed}, step ${step}`);
    }
  }
  assert.ok(restored > 60, `${restored} restores`);
});

/** Those of which the library's own clients, in one process and with no restore in sight, make what they should. */
const sound = ["Draw", "Pile", "Play", "Change", "Kit", "Loot", "Judge", "News", "Subscribe", "Shift"];

test("[Y34, Y36] each client sees what its view lets it, and nothing else, wherever it is and through restores", async () => {
  let looks = 0;
  for (let seed = 20; seed < 28; seed++) {
    const script = new Script(seed);
    const { scene } = script;
    await scene.create("views");
    const followers = new Map<string, Follower>();
    for (const [at, sessionId] of ["p1", "p2", "p3", "p4w", "j1"].entries()) {
      await scene.join(sessionId, nodes[at % 3], { judge: sessionId === "j1" });
      followers.set(sessionId, new StateFollower(Table));
    }
    for (let step = 0; step < 120; step++) {
      const sessionId = script.pick([...followers.keys()]);
      await scene.send(sessionId, "act", [script.pick(sound), script.below(1000), script.below(1000)]);
      if (script.chance(0.1) && (await scene.restore("B")))
        await moveFrom(scene, "B", { to: script.pick(nodes), isNew: script.chance(0.5), followers });
      if (step === 50 && (await scene.restore("C")))
        await moveFrom(scene, "C", { to: "A", isNew: false, followers });
      if (script.chance(0.1)) {
        await scene.drop(sessionId);
        await scene.reconnect(sessionId, script.pick(nodes));
        if (script.chance(0.5)) followers.set(sessionId, new StateFollower(Table));
      }
      await scene.tick(51);
      for (const [id, follower] of followers) {
        const { nodeId, socket } = scene.player(id);
        const room = scene.room<ViewsRoom>(nodeId);
        const client = room.clients.getById(id);
        follower.follow(socket);
        assert.equal(follower.seen, visibleTo(room, client?.view), `seed ${seed}, step ${step}: ${id}`);
        assert.equal(follower.warnings, [], `seed ${seed}, step ${step}: ${id}`);
        looks++;
      }
    }
  }
  assert.ok(looks > 1_000);
});

/** As after a node's death: what was on its way when the node died may never have arrived. */
async function moveFrom(
  scene: Scene,
  nodeId: string,
  { to, isNew, followers }: { to: string; isNew: boolean; followers: Map<string, Follower> },
): Promise<void> {
  for (const { sessionId, nodeId: at } of scene.players.values()) {
    if (at !== nodeId) continue;
    await scene.reconnect(sessionId, to);
    if (isNew) followers.set(sessionId, new StateFollower(Table));
  }
}

/** Runs one act on every replica, through the log. */
async function act(scene: Scene, sessionId: string, ...args: unknown[]): Promise<void> {
  await scene.send(sessionId, "act", args);
}

async function table(...players: [string, string][]): Promise<Scene> {
  const scene = new Scene(nodes);
  await scene.create("views");
  for (const [sessionId, nodeId] of players)
    await scene.join(sessionId, nodeId, { judge: sessionId.startsWith("j") });
  return scene;
}

function clientOf(scene: Scene, nodeId: string, sessionId: string): Client {
  const client = scene.room<ViewsRoom>(nodeId).clients.getById(sessionId);
  if (client === undefined) throw new Error(`${sessionId} is not in the room on ${nodeId}`);
  return client as Client;
}

function look(scene: Scene, sessionId: string): string {
  const follower = new StateFollower(Table).follow(scene.player(sessionId).socket);
  assert.equal(follower.warnings, []);
  return JSON.stringify(follower.seen);
}

async function sameHash(scene: Scene, message: string): Promise<void> {
  const hashes = await inMacrotask(() => scene.hashes());
  assert.equal(hashes, [hashes[0], hashes[0], hashes[0]], message);
}

test("[Y36] patches and full states of views are encoded where their clients are, and what views have to tell is drained everywhere", async () => {
  const scene = await table(["p1", "A"], ["p2", "B"]);
  const encoded: string[] = [];
  for (const nodeId of nodes) {
    const { encoder } = partsOf(scene.room(nodeId))._serializer;
    for (const name of ["encodeView", "encodeAllView"] as const) {
      const stock = (encoder as Encoder)[name].bind(encoder);
      (encoder as unknown as Record<string, unknown>)[name] = (view: StateView, ...rest: [number, never]) => {
        encoded.push(`${nodeId} ${name}`);
        return stock(view, ...rest);
      };
    }
  }
  await act(scene, "p1", "Draw");
  const waiting = () => nodes.map((id) => clientOf(scene, id, "p1").view?.changes.size ?? -1);
  assert.ok(waiting().every((size) => size > 0));
  await scene.tick(51);
  assert.equal(waiting(), [0, 0, 0]);
  assert.equal(encoded.splice(0).sort(), ["A encodeView", "B encodeView"]);
  await scene.drop("p1");
  await scene.reconnect("p1", "C");
  assert.equal(encoded.splice(0), ["C encodeAllView"]);
  await act(scene, "p1", "Draw");
  await scene.tick(51);
  assert.equal(encoded.sort(), ["B encodeView", "C encodeView"]);
  assert.match(look(scene, "p1"), '"face":"f7"');
  assert.match(look(scene, "p1"), '"face":"f8"');
  assert.not.match(look(scene, "p2"), '"face":"f7"');
});

test("[Y36] a view that several clients have tells each of them, on one node and on several, also if nothing else changes", async () => {
  const scene = await table(["j1", "A"], ["j2", "A"], ["j3", "B"], ["p1", "C"]);
  await act(scene, "p1", "Draw");
  await scene.tick(51);
  await scene.call("letJudgesSee");
  await scene.tick(51);
  for (const judge of ["j1", "j2", "j3"]) assert.match(look(scene, judge), '"face":"f7"', judge);
  assert.ok(await scene.restore("B"));
  const room = scene.room<ViewsRoom>("B");
  for (const judge of ["j1", "j2", "j3"]) assert.is(clientOf(scene, "B", judge).view, room.judges);
  await sameHash(scene, "after a restore");
});

test("[Y37] two replicas of which a view sees one instance more, has one tag more or is subscribed to more hash differently", async () => {
  const scene = await table(["p1", "A"], ["p2", "B"]);
  await act(scene, "p1", "Draw");
  await sameHash(scene, "before");
  const room = scene.room<ViewsRoom>("C");
  const other = clientOf(scene, "C", "p2").view as StateView;
  const seat = room.state.seats.get("p1") as unknown as Seat;
  const treeOf = (instance: unknown) => (instance as { [$changes]: ChangeTree })[$changes];
  const [tree, seatTree] = [treeOf(seat.hand[0]), treeOf(seat)];
  const changes: [string, () => void, () => void][] = [
    ["sees", () => other.markVisible(tree), () => other.unmarkVisible(tree)],
    ["tag", () => other.addTag(seatTree, 1), () => other.removeTag(seatTree, 1)],
    [
      "iterable",
      () => Object.assign(other, { iterable: true }),
      () => Object.assign(other, { iterable: false }),
    ],
    ["own", () => Object.assign(other, { mine: 1 }), () => Reflect.deleteProperty(other, "mine")],
  ];
  for (const [what, make, undo] of changes) {
    make();
    const [a, , c] = await inMacrotask(() => scene.hashes());
    assert.is.not(c, a, what);
    undo();
    await sameHash(scene, what);
  }
});

test("[Y38] a client that comes back has the view that it left with, also on a replica that was restored meanwhile", async () => {
  const scene = await table(["p1", "A"], ["p2", "B"]);
  await act(scene, "p1", "Draw");
  await act(scene, "p2", "Draw");
  await scene.tick(51);
  await scene.drop("p1");
  assert.ok(await scene.restore("B"));
  await act(scene, "p2", "Draw");
  await scene.reconnect("p1", "B");
  await scene.tick(51);
  await sameHash(scene, "back");
  assert.match(look(scene, "p1"), '"face":"f7"');
  assert.not.match(look(scene, "p1"), /f8|f9/);
  await act(scene, "p1", "Draw");
  await scene.tick(51);
  assert.match(look(scene, "p1"), '"face":"f10"');
  assert.not.match(look(scene, "p2"), /f7|f10/);
});

test("[Y35] what the game has taken away stays taken away after a restore, and is seen again if it comes back", async () => {
  const scene = await table(["p1", "A"], ["p2", "B"]);
  await act(scene, "p1", "Draw");
  await act(scene, "p1", "Hold");
  await scene.tick(51);
  assert.not.match(look(scene, "p1"), "f7");
  assert.ok(await scene.restore("A"));
  await scene.reconnect("p1", "A");
  assert.not.match(look(scene, "p1"), "f7");
  await act(scene, "p1", "Return");
  await scene.tick(51);
  assert.match(look(scene, "p1"), "f7");
  assert.not.match(look(scene, "p2"), "f7");
  await sameHash(scene, "returned");
});

test("[Y39] a view is changed inside its room only, takes what is in the state only, and outlives no state", async () => {
  const scene = await table(["p1", "A"]);
  const room = scene.room<ViewsRoom>("A");
  const view = clientOf(scene, "A", "p1").view as StateView;
  const seat = room.state.seats.get("p1") as never;
  for (const change of [
    () => view.add(seat),
    () => view.remove(seat),
    () => view.subscribe(room.state.news),
    () => view.dispose(),
    () => new StateView().add(seat),
  ])
    assert.throws(change, (error: SessionError) => error.code === "MUTATION_OUTSIDE_LOG");
  for (const [method, words] of [
    ["addNew", /^APPLICATION.*Cannot add a detached instance.*"Card"/],
    ["subscribeNew", /^APPLICATION.*Cannot subscribe.*detached/],
    ["replaceState", /ViewsRoom\.state was replaced.*StateViews/],
  ] as const) {
    const refused = (await scene.call(method)) as { refused: string; message: string };
    assert.match(`${refused.refused}: ${refused.message}`, words);
  }
  await sameHash(scene, "after what was refused");
});

test("[Y39] a state of streams is refused as the room is made, a view of one's own class as it is saved", async () => {
  // Nothing of the kind is in the state yet.
  const Deep = schema({ cards: t.map(Card).stream() }, "Deep");
  const Streamed = schema({ deep: t.map(Deep) }, "Streamed");
  class StreamRoom extends Room<{ state: InstanceType<typeof Streamed> }> {
    override state = new Streamed();
  }
  class OwnView extends StateView {}
  class OwnViewRoom extends Room {
    mine = new OwnView();
  }
  await defineTestRoom("streams", StreamRoom);
  await defineTestRoom("own view", OwnViewRoom);
  for (const [name, words] of [
    ["streams", /StreamRoom\.state: Deep\.cards is a stream.*without \.stream\(\)/],
    ["own view", /room\.mine is an instance of OwnView, which extends StateView.*a plain StateView/],
  ] as const) {
    const refused = (await new Scene(["A"]).create(name)) as { refused: string; message: string };
    assert.is(refused.refused, "ROOM_CREATE_FAILED");
    assert.match(refused.message, words);
  }
});

test("[Y39] what a view has to tell is limited while no joined client has it", async () => {
  const scene = await table(["p1", "A"], ["p2", "B"]);
  await scene.drop("p1");
  await scene.call("churn", 3);
  await scene.tick(51);
  assert.ok(scene.room<ViewsRoom>("A").hoard.changes.size > 0, "it may still be given to a client");
  await scene.call("churn", sessionLimits.viewChangesMax);
  await scene.tick(51);
  const kept = scene.room<ViewsRoom>("A").hoard;
  assert.is(kept.changes.size, 0);
  await sameHash(scene, "dropped");
});

test("[Y36] what cannot be encoded is a line in the log of the node that has the client, and nothing that the room sees", async () => {
  const scene = await table(["p1", "A"], ["p2", "B"]);
  for (const [what, times] of [
    ["garbage", 2],
    ["mended", 0],
  ] as const) {
    assert.is(await scene.call("spoil", what === "garbage"), "the patch is out");
    assert.is(
      scene.node("A").warnings.splice(0).length + scene.node("B").warnings.splice(0).length,
      times,
      what,
    );
    assert.equal(scene.node("C").warnings, []);
    await sameHash(scene, what);
  }
  await act(scene, "p1", "Draw");
  await scene.tick(51);
  assert.match(look(scene, "p1"), "f7");
});

test("[Y34] what is used of the library's views is there, in the pinned version", () => {
  const state = new Table();
  const { root } = new Encoder(state);
  const view = new StateView();
  const own = new Set<string | symbol>(Reflect.ownKeys(view));
  for (const key of ["iterable", "id", "changes", "_slot", "_bit"]) assert.ok(own.has(key), key);
  for (const name of [
    "_bindRoot",
    "_setSubscribed",
    "isVisible",
    "isChangeTreeVisible",
    "markVisible",
    "addTag",
  ])
    assert.type((view as unknown as Record<string, unknown>)[name], "function", name);
  for (const name of ["remove", "releaseViewId", "enqueueFilterRefresh", "forEachActiveView"] as const)
    assert.type(root[name], "function", name);
  assert.equal([root.pendingFilterRefresh, root.types.hasFilters], [[], true]);
  view.add(state.news);
  const { flags, visibleViews } = (state.news as unknown as { [$changes]: ChangeTree })[$changes];
  assert.equal([flags & savedFlags, visibleViews], [1, [1]], "filtered, and seen");
});

test("[Y37] what a view of the past leaves behind is not another view's, whenever the garbage collector comes", async () => {
  const scene = await table(["p1", "A"], ["p2", "B"]);
  await act(scene, "p1", "Draw");
  await act(scene, "p1", "Hold");
  await scene.call("swapViews");
  const sights = await inMacrotask(() => nodes.map((id) => scene.room<ViewsRoom>(id).sight()));
  assert.equal(sights, [sights[0], sights[0], sights[0]]);
  assert.not.match(sights[0] as string, "f7");
  await sameHash(scene, "swapped");
});

test.run();

// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { type Client, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { RoomShadow } from "../../server/colyseus/room-shadow.ts";
import { codesOf, upgradable } from "../../server/session/code-switch.ts";
import { copyRoom } from "../../server/session/divergence/room-copy.ts";
import { noHash } from "../../server/session/divergence/room-witness.ts";
import { inMacrotask } from "../../server/session/macrotask.ts";
import type { Checkpoint } from "../../server/storage/storage.ts";
import { defineTestRoom, Replica } from "./machine-harness.ts";
import { Scene } from "./scene.ts";

const test = suite("rooms of another version of the game's code");

const State = schema({ score: t.number().default(0) }, "OtherCodeState");

const UpgradedState = schema(
  { score: t.number().default(0), level: t.number().default(1) },
  "OtherCodeState",
);

class MatchRoom extends Room<{ state: InstanceType<typeof State> }> {
  override state = new State();
  override autoDispose = false;

  override onCreate(): void {
    this.onMessage("score", (_client: Client, points: number) => {
      this.state.score += points;
    });
    this.onMessage("wait", async (_client: Client, ms: number) => await this.clock.duration(ms));
    this.setTimestep(() => {}, 100);
  }

  override onDrop(client: Client): void {
    this.allowReconnection(client, 60);
  }

  end(): void {
    void this.disconnect();
  }
}

await defineTestRoom("match", MatchRoom);

/** A, B and C of v1, with a room that A's player is in. */
async function match(): Promise<Scene> {
  const scene = new Scene([]);
  for (const nodeId of ["A", "B", "C"]) scene.replicas.push(new Replica(nodeId, 1, { code: "v1" }));
  await scene.value(scene.log.allocate("A", scene.roomId, "match", {}, { code: "v1" }));
  await scene.join("a", "A");
  await scene.send("a", "score", 3);
  return scene;
}

/** The node's process ends, and another code starts on its disk. */
async function deploy(scene: Scene, nodeId: string, code: string): Promise<Replica> {
  const old = scene.node(nodeId);
  const saved = (await inMacrotask(() => old.save())) as Map<string, Checkpoint>;
  await inMacrotask(() => old.restore(new Map()));
  const fresh = new Replica(nodeId, 2, { code });
  await inMacrotask(() => fresh.restore(saved));
  scene.replicas[scene.replicas.indexOf(old)] = fresh;
  return fresh;
}

test("[U1] a room records the code under which it was made: a node with another neither runs nor serves it, from its creation on", async () => {
  const scene = new Scene([]);
  for (const [nodeId, code] of Object.entries({ A: "v1", B: "v1", C: "v2" }))
    scene.replicas.push(new Replica(nodeId, 1, { code }));
  await scene.value(scene.log.allocate("A", scene.roomId, "match", {}, { code: "v1" }));
  await scene.join("a", "A");
  await scene.send("a", "score", 3);
  const { machine, acted } = scene.node("C");
  assert.is(machine.rooms.size, 0);
  assert.equal(acted, [], "none of its code has run");
  assert.equal(machine.standing(scene.roomId), { type: "foreign", code: "v1", own: "v2" });
  const refused = machine.notServed(scene.roomId);
  assert.is(refused.refused, "ROOM_NOT_SERVED_HERE");
  assert.match(
    refused.message,
    /runs under the game's code "v1", and this node has "v2"; go on at another node/,
  );
  assert.is(scene.room<MatchRoom>("B").state.score, 3);
  assert.ok(machine.lacksParts(), "it should not lead the group");
});

test("[U1] a checkpoint keeps the code: what starts with another on the same disk runs nothing of the room", async () => {
  const scene = await match();
  const { machine, acted } = await deploy(scene, "C", "v2");
  assert.equal(machine.standing(scene.roomId), { type: "foreign", code: "v1", own: "v2" });
  await scene.send("a", "score", 4);
  assert.equal(acted, []);
  assert.is(scene.room<MatchRoom>("B").state.score, 7);
});

test("[U2] the disk keeps the room's checkpoint and the log behind it, so that its own code goes on where it was", async () => {
  const scene = await match();
  const saved = (await inMacrotask(() => scene.node("C").save())) as Map<string, Checkpoint>;
  const { machine } = await deploy(scene, "C", "v2");
  const from = scene.log.index;
  await scene.send("a", "score", 4);
  assert.is(await inMacrotask(() => machine.save(scene.roomId)), null);
  const kept = [...machine.dirty()].find(({ key }) => key === scene.roomId);
  assert.is(kept?.firstIndex, from + 1);
  const back = new Replica("C", 3, { code: "v1" });
  await inMacrotask(() => scene.node("C").restore(new Map()));
  await inMacrotask(() => back.restore(saved));
  for (const entry of scene.entries.slice(from)) await inMacrotask(() => back.apply(entry));
  scene.replicas[2] = back;
  assert.is(new Set(scene.hashes()).size, 1);
});

test("[U2] past its limit the log is cut there, as for a pinned room: the stub knows the code", async () => {
  const scene = await match();
  const { machine } = await deploy(scene, "C", "v2");
  await scene.send("a", "score", 4);
  const stub = await inMacrotask(() => machine.letGo(scene.roomId));
  assert.ok(stub);
  const again = new Replica("C", 3, { code: "v2" });
  const directory = (await inMacrotask(() => machine.save(""))) as Checkpoint;
  await inMacrotask(() =>
    again.restore(
      new Map([
        ["", directory],
        [scene.roomId, stub],
      ]),
    ),
  );
  assert.is(again.machine.standing(scene.roomId)?.type, "foreign");
});

test("[U3] a copy is given only for the code that the room runs under", async () => {
  const scene = await match();
  await deploy(scene, "C", "v2");
  const wish = { roomId: scene.roomId, index: 0, hash: noHash, notBefore: 1 };
  const { machine } = scene.node("A");
  const refused = await inMacrotask(() => copyRoom(machine, { ...wish, code: "v2" }));
  assert.equal(refused, { type: "refused", reason: 'here it runs under the game\'s code "v1"' });
  assert.is((await inMacrotask(() => copyRoom(machine, { ...wish, code: "v1" }))).type, "copied");
});

test("[U4] a room that ends where its code is ends for all", async () => {
  const scene = await match();
  const { machine } = await deploy(scene, "C", "v2");
  await scene.call("end");
  assert.ok(machine.odd.has(scene.roomId));
  await scene.apply(scene.log.forget("A", scene.roomId));
  assert.not(machine.odd.has(scene.roomId));
  assert.is(await inMacrotask(() => machine.save(scene.roomId)), "deleted");
});

/** v2's class under the same name: here as a node's process has it, one version of the code at a time. */
class UpgradedRoom extends MatchRoom {
  override state = new UpgradedState();
  bonus = 5;
  upgrades: unknown[] = [];

  onUpgrade(oldState: unknown, from: string): void {
    this.upgrades.push([oldState, from, Math.random()]);
    this.state.level = this.state.score > 5 ? 2 : 1;
  }
}

class FailingRoom extends MatchRoom {
  onUpgrade(): void {
    throw new Error("this state is none of mine");
  }
}

type AnyClass = typeof MatchRoom | typeof UpgradedRoom | typeof FailingRoom | typeof OlderRoom;

/** What every process but one that runs another version would load. */
async function under<T>(roomClass: AnyClass, act: () => Promise<T>): Promise<T> {
  await defineTestRoom("match", roomClass);
  try {
    return await act();
  } finally {
    await defineTestRoom("match", MatchRoom);
  }
}

const wishOf = (scene: Scene, nodeId: string) => {
  const odd = scene.node(nodeId).machine.odd.get(scene.roomId);
  const { index = 0, hash = noHash } = odd?.divergence ?? {};
  return { roomId: scene.roomId, index, hash, notBefore: odd?.index ?? 0, code: "v2" };
};

/** The node asks another one for the room. */
async function takeOver(scene: Scene, nodeId: string, from: string, roomClass: AnyClass) {
  const copied = await inMacrotask(() => copyRoom(scene.node(from).machine, wishOf(scene, nodeId)));
  if (copied.type === "refused") throw new Error(copied.reason);
  const { machine } = scene.node(nodeId);
  return await under(roomClass, () => inMacrotask(() => machine.heal(scene.roomId, copied.checkpoint)));
}

const switchTo = (scene: Scene, to: string) =>
  scene.value(scene.log.next("C", "switchCode", { roomId: scene.roomId, to }));

test("[U5] a room that is switched goes on under the new code where it was, with its seats and what was agreed meanwhile; the old code runs it no more", async () => {
  const scene = await match();
  await scene.send("a", "score", 4);
  await deploy(scene, "B", "v2");
  await deploy(scene, "C", "v2");
  const old = scene.node("A").machine;
  assert.is(await switchTo(scene, "v2"), null);
  assert.is(old.rooms.size, 0);
  assert.equal(old.standing(scene.roomId), { type: "foreign", code: "v2", own: "v1" });
  assert.is(scene.player("a").socket.closed?.code, 4010, "its player is sent on");
  // A command between the switch and the moment that the room is there again.
  await scene.tick(100);
  await scene.drop("a");
  for (const [nodeId, from] of [
    ["B", "A"],
    ["C", "B"],
  ] as const)
    assert.equal(await takeOver(scene, nodeId, from, UpgradedRoom), { type: "healed" });
  const rooms = ["B", "C"].map((nodeId) => scene.room<UpgradedRoom>(nodeId));
  for (const { state, bonus, upgrades } of rooms) {
    assert.equal([state.score, state.level, bonus], [7, 2, 5]);
    assert.equal(
      (upgrades as unknown[][]).map(([state, from]) => [state, from]),
      [[{ score: 7 }, "v1"]],
    );
  }
  const [one, other] = ["B", "C"].map((nodeId) => scene.node(nodeId).hash(scene.roomId));
  assert.is(one, other);
  assert.is(scene.node("A").acted.at(-1)?.act, "save", "v1 has run nothing of it since");
});

test("[U5] the switch asks for rest, and what is not at rest goes on as before; to its own code nothing happens", async () => {
  const scene = await match();
  await deploy(scene, "C", "v2");
  assert.is(await switchTo(scene, "v1"), null);
  await scene.send("a", "wait", 500);
  assert.match(
    ((await switchTo(scene, "v2")) as { refused: string; message: string }).message,
    /is not at rest/,
  );
  await scene.send("a", "score", 1);
  assert.is(scene.room<MatchRoom>("A").state.score, 4);
  await scene.tick(100, 6);
  assert.is(await switchTo(scene, "v2"), null);
});

test("[U6] what is left of the room at the switch is good for nobody who stands behind it, nor for a third code", async () => {
  const scene = await match();
  await deploy(scene, "C", "v2");
  await switchTo(scene, "v2");
  const { machine } = scene.node("A");
  const wish = wishOf(scene, "C");
  const late = await inMacrotask(() => copyRoom(machine, { ...wish, notBefore: scene.log.index + 1 }));
  assert.match(late.type === "refused" ? late.reason : "", /it was switched at entry/);
  assert.is((await inMacrotask(() => copyRoom(machine, { ...wish, code: "v3" }))).type, "refused");
  assert.is((await inMacrotask(() => copyRoom(machine, wish))).type, "copied");
});

test("[U6] a replay of the log under the old code leaves the same for the new one", async () => {
  const scene = await match();
  const saved = (await inMacrotask(() => scene.node("B").save())) as Map<string, Checkpoint>;
  const from = scene.log.index;
  await deploy(scene, "C", "v2");
  await scene.send("a", "score", 4);
  await switchTo(scene, "v2");
  await scene.tick(100);
  await inMacrotask(() => scene.node("B").restore(new Map()));
  const again = new Replica("B", 2, { code: "v1" });
  await inMacrotask(() => again.restore(saved));
  for (const entry of scene.entries.slice(from)) await inMacrotask(() => again.apply(entry));
  scene.replicas[1] = again;
  assert.equal(await takeOver(scene, "C", "B", UpgradedRoom), { type: "healed" });
  assert.is(scene.room<UpgradedRoom>("C").state.score, 7);
});

test("[U7] a room whose onUpgrade throws does not come to life half: it stands still, with what it said", async () => {
  const scene = await match();
  await deploy(scene, "C", "v2");
  await switchTo(scene, "v2");
  const healed = await takeOver(scene, "C", "A", FailingRoom);
  assert.match(healed.type === "failed" ? String(healed.error) : "", /this state is none of mine/);
  assert.is(scene.node("C").machine.standing(scene.roomId)?.type, "foreign");
  assert.equal(await takeOver(scene, "C", "A", UpgradedRoom), { type: "healed" }, "a better one may follow");
});

/** What the node's code, of this class, says of a copy of the room. */
async function trial(scene: Scene, nodeId: string, roomClass: AnyClass): Promise<string | null> {
  const shadow = new RoomShadow({ nodeId, log: { warn: () => {}, error: () => {} } });
  const wish = { ...wishOf(scene, nodeId), isTrial: true };
  const copied = await inMacrotask(() => copyRoom(scene.node("A").machine, wish));
  if (copied.type === "refused") throw new Error(copied.reason);
  assert.equal(codesOf(copied.checkpoint.bytes), { code: "v1", left: [] });
  return await under(roomClass, () =>
    inMacrotask(() => shadow.failure(upgradable(copied.checkpoint.bytes, "v2"))),
  );
}

test("[U28] a trial is of the room as it is now, with the new code's onUpgrade, and nobody notices", async () => {
  const scene = await match();
  await deploy(scene, "C", "v2");
  await scene.send("a", "score", 4);
  const before = scene.node("A").hash(scene.roomId);
  assert.is(await trial(scene, "C", UpgradedRoom), null);
  assert.match((await trial(scene, "C", FailingRoom)) ?? "", /this state is none of mine/);
  assert.is(scene.node("A").hash(scene.roomId), before);
  assert.is(scene.node("C").machine.standing(scene.roomId)?.type, "foreign");
  assert.is(scene.node("C").machine.rooms.size, 0);
  assert.is(scene.player("a").socket.closed, null);
  await scene.send("a", "score", 1);
  assert.is(scene.room<MatchRoom>("A").state.score, 8);
});

class OlderRoom extends MatchRoom {
  returned: unknown[] = [];

  onUpgrade(state: unknown, from: string): void {
    this.returned.push([state, from]);
  }
}

test("[U30] a room goes back to the code that it has left as it went: onUpgrade of that code, if it has one, gets the state and the code that it comes from", async () => {
  const scene = await match();
  for (const nodeId of ["B", "C"]) await deploy(scene, nodeId, "v2");
  await switchTo(scene, "v2");
  await takeOver(scene, "B", "A", UpgradedRoom);
  await takeOver(scene, "C", "B", UpgradedRoom);
  // The seat is attached at A still: what its client says there goes on.
  await scene.send("a", "score", 4);
  assert.is(await switchTo(scene, "v1"), null);
  assert.equal(scene.node("B").machine.standing(scene.roomId), { type: "foreign", code: "v1", own: "v2" });
  await scene.tick(100);
  const wish = { ...wishOf(scene, "A"), code: "v1" };
  const copied = await inMacrotask(() => copyRoom(scene.node("B").machine, wish));
  if (copied.type === "refused") throw new Error(copied.reason);
  assert.equal(codesOf(copied.checkpoint.bytes), { code: "v1", left: ["v1", "v2"] });
  const { machine } = scene.node("A");
  const healed = await under(OlderRoom, () =>
    inMacrotask(() => machine.heal(scene.roomId, copied.checkpoint)),
  );
  assert.equal(healed, { type: "healed" });
  const room = scene.room<OlderRoom>("A");
  assert.equal(room.returned, [[{ score: 7, level: 1 }, "v2"]]);
  await scene.send("a", "score", 1);
  assert.is(room.state.score, 8);
});

test("[U30] a code without an onUpgrade does not get a room back whose state has fields that it does not have: it would lose them in silence", async () => {
  const scene = await match();
  await deploy(scene, "B", "v2");
  await switchTo(scene, "v2");
  await takeOver(scene, "B", "A", UpgradedRoom);
  const bytes = (await inMacrotask(() => scene.node("B").machine.save(scene.roomId))) as Checkpoint;
  const shadow = new RoomShadow({ nodeId: "A", log: { warn: () => {}, error: () => {} } });
  const failure = await inMacrotask(() => shadow.failure(upgradable(bytes.bytes, "v1")));
  assert.match(
    failure ?? "",
    /the saved graph has a field level of OtherCodeState.*, which is not known here/,
  );
});

test("[U31] a node that is to have a room knows it by the log, for a while; whoever comes from it meanwhile is waited for", async () => {
  const scene = await match();
  await deploy(scene, "C", "v2");
  const odd = () => scene.node("C").machine.odd.get(scene.roomId);
  assert.is(odd()?.isComing, false);
  await switchTo(scene, "v3");
  assert.is(odd()?.isComing, false, "another code's");
  await switchTo(scene, "v2");
  assert.is(odd()?.isComing, true);
  await scene.tick(100, 19);
  assert.is(odd()?.isComing, true);
  await scene.tick(100);
  assert.is(odd()?.isComing, false, "it was not at rest, perhaps, and stays where it is");
});

test.run();

// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { type Client, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { copyRoom } from "../../server/session/divergence/room-copy.ts";
import { noHash } from "../../server/session/divergence/room-witness.ts";
import type { Checkpoint } from "../../server/storage/storage.ts";
import { defineTestRoom, inMacrotask, Replica } from "./machine-harness.ts";
import { Scene } from "./scene.ts";

const test = suite("rooms of another version of the game's code");

const State = schema({ score: t.number().default(0) }, "OtherCodeState");

class MatchRoom extends Room<{ state: InstanceType<typeof State> }> {
  override state = new State();
  override autoDispose = false;

  override onCreate(): void {
    this.onMessage("score", (_client: Client, points: number) => {
      this.state.score += points;
    });
    this.setTimestep(() => {}, 100);
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

test.run();

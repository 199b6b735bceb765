// test-run: seconds=120 node=--import=./server/colyseus/register.ts
import { test } from "uvu";
import * as assert from "uvu/assert";
import { absentRooms, roomStatus } from "../../../server/colyseus/room-status.ts";
import { divergenceTimes } from "../../../server/session/divergence/divergence-watch.ts";
import { inMacrotask } from "../../../server/session/macrotask.ts";
import type { Quarantine } from "../../../server/session/quarantine.ts";
import { RoomMarks } from "../../../server/session/room-mark.ts";
import { packStub, unpackStub } from "../../../server/session/room-stub.ts";
import { Sweeper } from "../../../server/session/sweeper.ts";
import type { Checkpoint } from "../../../server/storage/storage.ts";
import { Replica } from "../../colyseus/machine-harness.ts";
import { Jury } from "./jury.ts";
import type { DivergingRoom } from "./trial.ts";

const begin = async () => (await new Jury().begin()) as Jury;
const hourMs = 3_600_000;

/** Nodes' disks, each as their last round of checkpoints has left it. */
class Disks {
  readonly #jury: Jury;
  readonly #disks = new Map<string, Map<string, Checkpoint>>();

  constructor(jury: Jury) {
    this.#jury = jury;
  }

  of(nodeId: string): Map<string, Checkpoint> {
    const disk = this.#disks.get(nodeId) ?? new Map<string, Checkpoint>();
    this.#disks.set(nodeId, disk);
    return disk;
  }

  /** `letGo`: what is not at rest holds back too much. */
  async round(nodeId: string, { letGo = false } = {}): Promise<void> {
    const { machine } = this.#jury.node(nodeId);
    await inMacrotask(() => {
      for (const { key } of [...machine.dirty()]) {
        const state = machine.save(key) ?? (letGo ? machine.letGo(key) : null);
        if (state === null) continue;
        if (state === "deleted") this.of(nodeId).delete(key);
        else this.of(nodeId).set(key, state);
        machine.saved(key, state === "deleted" ? machine.appliedIndex : state.index);
      }
    });
  }

  /** The log has been cut as far as its floor allows. */
  async restart(nodeId: string, disk = this.of(nodeId)): Promise<Replica> {
    const { replicas, entries } = this.#jury;
    const old = replicas.find((each) => each.nodeId === nodeId) as Replica;
    const floor = Math.min(
      old.machine.appliedIndex,
      ...[...old.machine.dirty()].map(({ firstIndex }) => firstIndex - 1),
    );
    const fresh = new Replica(nodeId, 2);
    await inMacrotask(() => old.restore(new Map()));
    this.#jury.restarted(
      fresh,
      entries.findIndex(({ index }) => index > floor),
    );
    await inMacrotask(() => fresh.restore(disk));
    return fresh;
  }
}

/** A room that waits for an hour, with a checkpoint from before on every disk, and then on C's nothing but a stub. */
async function pinnedOnC(): Promise<{ jury: Jury; disks: Disks }> {
  const jury = await begin();
  const disks = new Disks(jury);
  await jury.seconds(7);
  for (const nodeId of ["A", "B", "C"]) await disks.round(nodeId);
  await jury.send("a", "wait", hourMs);
  await jury.seconds(1);
  await disks.round("C", { letGo: true });
  return { jury, disks };
}

async function turns(jury: Jury, seconds: number): Promise<void> {
  for (let turn = 0; turn < seconds * 4; turn++) await jury.turn();
}

const status = (jury: Jury, nodeId: string) => {
  const replica = jury.replica(nodeId);
  return roomStatus(replica, 0, jury.node(nodeId).machine.standing(jury.roomId));
};

test("[Y144] a room that is not at rest lets go of the log: it goes on, says why, and is pinned until it is saved again", async () => {
  const { jury, disks } = await pinnedOnC();
  const { machine, warnings } = jury.node("C");
  assert.equal([...machine.dirty()], [], "nothing holds the log back");
  assert.equal(jury.standings(), "serving,serving,serving");
  const stub = unpackStub(disks.of("C").get(jury.roomId)?.bytes as Uint8Array);
  assert.is(stub?.because, 'the handler of "wait" has not finished');
  const told = warnings.filter((fields) => (fields as { event?: string }).event === "room-pinned");
  assert.is(told.length, 1);
  assert.equal((told[0] as { because: string }).because, 'the handler of "wait" has not finished');
  assert.equal([status(jury, "A").pinned, status(jury, "C").pinned], [false, true]);
  await jury.send("a", "fire");
  await jury.seconds(1);
  await jury.equal();

  // Each round keeps the stub up with the log, without being asked.
  await disks.round("C");
  assert.is(disks.of("C").get(jury.roomId)?.index, machine.appliedIndex);
  assert.equal([...machine.dirty()], []);
  assert.is(warnings.length, 1, "once");

  await jury.tick(hourMs, 2);
  await disks.round("C");
  assert.is(status(jury, "C").pinned, false);
  assert.is(unpackStub(disks.of("C").get(jury.roomId)?.bytes as Uint8Array), null);
  assert.is((warnings.at(-1) as { event?: string }).event, "room-unpinned");
  await disks.restart("C");
  await jury.seconds(2);
  assert.equal(jury.standings(), "serving,serving,serving");
  await jury.equal();
});

test("[V15] a node that finds a stub has no room: nothing is run of it, nobody is served, and no older checkpoint counts", async () => {
  const { jury, disks } = await pinnedOnC();
  await jury.send("b", "fire");
  await disks.round("C");
  const fresh = await disks.restart("C");
  await jury.send("a", "fire");
  assert.equal(jury.standings(), "serving,serving,absent");
  assert.is(fresh.machine.rooms.has(jury.roomId), false);
  assert.equal([...fresh.machine.gone()], [], "it is not taken for one that has ended");
  assert.equal(fresh.acted, [], "none of its code has run");
  const [room] = absentRooms(fresh.machine, 0);
  assert.equal(
    [room?.roomId, room?.name, room?.pinned, room?.standing?.type],
    [jury.roomId, "diverging", true, "absent"],
  );
  const refused = fresh.machine.notServed(jury.roomId);
  assert.is(refused.refused, "ROOM_NOT_SERVED_HERE");
  assert.match(refused.message, 'it has long not been at rest (the handler of "wait" has not finished)');
  // Its own part may know nothing yet of the room's creation, and the log still has it.
  const young = new Replica("C", 2);
  const stubOnly = new Map([...disks.of("C")].filter(([key]) => key !== ""));
  await inMacrotask(() => young.restore(stubOnly));
  for (const entry of jury.entries) await inMacrotask(() => young.apply(entry));
  assert.equal([[...young.machine.rooms.keys()], [...young.machine.gone()]], [[], []]);
  assert.is(young.machine.standing(jury.roomId)?.type, "absent");
  assert.equal(young.errors, []);
});

test("[V15] numbers are counted where the room is not, so that what comes too early is noticed and sent again", async () => {
  const { jury, disks } = await pinnedOnC();
  await jury.apply(jury.log.call("C", jury.roomId, "drawn"));
  await disks.round("C");
  // As a snapshot does it: the node is the same start, and so are its numbers.
  const { machine } = jury.node("C");
  await inMacrotask(() => jury.node("C").restore(disks.of("C")));
  const detach = (sequence: number) =>
    jury.log.next("C", "detach", { roomId: jury.roomId, sessionId: "c", epoch: 9, code: 1006, sequence });
  const result = async (sequence: number) => {
    const results = await jury.apply(detach(sequence));
    return results.map(({ type }) => type).join();
  };
  const last = jury.replica("A").origins.lastOf({ nodeId: "C", bootCount: 1 });
  assert.is(await result(last + 2), "gap,gap,gap");
  assert.is(await result(last + 1), "done,done,done");
  assert.is(await result(last + 2), "done,done,done");
  assert.is(machine.odd.get(jury.roomId)?.isAbsent, true);
});

test("[V15] a snapshot brings the stub to a node that runs the room: its replica is behind, and counts no more", async () => {
  const { jury, disks } = await pinnedOnC();
  const { machine } = jury.node("B");
  await inMacrotask(() => jury.node("B").restore(disks.of("C")));
  assert.is(machine.rooms.has(jury.roomId), false);
  assert.is(jury.player("b").socket.closed?.code, 4010);
  assert.equal(jury.standings(), "serving,absent,serving");
  await jury.tick(hourMs, 2);
  await jury.seconds(3);
  assert.equal(jury.standings(), "serving,serving,serving");
  await jury.equal();
});

test("[V16] as soon as the room is at rest on another node, whoever lacks it has it again: equal, and pinned until it is saved", async () => {
  const { jury, disks } = await pinnedOnC();
  const fresh = await disks.restart("C");
  await jury.send("a", "fire");
  await jury.seconds(3);
  assert.equal(jury.standings(), "serving,serving,absent");
  const standing = fresh.machine.standing(jury.roomId);
  assert.ok(standing?.type === "absent" && standing.waitsFor !== null);
  assert.match(standing.waitsFor, /^[AB]: not at rest: the handler of "wait" has not finished$/);
  assert.is(jury.watch("C").book.counts.count, 0, "it does not differ");
  await jury.tick(hourMs, 2);
  await jury.seconds(6);
  assert.equal(jury.standings(), "serving,serving,serving");
  await jury.equal();
  assert.is(status(jury, "C").pinned, true);
  assert.equal(
    jury.logged.filter(({ nodeId }) => nodeId === "C").map(({ event }) => event),
    ["room-absent", "room-back"],
  );
  await jury.reconnect("c", "C");
  await jury.send("c", "fire");
  await disks.round("C");
  assert.is(status(jury, "C").pinned, false);
  await disks.restart("C");
  await jury.seconds(2);
  assert.equal(jury.standings(), "serving,serving,serving");
  await jury.equal();
});

test("[V16] a room that nothing happened to since is saved all the same once it is back", async () => {
  const { jury, disks } = await pinnedOnC();
  await jury.tick(hourMs, 2);
  await disks.restart("C");
  await turns(jury, 6);
  assert.equal(jury.standings(), "serving,serving,serving");
  await disks.round("C");
  assert.is(unpackStub(disks.of("C").get(jury.roomId)?.bytes as Uint8Array), null);
});

test("[V16] it may be had from whoever has it before anything was agreed about it, and from nobody who is behind a verdict", async () => {
  const jury = await begin();
  const disks = new Disks(jury);
  jury.passes = () => false;
  await jury.send("a", "wait", 3_000);
  await disks.round("C", { letGo: true });
  assert.is(unpackStub(disks.of("C").get(jury.roomId)?.bytes as Uint8Array)?.agreed, null);
  await disks.restart("C");
  await jury.tick(4_000);
  jury.passes = () => true;
  await jury.seconds(6);
  assert.equal(jury.standings(), "serving,serving,serving");
  await jury.equal();

  const late = await pinnedOnC();
  const stub = unpackStub(late.disks.of("C").get(late.jury.roomId)?.bytes as Uint8Array);
  assert.ok(stub?.agreed);
  const index = late.jury.log.index + 100;
  const ahead = packStub({ ...stub, agreed: { index, hash: "another" } });
  const disk = late.disks.of("C");
  disk.set(late.jury.roomId, { index: late.jury.log.index, bytes: ahead });
  const fresh = await late.disks.restart("C", disk);
  await late.jury.tick(hourMs, 2);
  await turns(late.jury, 6);
  const standing = fresh.machine.standing(late.jury.roomId);
  assert.ok(standing?.type === "absent");
  assert.match(standing.waitsFor ?? "", "the verdict has not come here yet");
});

test("[V16] a replica that differs and finds nobody at rest lets go, too, and is no holder after a restart", async () => {
  const jury = await begin();
  const disks = new Disks(jury);
  await jury.seconds(7);
  await disks.round("C");
  await jury.send("a", "wait", hourMs);
  jury.room<DivergingRoom>("C").bias = 1;
  await jury.send("a", "fire");
  await jury.seconds(3);
  assert.equal(jury.standings(), "serving,serving,diverged");
  await disks.round("C");
  assert.is(unpackStub(disks.of("C").get(jury.roomId)?.bytes as Uint8Array), null);
  await disks.round("C", { letGo: true });
  await disks.restart("C");
  await jury.seconds(1);
  assert.equal(jury.standings(), "serving,serving,absent");
  await jury.tick(hourMs, 2);
  await jury.seconds(6);
  assert.equal(jury.standings(), "serving,serving,serving");
  await jury.equal();
});

/** All have nothing but a stub, and have started anew. */
async function nowhere(): Promise<{ jury: Jury; disks: Disks }> {
  const { jury, disks } = await pinnedOnC();
  for (const nodeId of ["A", "B", "C"]) await disks.round(nodeId, { letGo: true });
  for (const nodeId of ["A", "B", "C"]) await disks.restart(nodeId);
  await jury.send("a", "fire");
  return { jury, disks };
}

const lost = (jury: Jury) => [...jury.watch(jury.leaderId).lost];

test("[V17] a room that no member has any more is closed, once all of them have said so twice, with the reason", async () => {
  const { jury, disks } = await nowhere();
  assert.equal(jury.standings(), "absent,absent,absent");
  await turns(jury, 1);
  assert.equal(lost(jury), []);
  await turns(jury, (2 * divergenceTimes.restateMs) / 1_000);
  assert.equal(lost(jury), [jury.roomId]);
  assert.equal(
    jury.verdicts.filter(({ anew }) => anew),
    [],
    "there is nothing to compare",
  );
  const because = jury.node("A").machine.odd.get(jury.roomId)?.pinnedBecause ?? "";
  await jury.apply(
    jury.log.quarantine("A", { roomId: jury.roomId, act: "pin", index: 9, why: because, deaths: 0 }),
  );
  for (const { nodeId, machine } of jury.replicas) {
    assert.is(machine.lists(jury.roomId), false);
    assert.equal([machine.odd.all(), [...machine.gone()]], [[], []]);
    const refused = machine.notServed(jury.roomId);
    assert.is(refused.refused, "ROOM_QUARANTINED");
    assert.match(refused.message, "no node has its state any more: it was pinned");
    assert.match(refused.message, 'it was not at rest: the handler of "wait" has not finished');
    await disks.round(nodeId);
    assert.equal([...disks.of(nodeId).keys()], [""], "its stub goes from the disk");
  }
  assert.equal(lost(jury), []);
});

test("[V17] not while one of them is silent, or has it", async () => {
  const { jury } = await nowhere();
  jury.down.add("B");
  await turns(jury, 10);
  assert.equal(lost(jury), []);
  jury.down.delete("B");
  await turns(jury, 7);
  assert.equal(lost(jury), [jury.roomId]);

  const other = await pinnedOnC();
  await other.disks.restart("C");
  await turns(other.jury, 10);
  assert.equal(lost(other.jury), []);
});

test("[V17] a node that got the room from one that has lost it since is believed before what it said earlier", async () => {
  const { jury, disks } = await pinnedOnC();
  await disks.round("A", { letGo: true });
  await disks.restart("C");
  await disks.round("B", { letGo: true });
  await disks.restart("B");
  jury.leaderId = "B";
  await turns(jury, 4);
  // C has it again, from A; its word of that is lost, and A starts anew.
  await jury.tick(hourMs, 2);
  jury.passes = (from, to, { type }) => !(from === "C" && type === "ended") && to !== "B";
  await turns(jury, 4);
  assert.is(jury.standing("C"), "serving");
  await disks.restart("A");
  jury.passes = (_from, _to, { type }) => type === "ended";
  await turns(jury, 10);
  assert.equal(jury.standings(), "absent,absent,serving");
  assert.equal(lost(jury), []);
  jury.passes = () => true;
  await jury.seconds(6);
  assert.equal(jury.standings(), "serving,serving,serving");
});

test("[V17] where some differ and others have nothing, those that differ are compared anew, and whoever lacks it gets what comes of it", async () => {
  const { jury, disks } = await pinnedOnC();
  await disks.restart("C");
  // What was agreed is on nobody's disk: A and B differ from it.
  const index = jury.pointOf("A").index;
  await jury.apply(jury.verdict("gone", index));
  assert.equal(jury.standings(), "diverged,diverged,absent");
  await turns(jury, 2 * (divergenceTimes.restateMs / 1_000));
  assert.ok(jury.verdicts.some(({ anew }) => anew));
  assert.equal(lost(jury), []);
  assert.is(jury.standing("C"), "absent");
  assert.is(jury.standing("A"), "serving", "A and B are alike, and a majority");
});

/** What C's node has done by itself. */
function sweeperOf(jury: Jury, { leads = false, lost = [] as readonly Quarantine[] } = {}) {
  const done: string[] = [];
  const { machine } = jury.node("C");
  const sweeper = new Sweeper({
    ...{ nodeId: "C", bootCount: 2, leaderlessMsMax: 1_000, machines: [machine], marks: new RoomMarks() },
    isLost: () => false,
    isLeader: () => leads,
    leaderlessMs: () => null,
    caughtUp: async () => {},
    ended: () => [],
    lost: () => lost,
    nodeFound: async () => {},
    forget: async (_group, roomId) => void done.push(`forget ${roomId}`),
    nodeLost: async (_group, { nodeId, bootCountMax }) => {
      done.push(`${nodeId} is lost up to ${bootCountMax}`);
      await jury.apply(jury.log.nodeLost("C", nodeId, bootCountMax));
    },
    propose: async (_group, { roomId, act }) => void done.push(`close ${roomId}: ${act}`),
    log: { info: () => {}, warn: () => {} },
  });
  return { sweeper, done };
}

const soon = () => new Promise((resolve) => setTimeout(resolve, 20));

test("[V15] a node that starts without the room still ends what its earlier starts held in it, once", async () => {
  const { jury, disks } = await pinnedOnC();
  await disks.restart("C");
  await jury.send("a", "fire");
  assert.is(jury.replica("A").seats.get("c")?.attachment?.nodeId, "C");
  const { sweeper, done } = sweeperOf(jury);
  for (let sweep = 0; sweep < 3; sweep++) {
    sweeper.sweep();
    await soon();
  }
  assert.equal(done, ["C is lost up to 1"]);
  assert.is(jury.replica("A").seats.get("c")?.attachment, null);
});

test("[V17] who leads has a lost room closed; nobody else does", async () => {
  const { jury } = await nowhere();
  const lost = [{ roomId: jury.roomId, act: "pin" as const, index: 9, why: "it waits", deaths: 0 }];
  const follower = sweeperOf(jury, { lost });
  const leader = sweeperOf(jury, { lost, leads: true });
  for (const { sweeper } of [follower, leader]) sweeper.sweep();
  await soon();
  assert.not(follower.done.some((what) => what.startsWith("close")));
  assert.ok(leader.done.includes(`close ${jury.roomId}: pin`));
});

test("[V15] what is no stub of this version is not read as one", () => {
  const stub = { because: "x".repeat(500), origins: [], agreed: null, code: "" };
  assert.is(unpackStub(packStub(stub))?.because.length, 400);
  assert.is(unpackStub(new Uint8Array([0x80])), null);
  assert.throws(
    () => unpackStub(new Uint8Array([0xc1, 0x81, 0xa7, ...Buffer.from("version"), 9])),
    /version 9/,
  );
});

test.run();

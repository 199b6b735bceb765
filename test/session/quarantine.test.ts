// test-run: seconds=120 node=--import=./server/colyseus/register.ts
import { Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { sessionLimits } from "../../server/session/limits.ts";
import { inMacrotask } from "../../server/session/macrotask.ts";
import { type RoomMark, RoomMarks } from "../../server/session/room-mark.ts";
import type { Checkpoint } from "../../server/storage/storage.ts";
import { defineTestRoom, type LoggedCommand, Replica } from "../colyseus/machine-harness.ts";
import { Scene } from "../colyseus/scene.ts";

const Tally = schema({ shots: t.number() }, "Tally");

/** What every replica of this process did, in order. */
const done: string[] = [];

class TallyRoom extends Room<{ state: InstanceType<typeof Tally> }> {
  override state = new Tally();

  override onCreate() {
    done.push("create");
    this.autoDispose = false;
    this.state.shots = 0;
    this.clock.setInterval(() => void this.state.shots++, 1_000);
    this.onMessage("fire", () => {
      done.push("fire");
      return ++this.state.shots;
    });
  }

  end(): void {
    this.disconnect();
  }

  override onLeave() {
    done.push("leave");
  }

  override onDispose() {
    done.push("dispose");
  }
}

await defineTestRoom("tally", TallyRoom);

function refusedWith(value: unknown): string | undefined {
  return (value as { refused?: string } | null)?.refused;
}

function markOf(roomId: string, fields: Partial<RoomMark> = {}): RoomMark {
  return { roomId, group: 0, act: "apply", index: 1, why: "it did not come back", deaths: 1, ...fields };
}

/** Applies a log to a replica; the values in order. */
async function replay(replica: Replica, entries: readonly LoggedCommand[]): Promise<unknown[]> {
  const values: unknown[] = [];
  for (const entry of entries) {
    const result = await inMacrotask(() => replica.apply(entry));
    values.push(result.type === "done" ? result.value : result);
  }
  return values;
}

async function checkpointsOf(replica: Replica): Promise<Map<string, Checkpoint>> {
  const saved = await inMacrotask(() => replica.save());
  return new Map([...saved].map(([key, checkpoint]) => [key, checkpoint as Checkpoint]));
}

/** A replica with a mark, and what becomes of the mark. */
function marked(mark: RoomMark): { replica: Replica; removed: RoomMark[] } {
  const removed: RoomMark[] = [];
  const marks = new RoomMarks([mark], (gone) => removed.push(gone));
  return { replica: new Replica("A", 2, { marks }), removed };
}

/** Everything dirty is saved, and is durable at once. */
async function checkpoint(replica: Replica, durable: Map<string, Checkpoint>, index: number): Promise<void> {
  await inMacrotask(() => {
    const keys = [...replica.machine.dirty()].map(({ key }) => key);
    for (const key of keys.sort((a, b) => (a === "" ? -1 : b === "" ? 1 : 0))) {
      const saved = replica.machine.save(key);
      if (saved === null) continue;
      if (saved === "deleted") durable.delete(key);
      else durable.set(key, saved);
      replica.machine.saved(key, saved === "deleted" ? index : saved.index);
    }
  });
}

test("[Q1] a quarantine closes the room on every replica, without a word to its code, and says why", async () => {
  const scene = new Scene();
  await scene.create("tally");
  const other = new Scene(["A"]).roomId;
  await scene.apply(scene.log.allocate("A", other, "tally"));
  const [a, b] = [await scene.join("a", "A"), await scene.join("b", "B")];
  done.length = 0;
  await scene.apply(scene.log.quarantine("B", { roomId: scene.roomId, index: 7, deaths: 2 }));
  assert.equal(done, []);
  for (const { socket } of [a, b]) {
    assert.is(socket.closed?.code, 4002);
    assert.match(socket.closed?.reason ?? "", `room ${scene.roomId} was closed`);
  }
  for (const replica of scene.replicas) {
    assert.equal([...replica.machine.rooms.keys()], [other]);
    assert.is(replica.programs.listings.has(scene.roomId), false);
    assert.equal([...replica.machine.gone()], [], "nobody has to forget it");
    assert.equal(replica.machine.quarantined, {
      count: 1,
      newest: [
        {
          ...{ roomId: scene.roomId, roomName: "tally", act: "apply", index: 7 },
          ...{ why: "its code did not come back", deaths: 2, nodeId: "B", closedAt: scene.log.index },
        },
      ],
    });
    const [told] = replica.errors;
    assert.is((told as { event: string }).event, "room-quarantined");
  }
  const refused = await scene.reserve("c");
  assert.is(refusedWith(refused), "ROOM_QUARANTINED");
  assert.match(
    (refused as { message: string }).message,
    "did not get past entry 7: its code did not come back",
  );
});

test("[Q1] its key stands for a new room; a second quarantine, or one of no room, changes nothing", async () => {
  const scene = new Scene();
  const how = { key: "tally:ctf", fresh: false };
  await scene.apply(scene.log.allocate("A", scene.roomId, "tally", {}, how));
  await scene.apply(scene.log.quarantine("A", { roomId: scene.roomId }));
  const next = new Scene(["A"]).roomId;
  assert.equal(await scene.value(scene.log.allocate("A", next, "tally", {}, how)), { roomId: next });
  const before = scene.replicas.map(({ machine }) => machine.quarantined);
  await scene.apply(scene.log.quarantine("C", { roomId: scene.roomId }));
  await scene.apply(scene.log.quarantine("C", { roomId: "nobody00A" }));
  assert.equal(
    scene.replicas.map(({ machine }) => machine.quarantined),
    before,
  );
  assert.equal([...scene.first.machine.rooms.keys()], [next]);
});

test("[Q1] the quarantined rooms that are remembered are limited, and saved with the directory", async () => {
  const scene = new Scene(["A"]);
  const ids = Array.from({ length: sessionLimits.quarantinedRoomsMax + 2 }, (_, at) => `many${at}`);
  for (const roomId of ids) {
    await scene.apply(scene.log.allocate("A", roomId, "tally"));
    await scene.apply(scene.log.quarantine("A", { roomId }));
  }
  const fresh = new Replica("A");
  const saved = await checkpointsOf(scene.first);
  await inMacrotask(() => fresh.restore(saved));
  for (const { machine } of [scene.first, fresh]) {
    assert.is(machine.quarantined.count, ids.length);
    assert.equal(
      machine.quarantined.newest.map(({ roomId }) => roomId),
      ids.slice(2),
    );
  }
});

test("[Q2] a node with a mark runs nothing of that room, says so to who asks, and runs all the others", async () => {
  const scene = new Scene(["A"]);
  const other = new Scene(["A"]).roomId;
  await scene.create("tally");
  await scene.apply(scene.log.allocate("A", other, "tally"));
  await scene.join("a", "A");
  const saved = await checkpointsOf(scene.first);
  const since = scene.entries.length;
  await scene.send("a", "fire");
  await scene.tick(1_500, 2);
  await scene.apply(scene.log.reserve("A", other, "z"));
  done.length = 0;
  const { replica } = marked(markOf(scene.roomId, { index: scene.log.index - 3 }));
  await inMacrotask(() => replica.restore(saved));
  assert.equal(done, ["create"], "only the other one is made again");
  const values = await replay(replica, scene.entries.slice(since));
  assert.is(refusedWith(values[0]), "ROOM_STANDS_STILL");
  assert.match((values[0] as { message: string }).message, /stands still on this node.*it did not come back/);
  assert.is(values.at(-1), true);
  assert.equal(done, ["create"]);
  assert.equal([...replica.machine.rooms.keys()], [other]);
  assert.equal([...replica.machine.standings.keys()], [scene.roomId]);
  assert.is(replica.hash(other), scene.first.hash(other));
  assert.equal([...replica.machine.gone()], [], "it is not for this node to say that the room is gone");
  assert.equal(
    replica.errors.map((error) => (error as { event: string }).event),
    ["room-stands-still"],
  );
});

test("[Q2] that holds from the room's creation on, and while nothing of the room was ever saved", async () => {
  const scene = new Scene(["A"]);
  await scene.create("tally");
  await scene.join("a", "A");
  done.length = 0;
  for (const act of ["create", "apply"] as const) {
    const { replica } = marked(markOf(scene.roomId, { act, index: act === "create" ? 1 : 3 }));
    const values = await replay(replica, scene.entries);
    assert.equal(
      values.map(refusedWith),
      values.map(() => "ROOM_STANDS_STILL"),
    );
  }
  assert.equal(done, []);
});

test("[Q3] whether a replica passes a room over changes nothing but that room", async () => {
  const scene = new Scene(["A"]);
  const ids = [scene.roomId, new Scene(["A"]).roomId, new Scene(["A"]).roomId];
  const { log } = scene;
  const { replica } = marked(markOf(ids[0] as string, { index: 9 }));
  const both = async (command: LoggedCommand) => {
    await scene.apply(command);
    await replay(replica, [command]);
  };
  for (const roomId of ids) await both(log.allocate("A", roomId, "tally", {}, { key: roomId, fresh: false }));
  for (let round = 0; round < 6; round++) {
    for (const roomId of ids) await both(log.reserve("A", roomId, `s${round}`));
    await both(log.tick("A", 700));
    if (round === 2) await both(log.nodeLost("A", "B"));
    if (round === 3) await both(log.quarantine("A", { roomId: ids[0] as string }));
    if (round === 4) await both(log.call("A", ids[1] as string, "end"));
    if (round === 5) await both(log.forget("A", ids[1] as string));
    for (const roomId of ids.slice(1)) assert.is(replica.hash(roomId), scene.first.hash(roomId), roomId);
  }
  const directories = [scene.first, replica].map(({ machine }) => machine.save(""));
  assert.equal(directories[1], directories[0]);
  assert.equal([...replica.machine.rooms.keys()], [...scene.first.machine.rooms.keys()]);
});

test("[Q4] a room that stands still keeps its checkpoint and the log behind it; once closed it goes", async () => {
  const scene = new Scene(["A"]);
  await scene.create("tally");
  await scene.join("a", "A");
  const durable = await checkpointsOf(scene.first);
  const { index } = durable.get(scene.roomId) as Checkpoint;
  const { replica } = marked(markOf(scene.roomId, { index: index + 1 }));
  await inMacrotask(() => replica.restore(durable));
  const dirty = () => [...replica.machine.dirty()].find(({ key }) => key === scene.roomId);
  assert.equal(dirty(), { key: scene.roomId, firstIndex: index + 1 }, "before anything came for it");
  await replay(replica, [scene.log.tick("A", 5_000), scene.log.reserve("A", scene.roomId, "b")]);
  assert.is(await inMacrotask(() => replica.machine.save(scene.roomId)), null);
  assert.equal(dirty(), { key: scene.roomId, firstIndex: index + 1 });
  await replay(replica, [scene.log.quarantine("A", { roomId: scene.roomId })]);
  assert.is(await inMacrotask(() => replica.machine.save(scene.roomId)), "deleted");
});

test("[Q5] a mark stays until no restart can meet its room again: the room's end and the directory's are durable", async () => {
  const scene = new Scene(["A"]);
  await scene.create("tally");
  const { replica, removed } = marked(markOf(scene.roomId, { act: "create" }));
  const { machine, marks } = replica;
  await replay(replica, scene.entries);
  const created = await inMacrotask(() => machine.save(""));
  await replay(replica, [scene.log.quarantine("A", { roomId: scene.roomId })]);
  assert.is(machine.hasEnded(scene.roomId), true);
  machine.saved("", (created as Checkpoint).index);
  // The room's part is gone from the disk first, while the directory there still lists it.
  assert.is(machine.save(scene.roomId), "deleted");
  machine.saved(scene.roomId, scene.log.index);
  assert.ok(marks.of(scene.roomId), "a restart would make it again");
  const ended = await inMacrotask(() => machine.save(""));
  assert.ok(marks.of(scene.roomId), "not durable yet");
  machine.saved("", (ended as Checkpoint).index);
  assert.is(marks.of(scene.roomId), undefined);
  assert.equal(
    removed.map(({ roomId }) => roomId),
    [scene.roomId],
  );
  assert.is(machine.hasTraceOf(scene.roomId), false);
});

test("[Q5] a checkpoint of the room from behind the mark is the room: somebody got past it", async () => {
  const scene = new Scene(["A"]);
  await scene.create("tally");
  await scene.join("a", "A");
  const saved = await checkpointsOf(scene.first);
  const { index } = saved.get(scene.roomId) as Checkpoint;
  for (const [mark, lives] of [
    [{ act: "apply", index }, true],
    [{ act: "apply", index: index + 1 }, false],
    [{ act: "create", index: 1 }, true],
    [{ act: "save", index }, true],
    [{ act: "save", index: index + 1 }, false],
    [{ act: "restore", index }, false],
    [{ act: "restore", index: index - 1 }, true],
  ] as const) {
    const { replica, removed } = marked(markOf(scene.roomId, mark));
    await inMacrotask(() => replica.restore(saved));
    assert.is(replica.machine.rooms.has(scene.roomId), lives, JSON.stringify(mark));
    assert.is(replica.machine.standings.has(scene.roomId), !lives);
    assert.is(removed.length, lives ? 1 : 0);
    await inMacrotask(() => replica.restore(new Map()));
  }
});

test("[Q5] a snapshot from who got past ends the standing still; one from before does not", async () => {
  const scene = new Scene(["A"]);
  await scene.create("tally");
  const before = await checkpointsOf(scene.first);
  await scene.join("a", "A");
  const after = await checkpointsOf(scene.first);
  const { replica } = marked(markOf(scene.roomId, { index: 2 }));
  await replay(replica, scene.entries);
  await inMacrotask(() => replica.restore(before));
  assert.is(replica.machine.standings.has(scene.roomId), true);
  await inMacrotask(() => replica.restore(after));
  assert.is(replica.machine.standings.has(scene.roomId), false);
  assert.is(replica.hash(scene.roomId), scene.first.hash(scene.roomId));
});

test("[Q5] a room that stands still here and has ended by itself elsewhere is forgotten here too", async () => {
  const scene = new Scene(["A"]);
  await scene.create("tally");
  const { replica, removed } = marked(markOf(scene.roomId, { index: 2 }));
  const durable = new Map<string, Checkpoint>();
  const entries = [
    ...scene.entries,
    scene.log.reserve("A", scene.roomId, "a"),
    scene.log.call("A", scene.roomId, "end"),
    scene.log.forget("A", scene.roomId),
  ];
  await replay(replica, entries);
  assert.is(replica.machine.standings.has(scene.roomId), false);
  await checkpoint(replica, durable, scene.log.index);
  assert.equal([...durable.keys()], [""]);
  assert.is(removed.length, 1);
});

test("[Q6] a room whose end the directory's checkpoint knows is not brought to life by its own older one", async () => {
  const scene = new Scene(["A"]);
  await scene.create("tally");
  await scene.join("a", "A");
  const old = await checkpointsOf(scene.first);
  await scene.send("a", "fire");
  await scene.apply(scene.log.quarantine("A", { roomId: scene.roomId }));
  const directory = (await checkpointsOf(scene.first)).get("") as Checkpoint;
  const fresh = new Replica("A");
  done.length = 0;
  const durable = new Map([...old, ["", directory] as const]);
  await inMacrotask(() => fresh.restore(durable));
  await replay(fresh, scene.entries);
  assert.equal(done, []);
  await checkpoint(fresh, durable, scene.log.index);
  assert.equal([...durable.keys()], [""], "and it goes from the disk");
});

test("[Q6] what stands in front of a committed quarantine is not run any more, by rooms that live and by those to be made", async () => {
  const scene = new Scene(["A"]);
  await scene.create("tally");
  const player = await scene.join("a", "A");
  const late = new Scene(["A"]).roomId;
  const ahead = [
    scene.log.tick("A", 2_000),
    scene.log.reserve("A", scene.roomId, "b"),
    scene.log.allocate("A", late, "tally"),
    scene.log.reserve("A", late, "c"),
    scene.log.quarantine("B", { roomId: scene.roomId }),
    scene.log.quarantine("B", { roomId: late }),
  ];
  for (const command of ahead) scene.first.machine.foresee({ ...command, term: 1 });
  assert.equal([...scene.first.machine.standings.keys()], [scene.roomId, late]);
  assert.is(
    await inMacrotask(() => scene.first.machine.save(scene.roomId)),
    null,
    "it does not stand where the others do",
  );
  done.length = 0;
  const values = await replay(scene.first, ahead.slice(0, 4));
  assert.equal(values.map(refusedWith), [
    undefined,
    "ROOM_STANDS_STILL",
    "ROOM_STANDS_STILL",
    "ROOM_STANDS_STILL",
  ]);
  assert.is(player.socket.closed, null);
  assert.equal([...scene.first.machine.gone()], []);
  await replay(scene.first, ahead.slice(4));
  assert.equal(done, []);
  assert.is(player.socket.closed?.code, 4002);
  assert.is(scene.first.machine.standings.size, 0);
  assert.is(scene.first.machine.rooms.size, 0);
  assert.is(scene.first.machine.quarantined.count, 2);
});

test("[Q8] room code runs only while it is watched, with room, act and entry", async () => {
  const scene = new Scene(["A"]);
  const { acted } = scene.first;
  const { roomId } = scene;
  const take = () => acted.splice(0).map(({ group, roomId: room, act, index }) => [group, room, act, index]);
  await scene.create("tally");
  assert.equal(take(), [[0, roomId, "create", 1]]);
  await scene.reserve("a");
  assert.equal(take(), [[0, roomId, "apply", 2]]);
  await scene.tick(1_000);
  assert.equal(take(), [[0, roomId, "apply", 3]]);
  const saved = await checkpointsOf(scene.first);
  assert.equal(take(), [[0, roomId, "save", 3]]);
  const fresh = new Replica("A");
  await inMacrotask(() => fresh.restore(saved));
  assert.equal(
    fresh.acted.map(({ act, index }) => [act, index]),
    [["restore", 3]],
  );
  let isWatched = false;
  const watch = {
    begin: () => {
      assert.is(isWatched, false, "one at a time");
      isWatched = true;
    },
    end: () => {
      isWatched = false;
    },
  };
  const looked = new Replica("A", 1, { watch });
  await replay(looked, scene.entries);
  assert.is(isWatched, false);
});

test.run();

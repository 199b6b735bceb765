// test-run: seconds=120 node=--import=./server/colyseus/register.ts
import { type Client, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { inMacrotask } from "../../server/session/macrotask.ts";
import { RoomRandom } from "../../server/session/random.ts";
import { RoomMarks } from "../../server/session/room-mark.ts";
import type { RoomReplica } from "../../server/session/room-replica.ts";
import { noRoomWatch } from "../../server/session/room-watch.ts";
import { SessionMachine } from "../../server/session/session-machine.ts";
import type { Checkpoint } from "../../server/storage/storage.ts";
import { encodeAck } from "../../shared/wrapper-protocol.ts";
import {
  defineTestRoom,
  LogWriter,
  messageFrame,
  Replica,
  requestFrame,
} from "../colyseus/machine-harness.ts";
import { Scene } from "../colyseus/scene.ts";
import { restoreAll } from "./restore-all.ts";

const Tally = schema({ shots: t.number() }, "Tally");

class TallyRoom extends Room<{ state: InstanceType<typeof Tally> }> {
  override state = new Tally();
  keepSeconds = 5;
  seen: unknown[] = [];

  override onCreate(options: { fails?: boolean; autoDispose?: boolean }) {
    if (options.fails === true) throw new Error("the map is missing");
    this.autoDispose = options.autoDispose ?? false;
    this.state.shots = 0;
    this.clock.setInterval(() => this.seen.push(this.clock.elapsedTime), 100);
    this.onMessage("fire", () => ++this.state.shots);
  }

  override onDrop(client: Client) {
    this.allowReconnection(client, this.keepSeconds);
  }

  end(): void {
    void this.disconnect();
  }

  endSoon(ms: number): void {
    this.clock.setTimeout(() => void this.disconnect(), ms);
  }
}

await defineTestRoom("tally", TallyRoom);

const refusedWith = (value: unknown) => (value as { refused?: string } | null)?.refused;

test("[D11] asked from two nodes at once, one room is made, by the first command in the log", async () => {
  const log = new LogWriter();
  const replicas = [new Replica("A"), new Replica("B")];
  const how = { key: "tally:ctf", fresh: false };
  const both = [
    log.allocate("A", "twin0001A", "tally", {}, how),
    log.allocate("B", "twin0002A", "tally", {}, how),
  ];
  for (const replica of replicas) {
    for (const command of both) {
      assert.equal(await inMacrotask(() => replica.value(command)), { roomId: "twin0001A" });
    }
    assert.equal([...replica.machine.rooms.keys()], ["twin0001A"]);
  }
});

test("[D14] a room whose onCreate throws does not exist, says why, and is to be forgotten", async () => {
  const log = new LogWriter();
  const replica = new Replica("A");
  const refused = await inMacrotask(() =>
    replica.value(log.allocate("A", "failing01", "tally", { fails: true })),
  );
  assert.equal(refusedWith(refused), "ROOM_CREATE_FAILED");
  assert.match((refused as { message: string }).message, "the map is missing");
  assert.equal([...replica.machine.gone()], ["failing01"]);
  assert.is(replica.programs.listings.has("failing01"), false);
  await inMacrotask(() => replica.value(log.forget("A", "failing01")));
  assert.equal([...replica.machine.gone()], []);
});

test("[D6] a node's proposal is applied once: a duplicate, a gap and a past start change nothing", async () => {
  const scene = new Scene(["A"]);
  await scene.create("tally");
  const reserve = scene.log.reserve("A", scene.roomId, "s1");
  assert.is(await scene.value(reserve), true);
  const again = { ...reserve, index: ++scene.log.index };
  assert.is(refusedWith(await scene.value(again)), "APPLIED_RESULT_FORGOTTEN");
  scene.log.reserve("A", scene.roomId, "lost");
  const after = scene.log.reserve("A", scene.roomId, "s3");
  assert.equal(await scene.apply(after), [{ type: "gap" }]);
  const newStart = { ...scene.log.reserve("N", scene.roomId, "s4"), bootCount: 2 };
  assert.is(await scene.value(newStart), true);
  const oldStart = { ...newStart, index: ++scene.log.index, bootCount: 1 };
  assert.is(refusedWith(await scene.value(oldStart)), "SESSION_EXPIRED");
});

test("[D15] a timer that falls due before a command's stamp fires before it", async () => {
  const scene = new Scene(["A"]);
  await scene.create("tally");
  await scene.join("s1");
  const room = scene.room<TallyRoom>();
  scene.log.logTimeMs += 1_000;
  await scene.send("s1", "fire");
  assert.ok(room.seen.length > 0, "no tick was in the log");
  assert.ok((room.seen.at(-1) as number) <= 1_000);
  assert.is(room.state.shots, 1);
});

test("[D15] a room that a timer ends before a command refuses the command, and runs none of its own code for it", async () => {
  const scene = new Scene();
  await scene.create("tally");
  await scene.reserve("late");
  await scene.call("endSoon", 100);
  scene.log.logTimeMs += 1_000;
  assert.is(refusedWith(await scene.attach("late", "A")), "ROOM_NOT_FOUND");
  for (const replica of scene.replicas) assert.is(replica.machine.rooms.has(scene.roomId), false);
  assert.is(refusedWith(await scene.reserve("later")), "ROOM_NOT_FOUND");
});

test("[D16] frames of an older epoch are refused: what a dead node had in flight does not overtake the player", async () => {
  const scene = new Scene();
  await scene.create("tally");
  const player = await scene.join("s1", "A");
  const inFlight = {
    stream: "epoch" as const,
    sequence: player.epochSequence + 1,
    frame: messageFrame("fire"),
  };
  const epoch = player.epoch;
  await scene.reconnect("s1", "B");
  assert.is(refusedWith(await scene.frameAs("s1", { ...inFlight, epoch })), "EPOCH_PAST");
  assert.is(scene.room<TallyRoom>().state.shots, 0);
  await scene.send("s1", "fire");
  assert.is(scene.room<TallyRoom>().state.shots, 1);
  assert.is(refusedWith(await scene.frameAs("nobody", inFlight)), "SEAT_EXPIRED");
});

test("[D16] a frame that a detach has overtaken is refused, not acknowledged: nobody would hear it", async () => {
  const scene = new Scene();
  await scene.create("tally");
  const player = await scene.join("s1", "A", {}, true);
  const sequence = player.clientSequence + 1;
  const fire = { stream: "client" as const, sequence, frame: requestFrame(1, "fire") };
  // As when the frame is lost on its way to the leader and sent again behind the detach.
  await scene.value(scene.log.detach("A", scene.roomId, "s1", player.epoch));
  assert.is(refusedWith(await scene.frameAs("s1", { ...fire, epoch: player.epoch })), "EPOCH_PAST");
  assert.is(scene.seat("s1")?.clientSequence, sequence - 1);
  await scene.reconnect("s1", "B");
  await scene.frame("s1", fire.frame);
  assert.is(scene.room<TallyRoom>().state.shots, 1);
});

test("[D16] a seat that attaches on another node is let go on the old one, whose socket closes with 4010", async () => {
  const scene = new Scene();
  await scene.create("tally");
  const player = await scene.join("s1", "A");
  const old = player.socket;
  await scene.reconnect("s1", "B");
  assert.is(old.closed?.code, 4010);
  assert.is(player.socket.closed, null);
  assert.equal(scene.seat("s1")?.attachment?.nodeId, "B");
  const late = scene.log.detach("A", scene.roomId, "s1", 1);
  assert.is(
    refusedWith(await scene.value(late)),
    "EPOCH_PAST",
    "the old node's own news of its socket comes too late",
  );
  assert.is(scene.room().clients.length, 1);
});

test("[D8] a forged token, a used one and one of a seat that is gone are refused, each with its code", async () => {
  const scene = new Scene();
  await scene.create("tally");
  const player = await scene.join("s1", "A");
  const first = player.token;
  assert.is(refusedWith(await scene.attach("s1", "B", { presentedToken: "forged" })), "TOKEN_REFUSED");
  assert.is(player.socket.closed, null, "a forger moves nobody");
  await scene.reconnect("s1", "B");
  assert.is(refusedWith(await scene.attach("s1", "C", { presentedToken: first })), "TOKEN_REFUSED");
  await scene.drop("s1", 4000);
  await scene.tick(6_000);
  assert.is(refusedWith(await scene.attach("s1", "C", { presentedToken: player.token })), "SEAT_EXPIRED");
});

test("[D9] a wrapper's command that comes again is not applied again, and gets its own reply again, wherever it is", async () => {
  const scene = new Scene();
  await scene.create("tally");
  const player = await scene.join("s1", "A", {}, true);
  assert.equal((await scene.request("s1", "fire"))?.payload, 1);
  assert.equal((await scene.request("s1", "fire"))?.payload, 2);
  const { clientSequence } = player;
  await scene.reconnect("s1", "B");
  assert.equal([player.reply(1)?.payload, player.reply(2)?.payload], [1, 2], "told at once on reattaching");
  const before = player.socket.frames.length;
  await scene.frameAs("s1", { stream: "client", sequence: clientSequence, frame: requestFrame(2, "fire") });
  const told = player.frames.slice(before);
  assert.equal(told, [
    { type: "reply", id: 2, status: 0, payload: 2 },
    { type: "ack", sequence: player.clientSequence },
  ]);
  assert.is(scene.room<TallyRoom>().state.shots, 2);
});

test("[D17] a lost node's seats are detached, those of its later starts are not", async () => {
  const scene = new Scene();
  await scene.create("tally");
  await scene.join("s1", "A");
  await scene.join("s2", "B");
  await scene.apply(scene.log.nodeLost("A", "B", 0));
  assert.is(scene.room().clients.length, 2);
  await scene.apply(scene.log.nodeLost("A", "B", 1));
  assert.equal(
    [...scene.room().clients].map((client) => client.sessionId),
    ["s1"],
  );
  assert.is(scene.player("s2").socket.closed?.code, 4010, "if the node lives, its clients are sent on");
  assert.is((await scene.reconnect("s2", "C")) !== null, true);
  assert.is(scene.room().clients.length, 2);
});

test("[D18] a room has a limited number of seats, reserved ones included", async () => {
  const scene = new Scene(["A"]);
  await scene.create("tally");
  for (let at = 1; at <= 99; at++) assert.is(await scene.reserve(`s${at}`), true);
  await scene.attach("s1", "A");
  assert.is(await scene.reserve("s100"), true);
  const refused = await scene.reserve("s101");
  assert.is(refusedWith(refused), "SEATS_TOO_MANY");
});

test("[D19] commands at or below a part's checkpoint are passed over, for each part by its own index", async () => {
  const scene = new Scene(["A"]);
  const { log } = scene;
  await scene.create("tally");
  await scene.join("s1");
  await scene.send("s1", "fire");
  const saved = scene.first.save();
  await scene.send("s1", "fire");
  await scene.tick(150, 3);
  const other = log.allocate("A", "other0001", "tally");
  await scene.apply(other);
  await scene.send("s1", "fire");
  const hash = scene.first.hash(scene.roomId);
  const late = new Replica("A");
  // The room as of its checkpoint, the directory as of the end: as after a crash between two saves.
  const directory = (await inMacrotask(() => scene.first.save())).get("") as Checkpoint;
  await inMacrotask(() =>
    late.restore(
      new Map([
        ["", directory],
        [scene.roomId, saved.get(scene.roomId) as Checkpoint],
      ]),
    ),
  );
  assert.equal([...late.machine.gone()], [], "what is still to be made again is not gone");
  for (const entry of scene.entries) await inMacrotask(() => late.apply(entry));
  assert.is(late.hash(scene.roomId), hash);
  assert.equal(late.room<TallyRoom>(scene.roomId).state.shots, 3);
  assert.equal([...late.machine.rooms.keys()].sort(), ["other0001", scene.roomId].sort());
});

test("[D20] a room that ends while its checkpoint is under way stays dirty until its end is durable", async () => {
  const scene = new Scene(["A"]);
  await scene.create("tally");
  const { machine } = scene.first;
  const { roomId } = scene;
  const checkpoint = await inMacrotask(() => machine.save(roomId));
  assert.ok(checkpoint !== null && checkpoint !== "deleted");
  await scene.call("end");
  assert.is(scene.isGone, true);
  machine.saved(roomId, (checkpoint as Checkpoint).index);
  assert.ok(
    [...machine.dirty()].some(({ key }) => key === roomId),
    "the old checkpoint is still on the disk",
  );
  assert.is(machine.save(roomId), null, "its end is not agreed yet");
  await scene.apply(scene.log.forget("A", roomId));
  assert.is(machine.save(roomId), "deleted");
  // A no-op of a new leader came last: machines never see it, but the group counts it.
  machine.saved(roomId, scene.log.index + 1);
  assert.is(
    [...machine.dirty()].some(({ key }) => key === roomId),
    false,
  );
});

test("[D20] whatever is saved and lands in between, a restart from what is durable ends in the same rooms", async () => {
  const random = RoomRandom.seeded(Uint8Array.of(3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8));
  const chance = (share: number) => random.next() < share;
  for (let round = 0; round < 12; round++) {
    const log = new LogWriter();
    const live = new Replica("A");
    const entries: ReturnType<LogWriter["next"]>[] = [];
    const durable = new Map<string, Checkpoint>();
    const underWay: (() => void)[] = [];
    const ids = Array.from({ length: 4 }, (_, at) => `r${String(round).padStart(2, "0")}x${at}000A`);
    const apply = async (command: ReturnType<LogWriter["next"]>) => {
      entries.push(command);
      await inMacrotask(() => live.apply(command));
    };
    for (let step = 0; step < 60; step++) {
      const roomId = ids[Math.floor(random.next() * ids.length)] as string;
      if (!live.machine.rooms.has(roomId)) {
        if (![...live.machine.gone()].includes(roomId)) await apply(log.allocate("A", roomId, "tally"));
      } else if (chance(0.1)) await apply(log.call("A", roomId, "end"));
      else await apply(chance(0.5) ? log.tick("A", 70) : log.reserve("A", roomId, `s${step}`));
      if (chance(0.3)) {
        await inMacrotask(() => {
          const saves: [string, Checkpoint | "deleted"][] = [];
          const dirty = [...live.machine.dirty()].map(({ key }) => key);
          for (const key of dirty
            .sort((a, b) => (a === "" ? -1 : b === "" ? 1 : 0))
            .filter((key) => key === "" || chance(0.6))) {
            const saved = live.machine.save(key);
            if (saved !== null) saves.push([key, saved]);
          }
          const index = log.index;
          underWay.push(() => {
            for (const [key, saved] of saves) {
              if (saved === "deleted") durable.delete(key);
              else durable.set(key, saved);
              live.machine.saved(key, saved === "deleted" ? index : saved.index);
            }
          });
        });
      }
      if (chance(0.3)) underWay.shift()?.();
    }
    const floor = Math.min(log.index, ...[...live.machine.dirty()].map(({ firstIndex }) => firstIndex - 1));
    const restarted = new Replica("A");
    const expected = ids.map((roomId) => live.hash(roomId));
    await inMacrotask(() => restarted.restore(durable));
    for (const entry of entries.filter(({ index }) => index > floor))
      await inMacrotask(() => restarted.apply(entry));
    assert.equal(
      ids.map((roomId) => restarted.hash(roomId)),
      expected,
      `round ${round}, floor ${floor} of ${log.index}`,
    );
    const last = log.tick("A", 1);
    for (const replica of [live, restarted]) await inMacrotask(() => replica.apply(last));
    assert.equal([...restarted.machine.gone()].sort(), [...live.machine.gone()].sort(), `round ${round}`);
  }
});

test("[D21] a snapshot that replaces a room is not its end: only rooms that it lacks are gone for this node", async () => {
  const removed: string[] = [];
  const source = new Scene(["A"]);
  await source.create("tally");
  const other = new Scene(["A"]);
  await source.apply(source.log.allocate("A", other.roomId, "tally"));
  const saved = await inMacrotask(() => source.first.save());
  const machine = new SessionMachine({
    nodeId: "A",
    bootCount: 1,
    code: "",
    programs: source.first.programs,
    encodeAck,
    group: 0,
    watch: noRoomWatch,
    marks: new RoomMarks(),
    log: { warn: () => {}, error: () => {} },
    leads: () => false,
    takeSocket: () => null,
    orphaned: () => {},
    effectOpened: () => {},
    roomAdded: () => {},
    noticed: () => {},
    drained: () => {},
    isLacking: () => false,
    heard: () => {},
    roomRemoved: (replica: RoomReplica) => removed.push(replica.roomId),
  });
  const checkpoints = new Map([...saved].map(([key, checkpoint]) => [key, checkpoint as Checkpoint]));
  await inMacrotask(() => restoreAll(machine, checkpoints));
  await inMacrotask(() => restoreAll(machine, checkpoints));
  assert.equal(removed, []);
  checkpoints.delete(other.roomId);
  await inMacrotask(() => restoreAll(machine, checkpoints));
  assert.equal(removed, [other.roomId]);
});

test("[D22] two rooms of one group have nothing in common: a command for one leaves the other's index and hash", async () => {
  const scene = new Scene(["A"]);
  await scene.create("tally");
  const other = new Scene(["A"]);
  await scene.apply(scene.log.allocate("A", other.roomId, "tally"));
  const index = scene.first.machine.rooms.get(other.roomId)?.index;
  const hash = scene.first.hash(other.roomId);
  await scene.join("s1");
  await scene.send("s1", "fire");
  await scene.call("end");
  assert.equal([...scene.first.machine.rooms.keys()], [other.roomId]);
  assert.is(scene.first.machine.rooms.get(other.roomId)?.index, index);
  assert.is(scene.first.hash(other.roomId), hash);
  await scene.tick(300);
  assert.is.not(scene.first.hash(other.roomId), hash);
});

test.run();

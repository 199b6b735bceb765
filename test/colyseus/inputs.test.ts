// test-run: seconds=200 computes node=--import=./server/colyseus/register.ts
import { Room } from "@colyseus/core";
import { encode, schema, t } from "@colyseus/schema";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { inMacrotask } from "../../server/session/macrotask.ts";
import { RoomRandom } from "../../server/session/random.ts";
import { defineTestRoom } from "./machine-harness.ts";
import { Pilot } from "./pilot.ts";
import { RacerRoom, Stick, type Taking } from "./racer-room.ts";
import { Scene } from "./scene.ts";

class SequencedRoom extends RacerRoom {
  override inputs = this.defineInput(Stick, { seqField: "seq", bufferMaxSize: 4 }) as never;
}

/** Reads `latest` only; its steps are advertised by `defineInput`. */
class UnbufferedRoom extends RacerRoom {
  override inputs = this.defineInput(Stick, { bufferMaxSize: 0, tickRate: 25, subSteps: 3 }) as never;
}

await defineTestRoom("racer", RacerRoom);
await defineTestRoom("sequenced", SequencedRoom);
await defineTestRoom("unbuffered", UnbufferedRoom);

async function began(
  roomName = "racer",
  taking: Taking = "loop",
): Promise<{ scene: Scene; pilot: Pilot; room: () => RacerRoom }> {
  const scene = new Scene(["A", "B"]);
  await scene.create(roomName, { taking });
  await scene.join("p1", "A");
  const pilot = new Pilot(scene, "p1");
  pilot.hear();
  return { scene, pilot, room: () => scene.room<RacerRoom>() };
}

async function same(scene: Scene, note = ""): Promise<void> {
  const [a, b] = await inMacrotask(() => scene.hashes());
  assert.is(b, a, note);
}

test("[Y79] an input that the stock SDK sends is taken once by every replica, with its values and in its order", async () => {
  const { scene, pilot, room } = await began();
  assert.equal([pilot.stick().tickRate, pilot.stick().subSteps], [20, 2]);
  pilot.press({ thrust: 5, steer: 0.5, gear: "first" });
  pilot.press({ thrust: 99 });
  pilot.press({});
  assert.is(pilot.sent.at(-1)?.length, 1, "what has not changed is not sent again");
  await pilot.flush();
  assert.is(room().inputs.get("p1").size, 3);
  await scene.tick(50);
  assert.equal(
    room().taken.map((line) => line.split(",").slice(1, 7).join()),
    [
      "0,5,0.5039370078740157,false,first,1",
      "0,10,0.5039370078740157,false,first,2",
      "0,10,0.5039370078740157,false,first,3",
    ],
  );
  await same(scene);
  await scene.tick(50);
  assert.match(room().taken.at(-1) ?? "", /^p1,0,5,0,false,idle,3,0,true,0$/);
  await same(scene);
});

test("[Y79] the room's steps are what clients predict with, whoever of the two says so", async () => {
  for (const [name, begin, advertised] of [
    ["both", (room: Room) => room.setFixedTimestep(() => {}, 30, { subSteps: 5 }), [30, 5]],
    ["input's", (room: Room) => room.setFixedTimestep(() => {}, 30), [30, 3]],
    ["measured", (room: Room) => room.setTimestep(() => {}, 40), [25, 3]],
    ["none", () => {}, [undefined, 3]],
  ] as const) {
    class SteppingRoom extends Room {
      override inputs = this.defineInput(Stick, { subSteps: 3 });
      override onCreate() {
        begin(this);
      }
    }
    await defineTestRoom(name, SteppingRoom);
    const { pilot, room } = await began(name);
    const stick = pilot.stick();
    assert.equal([stick.tickRate, stick.subSteps], advertised, name);
    const { tickRate, subSteps } = room().inputs;
    assert.equal([tickRate, subSteps], advertised, name);
  }
});

test("[Y79] a frame that comes again, or out of order, is not taken a second time", async () => {
  const { scene, pilot, room } = await began("racer", "next");
  pilot.press({ thrust: 1 });
  pilot.press({ thrust: 2 });
  const [first, second] = pilot.sent.splice(0) as [Uint8Array, Uint8Array];
  const { epochSequence } = scene.player("p1");
  const at = (sequence: number, frame: Uint8Array) =>
    scene.frameAs("p1", { stream: "epoch", sequence: epochSequence + sequence, frame });
  await assertGap(() => at(2, second));
  await at(1, first);
  await at(1, first);
  await at(2, second);
  await at(2, second);
  assert.is(room().inputs.get("p1").size, 2);
  await scene.tick(150);
  assert.equal(
    room().taken.map((line) => Number(line.split(",")[2])),
    [1, 2],
  );
  await same(scene);
});

async function assertGap(act: () => Promise<unknown>): Promise<void> {
  let failed = "";
  await act().catch((error: Error) => {
    failed = error.message;
  });
  assert.is(failed, "a gap");
}

test("[Y79] unreliable inputs come over the same socket; what a ring repeats is taken once", async () => {
  const { scene, pilot, room } = await began();
  const stick = pilot.stick({ mode: "unreliable", historySize: 3 });
  for (let thrust = 1; thrust <= 5; thrust++) {
    stick.data.thrust = thrust;
    stick.send();
  }
  // Datagrams may be lost: three rings bring all five.
  const rings = pilot.sent.splice(0);
  for (const at of [2, 4, 3]) await scene.frame("p1", rings[at] as Uint8Array);
  await scene.tick(50);
  assert.equal(
    room().taken.map((line) => Number(line.split(",")[2])),
    [1, 2, 3, 4, 5],
  );
  await scene.tick(50);
  pilot.hear();
  assert.equal([stick.lastProcessed, stick.pendingCount], [5, 0]);
  await same(scene);
});

test("[Y79] seqField, an overflow of the buffer and latest without one are as in Colyseus, on every replica", async () => {
  const { scene, pilot, room } = await began("sequenced", "next");
  for (const seq of [1, 2, 2, 3, 4, 5, 6]) pilot.press({ seq, thrust: seq });
  await pilot.flush();
  const inputs = room().inputs.get("p1");
  assert.equal([inputs.size, inputs.consumedCount], [4, 2]);
  assert.is(inputs.at(4)?.thrust, 4);
  assert.is(inputs.at(2), undefined);
  await same(scene);
  const other = await began("unbuffered", "latest");
  other.pilot.press({ thrust: 4 });
  await other.pilot.flush();
  assert.equal([other.room().inputs.get("p1").size, other.room().inputs.get("p1").latest?.thrust], [0, 4]);
  await same(other.scene);
});

test("[Y80] an ack goes out with every patch, of what was taken and not of what has come", async () => {
  const { scene, pilot } = await began("racer", "next");
  const stick = pilot.stick();
  for (let thrust = 1; thrust <= 4; thrust++) pilot.press({ thrust });
  await pilot.flush();
  const acked: number[] = [];
  for (let tick = 0; tick < 6; tick++) {
    await scene.tick(50);
    pilot.hear();
    acked.push(stick.lastProcessed);
  }
  assert.is(acked.at(-1), 4);
  assert.equal(acked, [...acked].sort());
  assert.ok(acked[0] !== undefined && acked[0] <= 1, acked.join());
  assert.ok(pilot.room.clock.lastServerTime() >= 250);
});

test("[Y80] after a move inputs begin anew on both sides: whole, counted from nothing, acknowledged by the new node", async () => {
  const { scene, pilot, room } = await began("racer", "next");
  const stick = pilot.stick();
  for (let thrust = 1; thrust <= 4; thrust++) pilot.press({ thrust, gear: "third" });
  await pilot.flush();
  await scene.tick(50);
  // Two are waiting still, one is on the way, as its node dies.
  pilot.press({ thrust: 9 });
  await scene.apply(scene.log.nodeLost("B", "A"));
  assert.equal([room().inputs.get("p1").size, room().inputs.get("p1").consumedCount], [0, 4]);
  await scene.tick(50, 2);
  pilot.cut();
  await scene.reconnect("p1", "B");
  assert.equal([room().inputs.get("p1").size, room().inputs.get("p1").consumedCount], [0, 0]);
  pilot.hear();
  assert.equal([stick.sentCount, stick.lastProcessed], [0, 0]);
  assert.is(pilot.press({ thrust: 7 }), 1);
  await pilot.flush();
  await scene.tick(50, 2);
  pilot.hear();
  assert.equal([stick.sentCount, stick.lastProcessed], [1, 1]);
  assert.match(room().taken.at(-1) ?? "", /^p1,0,7,.*,third,1,/);
  await same(scene);
});

test("[Y80] a frame of the connection before is refused", async () => {
  const { scene, pilot, room } = await began("racer", "next");
  pilot.press({ thrust: 3 });
  const [late] = pilot.sent.splice(0);
  const { epoch } = scene.player("p1");
  await scene.drop("p1");
  pilot.cut();
  await scene.reconnect("p1", "B");
  const answer = await scene.frameAs("p1", {
    stream: "epoch",
    sequence: 2,
    frame: late as Uint8Array,
    epoch,
  });
  assert.is((answer as { refused: string }).refused, "EPOCH_PAST");
  assert.is(room().inputs.get("p1").size, 0);
  await same(scene);
});

test("[Y80] whichever node a client is attached to, its acks are the same", async () => {
  const heard = async (nodeId: string) => {
    const scene = new Scene(["A", "B"]);
    await scene.create("racer", { taking: "next" });
    await scene.join("p1", nodeId);
    const pilot = new Pilot(scene, "p1");
    pilot.hear();
    for (let thrust = 1; thrust <= 5; thrust++) {
      pilot.press({ thrust });
      await pilot.flush();
      await scene.tick(30);
    }
    return scene
      .player("p1")
      .socket.frames.slice(1)
      .map((frame) => Buffer.from(frame).toString("hex"));
  };
  const [atA, atB] = [await heard("A"), await heard("B")];
  assert.ok(atA.length > 3);
  assert.equal(atB, atA);
});

const takings: Taking[] = ["loop", "next", "idle", "take", "drain", "latest", "abandoned"];

test("[Y81, D1] a replica that begins from a checkpoint goes on equally, with what had come and was not taken", async () => {
  for (const [at, roomName] of ["racer", "racer", "sequenced", "unbuffered", "racer"].entries()) {
    const random = RoomRandom.seeded(Uint8Array.of(...new Uint8Array(11), at + 1));
    const pick = <T>(values: readonly T[]): T => values[Math.floor(random.next() * values.length)] as T;
    const scene = new Scene(["A", "B", "C"]);
    await scene.create(roomName);
    const names = ["p1", "p2x", "p3"];
    const pilots = new Map<string, Pilot>();
    let [restored, waiting] = [0, 0];
    for (let entry = 0; entry < 250; entry++) {
      const sessionId = pick(names);
      const pilot = pilots.get(sessionId);
      const isHere = scene.room().clients.some((client) => client.sessionId === sessionId);
      if (scene.seat(sessionId) === undefined) {
        await scene.join(sessionId, pick(["A", "B"]));
        const joined = new Pilot(scene, sessionId);
        pilots.set(sessionId, joined);
        joined.hear();
        joined.stick(at === 1 ? { mode: "unreliable" } : undefined);
      } else if (!isHere) {
        if (random.next() < 0.5) await scene.reconnect(sessionId, pick(["A", "C"]));
        else await scene.tick(700);
      } else if (random.next() < 0.06) {
        await scene.drop(sessionId, pick([1006, 4000]));
        pilot?.cut();
      } else if (random.next() < 0.15) {
        const [type, what] = pick<[string, unknown?]>([
          ["take", pick(takings)],
          ["clear"],
          ["forget"],
          ["take", "next"],
        ]);
        await scene.send(sessionId, type, what);
      } else if (random.next() < 0.5) {
        await scene.tick(pick([10, 50, 90]));
      } else {
        pilot?.press({ seq: entry, thrust: pick([1, 5, 50]), steer: random.next(), gear: pick(["a", "b"]) });
        await pilot?.flush();
      }
      pilots.get(sessionId)?.hear();
      await same(scene, `${roomName} ${at}, entry ${entry}`);
      if (random.next() < 0.3) {
        for (const each of names) waiting += scene.room<RacerRoom>("B").inputs.get(each).size;
        if (await scene.restore("B")) restored++;
        await same(scene, `${roomName} ${at}, restored after entry ${entry}`);
      }
    }
    const [one, other] = [scene.room<RacerRoom>("A"), scene.room<RacerRoom>("B")];
    assert.equal(other.taken, one.taken);
    assert.ok(restored > 30, `${restored} restores`);
    if (roomName !== "unbuffered") assert.ok(waiting > 10, `${waiting} inputs in checkpoints`);
    for (const sessionId of scene.room().clients.map((client) => client.sessionId)) {
      const [a, b] = [one.inputs.get(sessionId), other.inputs.get(sessionId)];
      assert.equal([b.size, b.consumedCount, b.wasIdle], [a.size, a.consumedCount, a.wasIdle]);
    }
  }
});

test("[Y81] what was restored is the same object wherever the room holds it, and goes on being written to", async () => {
  const { scene, pilot } = await began("racer", "drain");
  pilot.press({ thrust: 2, gear: "second" });
  await pilot.flush();
  await scene.tick(50);
  await scene.restore("B");
  const room = scene.room<RacerRoom>("B");
  assert.is(room.held[1], room.inputs.get("p1").latest);
  assert.is(room.seats[0], room.inputs.get("p1"));
  pilot.press({ thrust: 3 });
  await pilot.flush();
  const { thrust, gear } = room.inputs.get("p1").latest as unknown as { thrust: number; gear: string };
  assert.equal([thrust, gear], [3, "second"], "the decoder goes on from the values that it had");
  assert.is((room.held[1] as { thrust: number }).thrust, 3);
  await same(scene);
});

test("[Y81] a hash tells an input that waits from one that does not", async () => {
  const { scene, pilot } = await began("racer", "next");
  const before = scene.hashes()[0];
  pilot.press({ thrust: 2 });
  await pilot.flush();
  assert.is.not(scene.hashes()[0], before);
});

const Deep = schema({ thrust: t.number(), where: t.array("number") }, "Deep");

test("[Y82] inputs that no checkpoint could keep are refused as the room is made, with what to do", async () => {
  class LateRoom extends Room {
    override onCreate() {
      this.onMessage("begin", () => {
        this.defineInput(Stick);
      });
    }
  }
  await defineTestRoom("late", LateRoom);
  const scene = new Scene(["A", "B"]);
  await scene.create("late");
  await scene.join("p1");
  await scene.send("p1", "begin");
  assert.match(
    JSON.stringify(scene.first.warnings),
    /LateRoom calls defineInput\(\) after onCreate.*as a field/,
  );
  for (const [name, options, words] of [
    ["deep", {}, /the input's field \\?"where\\?" holds more than one value.*as a message/],
    ["huge", { bufferMaxSize: 1025 }, /bufferMaxSize is 1025: a whole number from 0 to 1024/],
    ["nothing", { bufferMaxSize: Number.NaN }, /bufferMaxSize is NaN/],
    ["half", { subSteps: 1.5 }, /subSteps must be an integer/],
  ] as const) {
    class RefusedRoom extends Room {
      override onCreate() {
        this.defineInput(name === "deep" ? Deep : Stick, options as object);
      }
    }
    await defineTestRoom(name, RefusedRoom);
    const refused = (await new Scene(["A"]).create(name)) as { refused: string; message: string };
    assert.is(refused.refused, "ROOM_CREATE_FAILED");
    assert.match(refused.message, words);
  }
});

test("[Y82] a ring that the stock decoder would not come back from is passed over, and hurts nobody", async () => {
  const { scene, pilot, room } = await began("racer", "next");
  const number = (...values: number[]) => {
    const bytes = Buffer.alloc(64);
    const at = { offset: 0 };
    for (const value of values) encode.number(bytes, value, at);
    return [...bytes.subarray(0, at.offset)];
  };
  const negative = Uint8Array.of(20, ...number(1, -2));
  const tooLong = Uint8Array.of(20, ...number(1, 100));
  const stamped = Uint8Array.of(20 | 0x80, ...number(4_000_000_000), 0, 0, 0, 0, ...number(1));
  const empty = Uint8Array.of(20);
  for (const frame of [negative, tooLong, stamped, empty]) await scene.frame("p1", frame);
  assert.is(room().inputs.get("p1").size, 0);
  pilot.press({ thrust: 6 });
  await pilot.flush();
  await scene.tick(50);
  assert.match(room().taken.at(-1) ?? "", /^p1,0,6,/);
  await same(scene);
});

test("[Y82] a field of a room without inputs may have any name", async () => {
  class NamedRoom extends Room {
    input = { n: 1 };
    override onCreate() {
      Object.assign(this, { inputs: ["a"] });
      this.onMessage("add", () => {
        this.input.n++;
      });
    }
  }
  await defineTestRoom("named", NamedRoom);
  const scene = new Scene(["A", "B"]);
  await scene.create("named");
  await scene.join("p1");
  await scene.send("p1", "add");
  await scene.restore("B");
  const room = scene.room<NamedRoom>("B");
  assert.equal([room.input, room.inputs], [{ n: 2 }, ["a"]]);
});

test.run();

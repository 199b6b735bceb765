// test-run: seconds=200 computes node=--import=./server/colyseus/register.ts
import { type Client, Rewind, RewindView, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import type { RoomClock } from "@colyseus/sdk";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { inMacrotask } from "../../server/session/macrotask.ts";
import { RoomRandom } from "../../server/session/random.ts";
import { defineTestRoom } from "./machine-harness.ts";
import { Pilot } from "./pilot.ts";
import { Stick, type StickInput } from "./racer-room.ts";
import { Scene } from "./scene.ts";

const Drone = schema({ x: t.number(), y: t.number(), level: t.number() }, "Drone");
type DroneState = InstanceType<typeof Drone>;
const Range = schema({ drones: t.map(Drone), boss: Drone }, "Range");

/** Drones that fly; a client asks where it saw them. */
class RangeRoom extends Room<{ state: InstanceType<typeof Range>; input: StickInput }> {
  override state = new Range({ boss: new Drone({ x: 0, y: 0, level: 9 }) });
  override inputs = this.defineInput(Stick);
  rewind: Rewind = this.allowRewindState({ maxRewindMs: 300 });
  /** A view of its own, beside the one that the stock Rewind hands out. */
  view = new RewindView();
  last: unknown = null;
  gone: DroneState[] = [];
  seen: string[] = [];
  made = 0;

  override onCreate({ patchRate = 50 }: { patchRate?: number }): void {
    this.autoDispose = false;
    this.patchRate = patchRate;
    const { state, rewind } = this;
    rewind.attachAll(state.drones, {
      fields: ["x"],
      interpolate: ({ level }) => (level > 5 ? "step" : "linear"),
    });
    rewind.attachAll(state.drones, { fields: ({ level }) => (level > 2 ? ["y"] : []), mode: "reckon" });
    rewind.attach(state.boss as DroneState, { fields: ["x", "y"], maxRewindMs: 1_000 });
    this.setTimestep((ms) => this.fly(ms), 50);
    this.onMessage("drone", () => this.add());
    this.onMessage("hit", (_client, id: string) => this.remove(id));
    this.onMessage("forget", () => {
      this.gone = [];
    });
    this.onMessage("look", (client, ago: number) => this.look(client.sessionId, ago));
    this.onMessage("attach late", () => {
      this.rewind.attachAll(this.state.drones, { fields: ["x"] });
    });
  }
  override onDrop(client: Client): void {
    this.allowReconnection(client, 20);
  }

  fly(ms: number): void {
    for (const drone of [...this.state.drones.values(), this.state.boss as DroneState]) {
      drone.x += ms * (1 + drone.level / 7);
      drone.y -= ms / 3;
    }
    for (const { sessionId } of this.clients)
      for (const _ of this.inputs.get(sessionId)) this.look(sessionId);
  }
  add(): void {
    const level = this.made % 10;
    this.state.drones.set(`d${this.made++}`, new Drone({ x: this.made, y: this.made * 2, level }));
  }
  remove(id: string): void {
    const drone = this.state.drones.get(id);
    if (drone === undefined) return;
    this.state.drones.delete(id);
    this.gone.push(drone);
  }
  look(sessionId: string, ago?: number): void {
    const { rewind, clock } = this;
    const view = ago === undefined ? rewind.lastSeenBy(sessionId) : rewind.at(clock.elapsedTime - ago);
    this.last = view;
    rewind.at(clock.elapsedTime - 120, this.view);
    for (const each of [view, this.view]) this.tell(each);
    if (this.seen.length > 30) this.seen.splice(0, 10);
  }
  tell(view: RewindView): void {
    const { boss, drones } = this.state;
    const places = [boss as DroneState, ...drones.values(), ...this.gone].map(
      (drone) => `${view.value(drone, "x")}/${view.value(drone, "y")}`,
    );
    this.seen.push([view.time, view.reckonTime, ...places].join(" "));
  }
}
await defineTestRoom("range", RangeRoom as never, { classes: [RewindView] });

async function same(scene: Scene, note = ""): Promise<void> {
  const [a, b] = await inMacrotask(() => scene.hashes());
  assert.is(b, a, note);
}

test("[Y83] the past is seen where it was, equally on every replica; what is older than the window is its oldest", async () => {
  const scene = new Scene(["A", "B"]);
  await scene.create("range");
  await scene.join("p1");
  await scene.send("p1", "drone");
  await scene.tick(50, 10);
  const room = scene.room<RangeRoom>();
  const drone = room.state.drones.get("d0") as DroneState;
  const { rewind } = room;
  const now = rewind.lastRecordedAt;
  // It was recorded with the patch; it has flown once more since.
  assert.equal([now, rewind.valueAt(drone, now, "x")], [450, drone.x - 50]);
  assert.is(rewind.valueAt(drone, now - 75, "x"), drone.x - 125);
  assert.is(rewind.at(now - 300, new RewindView()).value(drone, "x"), drone.x - 350);
  assert.is(rewind.at(1, new RewindView()).value(drone, "x"), drone.x - 350);
  await same(scene);
});

test("[Y83] a shooter's own stamps, as the stock SDK sends them, say what it saw", async () => {
  const scene = new Scene(["A", "B"]);
  await scene.create("range");
  await scene.join("p1", "B");
  await scene.send("p1", "drone");
  await scene.tick(50, 10);
  for (const mode of ["reliable", "unreliable"] as const) {
    const shooter = new Pilot(scene, "p1");
    shooter.hear();
    const { clock, inputs } = scene.room<RangeRoom>();
    const synchronised = { serverNow: () => clock.elapsedTime - 30, smoothedRtt: () => 40 };
    shooter.room.clock = Object.assign(Object.create(shooter.room.clock) as RoomClock, synchronised);
    shooter.stick({ mode, renderDelay: 100 });
    for (let thrust = 1; thrust < 4; thrust++) shooter.press({ thrust });
    await shooter.flush();
    const pressed = clock.elapsedTime - 30;
    await scene.tick(50);
    const { renderTime, reckonTime } = inputs.get("p1");
    assert.equal([reckonTime, renderTime], [pressed, pressed - 120], mode);
    await same(scene, mode);
    await scene.drop("p1");
    await scene.reconnect("p1", "A");
  }
  const [a, b] = [scene.room<RangeRoom>("A"), scene.room<RangeRoom>("B")];
  assert.ok(a.seen.length >= 6);
  assert.equal(b.seen, a.seen);
});

test("[Y83, D1] a replica that begins from a checkpoint sees the same past, of what is gone, too", async () => {
  for (const [at, patchRate] of [50, 30, 120].entries()) {
    const random = RoomRandom.seeded(Uint8Array.of(...new Uint8Array(11), at + 1));
    const pick = <T>(values: readonly T[]): T => values[Math.floor(random.next() * values.length)] as T;
    const scene = new Scene(["A", "B"]);
    await scene.create("range", { patchRate });
    await scene.join("p1");
    const pilot = new Pilot(scene, "p1");
    pilot.hear();
    pilot.stick(at === 1 ? { mode: "unreliable", renderDelay: 40 } : { renderDelay: 40 });
    let restored = 0;
    for (let entry = 0; entry < 200; entry++) {
      const turn = random.next();
      if (turn < 0.45) await scene.tick(pick([20, 50, 90]));
      else if (turn < 0.55) await scene.send("p1", "drone");
      else if (turn < 0.65) await scene.send("p1", "hit", `d${Math.floor(random.next() * 12)}`);
      else if (turn < 0.68) await scene.send("p1", "forget");
      else if (turn < 0.85) await scene.send("p1", "look", pick([0, 40, 111, 260, 900]));
      else {
        pilot.press({ thrust: entry });
        await pilot.flush();
      }
      pilot.hear();
      await same(scene, `every ${patchRate} ms, entry ${entry}`);
      if (random.next() < 0.25) {
        if (await scene.restore("B")) restored++;
        await same(scene, `every ${patchRate} ms, restored after entry ${entry}`);
      }
    }
    const [one, other] = [scene.room<RangeRoom>("A"), scene.room<RangeRoom>("B")];
    assert.equal(other.seen, one.seen);
    assert.ok(one.seen.length > 10 && restored > 20, `${one.seen.length} views, ${restored} restores`);
    assert.is(
      other.last,
      Reflect.get(other.rewind, "_view"),
      "the view that the room has kept is still the one that is handed out",
    );
    const [drone] = other.state.drones.values();
    const before = other.rewind.lastRecordedAt;
    await scene.tick(patchRate * 2);
    assert.ok(other.rewind.lastRecordedAt > before);
    if (drone !== undefined)
      assert.ok(other.rewind.valueAt(drone, 1e6, "x") > other.rewind.valueAt(drone, before, "x"));
    await same(scene);
  }
});

test("[Y83] a history is in the hash, and no bigger than its window", async () => {
  const scene = new Scene(["A", "B"]);
  await scene.create("range");
  await scene.join("p1");
  for (let drone = 0; drone < 20; drone++) await scene.send("p1", "drone");
  await scene.tick(50, 100);
  await same(scene);
  const size = () => scene.first.machine.rooms.get(scene.roomId)?.program.save().length ?? 0;
  const full = await inMacrotask(size);
  await scene.tick(50, 100);
  assert.ok(Math.abs((await inMacrotask(size)) - full) < 100);
  assert.ok(full < 20 * 1_000, `${full} bytes for 20 drones`);
});

test("[Y82] what a restored room would not look back at is refused, by name and with what to do", async () => {
  const scene = new Scene(["A", "B"]);
  await scene.create("range");
  await scene.join("p1");
  await scene.send("p1", "attach late");
  assert.match(
    JSON.stringify(scene.first.warnings),
    /RangeRoom: rewind.attachAll\(\) is called after onCreate.*attach the collection in onCreate/,
  );
  for (const [name, act, words] of [
    [
      "wide",
      (room: RangeRoom) => room.allowRewindState({ maxRewindMs: 5_001 }),
      /maxRewindMs is 5001: more than 0 and up to 5000/,
    ],
    ["fine", (room: RangeRoom) => room.allowRewindState().record(5, 0.01), /every 0.01 ms: at least 1 ms/],
    [
      "own",
      (room: RangeRoom) =>
        Rewind.get(room.state)
          .attach(room.state.boss as DroneState, { fields: ["x"] })
          .record(5),
      /a Rewind of its own making.*use this.allowRewindState/,
    ],
  ] as const) {
    class RefusedRoom extends Room {
      override state = new Range({ boss: new Drone({ x: 1, y: 0, level: 0 }) });
      override onCreate() {
        act(this as unknown as RangeRoom);
      }
    }
    await defineTestRoom(name, RefusedRoom);
    const refused = (await new Scene(["A"]).create(name)) as { refused: string; message: string };
    assert.is(refused.refused, "ROOM_CREATE_FAILED");
    assert.match(refused.message, words);
  }
});

test.run();

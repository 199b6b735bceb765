// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { type FixedTimestepCallback, Room, type StepContext, TimestepException } from "@colyseus/core";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { inMacrotask } from "../../server/session/macrotask.ts";
import { RoomRandom } from "../../server/session/random.ts";
import { defineTestRoom } from "./machine-harness.ts";
import { Scene } from "./scene.ts";

/** Keeps what its steps are given. */
class StepsRoom extends Room {
  ticks: number[] = [];
  last: StepContext | null = null;
  copy: StepContext | null = null;
  x = 0;

  override onCreate({ tickRate, subSteps }: { tickRate?: number; subSteps?: number }) {
    this.autoDispose = false;
    this.setFixedTimestep(this.step, tickRate, subSteps === undefined ? undefined : { subSteps });
    this.onMessage("throw at", (_client, tick: number) => {
      this.throwAt = tick;
    });
  }

  throwAt = -2;

  readonly step: FixedTimestepCallback = (context) => {
    this.ticks.push(context.tick);
    if (context.tick === this.throwAt) throw new Error(`thrown at ${context.tick}`);
    if (context.tick === this.throwAt + 1) throw null;
    this.last = context;
    this.copy = { ...context };
    for (let sub = 0; sub < context.subSteps; sub++) this.x += Math.sin(this.x + 1) * context.subDt;
  };
}

class ToldRoom extends StepsRoom {
  told: unknown[] = [];

  override onUncaughtException(error: Error, method: string) {
    this.told.push([error instanceof TimestepException, error.message, method]);
    if (error.cause === null) throw new Error("the listener fails too");
  }
}

class SwitchingRoom extends StepsRoom {
  frames = 0;

  override onCreate() {
    super.onCreate({ tickRate: 20 });
    this.setTimestep(() => {
      this.frames += 1;
    }, 50);
  }
}

await defineTestRoom("steps", StepsRoom);
await defineTestRoom("told", ToldRoom);
await defineTestRoom("switching", SwitchingRoom);

const upTo = (count: number) => Array.from({ length: count }, (_, at) => at);

test("[Y27] a fixed step is always as long, whatever time passes between ticks; its number goes up by one", async () => {
  const scene = new Scene(["A", "B"]);
  await scene.create("steps", { tickRate: 20, subSteps: 4 });
  for (const ms of [10, 90, 55, 45, 100, 20, 150, 30]) await scene.tick(ms);
  const { ticks, copy, last } = scene.room<StepsRoom>();
  assert.equal(ticks, upTo(10));
  assert.equal(copy, { dt: 0.05, dtMs: 50, tick: 9, subSteps: 4, subDt: 0.0125, subDtMs: 12.5 });
  assert.equal(last, copy, "the step is handed the same object each time");
  const [a, b] = scene.hashes();
  assert.is(a, b);
});

test("[Y27] by default there are 60 steps a second, of one sub-step", async () => {
  const scene = new Scene(["A"]);
  await scene.create("steps");
  for (let at = 0; at < 50; at++) await scene.tick(20);
  const { ticks, copy } = scene.room<StepsRoom>();
  assert.ok(ticks.length === 59 || ticks.length === 60, `${ticks.length} steps`);
  assert.equal([copy?.dt, copy?.subSteps, copy?.subDt], [1 / 60, 1, 1 / 60]);
});

test("[Y27, D1] a restored room goes on with the step that is due, at the moment that it is due", async () => {
  const random = RoomRandom.seeded(Uint8Array.of(...new Uint8Array(12), 7));
  for (const tickRate of [7, 20, 30, 60]) {
    const scene = new Scene(["A", "B"]);
    await scene.create("steps", { tickRate, subSteps: 2 });
    let restored = 0;
    for (let at = 0; at < 150; at++) {
      await scene.tick(1 + Math.floor(random.next() * 70));
      if (random.next() < 0.2 && (await scene.restore("B"))) restored += 1;
      const [a, b] = await inMacrotask(() => scene.hashes());
      assert.is(b, a, `${tickRate} a second, entry ${at}`);
    }
    const [one, other] = [scene.room<StepsRoom>("A"), scene.room<StepsRoom>("B")];
    assert.equal(other.ticks, one.ticks);
    assert.equal(one.ticks, upTo(one.ticks.length));
    assert.ok(one.ticks.length > 30 && restored > 10, `${one.ticks.length} steps, ${restored} restores`);
    assert.is(
      other.last?.tick,
      one.ticks.length - 1,
      "the object that the room has kept is still handed to it",
    );
  }
});

test("[Y27] what is owed past what the stock room catches up with is dropped", async () => {
  const scene = new Scene(["A", "B"]);
  await scene.create("steps", { tickRate: 20 });
  const counts: number[] = [];
  for (const ms of [10_000, 50, 50, 50]) {
    await scene.tick(ms);
    counts.push(scene.room<StepsRoom>().ticks.length);
  }
  // Three turns of the timer in one tick, then five steps in one turn; after that there is nothing left to catch up.
  assert.equal(counts, [3, 8, 9, 10]);
});

test("[Y27] a step that throws is told, and the next one is run", async () => {
  for (const name of ["steps", "told"]) {
    const scene = new Scene(["A", "B"]);
    await scene.create(name, { tickRate: 20 });
    await scene.join("p1");
    await scene.send("p1", "throw at", 2);
    await scene.tick(100);
    await scene.tick(100);
    const room = scene.room<ToldRoom>();
    assert.equal(room.ticks, upTo(4));
    if (name === "told") {
      assert.equal(room.told, [
        [true, "thrown at 2", "setFixedTimestep"],
        [true, "null", "setFixedTimestep"],
      ]);
      assert.match(JSON.stringify(scene.first.warnings), "the listener fails too");
    }
    const [a, b] = scene.hashes();
    assert.is(a, b);
  }
});

test("[Y27] setTimestep() takes the place of the fixed steps", async () => {
  const scene = new Scene(["A"]);
  await scene.create("switching");
  await scene.tick(100);
  assert.equal([scene.room<SwitchingRoom>().frames, scene.room<SwitchingRoom>().ticks], [2, []]);
});

test("[Y27] steps of no use are refused, with what is allowed", async () => {
  for (const [options, words] of [
    [{ tickRate: 0 }, /tickRate is 0: more than 0 and up to 1000/],
    [{ tickRate: 1001 }, /tickRate is 1001/],
    [{ tickRate: Number.NaN }, /tickRate is NaN/],
    [{ tickRate: 20, subSteps: 0 }, /subSteps is 0: a whole number of at least 1/],
    [{ tickRate: 20, subSteps: 1.5 }, /subSteps is 1.5/],
  ] as const) {
    const refused = (await new Scene(["A"]).create("steps", options)) as { refused: string; message: string };
    assert.is(refused.refused, "ROOM_CREATE_FAILED");
    assert.match(refused.message, words);
  }
});

test("[Y27] outside of the room the steps cannot be changed", async () => {
  const scene = new Scene(["A"]);
  await scene.create("steps", { tickRate: 20 });
  assert.throws(() => scene.room<StepsRoom>().setFixedTimestep(() => {}, 10), /MUTATION_OUTSIDE_LOG|outside/);
});

test.run();

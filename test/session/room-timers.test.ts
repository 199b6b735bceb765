import { test } from "uvu";
import * as assert from "uvu/assert";
import { RoomRandom } from "../../server/session/random.ts";
import { owedStepsMax, type RoomTimer, RoomTimers } from "../../server/session/room-timers.ts";

function scene(timersMax = 100) {
  const timers = new RoomTimers(timersMax);
  const fired: string[] = [];
  const make = (name: string, delayMs: number, how: { nowMs?: number; everyMs?: number } = {}) =>
    timers.create({
      nowMs: how.nowMs ?? 0,
      delayMs,
      intervalMs: how.everyMs ?? null,
      args: [],
      callback: () => fired.push(name),
    });
  const run = (timer: RoomTimer) => timer.callback(...timer.args);
  return { timers, fired, make, run };
}

test("[D2] timers fire by due time, then by creation, whatever order they were made in", () => {
  const { timers, fired, make, run } = scene();
  make("late", 30);
  make("first at 20", 20);
  make("second at 20", 10, { nowMs: 10 });
  make("early", 5);
  timers.advance(20, run);
  assert.equal(fired, ["early", "first at 20", "second at 20"]);
  assert.is(timers.nextDueMs(), 30);
});

test("[D2] the order is total: for random timers, advancing in one step or in many fires the same sequence", () => {
  const random = RoomRandom.seeded(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
  for (let round = 0; round < 50; round++) {
    const delays = Array.from({ length: 12 }, () => 1 + Math.floor(random.next() * 40));
    const [one, many] = [scene(), scene()];
    for (const each of [one, many]) {
      delays.forEach((delayMs, at) => {
        each.make(`t${at}`, delayMs, at % 3 === 0 ? { everyMs: delayMs + 20 } : {});
      });
    }
    one.timers.advance(60, one.run);
    for (let atMs = 0; atMs <= 60; atMs += 1 + Math.floor(random.next() * 9))
      many.timers.advance(atMs, many.run);
    many.timers.advance(60, many.run);
    assert.equal(many.fired, one.fired);
  }
});

test("[D2] a timer made by a timer fires within the same advance if it is due, one that was cleared does not", () => {
  const { timers, fired, make } = scene();
  const doomed = make("doomed", 9);
  make("parent", 5);
  timers.advance(10, (timer, dueMs) => {
    timer.callback();
    if (dueMs !== 5) return;
    make("child", 3, { nowMs: dueMs });
    timers.clear(doomed);
  });
  assert.equal(fired, ["parent", "child"]);
  assert.is(doomed.active, false);
});

test("[D3] an interval that is owed more than 3 steps runs 3 and drops the rest", () => {
  assert.is(owedStepsMax, 3);
  const { timers, fired, make } = scene();
  const interval = make("step", 50, { everyMs: 50 });
  const dues: number[] = [];
  timers.advance(10_000, (timer, dueMs) => {
    timer.callback();
    dues.push(dueMs);
  });
  assert.equal(dues, [50, 100, 150]);
  assert.is(interval.dueMs, 10_050);
  timers.advance(10_100, (timer) => timer.callback());
  assert.is(fired.length, 5);
});

test("[D3] an interval that keeps up loses nothing and does not drift", () => {
  const { timers, make } = scene();
  make("step", 50, { everyMs: 50 });
  const dues: number[] = [];
  for (let toMs = 33; toMs <= 500; toMs += 33) timers.advance(toMs, (_timer, dueMs) => dues.push(dueMs));
  assert.equal(dues, [50, 100, 150, 200, 250, 300, 350, 400, 450]);
});

test("[D4] past the limit a timer is refused with the limit's name, and a free place is taken again", () => {
  const { timers, make } = scene(3);
  make("a", 1);
  make("b", 1);
  const c = make("c", 1);
  try {
    make("d", 1);
    assert.unreachable();
  } catch (error) {
    assert.is((error as { code?: string }).code, "TIMERS_TOO_MANY");
    assert.match((error as Error).message, "at most 3 timers");
  }
  timers.clear(c);
  make("d", 1);
  assert.is(timers.live.length, 3);
});

test("[D4] an endless delay never fires; none, a negative one and NaN are 1 ms, as in Node", () => {
  const { timers, fired, make, run } = scene();
  make("never", Number.POSITIVE_INFINITY);
  assert.is(timers.nextDueMs(), null);
  for (const delayMs of [0, -5, Number.NaN, Number.NEGATIVE_INFINITY])
    assert.is(make("now", delayMs).dueMs, 1);
  timers.advance(1e12, run);
  assert.equal(fired, ["now", "now", "now", "now"]);
  assert.is(timers.live.length, 1);
});

test("[D4] timers made while the room is created are numbered, later ones are not", () => {
  const { timers, make } = scene();
  assert.equal([make("a", 1).createOrdinal, make("b", 1).createOrdinal], [0, 1]);
  timers.creating = false;
  assert.is(make("c", 1).createOrdinal, null);
  timers.clearAll();
  assert.is(timers.nextDueMs(), null);
});

test.run();

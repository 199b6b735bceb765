import { test } from "uvu";
import * as assert from "uvu/assert";
import { Reattachment } from "../../client/reattachment.ts";

const a = { url: "http://a" };
const b = { url: "http://b" };
const others = [b, a];
const begin = (moveMsMax: number): Reattachment =>
  new Reattachment({ from: a, heardMs: 0, nowMs: 1_000, moveMsMax, random: () => 0.5 });

test("[W4] the first try is at once, the rest go round the nodes and back off to a bound", () => {
  const way = begin(60_000);
  const tries = Array.from({ length: 30 }, () => way.next(others, 1_000));
  assert.equal(tries[0], { to: b, delayMs: 0 });
  assert.equal(tries[1], { to: a, delayMs: 15 });
  assert.equal(tries[2], { to: b, delayMs: 30 });
  assert.equal(tries[4], { to: b, delayMs: 60 });
  assert.equal(tries[29], { to: a, delayMs: 750 });
});

test("[W4] it ends when its time is over, and no wait goes beyond that", () => {
  const way = begin(100);
  assert.ok(way.next(others, 1_000));
  assert.equal(way.next(others, 1_095), { to: a, delayMs: 5 });
  assert.is(way.next(others, 1_100), null);
  assert.is(begin(0).next(others, 1_000), null);
  assert.is(begin(100).next([], 1_000), null);
});

test("[W4] trouble that goes on keeps its back-off and its time limit", () => {
  const way = begin(100);
  way.next(others, 1_000);
  const on = way.again({ from: b, heardMs: 7 });
  assert.is(on.from, b);
  assert.is(on.heardMs, 7);
  assert.equal(on.next([a, b], 1_050), { to: b, delayMs: 15 });
  assert.is(on.next([a, b], 1_100), null);
});

test.run();

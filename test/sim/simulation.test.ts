// test-run: seconds=600 computes node=--import=./server/colyseus/register.ts
import { queryObjects } from "node:v8";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Coverage, covered, seldom } from "./coverage.ts";
import { SimProcess } from "./sim-node.ts";
import { type Outcome, simulate } from "./simulation.ts";

const seeds = 130;
const firstSeed = 1;
/** How often each kind of event must have happened in all seeds together, at least. */
const timesMin = { often: 6, seldom: 2 };

/** Seeds that once failed, and what was wrong. */
const seedsThatFailed: readonly (readonly [seed: number, why: string])[] = [
  [127, "a wrapper's commands were taken, and lost, from a seat that was detached meanwhile"],
  [115, "a wrapper's reply was not kept, as another client had the seat when its handler came to its end"],
  [21575, "a member of the old version could not be linked any more, and nobody gave it the next one"],
];

function check({ seed, failure, tail }: Outcome): void {
  if (failure === null) return;
  const replay = `replay: npm run simulate -- --seeds 1 --first ${seed} --verbose`;
  assert.unreachable([`seed ${seed}: ${failure.stack}`, ...tail(40), replay].join("\n"));
}

for (const [seed, why] of seedsThatFailed) {
  test(`seed ${seed}: ${why}`, async () => check(await simulate({ seed })));
}

test("[X14] the same seed gives the same run, whatever ran before it", async () => {
  const [one, other] = [await simulate({ seed: 7 }), await simulate({ seed: 8 })];
  const again = await simulate({ seed: 7 });
  assert.is(again.traceHash, one.traceHash);
  assert.is(again.events, one.events);
  assert.is.not(other.traceHash, one.traceHash);
});

test("[X64] a run that is over leaves nothing of its nodes in the process", async () => {
  const counted = () => queryObjects(SimProcess, { format: "count" });
  const before = counted();
  let started = 0;
  for (const seed of [2, 9, 12]) {
    const { failure, coverage } = await simulate({ seed });
    assert.is(failure, null);
    started += coverage.counts.crashes;
  }
  assert.ok(started > 3);
  let left = counted();
  // What the collected held is freed in a turn of its own.
  for (let turn = 0; turn < 3 && left > before; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    left = counted();
  }
  assert.ok(left <= before, `${left - before} of their processes are left`);
});

const coverage = new Coverage();

test(`[X1, X2, X3, X4, X5, X6, X7, X8, X9, X10, X11, X12, X13, X16, X21, X22, X23, X24, X25, X26, X27, X28, X29, X30, X31, X32, X33, X35, X36, X37, X38, X41, X42, X43, X44, X45, X46, X47, X48, X50, X51, X52, X53, X54, X55, X56, Q19, V10, V30, Y55, T8] ${seeds} seeds: the cluster keeps its promises`, async () => {
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    const outcome = await simulate({ seed });
    coverage.add(outcome.coverage);
    check(outcome);
  }
});

test("[X15] everything that may happen has happened", () => {
  for (const name of covered.rooms) {
    const times = coverage.counts[name];
    const min = seldom.has(name) ? timesMin.seldom : timesMin.often;
    assert.ok(times >= min, `${name} happened ${times} times, expected are at least ${min}`);
  }
});

test.run();

// test-run: seconds=600 computes
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Coverage, covered, seldom } from "./coverage.ts";
import { type Outcome, simulate } from "./simulation.ts";

const seeds = 160;
const firstSeed = 1;
/** How often each kind of event must have happened in all seeds together, at least. */
const timesMin = { often: 10, seldom: 3 };

function check({ seed, failure, tail }: Outcome): void {
  if (failure === null) return;
  const replay = `replay: npm run simulate -- --seeds 1 --first ${seed} --registers --verbose`;
  assert.unreachable([`seed ${seed}: ${failure.stack}`, ...tail(40), replay].join("\n"));
}

test("[X14] the same seed gives the same run of registers, whatever ran before it", async () => {
  const [one, other] = [
    await simulate({ seed: 7, mode: "registers" }),
    await simulate({ seed: 8, mode: "registers" }),
  ];
  const again = await simulate({ seed: 7, mode: "registers" });
  assert.is(again.traceHash, one.traceHash);
  assert.is.not(other.traceHash, one.traceHash);
});

const coverage = new Coverage();

test(`[K4, K5, K6, X1, X2, X3, X4, X5, X6, X7, X8, X34, V30] ${seeds} seeds: what clients saw can be explained`, async () => {
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    const outcome = await simulate({ seed, mode: "registers" });
    coverage.add(outcome.coverage);
    check(outcome);
  }
});

test("[X15] everything that may happen to registers has happened", () => {
  for (const name of covered.registers) {
    const times = coverage.counts[name];
    const min = seldom.has(name) ? timesMin.seldom : timesMin.often;
    assert.ok(times >= min, `${name} happened ${times} times, expected are at least ${min}`);
  }
});

test.run();

// test-run: seconds=120
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Coverage, covered } from "./coverage.ts";
import { simulate } from "./simulation.ts";

const seeds = 10;
const coverage = new Coverage();

test(`[X57, X58, X59, X60, X61] ${seeds} seeds: locks, elections and keys that expire are what their commands make them, and what clients saw can be explained`, async () => {
  for (let seed = 1; seed <= seeds; seed++) {
    const outcome = await simulate({ seed, mode: "keeper" });
    coverage.add(outcome.coverage);
    if (outcome.failure === null) continue;
    const replay = `replay: npm run simulate -- --seeds 1 --first ${seed} --keeper --verbose`;
    assert.unreachable([`seed ${seed}: ${outcome.failure.stack}`, ...outcome.tail(40), replay].join("\n"));
  }
});

test("[X14] the same seed gives the same run of the keeper", async () => {
  const [one, again] = [
    await simulate({ seed: 3, mode: "keeper" }),
    await simulate({ seed: 3, mode: "keeper" }),
  ];
  assert.is(again.traceHash, one.traceHash);
  assert.is(again.events, one.events);
});

test("[X15] everything that may happen to locks and keys has happened", () => {
  const elsewhere: readonly string[] = covered.registers;
  for (const name of covered.keeper)
    if (!elsewhere.includes(name)) assert.ok(coverage.counts[name] > 0, `${name} did not happen`);
});

test.run();

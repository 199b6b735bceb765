/**
 * Runs the simulator: `npm run simulate -- --seeds 5000 --first 1 [--failures 5] [--verbose]`.
 * Exits with 1 when a seed fails, and says how to replay it.
 */
import { parseArgs } from "node:util";
import { Coverage, covered } from "./coverage.ts";
import type { Outcome } from "./simulation.ts";

// The preload goes before everything that may capture time or chance.
await import("../../server/colyseus/register.ts");
const { simulate } = await import("./simulation.ts");

const tailLines = 60;

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    first: { type: "string", default: "1" },
    failures: { type: "string", default: "5" },
    verbose: { type: "boolean", default: false },
  },
});

function whole(name: "seeds" | "first" | "failures"): number {
  const value = Number(values[name]);
  if (Number.isSafeInteger(value) && value >= 1) return value;
  process.stderr.write(`option ${name} is "${values[name]}": a whole number of at least 1 is allowed\n`);
  process.exit(2);
}

function tell({ seed, failure, tail }: Outcome): void {
  process.stdout.write(`\nseed ${seed} failed: ${failure?.stack ?? failure}\n`);
  if (!values.verbose) for (const line of tail(tailLines)) process.stdout.write(`  ${line}\n`);
  process.stdout.write(`replay: npm run simulate -- --seeds 1 --first ${seed} --verbose\n`);
}

// The rooms fail on purpose, on every replica, and Colyseus prints each failure of room code.
if (!values.verbose) console.error = () => {};

const seeds = whole("seeds");
const first = whole("first");
const failuresMax = whole("failures");
const coverage = new Coverage();
const failed: number[] = [];
const begunMs = performance.now();
let ran = 0;
let events = 0;
for (let seed = first; seed < first + seeds && failed.length < failuresMax; seed++) {
  const print = (line: string) => void process.stdout.write(`${line}\n`);
  const outcome = await simulate(values.verbose ? { seed, print } : { seed });
  ran++;
  events += outcome.events;
  coverage.add(outcome.coverage);
  if (outcome.failure !== null) {
    failed.push(seed);
    tell(outcome);
  } else if (ran % 100 === 0) {
    const seconds = (performance.now() - begunMs) / 1000;
    process.stdout.write(`${ran} seeds, ${events} events, ${seconds.toFixed(0)} s\n`);
  }
  if (values.verbose)
    process.stdout.write(
      `trace ${outcome.traceHash}, ${outcome.events} events, ${outcome.simulatedMs.toFixed(0)} ms\n`,
    );
}
const seconds = (performance.now() - begunMs) / 1000;
for (const name of covered) process.stdout.write(`  ${name.padEnd(22)} ${coverage.counts[name]}\n`);
process.stdout.write(
  `${ran} seeds in ${seconds.toFixed(1)} s, ${failed.length} failed${failed.length > 0 ? `: ${failed.join(", ")}` : ""}\n`,
);
process.exit(failed.length === 0 ? 0 : 1);

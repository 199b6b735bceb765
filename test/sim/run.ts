/**
 * Runs the simulator: `npm run simulate -- --seeds 5000 --first 1 [--registers | --keeper] [--failures 5] [--verbose]`.
 * With rooms and their players, or (many more seeds a minute) with registers, or with locks and keys that expire; of these
 * clients' histories are judged.
 * Exits with 1 when a seed fails, and says how to replay it.
 *
 * With planted bugs: `npm run simulate -- --mutants [NAME …] [--seeds 1000] [--first 1]`.
 * Exits with 1 when one of them survives so many seeds.
 */
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Coverage, covered } from "./coverage.ts";
import { tellMutants } from "./mutant-table.ts";
import type { Outcome } from "./simulation.ts";
import { Violation } from "./violation.ts";

const tailLines = 60;
/** Found is what so many seeds find; the last one of 105 takes about 440, some minutes. */
const mutantSeedsMax = 1_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    mutants: { type: "boolean", default: false },
    seeds: { type: "string" },
    first: { type: "string", default: "1" },
    failures: { type: "string", default: "5" },
    registers: { type: "boolean", default: false },
    keeper: { type: "boolean", default: false },
    verbose: { type: "boolean", default: false },
  },
});

const mode = values.keeper ? "keeper" : values.registers ? "registers" : "rooms";

function whole(name: "seeds" | "first" | "failures"): number {
  const value = Number(values[name] ?? (values.mutants ? mutantSeedsMax : 1_000));
  if (Number.isSafeInteger(value) && value >= 1) return value;
  process.stderr.write(`option ${name} is "${values[name]}": a whole number of at least 1 is allowed\n`);
  process.exit(2);
}

function tell({ seed, failure, tail }: Outcome): void {
  process.stdout.write(`\nseed ${seed} failed: ${failure?.stack ?? failure}\n`);
  if (failure instanceof Violation && failure.picture !== null) {
    const path = join(tmpdir(), `testudo-seed-${seed}.svg`);
    writeFileSync(path, failure.picture);
    process.stdout.write(`a picture of it: ${path}\n`);
  }
  if (!values.verbose) for (const line of tail(tailLines)) process.stdout.write(`  ${line}\n`);
  process.stdout.write(
    `replay: npm run simulate -- --seeds 1 --first ${seed}${mode === "rooms" ? "" : ` --${mode}`} --verbose\n`,
  );
}

if (values.mutants) {
  const isAllFound = await tellMutants(positionals, { first: whole("first"), seedsMax: whole("seeds") });
  process.exit(isAllFound ? 0 : 1);
}
if (positionals.length > 0) {
  process.stderr.write(`"${positionals[0]}" is no option; names of mutants go with --mutants\n`);
  process.exit(2);
}

// The preload goes before everything that may capture time or chance.
await import("../../server/colyseus/register.ts");
const { simulate } = await import("./simulation.ts");

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
  const outcome = await simulate(values.verbose ? { seed, mode, print } : { seed, mode });
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
for (const name of covered[mode]) process.stdout.write(`  ${name.padEnd(22)} ${coverage.counts[name]}\n`);
process.stdout.write(
  `${ran} seeds in ${seconds.toFixed(1)} s, ${failed.length} failed${failed.length > 0 ? `: ${failed.join(", ")}` : ""}\n`,
);
process.exit(failed.length === 0 ? 0 : 1);

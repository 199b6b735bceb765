/**
 * Tortures a real cluster: `npm run torture -- --minutes 10 [--seed 1] [--stock 30] [--wrapper 20] [--rate 2500]`.
 * Exits with 1 when something did not hold, and says what.
 */
import { parseArgs } from "node:util";
import { torture } from "./torture.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    stock: { type: "string", default: "30" },
    wrapper: { type: "string", default: "20" },
    rate: { type: "string", default: "2500" },
  },
});

function number(name: keyof typeof values, min: number, max: number): number {
  const value = Number(values[name]);
  if (value >= min && value <= max) return value;
  process.stderr.write(`option ${name} is "${values[name]}": ${min} to ${max} is allowed\n`);
  process.exit(2);
}

const seed = number("seed", 0, 1_000_000_000);
const minutes = number("minutes", 0.1, 600);
const tell = (line: string) => void process.stdout.write(`${line}\n`);
tell(`seed ${seed}, ${minutes} minutes`);
const report = await torture({
  seconds: 60 * minutes,
  tormentsMin: 1,
  seed,
  stock: number("stock", 0, 200),
  wrapper: number("wrapper", 0, 200),
  rate: number("rate", 1, 100_000),
  tell,
});
const { problems, gapsMs, inflicted, ...figures } = report;
for (const [name, value] of Object.entries(figures)) tell(`  ${name.padEnd(16)} ${Math.round(value)}`);
tell(`  gaps, ms         ${gapsMs.map(Math.round).join(" / ")} (median, 99 %, most)`);
for (const [name, times] of Object.entries(inflicted)) tell(`  ${name.padEnd(16)} ${times}`);
for (const problem of problems) tell(`\nBROKEN: ${problem}`);
tell(problems.length === 0 ? "everything held" : `${problems.length} things did not hold`);
process.exit(problems.length === 0 ? 0 : 1);

/** `npm run scenarios -- --rewrite`: writes under each step of each scenario what happens now. Read the difference. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runScenario } from "./scenario.ts";

const folder = join(import.meta.dirname, "scenarios");
const { values } = parseArgs({ options: { rewrite: { type: "boolean", default: false } } });
let differing = 0;
let failing = 0;
for (const name of readdirSync(folder).sort()) {
  const path = join(folder, name);
  const written = readFileSync(path, "utf8");
  let now: string;
  try {
    now = runScenario(written);
  } catch (error) {
    process.stdout.write(`${name}: ${(error as Error).message}\n`);
    failing++;
    continue;
  }
  if (now === written) continue;
  differing++;
  process.stdout.write(`${name} ${values.rewrite ? "was rewritten" : "differs"}\n`);
  if (values.rewrite) writeFileSync(path, now);
}
process.stdout.write(`${differing} differed, ${failing} cannot be run\n`);
process.exitCode = failing > 0 || (differing > 0 && !values.rewrite) ? 1 : 0;

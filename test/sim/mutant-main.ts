/** One planted bug, in a process of its own: `mutant-main.ts NAME FIRST SEEDS`. One line of JSON a seed, until one fails. */
import { modeOf, plant } from "./mutant.ts";
import type { SeedVerdict } from "./mutant-hunt.ts";
import { mutants } from "./mutants.ts";

const [name, first, seeds] = process.argv.slice(2);
const mutant = mutants.find((each) => each.name === name);
if (mutant === undefined) throw new Error(`there is no mutant "${name}"`);
const planted = plant(mutant);
await import("../../server/colyseus/register.ts");
const { simulate } = await import("./simulation.ts");

// The rooms fail on purpose, on every replica, and Colyseus prints each failure of room code.
console.error = () => {};

for (let seed = Number(first), end = seed + Number(seeds); seed < end; seed++) {
  const { failure } = await simulate({ seed, mode: modeOf(mutant, seed) });
  if (!planted.isLoaded) throw new Error(`nothing of the simulator loads ${mutant.file}`);
  const verdict: SeedVerdict = { seed, failure: failure === null ? null : String(failure) };
  process.stdout.write(`${JSON.stringify(verdict)}\n`);
  if (failure !== null) break;
}
process.exit(0);

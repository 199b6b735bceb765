import type { Mutant } from "./mutant.ts";
import { type Fate, type HuntOptions, huntAll } from "./mutant-hunt.ts";
import { mutants } from "./mutants.ts";

const atOnce = Number(process.env["TESTUDO_HUNT_AT_ONCE"] ?? 2);
const byLettersMax = 110;

function named(names: readonly string[]): readonly Mutant[] {
  if (names.length === 0) return mutants;
  return names.map((name) => {
    const mutant = mutants.find((each) => each.name === name);
    if (mutant !== undefined) return mutant;
    throw new Error(`there is no mutant "${name}"; there are ${mutants.map((each) => each.name).join(", ")}`);
  });
}

function line({ name }: Mutant, fate: Fate, width: number): string {
  const head = name.padEnd(width);
  switch (fate.type) {
    case "found": {
      const by = fate.by
        .replace(/\s+/g, " ")
        .replace(/^Violation: /, "")
        .slice(0, byLettersMax);
      return `${head}  ${String(fate.seeds).padStart(4)} seeds ${fate.seconds.toFixed(1).padStart(6)} s  ${by}`;
    }
    case "survived":
      return `${head}  SURVIVED ${fate.seeds} seeds, ${fate.seconds.toFixed(1)} s`;
    case "broken":
      return `${head}  DOES NOT RUN: ${fate.error}`;
  }
}

/** Hunts the mutants of these names, or all, and prints each one's fate. True: every one was found. */
export async function tellMutants(names: readonly string[], options: HuntOptions): Promise<boolean> {
  const chosen = named(names);
  const width = Math.max(...chosen.map(({ name }) => name.length));
  let found = 0;
  await huntAll(chosen, {
    ...options,
    atOnce,
    told: (mutant, fate) => {
      if (fate.type === "found") found += 1;
      process.stdout.write(`${line(mutant, fate, width)}\n`);
    },
  });
  process.stdout.write(`${found} of ${chosen.length} mutants found\n`);
  return found === chosen.length;
}

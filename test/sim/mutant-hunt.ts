import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Mutant } from "./mutant.ts";

/** What a mutant's process tells of each seed. */
export interface SeedVerdict {
  readonly seed: number;
  readonly failure: string | null;
}

export type Fate =
  | { readonly type: "found"; readonly seeds: number; readonly by: string; readonly seconds: number }
  | { readonly type: "survived"; readonly seeds: number; readonly seconds: number }
  /** It does not even run: nothing is proved by that. */
  | { readonly type: "broken"; readonly error: string };

export interface HuntOptions {
  readonly first: number;
  readonly seedsMax: number;
}

const main = fileURLToPath(new URL("./mutant-main.ts", import.meta.url));
/** A seed takes about a second: what is silent for so long does not end any more, and is noticed by that. */
const silenceMsMax = 180_000;
const errorBytesMax = 4_000;

/** Simulates with one planted bug, seed after seed, until a law notices. */
export async function hunt(mutant: Mutant, { first, seedsMax }: HuntOptions): Promise<Fate> {
  const begunMs = performance.now();
  const seconds = () => (performance.now() - begunMs) / 1000;
  const child = spawn(process.execPath, [main, mutant.name, String(first), String(seedsMax)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let errors = "";
  child.stderr.on("data", (bytes: Buffer) => {
    errors = (errors + bytes.toString("utf8")).slice(-errorBytesMax);
  });
  let ran = 0;
  let found: string | null = null;
  let isSilent = false;
  const giveUp = () => {
    isSilent = true;
    child.kill("SIGKILL");
  };
  let patience = setTimeout(giveUp, silenceMsMax);
  createInterface({ input: child.stdout }).on("line", (line) => {
    clearTimeout(patience);
    patience = setTimeout(giveUp, silenceMsMax);
    ran += 1;
    found = (JSON.parse(line) as SeedVerdict).failure;
  });
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  clearTimeout(patience);
  if (isSilent)
    return { type: "found", seeds: ran + 1, by: "it does not come to an end", seconds: seconds() };
  if (found !== null) return { type: "found", seeds: ran, by: found, seconds: seconds() };
  if (code !== 0) return { type: "broken", error: `exit code ${code}: ${errors}` };
  return { type: "survived", seeds: ran, seconds: seconds() };
}

/** All of them, so many at a time; `told` hears of each as soon as its fate is known. */
export async function huntAll(
  mutants: readonly Mutant[],
  { atOnce, told, ...options }: HuntOptions & { atOnce: number; told: (mutant: Mutant, fate: Fate) => void },
): Promise<void> {
  const waiting = [...mutants];
  const worker = async (): Promise<void> => {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift())
      told(mutant, await hunt(mutant, options));
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

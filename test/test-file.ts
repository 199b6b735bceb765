/** What a test file says of itself, and what uvu prints of it. */

/**
 * What a file does with the time that it takes: `computes` looks at no real clock and waits for nothing; `waits` takes a
 * processor for less than half of it, and minds no delay of a second; all others work.
 */
export type Pace = "works" | "waits" | "computes";

export interface Needs {
  /** The whole file's time limit. */
  readonly seconds: number;
  readonly nodeFlags: readonly string[];
  readonly pace: Pace;
}

export interface Totals {
  readonly total: number;
  readonly passed: number;
  readonly skipped: number;
}

const secondsDefault = 180;
const secondsMax = 900;
const headLines = 10;

/**
 * Reads `// test-run: seconds=400 computes node=--import=./server/register.ts` (any number of `node=`).
 * @throws Error on an unknown word or a time limit outside 1 to 900 s.
 */
export function readNeeds(source: string): Needs {
  const head = source.split("\n", headLines).find((line) => line.startsWith("// test-run:"));
  let seconds = secondsDefault;
  let pace: Pace = "works";
  const nodeFlags: string[] = [];
  for (const word of head?.slice("// test-run:".length).trim().split(/\s+/) ?? []) {
    if (word.startsWith("seconds=")) seconds = Number(word.slice("seconds=".length));
    else if (word.startsWith("node=")) nodeFlags.push(word.slice("node=".length));
    else if (word === "waits" || word === "computes") pace = word;
    else throw new Error(`test-run: ${word} is none of seconds=N, node=FLAG, waits, computes`);
  }
  if (!(seconds >= 1 && seconds <= secondsMax)) {
    throw new Error(`test-run: seconds=${seconds}: allowed is 1 to ${secondsMax}`);
  }
  return { seconds, nodeFlags, pace };
}

/** The last totals in a uvu output; null if it printed none. */
export function readTotals(output: string): Totals | null {
  const all = [...output.matchAll(/^ {2}Total: +(\d+)\n {2}Passed: +(\d+)\n {2}Skipped: +(\d+)$/gm)];
  const last = all.at(-1);
  return last ? { total: Number(last[1]), passed: Number(last[2]), skipped: Number(last[3]) } : null;
}

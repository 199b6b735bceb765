/**
 * Runs test files, each in a process of its own: `node test/run.ts [part of a path …]`.
 *
 * A file may say in its first lines what it needs: `// test-run: seconds=400 node=--import=./server/register.ts`.
 * A file fails that exits non-zero, hangs, runs zero tests or leaves processes behind.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { setPriority } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { type Needs, type Pace, readNeeds, readTotals, type Totals } from "./test-file.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
/** What the hundreds of processes of a run have compiled once: half of what a node's start takes. */
const compileCache = join(root, "node_modules/.cache/compiled");
/** Rooms need it, and nothing else may mind it. */
const preload = "./server/colyseus/register.ts";
/**
 * What runs at once, one file of that pace after the other. Real processes wait more often than not: what they leave is
 * for a file that waits nearly all the time, and for one that computes, which gives way to everything else, so that
 * nobody's heartbeat is late for it.
 */
const lanes: readonly Pace[] = ["works", "works", "waits", "computes"];
const computingNice = 19;
/** What a failing file's own output may add to the summary. */
const summaryBytesMax = 8_000;

interface Outcome {
  readonly file: string;
  readonly totals: Totals;
  readonly problems: readonly string[];
  readonly output: string;
}

function testFiles(parts: readonly string[]): string[] {
  return readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => `test/${name.replaceAll("\\", "/")}`)
    .filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)))
    .sort();
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals | 0): boolean {
  try {
    return child.pid !== undefined && process.kill(-child.pid, signal);
  } catch {
    return false; // nobody is left in the group
  }
}

/** A child that was told to end may take a moment to be gone. */
async function groupIsEmpty(child: ChildProcess): Promise<boolean> {
  for (let attempt = 0; attempt < 20; attempt++) {
    if (!signalGroup(child, 0)) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}

const running = new Set<ChildProcess>();

/** @param lane of the files that run at once: each takes its ports from elsewhere (test/cluster/spawned.ts) */
async function runFile(file: string, lane: number): Promise<Outcome> {
  const { seconds, nodeFlags, pace } = needsOf(file);
  // A process group of its own: whatever a test started ends with it.
  const child = spawn(process.execPath, [`--import=${preload}`, ...nodeFlags, file], {
    cwd: root,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { NODE_COMPILE_CACHE: compileCache, ...process.env, NO_COLOR: "1", TEST_LANE: String(lane) },
  });
  running.add(child);
  if (pace === "computes" && child.pid !== undefined) setPriority(child.pid, computingNice);
  let output = "";
  const gather = (bytes: Buffer): void => {
    output += bytes.toString("utf8");
  };
  child.stdout.on("data", gather);
  child.stderr.on("data", gather);

  const problems: string[] = [];
  const deadline = setTimeout(() => {
    problems.push(`still running after ${seconds} s (a leaked timer, socket or process?)`);
    signalGroup(child, "SIGKILL");
  }, seconds * 1000);
  // `exit`, not `close`: an orphan that holds the pipe open must not hold the run.
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) => {
    child.once("exit", (code, signal) => setImmediate(() => resolve([code, signal])));
  });
  clearTimeout(deadline);
  if (!(await groupIsEmpty(child))) {
    problems.push("left processes running");
    signalGroup(child, "SIGKILL");
  }
  running.delete(child);

  const totals = readTotals(output);
  if (problems.length === 0 && code !== 0) problems.push(`ended with ${signal ?? `exit code ${code}`}`);
  if (totals === null) problems.push("printed no totals: does it call test.run()?");
  else if (totals.total === 0) problems.push("ran no test");
  // uvu ends with 0 when a suite's `before` fails.
  else if (problems.length === 0 && totals.passed + totals.skipped < totals.total)
    problems.push(`only ${totals.passed} of ${totals.total} passed`);
  return { file, totals: totals ?? { total: 0, passed: 0, skipped: 0 }, problems, output };
}

async function run(program: string, args: readonly string[]): Promise<number | null> {
  const child = spawn(program, args, { cwd: root, stdio: "inherit" });
  return await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", resolve);
  });
}

async function runAll(files: readonly string[]): Promise<Outcome[]> {
  // The slow ones first, so that none of them runs alone at the end.
  const slowFirst = [...files].sort((a, b) => needsOf(b).seconds - needsOf(a).seconds);
  const queues = Object.groupBy(slowFirst, (file) => needsOf(file).pace);
  const outcomes: Outcome[] = [];
  const worker = async (pace: Pace, lane: number): Promise<void> => {
    const queue = queues[pace] ?? [];
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const begun = performance.now();
      const outcome = await runFile(file, lane);
      outcomes.push(outcome);
      const { passed, total } = outcome.totals;
      const seconds = ((performance.now() - begun) / 1000).toFixed(1);
      const verdict = outcome.problems.length === 0 ? "ok  " : "FAIL";
      process.stdout.write(
        `${verdict} ${outcome.file} (${passed}/${total}, ${seconds} s) ${outcome.problems.join("; ")}\n`,
      );
    }
  };
  await Promise.all(lanes.map(worker));
  return outcomes;
}

function needsOf(file: string): Needs {
  return readNeeds(readFileSync(join(root, file), "utf8"));
}

function summarize(outcomes: readonly Outcome[]): number {
  let passed = 0;
  let failed = 0;
  for (const { file, totals, problems, output } of outcomes) {
    passed += totals.passed;
    // A file that failed for another reason than a failed test is one failure of its own.
    failed += Math.max(totals.total - totals.passed, problems.length > 0 ? 1 : 0);
    if (problems.length === 0) continue;
    const tail = output.length > summaryBytesMax ? `…${output.slice(-summaryBytesMax)}` : output;
    process.stdout.write(`\n—— ${file}: ${problems.join("; ")}\n${tail.trimEnd()}\n`);
  }
  process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
  return failed === 0 && passed > 0 ? 0 : 1;
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    for (const child of running) signalGroup(child, "SIGKILL");
    process.exit(1);
  });
}

const parts = process.argv.slice(2);
const files = testFiles(parts);
if (files.length === 0) {
  process.stderr.write(`No test file under ${relative(process.cwd(), join(root, "test")) || "test"} fits.\n`);
  process.exit(1);
}
if (parts.length === 0 && existsSync(join(root, "client/vite.config.ts"))) {
  const code = await run(process.execPath, [
    "node_modules/vite/bin/vite.js",
    "build",
    "client",
    "--logLevel",
    "warn",
  ]);
  if (code !== 0) {
    process.stderr.write(`The page could not be built (exit code ${code}).\n`);
    process.exit(1);
  }
}
process.exitCode = summarize(await runAll(files));

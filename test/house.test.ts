import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { readNeeds, readTotals } from "./test-file.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const linesMax = 400;

function sources(folder: string, ending: RegExp): string[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .map((name) => `${folder}/${name.replaceAll("\\", "/")}`)
    .filter((file) => ending.test(file) && !/\/(dist|node_modules)\//.test(file));
}

const read = (file: string): string => readFileSync(join(root, file), "utf8");
const count = (text: string, pattern: RegExp): number => [...text.matchAll(pattern)].length;

/** A rule begins its line: `[R12] …`, `R12. …`, `- **R12** …`, `| R12 | …`. */
const ruleLine = /^[\s|*[-]*([A-Z]{1,3}\d+)\b/gm;
/** A test's name begins with the rules that it holds: `"[R12] …"`, `"[R12, R13] …"`. */
const rulesNamed = /["'`]\[([A-Z]{1,3}\d+(?:, ?[A-Z]{1,3}\d+)*)\]/g;

const testFiles = sources("test", /\.test\.ts$/);

test("every test file runs its suites, all of each", () => {
  for (const file of testFiles) {
    const text = read(file);
    const suites = count(text, /\bsuite(<[^>]*>)?\(/g) - count(text, /function suite\(/g);
    const runs = count(text, /\.run\(\)/g);
    assert.ok(runs > 0, `${file} never calls test.run()`);
    assert.ok(runs >= suites, `${file}: ${suites} suites, ${runs} runs`);
    assert.not.match(text, /^\s*\w+\.only\(/m, `${file} runs only some of its tests`);
    assert.type(readNeeds(text).seconds, "number");
  }
});

test("a rule is held by some test, and a test names only rules that are written down", () => {
  const lists = sources("test", /\/rules[^/]*\.md$/);
  const rules = new Set(lists.flatMap((file) => [...read(file).matchAll(ruleLine)].map(([, rule]) => rule)));
  const tests = sources("test", /\.ts$/)
    .filter((file) => file !== "test/house.test.ts")
    .map(read)
    .join("\n");
  const named = new Set<string | undefined>(
    [...tests.matchAll(rulesNamed)].flatMap(([, rules]) => (rules ?? "").split(/, ?/)),
  );
  assert.equal(
    [...rules].filter((rule) => !named.has(rule)),
    [],
    "rules that no test names",
  );
  assert.equal(
    [...named].filter((rule) => !rules.has(rule)),
    [],
    "rules that tests name and no list has",
  );
});

interface Locked {
  readonly resolved?: string;
  readonly version?: string;
  readonly integrity?: string;
  readonly optional?: boolean;
  readonly os?: readonly string[];
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const locked = (JSON.parse(read("package-lock.json")) as { packages: Record<string, Locked> }).packages;

test("the lock file has no download address and no git dependency", () => {
  for (const [path, { resolved, version, integrity, optional }] of Object.entries(locked)) {
    assert.is(resolved, undefined, `${path} has an address: ${resolved}`);
    if (path === "") continue;
    assert.match(version ?? "", /^\d+\.\d+\.\d+/, `${path} has no released version`);
    // Only what comes from a registry has an integrity; a git dependency has none. (Another platform's
    // binary may stand here without one: it was not to be had where the file was written.)
    assert.ok(integrity || optional, `${path} has no integrity`);
  }
});

test("the lock file names every platform's binaries, else npm ci refuses it where one cannot be had", () => {
  for (const [path, { optionalDependencies }] of Object.entries(locked)) {
    for (const name of Object.keys(optionalDependencies ?? {})) {
      const nested = locked[`${path}/node_modules/${name}`];
      assert.ok(nested ?? locked[`node_modules/${name}`], `${name} of ${path} is missing`);
    }
  }
});

test("dependencies are pinned to exact versions", () => {
  const manifest = JSON.parse(read("package.json")) as Record<string, Record<string, string>>;
  for (const field of ["dependencies", "devDependencies"]) {
    for (const [name, version] of Object.entries(manifest[field] ?? {})) {
      assert.match(version, /^\d+\.\d+\.\d+$/, `${name} in ${field}`);
    }
  }
});

test("no file of the product is longer than 400 lines", () => {
  const files = ["server", "shared", "client"].flatMap((folder) => sources(folder, /\.ts$/));
  assert.ok(files.length > 0);
  for (const file of files) {
    const lines = read(file).trimEnd().split("\n").length;
    assert.ok(lines <= linesMax, `${file} has ${lines} lines`);
  }
});

test("npm runs the pinned Node, which strips types", () => {
  assert.is(
    process.version,
    `v${(JSON.parse(read("package.json")) as { devDependencies: { node: string } }).devDependencies.node}`,
  );
});

test("the runner reads what a file needs and what uvu printed", () => {
  assert.equal(readNeeds("import x;"), { seconds: 180, nodeFlags: [], pace: "works" });
  assert.equal(readNeeds("// test-run: seconds=400 computes node=--import=./a.ts"), {
    seconds: 400,
    nodeFlags: ["--import=./a.ts"],
    pace: "computes",
  });
  assert.throws(() => readNeeds("// test-run: seconds=9999"), /allowed is 1 to 900/);
  assert.throws(() => readNeeds("// test-run: minutes=3"), /minutes=3/);
  assert.equal(readTotals("x\n  Total:     3\n  Passed:    2\n  Skipped:   1\n  Duration:  1ms\n"), {
    total: 3,
    passed: 2,
    skipped: 1,
  });
  assert.is(readTotals("• • •"), null);
});

test.run();

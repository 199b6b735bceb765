// test-run: seconds=400
import { cpSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { join } from "node:path";
import { Client, type Room } from "@colyseus/sdk";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Cluster, sleep, unhurried, until, withCluster } from "../e2e/cluster.ts";
import { projects } from "./projects.ts";
import { run, Scratch } from "./scratch.ts";

/** `npm pack`, installed into projects of others. */
const test = suite("the package");

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>;
  readonly bin: { readonly testudo: string };
}

let scratch: Scratch;
let typed: string;
let commonJs: string;
let typedCommonJs: string;
let manifest: Manifest;

test.before(async () => {
  scratch = await Scratch.install().catch((error: unknown) => {
    // uvu itself says nothing of a failure before the first test.
    process.stderr.write(`${String(error)}\n`);
    throw error;
  });
  typed = scratch.project("typed", projects.typed);
  commonJs = scratch.project("common", projects.commonJs);
  typedCommonJs = scratch.project("typed-common", projects.typedCommonJs);
  manifest = JSON.parse(readFileSync(installed("package.json"), "utf8")) as Manifest;
});
const compilerEndsMs = 2_000;
test.after(async () => {
  scratch?.remove();
  // tsx's compiler is a process of its own, and ends a moment after the node that it was started by.
  await sleep(compilerEndsMs);
});

function installed(path: string): string {
  return join(scratch.folder, "node_modules/testudo", path);
}

const node = (cwd: string, ...args: readonly string[]) => run(process.execPath, args, cwd);

test("[P1] what is packed is JavaScript with its types, and no source, test or game", () => {
  const others = scratch.packed.filter((path) => !/^dist\/package\/.*(\.js|\.d\.ts)$/.test(path));
  assert.equal(others.sort(), ["LICENSE", "README.md", "package.json"]);
  assert.equal(
    scratch.packed.filter((path) => /arena|\/test\/|game\.js|start\.js/.test(path)),
    [],
  );
  for (const door of Object.values(manifest.exports)) {
    const files = typeof door === "string" ? [door] : [door.types, door.default];
    for (const file of [...files, manifest.bin.testudo])
      assert.ok(scratch.packed.includes(file.replace("./", "")), file);
  }
});

test("[P1] what it imports is its own, Node's, or named as a dependency; Colyseus is the studio's", () => {
  const named = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies });
  const imported = new Set<string>();
  for (const path of scratch.packed.filter((each) => /\.(js|d\.ts)$/.test(each))) {
    const text = readFileSync(installed(path), "utf8");
    const imports = /^(?:import|export) (?:[^"]* from )?"([^".][^"]*)"|\bimport\("([^".][^"]*)"\)/gm;
    for (const [, first, inline, from = first ?? inline ?? ""] of text.matchAll(imports))
      if (!isBuiltin(from)) imported.add(from.split("/", from.startsWith("@") ? 2 : 1).join("/"));
  }
  assert.equal([...imported].sort(), named.sort());
  assert.equal(
    Object.keys(manifest.dependencies).filter((name) => name.includes("colyseus")),
    [],
  );
});

interface State {
  readonly players: ReadonlyMap<string, { readonly name: string; readonly points: number }>;
  readonly rolled: number;
}

function alone(room: Room): Room<unknown, State> {
  room.reconnection.enabled = false;
  return room as Room<unknown, State>;
}

const seen = ({ state }: Room<unknown, State>) =>
  JSON.stringify([[...state.players.values()].map(({ name, points }) => [name, points]), state.rolled]);

/** A match on three nodes of the project, and on two when one of them is killed. */
async function playMatch(cluster: Cluster): Promise<void> {
  const clientOf = (id: string) => new Client(cluster.url(id));
  let one = alone(await clientOf("n1").joinOrCreate("tally", { name: "one" }));
  const other = alone(await clientOf("n2").joinOrCreate("tally", { name: "other" }));
  assert.is(one.roomId, other.roomId);
  assert.is(await one.request("add", 2), 2);
  assert.is(await other.request("add", 3), 3);
  await cluster.kill("n1");
  one = alone(await clientOf("n3").reconnect(one.reconnectionToken));
  assert.is(await one.request("add", 5), 7);
  assert.is(await other.request("add", 1), 4);
  const points = '[[["one",7],["other",4]],';
  await until("both see the same", () => seen(one).startsWith(points) && seen(one) === seen(other));
  assert.ok(one.state.rolled > 0);
  cluster.launch("n1");
  await cluster.ready();
  const late = alone(await clientOf("n1").joinById(one.roomId, { name: "late" }));
  assert.is(await late.request("add", 9), 9);
  await until("all see the same", () => seen(late) === seen(one) && seen(late) === seen(other));
  for (const id of cluster.ids) assert.is((await cluster.status(id))?.divergences.count, 0, id);
}

test("[P2] a project with tsx and decorators: a room on three nodes, and the match outlives one", async () => {
  const place = { cwd: typed, imports: ["tsx", "testudo/register"] };
  await withCluster({ main: "server.ts", place, args: unhurried }, async (cluster) => {
    await playMatch(cluster);
    const { out } = await node(typed, "--import", "tsx", "player.ts", cluster.url("n1"), cluster.url("n2"));
    assert.is(out.trim(), "4", "the wrapper");
  });
});

test("[P3] a CommonJS project: a room on three nodes, and the match outlives one", async () => {
  const place = { cwd: commonJs, imports: ["testudo/register"] };
  await withCluster({ main: "server.js", place, args: unhurried }, playMatch);
});

test("[P3] tsx and decorators in a CommonJS project: a room on three nodes, and the match outlives one", async () => {
  const place = { cwd: typedCommonJs, imports: ["tsx", "testudo/register"] };
  await withCluster({ main: "server.ts", place, args: unhurried }, playMatch);
});

test("[P2] its types are right for the studio's compiler", async () => {
  const tsc = join(import.meta.dirname, "../../node_modules/typescript/bin/tsc");
  const types = join(import.meta.dirname, "../../node_modules/@types");
  const { code, out } = await node(typed, tsc, "-p", ".", "--typeRoots", types);
  assert.equal([code, out], [0, ""]);
  // Colyseus's own are not, without the types of what it imports.
  const strict = await node(typed, tsc, "-p", ".", "--typeRoots", types, "--skipLibCheck", "false");
  assert.equal(
    strict.out.split("\n").filter((line) => line.includes("testudo/")),
    [],
  );
});

test("[P4] without the preload no node starts, and one is told how to", async () => {
  for (const [cwd, args] of [
    [typed, ["--import", "tsx", "server.ts"]],
    [commonJs, ["server.js"]],
  ] as const) {
    const { code, err } = await node(cwd, ...args);
    assert.is(code, 1);
    assert.match(err, "start Node with `node --import testudo/register …`");
  }
});

test("[P5] what is of another copy of Colyseus is refused, with what to do", async () => {
  for (const [name, words] of [
    [
      "core",
      /TallyRoom cannot be replicated: it extends the Room of another copy of @colyseus\/core than .*npm ls/,
    ],
    ["schema", /TallyState is not a schema class: .*another copy of @colyseus\/schema.*npm ls/],
  ] as const) {
    const cwd = scratch.project(`another-${name}`, projects.commonJs);
    const copied = join("node_modules/@colyseus", name);
    cpSync(join(scratch.folder, copied), join(cwd, copied), { recursive: true });
    if (name === "core") {
      const { code, err } = await node(cwd, "--import", "testudo/register", "server.js");
      assert.is(code, 70);
      assert.match(err, words);
      continue;
    }
    const place = { cwd, imports: ["testudo/register"] };
    await withCluster({ nodes: 1, main: "server.js", place }, async (cluster) => {
      const refused = await new Client(cluster.url("n1")).create("tally", { name: "one" }).catch(String);
      assert.match(String(refused), words);
    });
  }
});

test("[P6] `testudo` of the package: its help, and a check of the studio's rooms", async () => {
  const testudo = join(scratch.folder, "node_modules/.bin/testudo");
  const help = await node(typed, testudo, "--help");
  assert.is(help.code, 0, help.err);
  assert.match(help.out, "members");
  for (const cwd of [typed, typedCommonJs]) {
    const { out, err } = await node(cwd, testudo, "check", "server.ts", "--import", "tsx");
    assert.match(out, /^tally \(TallyRoom, .*tally-room\.ts:\d+\): works$/m, err);
  }
  const commonCheck = await node(commonJs, testudo, "check", "server.js");
  assert.match(commonCheck.out, /^tally \(TallyRoom, .*server\.js:\d+\): works$/m);
});

test("[P6] `testudo/check` in a test of the studio's", async () => {
  const { code, out } = await node(typed, "--import", "tsx", "--import", "testudo/register", "tally.test.ts");
  assert.equal([code, out.trim()], [0, "equal"]);
});

test.run();

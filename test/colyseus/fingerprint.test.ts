// test-run: seconds=60
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { codeKey, engineKey } from "../../server/cluster/doors.ts";
import { Gossip, type GossipBody } from "../../server/cluster/gossip.ts";
import { type Log, makeLog } from "../../server/cluster/log.ts";
import { nodeDefaults } from "../../server/cluster/options.ts";
import { engineDifference, engineWords } from "../../server/colyseus/fingerprint/engine.ts";
import { gameFingerprint } from "../../server/colyseus/fingerprint/game-files.ts";
import { codeDifference, NodeCodes, ownCode } from "../../server/colyseus/fingerprint/node-codes.ts";
import { LoadedFiles } from "../../server/colyseus/preload/loaded-files.ts";
import type { PeerMessage } from "../../server/network/peer-message.ts";
import { describeOtherCode } from "../../server/session/absence.ts";
import { engineOf, gameOf } from "../../server/session/room-code.ts";
import { ManualClock } from "../cluster/manual-clock.ts";

const noLog = makeLog({ node: "n1", level: "silent" });
const root = realpathSync(mkdtempSync(join(tmpdir(), "testudo-fingerprint-")));
const compilerEndsMs = 2_000;
test.after(async () => {
  rmSync(root, { recursive: true });
  // tsx's compiler is a process of its own, and ends a moment after the node that it was started by.
  await new Promise((resolve) => setTimeout(resolve, compilerEndsMs));
});

type Files = Readonly<Record<string, string>>;

const game: Files = {
  "package.json": "{}",
  "package-lock.json": `{"lockfileVersion":3}`,
  "src/main.ts": `import "./room.ts"`,
  "src/room.ts": "export const speed = 1;",
  "node_modules/@colyseus/core/package.json": `{"name":"@colyseus/core","version":"0.18.17"}`,
  "node_modules/@colyseus/core/build/index.mjs": "",
  "node_modules/zod/package.json": `{"name":"zod","version":"4.0.0"}`,
  "node_modules/zod/index.js": "",
};
const loadedOfGame = Object.keys(game).filter((name) => /\.(ts|mjs|js)$/.test(name));

function write(folder: string, files: Files): string {
  const whole = join(root, folder);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(whole, name)), { recursive: true });
    writeFileSync(join(whole, name), content);
  }
  return whole;
}

/** The files lie in `folder`, and those of `loaded` were loaded, in that order. */
function fingerprint(folder: string, files: Files = game, loaded: readonly string[] = loadedOfGame) {
  const whole = write(folder, files);
  const seen = new LoadedFiles();
  for (const name of loaded) seen.noteUrl(pathToFileURL(join(whole, name)).href);
  return gameFingerprint(join(whole, "src/main.ts"), seen);
}

const without = (...names: string[]): Files =>
  Object.fromEntries(Object.entries(game).filter(([name]) => !names.includes(name)));
const unlocked = without("package-lock.json");

test("[U16] the same files in another folder, loaded in another order, are the same game", () => {
  const here = fingerprint("here");
  assert.match(here.hash, /^[0-9a-f]{12}$/);
  assert.is(here.files, 2);
  assert.is(here.lockFile, join(root, "here/package-lock.json"));
  const there = fingerprint("far/away/there", game, [...loadedOfGame].reverse());
  assert.is(there.hash, here.hash);
});

test("[U16] one line that is changed, a file more, one of another name or another lock file is another game", () => {
  const { hash } = fingerprint("one");
  const others = [
    fingerprint("line", { ...game, "src/room.ts": "export const speed = 2;" }),
    fingerprint("more", { ...game, "src/more.ts": "" }, [...loadedOfGame, "src/more.ts"]),
    fingerprint(
      "fewer",
      game,
      loadedOfGame.filter((name) => name !== "src/room.ts"),
    ),
    fingerprint("lock", { ...game, "package-lock.json": `{"lockfileVersion":2}` }),
    fingerprint(
      "name",
      { ...game, "src/hall.ts": game["src/room.ts"] ?? "" },
      loadedOfGame.map((name) => name.replace("room", "hall")),
    ),
  ];
  assert.is(new Set([hash, ...others.map((other) => other.hash)]).size, 6);
});

test("[U16] what was not loaded does not count; what is installed counts by the lock file", () => {
  const { hash } = fingerprint("plain");
  assert.is(fingerprint("notes", { ...game, "README.md": "words", "src/unused.ts": "1" }).hash, hash);
  assert.is(fingerprint("patched", { ...game, "node_modules/zod/index.js": "1" }).hash, hash);
});

test("[U16] the lock file nearest to the program counts, each kind; without one, the versions of what was loaded", () => {
  const found = new Set<string>();
  for (const name of [
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "bun.lock",
  ]) {
    const { lockFile, hash } = fingerprint(`kinds/${name}`, { ...unlocked, [name]: `a ${name}` });
    assert.is(lockFile, join(root, "kinds", name, name));
    found.add(hash);
  }
  assert.is(found.size, 5);
  const inner = fingerprint("nested", { ...game, "src/yarn.lock": "nearer" });
  assert.is(inner.lockFile, join(root, "nested/src/yarn.lock"));

  const bare = fingerprint("bare", unlocked);
  assert.is(bare.lockFile, null);
  assert.is(fingerprint("bare-elsewhere", unlocked).hash, bare.hash);
  const zod = "node_modules/zod/package.json";
  const newer = fingerprint("bare-newer", { ...unlocked, [zod]: `{"name":"zod","version":"4.0.1"}` });
  assert.is.not(newer.hash, bare.hash);
  const core = "node_modules/@colyseus/core/package.json";
  const scoped = fingerprint("bare-core", {
    ...unlocked,
    [core]: `{"name":"@colyseus/core","version":"1.0.0"}`,
  });
  assert.is.not(scoped.hash, bare.hash);
});

test("[U16] a start under whose eyes nothing was loaded is refused: its game would be anybody's", () => {
  assert.throws(() => gameFingerprint(join(root, "main.ts"), new LoadedFiles()), /has seen no file/);
});

const preload = pathToFileURL(join(import.meta.dirname, "../../server/colyseus/register.ts")).href;
const ownGameUrl = pathToFileURL(
  join(import.meta.dirname, "../../server/colyseus/fingerprint/game-files.ts"),
).href;
const loadedUrl = pathToFileURL(
  join(import.meta.dirname, "../../server/colyseus/preload/loaded-files.ts"),
).href;

/** What the preload has seen of a program, when its main file has come to its end. */
function seenOf(folder: string, main: string, imports: readonly string[] = []): string[] {
  const report = `Promise.all([import(${JSON.stringify(ownGameUrl)}), import(${JSON.stringify(loadedUrl)})]).then(([own, { loadedFiles }]) => {
  own.ownGame();
  process.stdout.write(JSON.stringify([...loadedFiles.files.keys()]));
});`;
  write(folder, { "report.js": report });
  const flags = [...imports, preload].flatMap((each) => ["--import", each]);
  const out = execFileSync(process.execPath, [...flags, join(root, folder, main)], { encoding: "utf8" });
  const own = join(root, folder);
  const files = (JSON.parse(out) as string[]).filter((path) => path.startsWith(own));
  return files.map((path) => path.slice(own.length + 1)).sort();
}

test("[U17] every file that a program loads is seen: an ES module's imports, static and not, JSON, and what it requires", () => {
  write("esm", {
    "package.json": `{"type":"module"}`,
    "main.ts": `import "./still.ts";
import data from "./data.json" with { type: "json" };
import { createRequire } from "node:module";
await import("./late.ts");
createRequire(import.meta.url)("./old.cjs");
await import("./report.js");`,
    "still.ts": `export * from "./deep.ts";`,
    "deep.ts": "export const a: number = 1;",
    "late.ts": "",
    "data.json": "{}",
    "old.cjs": `require("./older.cjs")`,
    "older.cjs": "",
    "never.ts": "",
  });
  const files = [
    "data.json",
    "deep.ts",
    "late.ts",
    "main.ts",
    "old.cjs",
    "older.cjs",
    "report.js",
    "still.ts",
  ];
  assert.equal(seenOf("esm", "main.ts"), files);
});

const commonJs = {
  "package.json": "{}",
  "main.cjs": `require("./lib/a.cjs"); require("./lib/b.json"); require("./report.js");`,
  "lib/a.cjs": `require("./c.cjs")`,
  "lib/c.cjs": "",
  "lib/b.json": "{}",
};

test("[U17] and of a CommonJS program", () => {
  write("cjs", commonJs);
  assert.equal(seenOf("cjs", "main.cjs"), ["lib/a.cjs", "lib/b.json", "lib/c.cjs", "main.cjs", "report.js"]);
});

test("[U17] and of what tsx compiles, in an ES module's project and in a CommonJS one", () => {
  const tsx = import.meta.resolve("tsx");
  const typed = {
    "main.ts": `import "./room"; import "./report.js";`,
    "room.ts": `enum Kind { A } export const kind = Kind.A; import "./deep";`,
    "deep.ts": "export const a = 1;",
  };
  for (const type of ["module", "commonjs"]) {
    write(`tsx-${type}`, { ...typed, "package.json": JSON.stringify({ type }) });
    assert.equal(
      seenOf(`tsx-${type}`, "main.ts", [tsx]),
      ["deep.ts", "main.ts", "report.js", "room.ts"],
      type,
    );
  }
});

test("[U18] the engine is named in its parts, and two are told apart by the parts that differ", () => {
  const own = engineWords();
  for (const part of ["node ", "v8 ", "icu ", "tz ", "architecture ", "time zone ", "locale ", "testudo "])
    assert.ok(
      own.split(", ").some((word) => word.startsWith(part)),
      part,
    );
  assert.match(own, /@colyseus\/core \d.*@colyseus\/schema \d/);
  assert.is(engineDifference(own, own), "");
  const older = own.replace(/^node [^,]+/, "node 24.1.0");
  assert.is(engineDifference(older, own), `node 24.1.0, here node ${process.versions.node}`);
});

test("[U18] a code is the game's, by --code or by its files, and the engine's; in memory it is what --code says", () => {
  const named = ownCode({ code: "v2", memory: false }, noLog);
  assert.match(named.code, /^v2@[0-9a-f]{8}$/);
  assert.is(named.engine, engineWords());
  assert.is(gameOf(named.code), "v2");
  assert.is(engineOf(named.code).length, 8);
  assert.is(ownCode({ code: nodeDefaults.code, memory: true }, noLog).code, "");
});

test("[U19] what differs is said: the game, the engine, or both", () => {
  const engine = "node 24.2.0, locale en-US";
  const own = { code: "v2@aaaa", engine };
  const older = "node 24.1.0, locale en-US";
  assert.is(codeDifference(own, own), null);
  assert.is(codeDifference({ code: "v1@aaaa", engine }, own), "the game differs (v1, here v2)");
  assert.is(codeDifference({ code: "v2@bbbb", engine: older }, own), "node 24.1.0, here node 24.2.0");
  assert.is(
    codeDifference({ code: "v1@bbbb", engine: older }, own),
    "the game differs (v1, here v2); node 24.1.0, here node 24.2.0",
  );
  const said = (code: string) => describeOtherCode({ code, own: own.code });
  assert.is(said("v1@aaaa"), `it runs under the game's code "v1", and this node has "v2"`);
  assert.match(said("v2@bbbb"), /^it runs on engine bbbb, and this node is aaaa/);
  assert.match(said("v1@bbbb"), /code "v1", and this node has "v2"; on engine bbbb, and this node is aaaa/);
});

function bodyOf(node: string, code: string): GossipBody {
  const where = { node, bootId: "b1", region: "eu", leadRank: 50, clientUrl: `http://${node}`, pid: 1 };
  return { ...where, startedAtMs: 0, [codeKey]: code, [engineKey]: "node 24.2.0" };
}

test("[U19] each node with other code is told of once, whether it was heard of before or comes later", () => {
  const clock = new ManualClock();
  const gossip = new Gossip({ own: bodyOf("n1", "v2@aa"), send: () => {}, clock, log: noLog });
  const peer = (nodeId: string) => ({ nodeId, storeId: "s", bootId: "b1", clusterId: null });
  const linked = (node: string, code: string) => {
    gossip.linkUp(peer(node));
    const send = (_to: string, message: PeerMessage) => gossip.message(node, message as never);
    const other = new Gossip({ own: bodyOf(node, code), send, clock, log: noLog });
    other.linkUp(peer("n1"));
    return (key: string, value: string) => {
      other.set(key, value);
      clock.advance(0);
    };
  };
  const codes = new NodeCodes({ node: "n1", code: "v2@aa", engine: "node 24.2.0" }, gossip);
  const told: string[] = [];
  const log = { warn: (_fields: object, message: string) => told.push(message) } as unknown as Log;
  const second = linked("n2", "v1@aa");
  codes.begin(log);
  assert.is(told.length, 1, "it need not say anything more for that");
  second("rooms", "one more");
  const third = linked("n3", "v2@aa");
  third(codeKey, "v1@aa");
  assert.is(told.length, 2);
  assert.match(
    told[0] ?? "",
    /^n2 runs other code: the game differs \(v1, here v2\)\..* they run on n2, .*on n1\./,
  );
  assert.match(told[1] ?? "", /^n3 runs other code: .* they run on n2, n3, .*on n1\./);
});

test.run();

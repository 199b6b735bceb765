// test-run: seconds=120
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { runCli } from "../../server/admin/cli/testudo-cli.ts";
import type { RoomVerdict } from "../../server/check/room-verdict.ts";
import { testudo } from "../e2e/testudo-process.ts";

const studio = join(import.meta.dirname, "studio");
const app = join(studio, "app.config.ts");
const odd = join(studio, "odd.config.ts");

const folder = mkdtempSync(join(tmpdir(), "testudo-check-"));
test.after(() => rmSync(folder, { recursive: true }));

function written(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function byRoom(out: string): Map<string, RoomVerdict> {
  return new Map((JSON.parse(out) as RoomVerdict[]).map((verdict) => [verdict.room, verdict]));
}

test("[Y70, Y71] an untouched server's rooms: one works, one is to be declared, one to be changed", async () => {
  const { code, out, err } = await testudo("check", app, "--json");
  assert.is(code, 1);
  assert.match(err, /checking arena.*"ROOMS_UNFIT","message":"2 of 3 rooms/s);
  const verdicts = byRoom(out);
  const arena = verdicts.get("arena");
  assert.equal([arena?.verdict, arena?.findings, arena?.warnings], ["works", [], []]);
  assert.match(arena?.at ?? "", /studio\/rooms\.ts:\d+$/);
  assert.ok((arena?.steps ?? 0) > 20 && (arena?.checkpoints ?? 0) > 20, JSON.stringify(arena));
  const deck = verdicts.get("deck");
  assert.is(deck?.verdict, "declare");
  assert.equal(deck?.declare, { classes: ["Deck", "Card"], transient: ["require"] });
  assert.match(deck?.findings[0]?.what ?? "", /^room\.deck is an instance of Deck/);
  for (const { at } of deck?.findings ?? []) assert.match(at ?? "", /studio\/rooms\.ts:\d+$/);
  assert.ok((deck?.steps ?? 0) > 20, "with what is to be declared it has run to the end");
  const change = verdicts.get("change");
  assert.is(change?.verdict, "change");
  assert.match(
    change?.findings[0]?.what ?? "",
    /^after step \d+ \(ann says "next"\) room\.round differs: \d+ against 1$/,
  );
  assert.match(change?.findings[0]?.remedy ?? "", /module global/);
  assert.match(change?.findings[0]?.at ?? "", /studio\/rooms\.ts:\d+$/);
});

test("[Y70, Y73] for people, with what @colyseus/tools takes, and scripts of one's own", async () => {
  const steps = [
    { type: "join", client: "ann" },
    { type: "message", client: "ann", message: "go" },
    { type: "message", client: "ann", message: "go" },
  ];
  const never = { type: "message", client: "ann", message: "never", payload: "a secret sign" };
  const scripts = { capturing: { options: { start: 5 }, steps }, picky: { steps: [steps[0], never] } };
  const script = written("recorded.json", JSON.stringify(scripts));
  const { code, out } = await testudo("check", odd, "--script", script);
  assert.is(code, 1);
  assert.match(
    out,
    /^secret \(SecretRoom, .*odd\.config\.ts:5\): change\n {2}.*odd\.config\.ts:6: .*#secret.*private secret/m,
  );
  assert.match(
    out,
    /^capturing .*: change\n {2}.*room\.best differs: 6 against 7\n {4}remedy: .*captured closure/m,
  );
  assert.match(
    out,
    /^salted .*: change\n {2}.*after step \d+ \(ann says "season"\) room\.salt differs: 0\.\d+ against 0\.\d+\n {4}remedy: another process, in another time zone.*Math\.random/m,
  );
  assert.match(out, /^picky .*: change\n {2}.*odd\.config\.ts:40: message: setTimeout\(\) inside room/m);
  assert.match(
    out,
    /odd\.config\.ts:\d+: message: setInterval\(\) inside room/,
    "said by the recorded script only",
  );
  assert.match(
    out,
    /note: no message was made for "never": nothing was found that its schema takes; say it with --script/,
  );
  assert.match(out, /note: no message was made for "raw": it takes bytes/);
});

test("[Y70] a server that is on Testudo already is checked with what its rooms were told; all work: 0", async () => {
  const { code, out } = await testudo("check", join(import.meta.dirname, "../e2e/own-room-main.ts"));
  assert.is(code, 0, out);
  assert.match(out, /^tally \(TallyRoom, .*own-room-main\.ts:\d+\): works\n$/);
});

test("[Y72] a room that does not come back ends the check, with its name", async () => {
  const { code, err } = await testudo("check", join(studio, "endless.config.ts"), "--limit-ms", "3000");
  assert.is(code, 2);
  assert.match(err, /CHECK_TOO_LONG: room "endless" took longer than 3000 ms: its code does not come back/);
});

const bad: [string, () => readonly string[], RegExp][] = [
  ["a file that is missing", () => [join(folder, "none.ts")], /FILE_MISSING: .*none\.ts is not there/],
  ["a folder", () => [folder], /FILE_MISSING: .* no file/],
  [
    "a file without rooms",
    () => [written("empty.ts", "export const server = 1;")],
    /NO_ROOMS: .*defineServer\(/,
  ],
  [
    "a file that throws",
    () => [written("throws.ts", "\n\nthrow new Error('no database');")],
    /FILE_FAILED: .*throws\.ts:3: no database$/m,
  ],
  [
    "a file with decorators",
    () => [written("decorated.ts", "function type(_: unknown) {}\nexport class State { @type x = 1; }")],
    /FILE_FAILED: .*decorators.*testudo check --import tsx /,
  ],
  [
    "an import without an ending",
    () => [written("endless-import.ts", 'import "./empty";')],
    /FILE_FAILED: .*imports without the file's ending.*tsx/,
  ],
  [
    "a file that ends the process",
    () => [written("exits.ts", "console.log('bye'); process.exit(3);")],
    /CHECK_ENDED: .*exit code 3.*\n {2}bye/,
  ],
  ["a module that is not there", () => [app, "--import", "no-such-module"], /CHECK_ENDED: .*no-such-module/s],
  ["no number", () => [app, "--limit-ms", "soon"], /limit-ms.*whole number from 100 to/s],
  [
    "a script that is no JSON",
    () => [app, "--script", written("a.json", "{")],
    /SCRIPT_MALFORMED: .*a\.json: /,
  ],
  [
    "scripts that are a list",
    () => [app, "--script", written("b.json", "[]")],
    /SCRIPT_MALFORMED: .*by room/,
  ],
  [
    "a malformed script",
    () => [app, "--script", written("c.json", '{ "arena": { "steps": [{ "type": "hop" }] } }')],
    /SCRIPT_MALFORMED: .*c\.json: "arena": .*steps\.0/,
  ],
  [
    "a script for no room",
    () => [app, "--script", written("d.json", '{ "arna": { "steps": [] } }')],
    /NO_ROOMS: .*"arna".*arena, deck, change/,
  ],
  ["no file", () => [], /missing required argument 'file'/],
];

for (const [what, args, words] of bad) {
  test(`[Y72] ${what}: ends with 2, and says what is wrong`, async () => {
    let [out, err] = ["", ""];
    const write = (text: string) => {
      out += text;
    };
    const tell = (text: string) => {
      err += text;
    };
    const code = await runCli(["check", ...args()], { write, tell, cwd: folder });
    assert.is(code, 2, err);
    assert.is(out, "");
    assert.match(err, words);
  });
}

test("[Y72] its help has an example", async () => {
  const { code, out } = await testudo("check", "--help");
  assert.is(code, 0);
  assert.match(out, /Example:\n {2}\$ testudo check src\/app\.config\.ts/);
});

test.run();

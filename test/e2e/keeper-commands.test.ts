// test-run: seconds=240
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { operatorToken } from "../../server/admin/operator-token.ts";
import { type Cluster, unhurried } from "./cluster.ts";
import { shareCluster } from "./shared-cluster.ts";
import { flagOf, testudo, toNode } from "./testudo-process.ts";

/** `testudo kv` and `testudo lock` against three real nodes. */
const test = suite("kv and lock from the command line");

let cluster: Cluster;

const feature = shareCluster(test, { args: unhurried }, (shared) => {
  cluster = shared;
});

const cli = join(import.meta.dirname, "../../server/cli.ts");

/** A command that goes on. */
class Running {
  readonly out: string[] = [];
  readonly err: string[] = [];
  readonly ended: Promise<number | null>;
  readonly child: ChildProcess;

  constructor(...args: readonly string[]) {
    this.child = spawn(process.execPath, [cli, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    const read = ([name, lines]: ["stdout" | "stderr", string[]]) => {
      const reader = createInterface({ input: this.child[name] as Readable });
      reader.on("line", (line) => lines.push(line));
      return once(reader, "close");
    };
    const all = (
      [
        ["stdout", this.out],
        ["stderr", this.err],
      ] as ["stdout" | "stderr", string[]][]
    ).map(read);
    this.ended = Promise.all([once(this.child, "exit"), ...all]).then(([[code]]) => code as number | null);
  }

  async said(line: RegExp): Promise<string> {
    return await cluster.until(`${line} is said`, () => this.out.find((each) => line.test(each)) ?? null);
  }
}

const at = (id: string) => toNode(cluster, id);
/** Says what it was given, and then stays. */
const stay = [
  "--",
  process.execPath,
  "-e",
  'console.log("token", process.env.TESTUDO_LOCK_TOKEN); setInterval(() => {}, 1e6)',
];

feature("[C61] kv get, put, cas, delete: text and JSON, and each refusal with its reason", async () => {
  const put = await testudo("kv", "put", "season", "seven", ...at("n1"));
  assert.is(put.code, 0, put.err);
  assert.match(put.out, /^season has version \d+\n$/);
  assert.is((await testudo("kv", "get", "season", ...at("n2"))).out, "seven\n");
  assert.is((await testudo("kv", "cas", "season", "seven", "eight", ...at("n3"))).code, 0);
  const refused = await testudo("kv", "cas", "season", "seven", "nine", ...at("n1"));
  assert.is(refused.code, 1);
  assert.match(refused.err, /NOT_SWAPPED: under season there is eight, version \d+: nothing was done/);

  const json = await testudo("kv", "put", "map", '{"size":[3,4]}', "--json", ...at("n1"));
  const { version } = JSON.parse(json.out) as { version: number };
  const got = JSON.parse((await testudo("kv", "get", "map", "--json", ...at("n2"))).out) as object;
  assert.equal({ ...got, index: 0 }, { key: "map", value: { size: [3, 4] }, version, index: 0, ageMs: 0 });
  assert.is((await testudo("kv", "put", "map", "1", "--if-version", "0", ...at("n1"))).code, 1);
  assert.is((await testudo("kv", "put", "map", "1", "--if-version", String(version), ...at("n1"))).code, 0);
  assert.is((await testudo("kv", "delete", "map", ...at("n1"))).out, "map is gone\n");
  assert.is((await testudo("kv", "delete", "map", ...at("n1"))).out, "there was no map\n");

  for (const [args, code, told] of [
    [["get", "map"], 1, /KEY_UNKNOWN: there is no key "map"/],
    [
      ["put", "k".repeat(1_025), "v"],
      1,
      /ARGUMENT: the key takes 1025 bytes in UTF-8: 1 to 1024 are allowed/,
    ],
    [["put", "k", "v".repeat(49_152)], 1, /VALUE_TOO_BIG: .* 49152 are allowed/],
    [["put", "k", "v", "--json"], 2, /OPTION_WRONG: v is no JSON/],
    [["put", "k", "v", "--expires-in-ms", "0"], 1, /ARGUMENT: expiresInMs is 0/],
    [["put", "k", "v", "--expires-in-ms", "soon"], 2, /OPTION_WRONG: --expires-in-ms soon: a whole number/],
    [["put", "k", "v", "--fence", "door:1"], 1, /FENCED: the lock "door" is not held with the token 1/],
    [["put", "k", "v", "--fence", "door"], 2, /OPTION_WRONG: --fence door: a lock's name/],
    [["get", "season", "--replicas", "4"], 1, /ARGUMENT: replicas is 4: a whole number from 1 to 3/],
    [["watch", "", "--after", "x"], 2, /--after x: a whole number/],
  ] as const) {
    const given = await testudo("kv", ...args, ...at("n1"));
    assert.is(given.code, code, given.err);
    assert.match(given.err, told);
  }
  const stranger = await testudo(
    "kv",
    "get",
    "season",
    "--url",
    cluster.url("n1"),
    "--secret",
    "sixteen letters of another",
  );
  assert.match(stranger.err, /NOT_AN_OPERATOR/);
});

feature(
  "[C63] lock run: one at a time, with a larger token each time, and its command's exit code",
  async () => {
    const first = new Running("lock", "run", "door", ...at("n1"), ...stay);
    const token = Number((await first.said(/^token \d+/)).split(" ")[1]);
    const refused = await testudo("lock", "run", "door", ...at("n2"), "--", "true");
    assert.is(refused.code, 1);
    assert.match(refused.err, /LOCK_TAKEN: another holds the lock "door": --wait waits for it/);
    const late = await testudo("lock", "run", "door", "--wait-ms", "300", ...at("n2"), "--", "true");
    assert.match(late.err, /LOCK_TAKEN: .*--wait-ms are over/);
    const second = new Running("lock", "run", "door", "--wait", ...at("n2"), ...stay);
    first.child.kill("SIGTERM");
    assert.is(await first.ended, 128 + 15);
    const larger = Number((await second.said(/^token \d+/)).split(" ")[1]);
    assert.ok(larger > token);
    second.child.kill("SIGTERM");
    await second.ended;
    const code = await testudo(
      "lock",
      "run",
      "door",
      ...at("n3"),
      "--",
      process.execPath,
      "-e",
      "process.exit(7)",
    );
    assert.is(code.code, 7, code.err);
    const none = await testudo("lock", "run", "door", ...at("n3"), "--", "/no/such/command");
    assert.match(none.err, /COMMAND_NOT_FOUND: \/no\/such\/command cannot be run/);
    const wrong = await testudo("lock", "run", "door", "--lease-ms", "99", ...at("n3"), "--", "true");
    assert.match(wrong.err, /ARGUMENT: leaseMs is 99: whole milliseconds from 100/);
  },
);

feature(
  "[C62, C63] the node that a watch and a lock's holder talk to is killed: both go on at another one",
  async () => {
    const watch = new Running("kv", "watch", "w/", "--count", "12", "--json", ...at("n1"));
    const holder = new Running("lock", "run", "gate", "--lease-ms", "9000", ...at("n1"), ...stay);
    await holder.said(/^token/);
    const put = async (number: number, id: string) => {
      const given = await testudo("kv", "put", `w/${number}`, String(number), ...at(id));
      assert.is(given.code, 0, given.err);
    };
    // It listens once it has told of the first one.
    let early = 0;
    await cluster.until("it listens", async () => {
      if (watch.out.length > 0) return true;
      await put(early++, "n2");
      return watch.out.length > 0;
    });
    await cluster.kill("n1");
    for (let number = early; number < early + 12; number++) await put(number, "n2");
    assert.is(await watch.ended, 0, watch.err.join("\n"));
    const told = watch.out.map((line) => (JSON.parse(line) as { value: string }).value);
    const from = Number(told[0]);
    assert.equal(
      told,
      Array.from({ length: 12 }, (_, k) => String(from + k)),
    );
    const refused = await testudo("lock", "run", "gate", ...at("n3"), "--", "true");
    assert.match(refused.err, /LOCK_TAKEN/);
    assert.is(holder.child.exitCode, null);
    // More than its lease: it was renewed at another node.
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    assert.match((await testudo("lock", "run", "gate", ...at("n3"), "--", "true")).err, /LOCK_TAKEN/);
    const gone = await testudo("kv", "put", "k", "v", ...at("n1"));
    assert.match(gone.err, /NODE_UNREACHABLE: .*may have been done, once/);
    cluster.launch("n1");
    await cluster.ready();
    holder.child.kill("SIGTERM");
    assert.is(await holder.ended, 143);
  },
);

feature(
  "[C63] a holder that stood still for longer than its lease ends its command when it goes on",
  async () => {
    const paused = new Running("lock", "run", "hall", "--lease-ms", "1500", ...at("n1"), ...stay);
    await paused.said(/^token/);
    const next = new Running("lock", "run", "hall", "--wait", ...at("n2"), ...stay);
    paused.child.kill("SIGSTOP");
    await next.said(/^token/);
    paused.child.kill("SIGCONT");
    assert.is(await paused.ended, 1);
    assert.match(
      paused.err.join("\n"),
      /LOCK_LOST: the lock "hall" is not certain to be held any more: .* was ended/,
    );
    next.child.kill("SIGTERM");
    await next.ended;
  },
);

feature(
  "[C62] a watch that asks for what is forgotten is told so, and a node that is watched ends with 0",
  async () => {
    const headers = {
      authorization: `Bearer ${operatorToken(readFileSync(flagOf(cluster, "n1", "secret-file"), "utf8").trim())}`,
    };
    for (let round = 0; round < 22; round++)
      await Promise.all(
        Array.from({ length: 50 }, async (_, k) => {
          const body = JSON.stringify({ type: "put", key: `old/${k}`, value: round });
          const url = `${cluster.url("n1")}/testudo/operator/kv`;
          assert.is((await fetch(url, { method: "POST", headers, body })).status, 200);
        }),
      );
    const old = await testudo("kv", "watch", "old/", "--after", "1", ...at("n1"));
    assert.is(old.code, 1);
    assert.match(old.err, /WATCH_TOO_OLD: what happened behind 1 is not all known here any more/);
    const watch = new Running("kv", "watch", "w/", ...at("n3"));
    await cluster.until("it listens", async () => {
      await testudo("kv", "put", "w/x", "1", ...at("n2"));
      return watch.out.length > 0;
    });
    cluster.process("n3").signal("SIGTERM");
    assert.equal(await cluster.process("n3").ended, { code: 0, signal: null });
    cluster.launch("n3");
    await cluster.ready();
    watch.child.kill("SIGKILL");
    await watch.ended;
  },
);

test.run();

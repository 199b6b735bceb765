import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { childDefaults, RestartPolicy } from "../../server/cluster/child-node.ts";
import { paintLine, showLine } from "../../server/cluster/log-line.ts";
import { OptionError } from "../../server/cluster/option-error.ts";
import { readNodeOptions } from "../../server/cluster/options.ts";
import { prepareFolder } from "../../server/cluster/starter-folder.ts";
import { planNodes, readStarterOptions, type StarterOptions } from "../../server/cluster/starter-options.ts";
import { eventually, freePort, Spawned } from "./spawned.ts";

const test = suite("the starter");

const folder = mkdtempSync(join(tmpdir(), "testudo-starter-"));
const running: Spawned[] = [];

test.after.each(async () => {
  await Promise.all(running.splice(0).map((spawned) => spawned.end("SIGTERM")));
});
test.after(() => rmSync(folder, { recursive: true }));

function read(...argv: string[]): StarterOptions {
  const parsed = readStarterOptions({ argv, env: {}, cwd: folder });
  assert.is(parsed.type, "options");
  return (parsed as { options: StarterOptions }).options;
}

test("[C13] every node's flags are taken by the node, and agree", () => {
  const options = read(
    "--nodes=3",
    "--port=3000",
    "--groups=8",
    "--link-delay-ms=n2=40,n3=80",
    "--node-lost-ms=500",
  );
  const secretFile = join(folder, "secret-of-all");
  writeFileSync(secretFile, "0123456789abcdef");
  const nodes = planNodes(options, secretFile).map(({ args }) => {
    const parsed = readNodeOptions({ argv: args, env: {}, cwd: "/" });
    assert.is(parsed.type, "options");
    return (parsed as Extract<typeof parsed, { type: "options" }>).options;
  });
  assert.equal(
    nodes.map(({ id, port, peerPort }) => [id, port, peerPort]),
    [
      ["n1", 3000, 3100],
      ["n2", 3001, 3101],
      ["n3", 3002, 3102],
    ],
  );
  for (const node of nodes) {
    assert.is(node.groups, 8);
    assert.is(node.nodeLostMs, 500);
    assert.equal(node.linkDelayMs, { n2: 40, n3: 80 });
    assert.is(node.development, true);
    assert.is(node.data, join(folder, "data", node.id));
    assert.is(node.publicUrl, `http://localhost:${node.port}`);
  }
  assert.equal(nodes[1]?.peers, { n1: "ws://127.0.0.1:3100", n3: "ws://127.0.0.1:3102" });
});

test("[C13] a flag that no node and no starter knows, and a node that there is not, are refused", () => {
  assert.throws(
    () => read("--node=3"),
    (error: Error) => error instanceof OptionError && /perhaps --nodes$/.test(error.message),
  );
  assert.throws(() => read("--nodes=17"), /a whole number from 1 to 16$/);
  assert.throws(() => read("--link-loss=n4=0.1"), /about the nodes n1, n2, n3, which n4 is not$/);
});

test("[C14] a folder is marked and gets a secret of its own, which stays", () => {
  const data = join(folder, "made");
  const secret = prepareFolder({ data, nodes: 3, fresh: false });
  assert.is(statSync(secret).mode & 0o777, 0o600);
  const before = readFileSync(secret, "utf8");
  assert.match(before, /^[0-9a-f]{64}\n$/);
  mkdirSync(join(data, "n1"));
  prepareFolder({ data, nodes: 3, fresh: false });
  assert.is(readFileSync(secret, "utf8"), before);
  assert.ok(existsSync(join(data, "n1")));
  assert.throws(
    () => prepareFolder({ data, nodes: 5, fresh: false }),
    /^option nodes, .* 5 is not allowed; it must be 3, as many/,
  );
});

test("[C14] --fresh removes what the starter made, and nothing else", () => {
  const data = join(folder, "fresh");
  const secret = prepareFolder({ data, nodes: 3, fresh: false });
  const before = readFileSync(secret, "utf8");
  for (const name of ["n1", "n3", "n4"]) {
    mkdirSync(join(data, name));
    writeFileSync(join(data, name, "x"), "");
  }
  writeFileSync(join(data, "notes.txt"), "mine");
  prepareFolder({ data, nodes: 5, fresh: true });
  assert.equal(
    ["n1", "n3", "n4", "notes.txt"].map((name) => existsSync(join(data, name))),
    [false, false, true, true],
  );
  assert.is.not(readFileSync(secret, "utf8"), before);
});

test("[C14] a folder that holds other things is never touched, with --fresh or without", () => {
  const data = join(folder, "precious");
  mkdirSync(join(data, "n1"), { recursive: true });
  writeFileSync(join(data, "n1/thesis"), "");
  for (const mark of [null, "not json", '{"nodes":3}']) {
    if (mark !== null) writeFileSync(join(data, "testudo-cluster.json"), mark);
    for (const fresh of [true, false]) {
      assert.throws(
        () => prepareFolder({ data, nodes: 3, fresh }),
        /holds other things, and nothing in it was touched/,
      );
    }
  }
  assert.ok(existsSync(join(data, "n1/thesis")));
  assert.not.ok(existsSync(join(data, "secret")));
});

test("[C15] a node that dies is started again; one that dies at once ever later, and after quickDeathsMax not at all", () => {
  const policy = new RestartPolicy(2000);
  const quick = { code: 70, signal: null, livedMs: 100 };
  const delays = Array.from({ length: childDefaults.quickDeathsMax - 1 }, () => policy.died(quick));
  assert.equal(
    delays.map((next) => next.type === "restart" && next.delayMs),
    [2000, 4000, 8000, 16000],
  );
  assert.equal(policy.died(quick), { type: "giveUp", why: "it died at once 5 times in a row" });
});

test("[C15] a node that lived for a while, or was killed, begins to count anew", () => {
  const policy = new RestartPolicy(100);
  for (let round = 0; round < 50; round++) {
    assert.is(policy.died({ code: 70, signal: null, livedMs: 100 }).type, "restart");
    assert.equal(policy.died({ code: 70, signal: null, livedMs: childDefaults.quickDeathMs }), {
      type: "restart",
      delayMs: 100,
    });
    assert.equal(policy.died({ code: null, signal: "SIGKILL", livedMs: 100 }), {
      type: "restart",
      delayMs: 100,
    });
  }
});

test("[C15] wrong options and a folder that does not fit are not tried again", () => {
  assert.is(new RestartPolicy(0).died({ code: 2, signal: null, livedMs: 100 }).type, "giveUp");
  assert.is(new RestartPolicy(0).died({ code: 3, signal: null, livedMs: 100 }).type, "giveUp");
});

test("[C16] of the nodes' lines warnings and their life are shown, the rest only when wanted", () => {
  const line = (fields: object) =>
    JSON.stringify({ time: "2026-01-02T03:04:05.678Z", level: 30, msg: "text", ...fields });
  const quiet = (fields: object) => showLine(line(fields), { verbose: false });
  assert.is(quiet({}), null);
  assert.is(quiet({ event: "leader" }), null);
  assert.is(quiet({ event: "serving" }), "03:04:05.678 text");
  assert.is(quiet({ level: 40 }), "03:04:05.678 warning: text");
  assert.is(quiet({ level: 60 }), "03:04:05.678 fatal: text");
  assert.is(showLine(line({}), { verbose: true }), "03:04:05.678 text");
  for (const other of ["a room's own words", "{ not json", '{"a":1}', ""]) {
    assert.is(showLine(other, { verbose: false }), null);
    assert.is(showLine(other, { verbose: true }), other);
  }
  assert.equal(
    [[], ["--verbose"], ["--log-level=debug"], ["--log-level=warn"]].map((argv) => read(...argv).verbose),
    [false, true, true, false],
  );
});

test("[C16] in a terminal each line is as it was, but for its colours", () => {
  for (const line of [
    "Testudo is ready: http://localhost:1",
    "Testudo: starting 3 nodes",
    "n1 | 03:04:05.678 node n1 is serving",
    "n12 | 03:04:05.678 warning: node n2 is lost",
    "n3 | 03:04:05.678 fatal: the disk",
  ]) {
    const painted = paintLine(line);
    assert.is.not(painted, line);
    assert.is(stripVTControlCharacters(painted), line);
  }
});

interface Run {
  readonly starter: Spawned;
  readonly urls: readonly string[];
}

async function start(...args: string[]): Promise<Run> {
  const starter = new Spawned("start-main.ts", args, { cwd: folder });
  running.push(starter);
  const line = await starter.line(/^Testudo is ready: /);
  return { starter, urls: line.split(" ").slice(3) };
}

const add = async (url: string, amount: number) =>
  Number(await (await fetch(`${url}/add/0/${amount}`)).text());
const pidOf = async (url: string) =>
  ((await (await fetch(`${url}/testudo/status`)).json()) as { pid: number }).pid;

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test("[C17] three nodes get ready, a killed one comes back, a stop is clean, and the next start goes on", async () => {
  const port = await freePort([1, 2, 100, 101, 102]);
  const data = join(folder, "whole");
  const args = [`--port=${port}`, `--data=${data}`, "--restart-after-ms=50"];
  const first = await start(...args);
  assert.equal(
    first.urls,
    [0, 1, 2].map((k) => `http://localhost:${port + k}`),
  );
  assert.is(await add(first.urls[0] as string, 5), 5);
  const victim = first.urls[1] as string;
  const pid = await pidOf(victim);
  process.kill(pid, "SIGKILL");
  await first.starter.line(/^Testudo: n2 was ended by SIGKILL; starts again in 50 ms$/);
  await eventually("it is back and ready", async () => {
    const answer = await fetch(`${victim}/testudo/ready`).catch(() => null);
    return answer?.status === 200;
  });
  assert.is.not(await pidOf(victim), pid);
  assert.is(await add(victim, 2), 7);
  const pids = await Promise.all(first.urls.map(pidOf));
  assert.equal(await first.starter.end("SIGINT"), { code: 0, signal: null });
  assert.equal(pids.filter(lives), [], "no process is left");
  assert.equal(first.starter.stderr, []);
  const second = await start(...args);
  assert.is(await add(second.urls[2] as string, 1), 8);
  await second.starter.end("SIGTERM");
  const fresh = await start(...args, "--fresh");
  assert.is(await add(fresh.urls[2] as string, 1), 1);
});

test("[C17] nodes whose starter was killed with -9 stop by themselves", async () => {
  const port = await freePort([1, 100, 101]);
  const { starter, urls } = await start("--nodes=2", `--port=${port}`, `--data=${join(folder, "orphans")}`);
  const pids = await Promise.all(urls.map(pidOf));
  await starter.end("SIGKILL");
  await eventually("they have ended", () => !pids.some(lives));
});

test("[C17] a port in use is one line and exit code 2, before anything is touched", async () => {
  const port = await freePort([1, 2, 100, 101, 102]);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(port + 101, "127.0.0.1", resolve));
  const data = join(folder, "untouched");
  const starter = new Spawned("start-main.ts", [`--port=${port}`, `--data=${data}`, "--fresh"], {
    cwd: folder,
  });
  assert.equal(await starter.ended, { code: 2, signal: null });
  assert.is(starter.stderr.length, 1);
  assert.match(
    starter.stderr[0] ?? "",
    new RegExp(`^testudo: option port: port ${port + 101} of 127\\.0\\.0\\.1.* is in use; `),
  );
  assert.not.ok(existsSync(data));
  await new Promise((resolve) => server.close(resolve));
});

test("[C17] a wrong option of the starter is one line and exit code 2", async () => {
  const starter = new Spawned("start-main.ts", ["--nodes=none"], { cwd: folder });
  assert.equal(await starter.ended, { code: 2, signal: null });
  assert.equal(starter.stderr, [
    'testudo: option nodes, from flag --nodes: "none" is not allowed; it must be a whole number from 1 to 16',
  ]);
});

test.run();

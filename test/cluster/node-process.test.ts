// test-run: waits
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { eventually, freePort, Spawned } from "./spawned.ts";

const test = suite("nodes as processes");

const folder = mkdtempSync(join(tmpdir(), "testudo-process-"));
const running: Spawned[] = [];

test.after.each(async () => {
  await Promise.all(running.splice(0).map((spawned) => spawned.end()));
});
test.after(() => rmSync(folder, { recursive: true }));

let worlds = 0;

interface World {
  readonly data: string;
  readonly port: number;
  args(id: string): string[];
  spawn(id: string, extra?: readonly string[], options?: { ipc?: boolean }): Spawned;
}

async function world(ids: readonly string[]): Promise<World> {
  const port = await freePort([1, 2, 100, 101, 102]);
  const data = join(folder, String(worlds++));
  const peers = ids.map((id, k) => `${id}=ws://127.0.0.1:${port + 100 + k}`).join(",");
  const args = (id: string) => {
    const k = ids.indexOf(id);
    const named = `--id=${id} --host=127.0.0.1 --peer-host=127.0.0.1 --port=${port + k} --peer-port=${port + 100 + k} --data=${data}/${id}`;
    return [...named.split(" "), `--peers=${peers}`, "--secret=0123456789abcdef", "--config=none"];
  };
  const spawn: World["spawn"] = (id, extra = [], options = {}) => {
    const spawned = new Spawned("node-main.ts", [...args(id), ...extra], options);
    running.push(spawned);
    return spawned;
  };
  return { data, port, args, spawn };
}

const serving = /"event":"serving"/;

test("[C2] a wrong option ends the process with 2 and one line on stderr", async () => {
  const { spawn } = await world(["n1"]);
  const node = spawn("n1", ["--port=0"]);
  assert.equal(await node.ended, { code: 2, signal: null });
  assert.equal(node.stderr, [
    'testudo: option port, from flag --port: "0" is not allowed; it must be a whole number from 1 to 65535',
  ]);
  assert.equal(node.stdout, []);
});

test("[C10] a peer port that is taken ends the process with 2 and one line", async () => {
  const { spawn, port } = await world(["n1"]);
  await spawn("n1").line(serving);
  const twin = spawn("n1", [`--port=${port + 1}`, `--data=${join(folder, "twin")}`]);
  assert.equal(await twin.ended, { code: 2, signal: null });
  assert.is(twin.stderr.length, 1);
  assert.match(twin.stderr[0] ?? "", new RegExp(`PORT_IN_USE.*${port + 100}`));
});

test("[C20] a node with an emptied folder waits and says for what, the others go on", async () => {
  const { spawn, data, port } = await world(["n1", "n2", "n3"]);
  const nodes = ["n1", "n2", "n3"].map((id) => spawn(id));
  await Promise.all(nodes.map((node) => node.line(serving)));
  await nodes[2]?.end("SIGKILL");
  rmSync(join(data, "n3"), { recursive: true });
  const emptied = spawn("n3");
  assert.match(
    await emptied.line(/"event":"not-a-member"/),
    /n3 is no member of cluster [0-9a-f]{16} with this data folder.*testudo members add n3=/,
  );
  const answer = await fetch(`http://127.0.0.1:${port}/add/0/3`);
  assert.is(await answer.text(), "3");
  const ready = await fetch(`http://127.0.0.1:${port + 2}/testudo/ready`);
  assert.is(ready.status, 503);
  assert.equal(emptied.stderr, []);
});

test("[Q13] a mark that cannot be read keeps the node out with 3 and one line that names the file and the remedy", async () => {
  const { spawn, data } = await world(["n1"]);
  const node = spawn("n1");
  await node.line(serving);
  assert.equal(await node.end("SIGTERM"), { code: 0, signal: null });
  const file = join(data, "n1/room-marks/0-room0001A.mark.json");
  writeFileSync(file, "{}");
  const again = spawn("n1");
  assert.equal(await again.ended, { code: 3, signal: null });
  assert.is(again.stderr.length, 1);
  assert.match(again.stderr[0] ?? "", /ROOM_MARK_GARBLED: .*0-room0001A\.mark\.json is no mark.*delete it/);
  rmSync(file);
  await spawn("n1").line(serving);
});

test("[C11] SIGTERM and SIGINT stop a node cleanly with 0", async () => {
  const { spawn } = await world(["n1"]);
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    const node = spawn("n1");
    await node.line(serving);
    assert.equal(await node.end(signal), { code: 0, signal: null });
    assert.ok(node.stdout.some((line) => line.includes('"event":"stopped"')));
    assert.equal(node.stderr, []);
  }
});

test("[C11] a node whose starter is gone stops by itself", async () => {
  const { spawn } = await world(["n1"]);
  const node = spawn("n1", [], { ipc: true });
  await node.line(serving);
  node.child.disconnect();
  assert.equal(await node.ended, { code: 0, signal: null });
  assert.ok(node.stdout.some((line) => line.includes("the starter has ended")));
});

test("[C57] a second signal cuts the drain short, a third one the stop; those of one Ctrl-C count once", async () => {
  for (const hangs of [false, true]) {
    const spawned = new Spawned("ending-main.ts", hangs ? ["hangs"] : []);
    running.push(spawned);
    const events = () =>
      spawned.stdout.flatMap((line) => (line.startsWith("{") ? (JSON.parse(line).event as string) : []));
    await spawned.line(/"runs"/);
    spawned.child.kill("SIGINT");
    await spawned.line(/"drains"/);
    spawned.child.kill("SIGTERM");
    await sleep(600);
    assert.equal(events(), ["runs", "stopping", "drains"]);
    spawned.child.kill("SIGTERM");
    await spawned.line(/"stops"/);
    if (hangs) {
      await sleep(600);
      assert.is(spawned.isOver, false);
      spawned.child.kill("SIGTERM");
    }
    assert.equal(await spawned.ended, { code: 0, signal: null });
    const last = hangs ? ["stop-cut-short"] : [];
    assert.equal(events(), ["runs", "stopping", "drains", "hurries", "stops", ...last]);
  }
});

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test("[C11] what nobody caught ends the process at once with 70 and one last line", async () => {
  const { spawn, port } = await world(["n1"]);
  const node = spawn("n1");
  await node.line(serving);
  await fetch(`http://127.0.0.1:${port}/throw`).catch(() => null);
  assert.equal(await node.ended, { code: 70, signal: null });
  assert.equal(node.stderr, ["testudo: node n1 ends: UNEXPECTED: thrown | on two lines"]);
  assert.ok(
    node.stdout.some((line) => line.includes('"level":60')),
    "the log has it too",
  );
});

test("[C12] status, endpoints and readiness are answered to every page", async () => {
  const { spawn, port } = await world(["n1", "n2"]);
  const first = spawn("n1", ["--region=eu"]);
  const base = `http://127.0.0.1:${port}/testudo`;
  const early = await eventually("it listens", () => fetch(`${base}/ready`).catch(() => null));
  assert.is(early.status, 503, "n2 is not there yet");
  await early.text();
  await Promise.all([first, spawn("n2")].map((node) => node.line(serving)));
  const ready = await fetch(`${base}/ready`);
  assert.is(ready.status, 200);
  assert.equal(await ready.json(), { ready: true, state: "serving", leaderless: [] });
  const answer = await fetch(`${base}/status?fresh=1`, { headers: { origin: "http://elsewhere.example" } });
  assert.is(answer.headers.get("access-control-allow-origin"), "*");
  const status = (await answer.json()) as Record<string, unknown> & {
    groups: Record<string, unknown>[];
    peers: Record<string, unknown>[];
  };
  assert.is(status["node"], "n1");
  assert.is(status["pid"], first.pid);
  assert.is(status["region"], "eu");
  assert.is(status["development"], false);
  assert.ok((status["uptimeMs"] as number) > 0);
  assert.equal(status["rooms"], []);
  assert.equal(Object.keys(status.groups[0] ?? {}).sort(), [
    "appliedIndex",
    "commitIndex",
    "id",
    "isAsleep",
    "leader",
    "level",
    "role",
    "term",
  ]);
  assert.equal(
    status.peers.map(({ node, state }) => ({ node, state })),
    [{ node: "n2", state: "up" }],
  );
  const { endpoints } = (await (await fetch(`${base}/endpoints`)).json()) as { endpoints: unknown[] };
  assert.equal(endpoints[0], { node: "n1", region: "eu", url: `http://localhost:${port}` });
});

test("[C12] what is not there, or not allowed, is said so, and a page of one's own passes by", async () => {
  const { spawn, port } = await world(["n1"]);
  await spawn("n1").line(serving);
  const base = `http://127.0.0.1:${port}`;
  const ask = async (path: string, init: RequestInit = {}) => {
    const answer = await fetch(base + path, init);
    const body = await answer.text();
    return {
      status: answer.status,
      code: body.startsWith("{") ? (JSON.parse(body).error?.code ?? null) : body,
    };
  };
  assert.equal(await ask("/testudo/nothing"), { status: 404, code: "NOT_FOUND" });
  assert.equal(await ask("/testudo/status", { method: "POST", body: "x".repeat(100_000) }), {
    status: 405,
    code: "METHOD_NOT_ALLOWED",
  });
  assert.equal(await ask("/testudo/kill"), { status: 405, code: "METHOD_NOT_ALLOWED" });
  assert.equal(await ask("/testudo/kill", { method: "POST" }), { status: 403, code: "NOT_IN_DEVELOPMENT" });
  assert.equal(await ask("/testudo/kill", { method: "OPTIONS" }), { status: 204, code: "" });
  assert.equal(await ask("/testudo/ready", { method: "HEAD" }), { status: 200, code: "" });
  assert.equal(await ask("/index.html"), { status: 200, code: "a page" });
});

test("[C12] in development a page of the cluster kills a node, a foreign page does not", async () => {
  const { spawn, port } = await world(["n1"]);
  const node = spawn("n1", ["--development"]);
  await node.line(serving);
  const kill = (origin?: string) =>
    fetch(`http://127.0.0.1:${port}/testudo/kill`, {
      method: "POST",
      headers: origin === undefined ? {} : { origin },
    });
  for (const origin of [
    "http://elsewhere.example",
    `http://elsewhere.example:${port}`,
    `http://localhost:${port + 1}`,
    "null",
  ]) {
    assert.is((await kill(origin)).status, 403, origin);
  }
  assert.equal(await (await kill(`http://127.0.0.1:${port}`)).json(), { killed: "n1", pid: node.pid });
  assert.equal(await node.ended, { code: null, signal: "SIGKILL" });
});

const product = "../../server/main.ts";
const preload = pathToFileURL(join(import.meta.dirname, "../../server/colyseus/register.ts")).href;

test("[C18] a stop that comes while a node opens, founds or joins is clean: exit code 0, nothing on stderr", async () => {
  const { args } = await world(["n1", "n2"]);
  const lone = await world(["n1"]);
  const run = (given: readonly string[]) => {
    const spawned = new Spawned(product, given, {
      env: { NODE_OPTIONS: `--import=${preload}`, DOTENV_CONFIG_QUIET: "true" },
    });
    running.push(spawned);
    return spawned;
  };
  const first = run(lone.args("n1"));
  await first.line(serving);
  assert.equal(await first.end("SIGTERM"), { code: 0, signal: null });
  for (const [given, state] of [
    [args("n1"), "recovering"],
    [args("n1"), "founding"],
    [lone.args("n1"), "joining"],
    [lone.args("n1"), "recovering"],
  ] as const) {
    const node = run(given);
    await node.line(new RegExp(`"event":"${state}"`));
    assert.equal(await node.end("SIGTERM"), { code: 0, signal: null }, state);
    assert.equal(node.stderr, [], state);
  }
});

test.run();

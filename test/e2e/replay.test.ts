// test-run: seconds=240
import { execFile, spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client, type Room } from "@colyseus/sdk";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Replayed, ReplayedEntry } from "../../server/check/replay/replay-job.ts";
import type { ExportHeader } from "../../server/colyseus/room-export/export-record.ts";
import { type Cluster, sleep, unhurried, until } from "./cluster.ts";
import { shareCluster } from "./shared-cluster.ts";
import { type Ran, testudo, toNode } from "./testudo-process.ts";

/** A match on three real nodes, exported from one that does not lead it, and replayed on its own. */
const test = suite("replay");
const app = join(import.meta.dirname, "replay-rooms-main.ts");
const cli = join(import.meta.dirname, "../../server/cli.ts");

let cluster: Cluster;
const shown = shareCluster(
  test,
  {
    main: "test/e2e/replay-rooms-main.ts",
    args: [...unhurried, "--log-history-bytes=33554432", "--code=v7"],
  },
  (shared) => {
    cluster = shared;
  },
);

const fileOf = (name: string) => join(cluster.data, name);
let ann: Room;
let ben: Room;
let exported: ExportHeader;

interface Told {
  readonly room: ExportHeader;
  readonly warnings: readonly string[];
  readonly entries: readonly ReplayedEntry[];
  readonly result: Replayed;
}

const replay = (file: string, ...flags: string[]) => testudo("replay", file, "--app", app, ...flags);

async function told(file: string, ...flags: string[]): Promise<Told> {
  const ran = await replay(file, "--json", ...flags);
  assert.is(ran.code, 0, ran.err);
  return JSON.parse(ran.out) as Told;
}

function refused(ran: Ran, code: string, words: RegExp): void {
  assert.is.not(ran.code, 0, ran.out);
  const { error } = JSON.parse(ran.err.trim().split("\n").at(-1) ?? "") as {
    error: { code: string; message: string };
  };
  assert.is(error.code, code);
  assert.match(error.message, words);
}

async function follower(roomId: string): Promise<string> {
  for (const id of cluster.ids) {
    const [status, room] = [await cluster.status(id), await cluster.room(id, roomId)];
    const leader = status?.groups.find((group) => group.id === room?.group)?.leader;
    if (room !== null && leader !== null && leader !== id) return id;
  }
  throw new Error("all nodes lead it");
}

async function save(roomId: string, name: string): Promise<ExportHeader & { bytes: number }> {
  const id = await follower(roomId);
  const ran = await testudo(
    "rooms",
    "export",
    roomId,
    "--out",
    fileOf(name),
    ...toNode(cluster, id),
    "--json",
  );
  assert.is(ran.code, 0, ran.err);
  return JSON.parse(ran.out) as ExportHeader & { bytes: number };
}

shown("[C76] a room is exported from any node while it is played, and goes on", async () => {
  ann = await new Client(cluster.url("n1")).joinOrCreate("match");
  ben = await new Client(cluster.url("n2")).joinById(ann.roomId);
  const cat = await new Client(cluster.url("n3")).joinById(ann.roomId);
  for (let step = 0; step < 20; step++) {
    ann.send("step", step);
    ben.send("step", -step);
    await sleep(50);
  }
  assert.type(await ann.request("roll"), "number");
  assert.type(await ben.request("roll"), "number");
  cat.reconnection.enabled = false;
  cat.connection.close();
  await until("cat is gone", () => (ann.state as { fighters: Map<string, unknown> }).fighters.size === 2);
  await sleep(2_500);
  exported = await save(ann.roomId, "match.testudo");
  assert.is(exported.roomName, "match");
  assert.is(exported.completeFrom, "creation");
  assert.is(exported.ended, false);
  assert.match(exported.code, /^v7@[0-9a-f]{8}$/);
  assert.match(exported.hash ?? "", /^[0-9a-f]{16}$/);
  assert.not(existsSync(fileOf("match.testudo.partial")));
  assert.type(await ann.request("roll"), "number", "it goes on");
});

shown("[C76] --log-history-bytes: the log reaches back further than the nodes need it", async () => {
  const noisy = await new Client(cluster.url("n1")).create("noisy");
  // By itself a group cuts its log behind its rooms' checkpoints at twice 4,096 entries.
  for (let part = 0; part < 60; part++) {
    for (let each = 0; each < 200; each++) noisy.send("noise");
    await noisy.request("heard");
  }
  await until("it is saved", async () => (await cluster.room("n1", noisy.roomId))?.atRest === true);
  await sleep(3_000);
  const kept = await save(noisy.roomId, "noisy.testudo");
  assert.is(kept.completeFrom, "creation");
  assert.ok(kept.entries > 12_000, `${kept.entries}`);
  await noisy.leave();
});

shown("[C77] a replay comes to the same hashes, the last one too, and runs no effect again", async () => {
  const { result, entries, room } = await told(fileOf("match.testudo"), "--state");
  assert.equal(room.roomId, ann.roomId);
  assert.is(result.difference, null);
  assert.ok(result.equal);
  assert.is(result.hash, exported.hash);
  assert.ok(result.compared >= 2, `${result.compared} hashes`);
  const kinds = new Set(entries.map(({ kind }) => kind));
  for (const kind of ["allocate", "reserve", "attach", "message", "tick", "effectDone", "detach", "verdicts"])
    assert.ok(kinds.has(kind), `${kind}: ${[...kinds]}`);
  const step = entries.find(({ who, what }) => who === ann.sessionId && what === '"step" 3');
  assert.equal(step?.printed, [`step of ${ann.sessionId} by 3`]);
  assert.match(step?.changes.join() ?? "", new RegExp(`fighters.${ann.sessionId}.x: -?\\d+ → -?\\d+`));
});

shown("[C78] --to stops there and prints the state; what is not in the export is refused", async () => {
  const { entries } = await told(fileOf("match.testudo"));
  const step = entries.find(({ who, what }) => who === ben.sessionId && what === '"step" -5');
  const { result } = await told(fileOf("match.testudo"), "--to", String(step?.index));
  assert.is(result.index, step?.index);
  const { fighters } = result.state as { fighters: Record<string, { x: number; hits: number }> };
  assert.equal(Object.keys(fighters).length, 3);
  assert.is(fighters[ben.sessionId]?.hits, 0);
  const lines = await replay(fileOf("match.testudo"), "--to", String(step?.index));
  assert.match(lines.out, `| step of ${ben.sessionId} by -5`);
  assert.match(lines.out, '"round": ');
  const past = String(exported.lastIndex + 1);
  const range = new RegExp(`--to ${past}: .* ${exported.firstIndex} .* ${exported.lastIndex}`);
  refused(await replay(fileOf("match.testudo"), "--json", "--to", past), "TO_OUT_OF_RANGE", range);
});

shown("[C79] code that has changed since is told at the first hash that differs, loudly", async () => {
  process.env["REPLAY_EXTRA"] = "1";
  try {
    const ran = await replay(fileOf("match.testudo"));
    assert.is(ran.code, 1, ran.err);
    // At a verdict, or where the export ends.
    const differs =
      /DIFFERENT: (after entry \d+ the nodes had|at the end, entry \d+, the room had) the hash [0-9a-f]{16}; here it is/;
    assert.match(ran.out, differs, ran.out.split("\n").slice(-4).join("\n"));
    assert.match(ran.err, /REPLAY_DIFFERS/);
  } finally {
    delete process.env["REPLAY_EXTRA"];
  }
});

shown("[C80] another engine is refused, and named; --other-engine says that it may differ", async () => {
  const elsewhere = (...flags: string[]) =>
    new Promise<Ran>((resolve) => {
      const args = [cli, "replay", fileOf("match.testudo"), "--app", app, "--json", ...flags];
      const env = { ...process.env, TZ: "Asia/Tokyo" };
      execFile(process.execPath, args, { env }, (error, out, err) =>
        resolve({ code: error === null ? 0 : Number(error.code), out, err }),
      );
    });
  refused(await elsewhere(), "ENGINE_DIFFERS", /another engine: time zone .*, here time zone Asia\/Tokyo/);
  const ran = await elsewhere("--other-engine");
  assert.is(ran.code, 0, ran.err);
  assert.match((JSON.parse(ran.out) as Told).warnings.join(), /may differ/);
  assert.match(ran.err, /^WARNING: /);
});

shown("[C81] a file that is cut, changed, newer or none at all is refused before any code runs", async () => {
  const whole = readFileSync(fileOf("match.testudo"));
  const spoiled = async (name: string, bytes: Uint8Array): Promise<Ran> => {
    writeFileSync(fileOf(name), bytes);
    return await replay(fileOf(name), "--json");
  };
  const flipped = Uint8Array.from(whole);
  flipped[whole.length >> 1] = (flipped[whole.length >> 1] ?? 0) ^ 1;
  const newer = Buffer.from(whole);
  newer.write("3", "TESTUDO ROOM ".length);
  refused(await spoiled("cut", whole.subarray(0, whole.length - 40)), "EXPORT_DAMAGED", /cut short/);
  refused(await spoiled("flipped", flipped), "EXPORT_DAMAGED", /checksum|damaged/);
  refused(await spoiled("newer", newer), "EXPORT_NEWER", /format 3, this Testudo reads 2/);
  refused(await spoiled("none", Buffer.from("{}")), "EXPORT_FOREIGN", /no room's export/);
  refused(await replay(fileOf("nowhere"), "--json"), "FILE_MISSING", /nowhere/);
});

shown(
  "[C82] a match that has ended is exported for as long as its log is kept; an unknown one not",
  async () => {
    const { roomId } = ann;
    const left = new Promise((resolve) => ben.onLeave(resolve));
    ann.send("end");
    await left;
    for (const id of cluster.ids)
      await until(`${id} forgets it`, async () => (await cluster.room(id, roomId)) === null);
    const saveEnded = () =>
      testudo(
        "rooms",
        "export",
        roomId,
        "--out",
        fileOf("ended.testudo"),
        ...toNode(cluster, "n2"),
        "--json",
      );
    const header = await until("its end is agreed", async () => {
      const ran = await saveEnded();
      assert.is(ran.code, 0, ran.err);
      const found = JSON.parse(ran.out) as ExportHeader;
      if (found.ended) return found;
      rmSync(fileOf("ended.testudo"));
      return null;
    });
    assert.is(header.completeFrom, "creation");
    const { result } = await told(fileOf("ended.testudo"));
    assert.ok(result.ended);
    assert.ok(result.equal, result.difference ?? "");
    const unknown = await testudo("rooms", "export", "AAAAAAAAA", ...toNode(cluster, "n1"), "--json");
    refused(unknown, "ROOM_NOT_FOUND", /no room AAAAAAAAA.*log-history-bytes/);
    const there = await saveEnded();
    refused(there, "FILE_EXISTS", /is there already/);
  },
);

shown("[C91] a room that its leader runs is replayed without its code: what each step came to", async () => {
  const room = await new Client(cluster.url("n2")).create("tavern");
  room.onMessage("sung", () => {});
  for (const songs of [1, 2, 3]) assert.type(await room.request("sing", songs), "number");
  await until("the state has come", () => (room.state as { round: number }).round === 6);
  const { hash } = await save(room.roomId, "tavern.testudo");
  await room.leave();
  const { result, entries, warnings } = await told(fileOf("tavern.testudo"), "--state");
  assert.is(result.difference, null);
  assert.match(hash ?? "", /^[0-9a-f]{16}$/);
  assert.is(result.hash, hash);
  assert.match(warnings.join(), /"tavern" ran on its leader alone .* shows what came of it$/);
  const [second] = entries.filter(({ what }) => what.includes('"sung" 3 to 1'));
  const rounds = entries.flatMap(({ changes }) => changes).filter((change) => change.startsWith("round: "));
  assert.is(rounds.at(-1), "round: 3 → 6");
  const { result: early } = await told(fileOf("tavern.testudo"), "--to", String(second?.index));
  assert.ok([1, 3].includes((early.state as { round: number }).round), JSON.stringify(early.state));
  const inspected = await replay(fileOf("tavern.testudo"), "--json", "--inspect", "127.0.0.1:0");
  refused(inspected, "NO_CODE_RUNS", /"tavern" ran on its leader alone.*--state and --to, without --inspect/);
});

shown("[C83] --inspect waits for a debugger, and stops before the entry that --to names", async () => {
  const { entries } = await told(fileOf("match.testudo"));
  const step = entries.find(({ what }) => what === '"step" 7');
  const args = [cli, "replay", fileOf("match.testudo"), "--app", app, "--inspect", "127.0.0.1:0"];
  const child = spawn(process.execPath, [...args, "--to", String(step?.index), "--json"]);
  let [out, err] = ["", ""];
  child.stdout.on("data", (bytes) => {
    out += String(bytes);
  });
  child.stderr.on("data", (bytes) => {
    err += String(bytes);
  });
  const ended = new Promise((resolve) => child.once("close", resolve));
  const address = await until("it waits", () => /ws:\/\/\S+/.exec(err)?.[0] ?? null);
  const debug = new WebSocket(address);
  await new Promise((resolve) => debug.addEventListener("open", resolve));
  let number = 0;
  const say = (method: string) => debug.send(JSON.stringify({ id: ++number, method }));
  const paused = new Promise<{ functionName: string }[]>((resolve) =>
    debug.addEventListener("message", ({ data }) => {
      const { method, params } = JSON.parse(String(data)) as {
        method?: string;
        params?: { callFrames: { functionName: string }[] };
      };
      if (method === "Debugger.paused") resolve(params?.callFrames ?? []);
    }),
  );
  for (const method of ["Runtime.enable", "Debugger.enable", "Runtime.runIfWaitingForDebugger"]) say(method);
  const [frame] = await paused;
  assert.match(frame?.functionName ?? "", "stopAndApply");
  assert.not.match(out, /"result"/);
  say("Debugger.resume");
  // Node waits for a debugger that stays.
  await until("it is done", () => out.includes('"result"') || child.exitCode !== null);
  debug.close();
  assert.is(await ended, 0, err);
  assert.is((JSON.parse(out) as Told).result.index, step?.index);
});

test.run();

// test-run: seconds=150
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Client, type Room } from "@colyseus/sdk";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { describe } from "../../server/admin/cli/dev-command.ts";
import { freePort } from "../cluster/spawned.ts";

/** Within the checkout, where its packages are found, and nowhere that is checked in. */
const data = new URL("../../data/", import.meta.url).pathname;
mkdirSync(data, { recursive: true });
const cli = new URL("../../server/cli.ts", import.meta.url).pathname;

const app = (by: number, more = "", imports = "") => `
${imports}
import { defineRoom, defineServer, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { replicated, testudo } from "../../server/index.ts";
const TallyState = schema({ count: t.number().default(0) }, "TallyState");
class TallyRoom extends Room {
  state = new TallyState();
  messages = { add: () => { this.state.count += ${by}; return this.state.count; } };
  onDrop(client) { this.allowReconnection(client, 20).catch(() => {}); }
  ${more}
}
export const server = defineServer({ ...testudo(), rooms: { tally: defineRoom(replicated(TallyRoom)) } });
`;

interface Told {
  readonly event: string;
  readonly [field: string]: unknown;
}

class Dev {
  readonly folder = mkdtempSync(join(data, "dev-"));
  readonly file = join(this.folder, "app.config.ts");
  readonly told: Told[] = [];
  #heard = 0;
  #child: ChildProcess | null = null;
  #wake: () => void = () => {};
  output = "";

  async begin(source: string): Promise<number> {
    const port = await freePort();
    writeFileSync(this.file, source);
    const child = spawn(process.execPath, [cli, "dev", this.file, "--port", `${port}`, "--json"]);
    this.#child = child;
    child.stderr.on("data", (bytes) => {
      this.output += bytes;
      if (process.env["DEV_SHOW"]) console.log(String(bytes));
    });
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (process.env["DEV_SHOW"]) console.log(line);
      this.told.push(JSON.parse(line));
      this.#wake();
    });
    assert.is((await this.next()).event, "serving");
    return port;
  }

  async next(): Promise<Told> {
    while (this.told.length === this.#heard)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    return this.told[this.#heard++] as Told;
  }

  change(source: string): Promise<Told> {
    writeFileSync(this.file, source);
    return this.next();
  }

  async end(): Promise<number | null> {
    const child = this.#child;
    if (child === null) return null;
    child.kill("SIGTERM");
    if (child.exitCode === null) await once(child, "exit");
    rmSync(this.folder, { recursive: true });
    return child.exitCode;
  }
}

async function join1(port: number): Promise<Room> {
  const room = await new Client(`http://localhost:${port}`).joinOrCreate("tally");
  room.reconnection.minUptime = 0;
  return room;
}

test("[C69] testudo dev takes up changed code while the rooms go on; code that does not start changes nothing", async () => {
  const dev = new Dev();
  try {
    const port = await dev.begin(app(1));
    const room = await join1(port);
    const { roomId } = room;
    assert.is(await room.request("add"), 1);
    const back = new Promise<void>((resolve) => room.onReconnect(() => resolve()));
    const reloaded = await dev.change(app(10));
    assert.is(reloaded.event, "reloaded");
    assert.equal(reloaded["changed"], [dev.file]);
    await back;
    assert.is(room.roomId, roomId);
    assert.is(await room.request("add"), 11);
    const failed = await dev.change("this is no TypeScript");
    assert.is(failed.event, "failed");
    assert.is(failed["goesOn"], true);
    assert.match(dev.output, /SyntaxError|ERR_INVALID_TYPESCRIPT/);
    assert.is(await room.request("add"), 21);
    await room.leave();
  } finally {
    assert.is(await dev.end(), 0);
  }
});

test("[C92] that a room keeps nobody over a reload is told at the reload, once a room's name, with what to do", async () => {
  const forgetful = (by: number) =>
    app(by).replace("this.allowReconnection(client, 20).catch(() => {});", "");
  const dev = new Dev();
  try {
    const port = await dev.begin(forgetful(1));
    const room = await join1(port);
    room.reconnection.enabled = false;
    assert.is((await dev.change(forgetful(2))).event, "reloaded");
    const told = await dev.next();
    assert.equal(told, { event: "players-left", roomName: "tally", roomIds: [room.roomId] });
    const anew = await join1(port);
    assert.is.not(anew.roomId, room.roomId, "it has ended");
    anew.reconnection.enabled = false;
    assert.is((await dev.change(forgetful(3))).event, "reloaded");
    const kept = await join1(port);
    assert.is((await dev.change(app(4))).event, "reloaded", "not told again");
    assert.is.not(kept.roomId, anew.roomId);
    kept.reconnection.enabled = false;
  } finally {
    assert.is(await dev.end(), 0);
  }
  const words = describe({ event: "players-left", roomName: "tally", roomIds: ["r1"] }, ".");
  assert.match(words, /tally r1 did not come over.*Call this\.allowReconnection\(client, 20\) in its onDrop/);
});

test("[C70] a room that the changed code cannot bring back is named with the reason, and the next player begins it anew", async () => {
  const dev = new Dev();
  try {
    const port = await dev.begin(app(1));
    const room = await join1(port);
    const { roomId } = room;
    assert.is(await room.request("add"), 1);
    const lost = await dev.change(app(1, 'onCreate() { throw new Error("no longer"); }'));
    assert.is(lost.event, "room-lost");
    assert.is(lost["roomId"], roomId);
    assert.match(String(lost["why"]), /no longer/);
    assert.is((await dev.next()).event, "reloaded");
    assert.is((await dev.change(app(5))).event, "reloaded");
    const anew = await join1(port);
    assert.is.not(anew.roomId, roomId);
    assert.is(await anew.request("add"), 5);
    await anew.leave();
  } finally {
    assert.is(await dev.end(), 0);
  }
});

/** One is answered only once its process is asked to hand its rooms over, the other never. */
const effects = `
  effects = {
    asked: { run: () => new Promise((resolve) => process.once("message", () => setTimeout(resolve, 100, 100))) },
    never: { timeoutMs: 60_000, run: () => new Promise(() => {}) },
  };
  onCreate() {
    this.onMessage("wait", async (_client, name) => {
      const more = await this.effect(name);
      this.state.count += more;
    });
  }
`;

test("[C71] a room that waits for something is waited for; one that waits too long is lost, and the others go on", async () => {
  const dev = new Dev();
  try {
    const port = await dev.begin(app(1, effects));
    const room = await join1(port);
    const other = await new Client(`http://localhost:${port}`).create("tally");
    for (const [each, name] of [
      [room, "asked"],
      [other, "never"],
    ] as const) {
      each.send("wait", name);
      assert.is(await each.request("add"), 1);
    }
    const back = new Promise<void>((resolve) => room.onReconnect(() => resolve()));
    const lost = await dev.change(app(10, effects));
    assert.is(lost.event, "room-lost");
    assert.is(lost["roomId"], other.roomId);
    assert.match(String(lost["why"]), /not at rest within 2 s/);
    assert.is((await dev.next()).event, "reloaded");
    await back;
    assert.is(await room.request("add"), 111);
    await room.leave();
  } finally {
    assert.is(await dev.end(), 0);
  }
});

test("[C73] rooms wait for code that serves when what was to take them over ends before; a file that the code imports counts", async () => {
  const dev = new Dev();
  try {
    const step = join(dev.folder, "step.ts");
    const code = app(1, "", 'import { step } from "./step.ts";').replace("count += 1", "count += step");
    writeFileSync(step, "export const step = 1;");
    const port = await dev.begin(code);
    const room = await join1(port);
    assert.is(await room.request("add"), 1);
    const back = new Promise<void>((resolve) => room.onReconnect(() => resolve()));
    writeFileSync(
      step,
      'process.on("message", ({ type }) => type === "start" && process.exit(7)); export const step = 5;',
    );
    const failed = await dev.next();
    assert.is(failed.event, "failed");
    assert.is(failed["goesOn"], false);
    assert.match(String(failed["why"]), /exit code 7.*the rooms wait/);
    writeFileSync(step, "export const step = 10;");
    const reloaded = await dev.next();
    assert.is(reloaded.event, "reloaded");
    assert.equal(reloaded["changed"], [step]);
    await back;
    assert.is(await room.request("add"), 11);
    await room.leave();
  } finally {
    assert.is(await dev.end(), 0);
  }
});

test("[C72] without a file that is there testudo dev says so and ends with 2", async () => {
  const child = spawn(process.execPath, [cli, "dev", join(data, "no-such-app.ts")]);
  let output = "";
  child.stderr.on("data", (bytes) => {
    output += bytes;
  });
  const [code] = await once(child, "close");
  assert.is(code, 2);
  assert.match(output, /FILE_MISSING.*no-such-app\.ts/);
});

test.run();

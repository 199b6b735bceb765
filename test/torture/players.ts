/**
 * A process of its own with players on all nodes of a cluster: `node players.ts FILE URL,URL,… ROOMS STOCK WRAPPER RATE`.
 * Together they send RATE requests a second, if they are answered so quickly; each outcome is a line of FILE (history.ts).
 * Told `pause` by IPC all wait for what they asked; told `progress` it says how many requests were answered so far; told
 * `{ urls }` it goes on among these nodes.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { type Room, Client as StockClient } from "@colyseus/sdk";
import { Client as WrapperClient } from "../../client/testudo-client.ts";
import type { RegisterOutput } from "../linearizability/register-model.ts";
import type { Line, Request } from "./history.ts";

const [file = "", urlList = "", rooms = "1", stockCount = "0", wrapperCount = "0", rate = "0"] =
  process.argv.slice(2);
let urls = urlList.split(",");
const journal = openSync(file, "a");

const turnMs = 10;
const inFlightMax = 8;
/** Longer than any outage here: a request that is not answered by then counts as unknown. */
const answerMsMax = 90_000;
const moveMsMax = 110_000;
const retryMs = 80;
/** A key is used for this long; then its history is over, and can be checked by itself. */
const generationMs = 5_000;
const keysPerRoom = 8;
const bufferBytesMax = 65_536;

let buffered = "";
let answered = 0;

function write(line: Line): void {
  buffered += `${JSON.stringify(line)}\n`;
  if (buffered.length > bufferBytesMax) flush();
}

function flush(): void {
  if (buffered !== "") writeSync(journal, buffered);
  buffered = "";
}

class Player {
  readonly name: string;
  readonly room: Room;
  #n = 0;
  #value = 0;
  #open = 0;
  /** What this player saw last at a key: a good guess for its next compare-and-set. */
  readonly #seen = new Map<string, string | null>();
  #lastError = "";

  constructor(name: string, kind: "stock" | "wrapper", room: Room) {
    this.name = name;
    this.room = room;
    const { roomId, sessionId } = room;
    write({ type: "joined", player: name, kind, roomId, sessionId });
    room.onError((code, message) => {
      this.#lastError = `${code} ${message}`;
    });
    room.onLeave((code, reason) =>
      write({ type: "left", player: name, code, reason: reason || this.#lastError }),
    );
  }

  get open(): number {
    return this.#open;
  }

  get isFree(): boolean {
    return this.#open < inFlightMax && this.room.connection.isOpen;
  }

  act(): void {
    const dice = Math.random();
    if (dice < 0.6) return this.#request("add", null, undefined);
    const generation = Math.floor(performance.now() / generationMs);
    const key = `${generation} ${Math.floor(Math.random() * keysPerRoom)}`;
    if (dice < 0.8) return this.#request("get", key, key);
    // Whoever sees a value knows who wrote it, and when.
    const value = `${this.name} ${++this.#value}`;
    if (dice < 0.86) return this.#request("put", key, { key, value });
    this.#request("cas", key, { key, expected: this.#seen.get(key) ?? null, value });
  }

  #request(what: Request["what"], key: string | null, input: unknown): void {
    const n = ++this.#n;
    const invokedMs = performance.now();
    this.#open++;
    const end = (outcome: Request["outcome"], output: unknown): void => {
      this.#open--;
      answered++;
      if (key !== null && outcome === "ok") this.#remember(key, output as RegisterOutput);
      write({
        type: "request",
        what,
        player: this.name,
        n,
        key: key === null ? null : `${this.room.roomId} ${key}`,
        input,
        output,
        invokedMs,
        endedMs: performance.now(),
        outcome,
      });
    };
    this.room.request<unknown, unknown>(what, input, { timeout: answerMsMax }).then(
      (output) => end("ok", output),
      (error: Error) => end("unknown", `${error.name}: ${error.message}`),
    );
  }

  #remember(key: string, { value }: RegisterOutput): void {
    if (this.#seen.size > 4 * keysPerRoom) this.#seen.clear();
    this.#seen.set(key, value);
  }
}

/** A stock client that goes on at the next node, with what the SDK itself offers for it. */
async function stock(k: number): Promise<Player> {
  const room = await new StockClient(urls[k % urls.length] ?? "").joinOrCreate("torture", {
    room: k % Number(rooms),
  });
  let at = k;
  Object.assign(room.reconnection, {
    minUptime: 0,
    maxRetries: Number.POSITIVE_INFINITY,
    minDelay: retryMs,
    backoff: () => retryMs,
  });
  const player = new Player(`stock ${k}`, "stock", room);
  let droppedMs = 0;
  room.onDrop(() => {
    droppedMs = performance.now();
    const next = new URL(urls[++at % urls.length] ?? "");
    const url = new URL(room.connection.url ?? "");
    url.host = next.host;
    room.connection.url = url.toString();
  });
  room.onReconnect(() => {
    const atMs = performance.now();
    write({ type: "moved", player: player.name, atMs, gapMs: atMs - droppedMs });
  });
  return player;
}

async function wrapper(k: number): Promise<Player> {
  const from = k % urls.length;
  const client = new WrapperClient([...urls.slice(from), ...urls.slice(0, from)], {
    pingIntervalMs: 300,
    silenceMs: 1_200,
    moveMsMax,
    outboxCommandsMax: 4_096,
  });
  const room = await client.joinOrCreate("torture", { room: k % Number(rooms) });
  const player = new Player(`wrapper ${k}`, "wrapper", room as unknown as Room);
  room.onFailover(({ gapMs }) =>
    write({ type: "moved", player: player.name, atMs: performance.now(), gapMs }),
  );
  return player;
}

/** Requests as they fall due, spread over whoever may send one. */
function pace(players: readonly Player[], isPaused: () => boolean): void {
  let due = 0;
  let lastMs = performance.now();
  let next = 0;
  setInterval(() => {
    const nowMs = performance.now();
    due = Math.min(due + ((nowMs - lastMs) * Number(rate)) / 1000, Number(rate));
    lastMs = nowMs;
    if (isPaused()) return;
    for (let tried = 0; due >= 1 && tried < players.length * inFlightMax; tried++) {
      const player = players[next++ % players.length] as Player;
      if (!player.isFree) continue;
      player.act();
      due--;
    }
  }, turnMs);
}

async function main(): Promise<void> {
  const players: Player[] = [];
  for (let k = 0; k < Number(stockCount); k++) players.push(await stock(k));
  for (let k = 0; k < Number(wrapperCount); k++) players.push(await wrapper(Number(stockCount) + k));
  let paused = false;
  pace(players, () => paused);
  process.on("message", (message: unknown) => {
    if (typeof message === "object" && message !== null && "urls" in message) {
      urls = message.urls as string[];
      return process.send?.({ order: "urls" });
    }
    switch (message) {
      case "progress":
        return process.send?.({ order: "progress", answered });
      case "pause":
        paused = true;
        return whenQuiet(players, () => {
          flush();
          process.send?.({ order: "pause" });
        });
      default:
        throw new Error(`unknown order: ${String(message)}`);
    }
  });
  process.on("disconnect", () => {
    flush();
    closeSync(journal);
    process.exit(0);
  });
  process.send?.({ order: "joined" });
}

function whenQuiet(players: readonly Player[], then: () => void): void {
  if (players.every((player) => player.open === 0)) then();
  else setTimeout(() => whenQuiet(players, then), turnMs);
}

await main();

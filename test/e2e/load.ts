/**
 * A process of its own with players on all nodes of a cluster: `node load.ts FILE URL,URL,… STOCK WRAPPER`. Each player
 * fires as fast as it is answered, and every invocation and every outcome is a line of FILE (journal.ts). Told `burst`
 * by IPC, every player fires at once what it may have in flight; told `pause`, all wait for what they asked.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { type Room, Client as StockClient } from "@colyseus/sdk";
import { Client as WrapperClient } from "../../client/testudo-client.ts";
import type { Line } from "./journal.ts";

const [file = "", urlList = "", stockCount = "0", wrapperCount = "0"] = process.argv.slice(2);
const urls = urlList.split(",");
const journal = openSync(file, "a");

const pauseMs = 45;
const inFlightMax = 6;
const burstShots = 4;
const retryMs = 60;
/** Longer than any outage here: a request that is not answered by then counts as lost. */
const answerMsMax = 60_000;
/** Longer than the room keeps a seat. */
const moveMsMax = 90_000;

interface ArenaView {
  readonly clockMs: number;
  readonly players: { get(sessionId: string): { readonly shots: number } | undefined };
}

function write(line: Line): void {
  writeSync(journal, `${JSON.stringify(line)}\n`);
}

class Player {
  readonly name: string;
  readonly room: Room<unknown, ArenaView>;
  #n = 0;
  #open = 0;
  #clockMs = 0;
  #lastError = "";
  #shots = 0;
  /** When the last state came. */
  stateMs = 0;

  constructor(name: string, kind: "stock" | "wrapper", room: Room<unknown, ArenaView>) {
    this.name = name;
    this.room = room;
    const { sessionId, roomId } = room;
    write({ type: "joined", player: name, kind, sessionId, roomId });
    room.onStateChange((state) => this.#look(state));
    room.onError((code, message) => {
      this.#lastError = `${code} ${message}`;
      write({ type: "error", player: name, what: this.#lastError });
    });
    room.onLeave((code, reason) =>
      write({ type: "left", player: name, code, reason: reason || this.#lastError }),
    );
  }

  get open(): number {
    return this.#open;
  }

  fire(): void {
    if (!this.room.connection.isOpen || this.#open >= inFlightMax) return;
    const n = ++this.#n;
    this.#open++;
    write({ type: "invoke", player: this.name, n, atMs: Date.now() });
    this.room
      .request<undefined, { shots: number }>("fire", undefined, { timeout: answerMsMax })
      .then(
        ({ shots }) => write({ type: "ok", player: this.name, n, atMs: Date.now(), shots }),
        (error: Error) =>
          write({
            type: "unknown",
            player: this.name,
            n,
            atMs: Date.now(),
            error: `${error.name}: ${error.message}`,
          }),
      )
      .finally(() => this.#open--);
  }

  #look(state: ArenaView): void {
    this.stateMs = performance.now();
    if (state.clockMs < this.#clockMs)
      write({
        type: "lower",
        player: this.name,
        what: "clockMs",
        before: this.#clockMs,
        after: state.clockMs,
      });
    this.#clockMs = state.clockMs;
    const shots = state.players.get(this.room.sessionId)?.shots ?? 0;
    if (shots < this.#shots)
      write({ type: "lower", player: this.name, what: "shots", before: this.#shots, after: shots });
    this.#shots = shots;
  }
}

/** A stock client that goes on at the next node, with what the SDK itself offers for it. */
async function stock(k: number): Promise<Player> {
  const room = (await new StockClient(urls[k % urls.length] ?? "").joinOrCreate("arena", {
    name: `stock ${k}`,
  })) as Room<unknown, ArenaView>;
  let at = k;
  Object.assign(room.reconnection, {
    minUptime: 0,
    maxRetries: Number.POSITIVE_INFINITY,
    minDelay: retryMs,
    backoff: () => retryMs,
  });
  room.onDrop(() => {
    const next = new URL(urls[++at % urls.length] ?? "");
    const url = new URL(room.connection.url ?? "");
    url.host = next.host;
    room.connection.url = url.toString();
  });
  const player = new Player(`stock ${k}`, "stock", room);
  room.onReconnect(() => {
    const lastMs = player.stateMs;
    room.onStateChange.once(() => {
      const gapMs = performance.now() - lastMs;
      const url = urls[at % urls.length] ?? "";
      write({ type: "moved", player: player.name, atMs: Date.now(), url, gapMs, planned: false });
    });
  });
  return player;
}

async function wrapper(k: number): Promise<Player> {
  const from = k % urls.length;
  const client = new WrapperClient([...urls.slice(from), ...urls.slice(0, from)], {
    pingIntervalMs: 200,
    silenceMs: 800,
    moveMsMax,
  });
  const room = await client.joinOrCreate("arena", { name: `wrapper ${k}` });
  const player = new Player(`wrapper ${k}`, "wrapper", room as unknown as Room<unknown, ArenaView>);
  room.onFailover(({ to: { url }, gapMs, planned }) =>
    write({ type: "moved", player: player.name, atMs: Date.now(), url, gapMs, planned }),
  );
  return player;
}

async function main(): Promise<void> {
  const players: Player[] = [];
  for (let k = 0; k < Number(stockCount); k++) players.push(await stock(k));
  for (let k = 0; k < Number(wrapperCount); k++) players.push(await wrapper(k));
  let paused = false;
  setInterval(() => {
    if (!paused) for (const player of players) player.fire();
  }, pauseMs);
  process.on("message", (message: unknown) => {
    switch (message) {
      case "burst":
        for (const player of players) for (let shot = 0; shot < burstShots; shot++) player.fire();
        return process.send?.("burst");
      case "pause":
        paused = true;
        return whenQuiet(players, () => process.send?.("pause"));
      case "resume":
        paused = false;
        return process.send?.("resume");
      default:
        throw new Error(`unknown order: ${String(message)}`);
    }
  });
  process.on("disconnect", () => {
    closeSync(journal);
    process.exit(0);
  });
  process.send?.("joined");
}

function whenQuiet(players: readonly Player[], then: () => void): void {
  const timer = setInterval(() => {
    if (players.some(({ open }) => open > 0)) return;
    clearInterval(timer);
    then();
  }, 10);
}

await main();

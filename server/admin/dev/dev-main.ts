/** The process in which `testudo dev` runs one version of a studio's code. */
import { registerHooks } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Server } from "@colyseus/core";
import { swapping } from "../../colyseus/code-swap.ts";
import type { LostRoom } from "../../colyseus/room-handover.ts";
import type { DevNews, DevOrder } from "./dev-news.ts";

const say = (news: DevNews) => process.send?.(news);
const told = new Set<string>();
let start: (order: Extract<DevOrder, { type: "start" }>) => void = () => {};
let lostRooms: readonly LostRoom[] = [];
let handOver: (() => Promise<Extract<DevNews, { type: "handed" }>["disk"]>) | null = null;

registerHooks({
  load(url, context, next) {
    const path = url.startsWith("file:") ? fileURLToPath(url.replace(/[?#].*$/, "")) : null;
    if (path !== null && !path.includes("node_modules") && !told.has(path)) {
      told.add(path);
      say({ type: "file", path });
    }
    return next(url, context);
  },
});

swapping.by = {
  loaded: async () => {
    const begun = new Promise<Extract<DevOrder, { type: "start" }>>((resolve) => {
      start = resolve;
    });
    say({ type: "loaded" });
    return (await begun).disk;
  },
  serving: (lost, hand) => {
    handOver = hand;
    lostRooms = lost;
  },
  unkept: (players) => say({ type: "unkept", players }),
};

let isListening = false;
const { listen } = Server.prototype;
Server.prototype.listen = async function (...args) {
  isListening = true;
  await listen.apply(this, args);
  // Not before: one whose port is taken ends, and whoever watches over it must still have the rooms then.
  if (handOver !== null) say({ type: "serving", lost: lostRooms });
};

async function load(file: string): Promise<void> {
  say({ type: "file", path: file });
  const exported = Object.values((await import(pathToFileURL(file).href)) as object);
  // A file that only defines its server, as app.config.ts does, leaves the listening to whoever imports it.
  const server = exported.find((value) => value instanceof Server);
  if (!isListening && server === undefined)
    throw new Error(
      `${file} neither exports a server (defineServer({ ...testudo(), rooms })) nor lets one listen: give the file that does`,
    );
  if (!isListening) await server?.listen(undefined as never);
}

function failed(error: unknown): void {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
}

/** Whoever is asked again, for still newer code, has the first answer still to give. */
async function leave(): Promise<void> {
  const hand = handOver;
  handOver = null;
  if (hand === null) return;
  const disk = await hand();
  process.send?.({ type: "handed", disk } satisfies DevNews, () => process.exit(0));
}

process.on("message", (order: DevOrder) => {
  if (order.type === "load") load(order.file).catch(failed);
  else if (order.type === "start") start(order);
  else void leave();
});
// Whoever is to watch over this process is gone.
process.once("disconnect", () => process.exit(1));

/**
 * `node --import ./server/colyseus/register.ts test/bench/snapshot-turns-main.ts [--rooms 500] [--room-kib 50]`
 *
 * One group of many rooms, on real disks, in one process: how long a turn of a node's pipe takes at most, while a third
 * node is brought up by a snapshot and brings its rooms back, and the two others go on.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PerformanceObserver } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { Room } from "@colyseus/core";
import { GroupEngine } from "../../server/group/engine.ts";
import type { EngineOptions } from "../../server/group/engine-options.ts";
import { decodeMessage, encodeMessage } from "../../server/network/codec.ts";
import type { Network } from "../../server/network/network.ts";
import { levels } from "../../server/raft/level.ts";
import type { LevelStorage } from "../../server/storage/level-storage.ts";
import { defineTestRoom, LogWriter, Replica } from "../colyseus/machine-harness.ts";
import { levelStorage } from "../storage/level-disk.ts";

const { values } = parseArgs({
  options: { rooms: { type: "string", default: "500" }, "room-kib": { type: "string", default: "50" } },
});
const rooms = Number(values.rooms);
const roomBytes = Number(values["room-kib"]) * 1024;
/** What one thing in the room takes in its checkpoint, about. */
const thingBytes = 34;

class World extends Room {
  override patchRate = 60_000;
  things: { id: number; x: number; y: number; name: string }[] = [];
  beats = 0;

  override onCreate(): void {
    this.autoDispose = false;
    for (let id = 0; id * thingBytes < roomBytes; id++)
      this.things.push({ id, x: Math.random(), y: id / 3, name: `thing ${id}` });
    this.clock.setInterval(this.beat, 1000);
  }

  beat(): void {
    this.beats += 1;
  }
}

interface Turn {
  readonly begunMs: number;
  readonly endedMs: number;
  /** What the thread computed in it. */
  readonly cpuMs: number;
}

interface Node {
  readonly id: string;
  readonly engine: GroupEngine;
  readonly replica: Replica;
  readonly turns: Turn[];
  readonly stop: () => Promise<void>;
}

const folder = await mkdtemp(join(tmpdir(), "testudo-turns-"));
const ids = ["n1", "n2", "n3"];
const nodes = new Map<string, Node>();
/** What this thread has computed: others that want the processor do not count. */
function threadMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const until = async (isSo: () => boolean) => {
  while (!isSo()) await sleep(20);
};
const options: Partial<EngineOptions> = {
  compactEntriesMin: 16,
  logTailEntries: 16,
  raft: { catchUpBytesMax: 0 },
};

function networkOf(from: string): Network {
  const buffered = new Map<string, number>();
  return {
    start: async () => undefined,
    close: async () => undefined,
    peers: () => [],
    bufferedBytes: (to) => buffered.get(to) ?? 0,
    send: (to, message) => {
      if (!nodes.has(to) || !nodes.has(from)) return;
      const bytes = encodeMessage(message);
      buffered.set(to, (buffered.get(to) ?? 0) + bytes.length);
      setTimeout(() => {
        buffered.set(to, (buffered.get(to) ?? 0) - bytes.length);
        nodes.get(to)?.engine.message(from, decodeMessage(bytes));
      }, 1);
    },
  };
}

const storages = new Map(ids.map((id) => [id, levelStorage(join(folder, id), id)]));
const opened = new Map(
  await Promise.all([...storages].map(async ([id, storage]) => [id, await storage.open()] as const)),
);
const members = ids.map((nodeId) => ({ nodeId, storeId: opened.get(nodeId)?.identity.storeId ?? "" }));

function start(id: string): Node {
  const storage = storages.get(id) as LevelStorage;
  const { identity, groups } = opened.get(id) as NonNullable<ReturnType<typeof opened.get>>;
  const replica = new Replica(id, identity.bootCount);
  const turns: Turn[] = [];
  const log = { info: () => {}, warn: () => {}, error: () => {} };
  const engine = new GroupEngine({
    self: { nodeId: id, storeId: identity.storeId },
    bootId: id,
    bootCount: identity.bootCount,
    founding: { clusterId: "c", members, addresses: [], groups: 1, level: 1 },
    persisted: groups,
    storage,
    network: networkOf(id),
    machineFor: () => replica.machine,
    clock: {
      now: () => ({ monotonicMs: performance.now(), wallMs: Date.now() }),
      setTimer: (run, ms) => {
        const timer = setTimeout(run, ms);
        return () => clearTimeout(timer);
      },
      defer: (run) =>
        void setImmediate(() => {
          const [begunMs, begunCpuMs] = [performance.now(), threadMs()];
          run();
          turns.push({ begunMs, endedMs: performance.now(), cpuMs: threadMs() - begunCpuMs });
        }),
    },
    random: Math.random,
    log,
    fail: (error) => {
      throw error;
    },
    options,
  });
  const node = { id, engine, replica, turns, stop: () => engine.stop() };
  nodes.set(id, node);
  engine.start();
  for (const other of nodes.values()) {
    if (other.id === id) continue;
    for (const [one, two] of [
      [node, other],
      [other, node],
    ] as const)
      one.engine.linkUp({
        nodeId: two.id,
        storeId: "",
        bootId: two.id,
        clusterId: "c",
        levels,
        agreedLevel: 1,
      });
  }
  return node;
}

/** The pauses that collect garbage: three nodes share one heap here, and any of them may be in a turn when it is time. */
const collections: { readonly begunMs: number; readonly ms: number }[] = [];
new PerformanceObserver((list) => {
  for (const { startTime, duration } of list.getEntries())
    collections.push({ begunMs: startTime, ms: duration });
}).observe({ entryTypes: ["gc"] });

const collectingMs = ({ begunMs, endedMs }: Turn) =>
  collections.reduce(
    (sum, pause) => (pause.begunMs >= begunMs && pause.begunMs < endedMs ? sum + pause.ms : sum),
    0,
  );

function spread(what: string, turnsMs: readonly number[]): string {
  const sorted = [...turnsMs].sort((a, b) => b - a);
  const longest = sorted.slice(0, 3).map((ms) => ms.toFixed(1));
  const over = [10, 20].map((ms) => `${sorted.filter((each) => each > ms).length} over ${ms} ms`);
  return `${what} ${longest.join(", ")} ms (${over.join(", ")})`;
}

/** After a wait in which the observer has heard of every collection. */
async function tell(what: string, { id, turns }: Node): Promise<void> {
  const told = turns.splice(0);
  await sleep(10);
  const all = told.map(({ cpuMs }) => cpuMs);
  const own = told.map((turn) => Math.max(0, turn.cpuMs - collectingMs(turn)));
  process.stdout.write(
    `${what}, ${id}: ${told.length} turns, the longest ${spread("with collections", all)}, ${spread("without", own)}\n`,
  );
}

await defineTestRoom("world", World);
const [first, second] = [start("n1"), start("n2")];
await until(() => first.engine.isLeader(0) || second.engine.isLeader(0));
const writer = new LogWriter();
for (let room = 0; room < rooms; room++) {
  const { command } = writer.allocate("n1", `world${room}`, "world");
  await first.engine.propose(0, command);
}
const status = () => first.engine.status()[0];
const saved = () => status()?.baseIndex ?? 0;
await until(() => saved() >= rooms);
const sizes = [...(await (storages.get("n1") as LevelStorage).listCheckpoints(0)).values()].map(
  ({ sizeBytes }) => sizeBytes,
);
const mib = (sizes.reduce((sum, size) => sum + size, 0) / 2 ** 20).toFixed(1);
process.stdout.write(
  `${sizes.length} parts, ${mib} MiB, the largest ${(Math.max(...sizes) / 1024).toFixed(0)} KiB\n`,
);
for (const node of [first, second]) await tell("rooms made, and checkpoints of all of them", node);
await sleep(3000);
for (const node of [first, second]) await tell("rooms tick, and are saved each second", node);
const begunMs = performance.now();
const third = start("n3");
await until(() => (third.engine.status()[0]?.baseIndex ?? 0) > 0);
const installedMs = performance.now();
for (const node of [third, first, second]) await tell("the snapshot is sent, staged and swapped in", node);
await until(() => third.engine.isServing(0));
const servingMs = performance.now();
for (const node of [third, first, second]) await tell("its rooms are brought back", node);
process.stdout.write(
  `installed after ${((installedMs - begunMs) / 1000).toFixed(1)} s, serving after ${((servingMs - begunMs) / 1000).toFixed(1)} s\n`,
);
for (const node of nodes.values()) await node.stop();
for (const storage of storages.values()) await storage.close();
await rm(folder, { recursive: true });
process.exit(0);

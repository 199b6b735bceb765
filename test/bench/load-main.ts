/** The load, in a process of its own: opens connections and keeps a number of commands in flight on each. */
import assert from "node:assert/strict";
import type { Connection } from "./connection.ts";
import { EtcdConnection } from "./etcd-connection.ts";
import type { LoadJob, LoadResult } from "./load-job.ts";
import { quantile } from "./quantile.ts";
import { RoomConnection } from "./room-connection.ts";

const opensAtOnce = 8;
let connections: Connection[] = [];

async function openAll<T>(
  places: readonly T[],
  open: (place: T, at: number) => Promise<Connection>,
): Promise<void> {
  for (let at = 0; at < places.length; at += opensAtOnce) {
    const some = places.slice(at, at + opensAtOnce);
    connections.push(...(await Promise.all(some.map((place, k) => open(place, at + k)))));
  }
  for (const connection of connections) {
    connection.failed = (reason) => {
      process.stderr.write(`load: ${reason}\n`);
      process.exit(1);
    };
  }
}

async function run({ inFlight, durationMs }: { inFlight: number; durationMs: number }): Promise<LoadResult> {
  const latenciesMs: number[] = [];
  const cpu = process.cpuUsage();
  const startedMs = performance.now();
  const untilMs = startedMs + durationMs;
  let waiting = 0;
  const seconds = await new Promise<number>((resolve) => {
    for (const connection of connections) {
      connection.replied = (sentMs) => {
        const nowMs = performance.now();
        waiting -= 1;
        latenciesMs.push(nowMs - sentMs);
        if (nowMs < untilMs) {
          waiting += 1;
          connection.send();
        } else if (waiting === 0) resolve((nowMs - startedMs) / 1000);
      };
      for (let sent = 0; sent < inFlight; sent++) {
        waiting += 1;
        connection.send();
      }
    }
  });
  const { user, system } = process.cpuUsage(cpu);
  latenciesMs.sort((a, b) => a - b);
  return {
    commands: latenciesMs.length,
    seconds,
    p50Ms: quantile(latenciesMs, 0.5),
    p99Ms: quantile(latenciesMs, 0.99),
    cpuMs: (user + system) / 1000,
  };
}

async function work(job: LoadJob): Promise<LoadResult | null> {
  switch (job.type) {
    case "openRooms":
      await openAll(job.urls, (url) => RoomConnection.open(url));
      return null;
    case "openEtcd":
      await openAll(job.ports, (port, at) => EtcdConnection.open(port, `bench/${process.pid}/${at}`));
      return null;
    case "run":
      return await run(job);
    case "close":
      for (const connection of connections) connection.close();
      connections = [];
      return null;
  }
}

process.on("message", (job: LoadJob) => {
  work(job).then(
    (result) => {
      assert(process.send !== undefined, "the load process is forked by the bench");
      process.send(result);
    },
    (error: unknown) => {
      process.stderr.write(`load: ${String(error)}\n`);
      process.exit(1);
    },
  );
});
process.on("disconnect", () => process.exit(0));

import childProcess from "node:child_process";
import dgram from "node:dgram";
import dns from "node:dns";
import fs from "node:fs";
import fsPromises from "node:fs/promises";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import workerThreads from "node:worker_threads";
import { currentWorld } from "../../session/sandbox.ts";

const remedy =
  "its answer would differ from replica to replica: wait for it with an effect of the room (await this.effect(name, data)), or bring it in from outside with room.propose()";

function refuseInside(name: string): void {
  const world = currentWorld();
  if (world === null) return;
  throw Object.assign(new Error(`${name} inside ${world.label}: ${remedy}`), { code: "OUTSIDE_FROM_ROOM" });
}

function guard(owner: object, ownerName: string, names: readonly string[]): void {
  const table = owner as Record<string, unknown>;
  for (const name of names) {
    const original = table[name];
    if (typeof original !== "function") continue;
    table[name] = new Proxy(original, {
      apply(target, self, args: unknown[]) {
        refuseInside(`${ownerName}.${name}()`);
        return Reflect.apply(target, self, args) as unknown;
      },
      construct(target, args: unknown[], newTarget) {
        refuseInside(`new ${ownerName}.${name}`);
        return Reflect.construct(target, args, newTarget) as object;
      },
    });
  }
}

/** Network, files, processes and threads inside a room are errors that name the remedy. (Writing a log line is not.) */
export function guardOutside(): void {
  guard(globalThis, "globalThis", ["fetch", "WebSocket", "EventSource"]);
  guard(net, "net", ["connect", "createConnection", "createServer"]);
  guard(dgram, "dgram", ["createSocket"]);
  guard(dns, "dns", ["lookup", "resolve"]);
  for (const [name, module] of [
    ["http", http],
    ["https", https],
  ] as const)
    guard(module, name, ["request", "get", "createServer"]);
  guard(childProcess, "child_process", [
    "spawn",
    "spawnSync",
    "exec",
    "execSync",
    "execFile",
    "execFileSync",
    "fork",
  ]);
  // The same entry would end every replica, and end it again on replay.
  guard(process, "process", ["exit", "abort", "kill"]);
  guard(workerThreads, "worker_threads", ["Worker"]);
  const reading = ["readFile", "readdir", "stat", "open", "access"];
  guard(fs, "fs", [...reading, ...reading.map((name) => `${name}Sync`), "createReadStream", "existsSync"]);
  guard(fsPromises, "fs/promises", reading);
}

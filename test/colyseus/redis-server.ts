import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { freePort } from "../cluster/spawned.ts";

/** A Redis of the machine's own package, which keeps nothing. */
export class RedisServer {
  readonly url: string;
  readonly #child: ChildProcess;

  private constructor(url: string, child: ChildProcess) {
    this.url = url;
    this.#child = child;
  }

  /** Null where none is installed. */
  static async start(): Promise<RedisServer | null> {
    if (spawnSync("redis-server", ["--version"]).error !== undefined) return null;
    const port = await freePort();
    const options = ["--port", `${port}`, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
    const child = spawn("redis-server", options, { stdio: ["ignore", "pipe", "inherit"] });
    for await (const line of createInterface({ input: child.stdout as Readable }))
      if (/ready to accept connections/i.test(line))
        return new RedisServer(`redis://127.0.0.1:${port}`, child);
    throw new Error(`redis-server ended with ${child.exitCode}`);
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, "exit");
    this.#child.kill();
    await ended;
  }
}

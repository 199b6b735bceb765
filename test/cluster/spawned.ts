import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";

const folder = dirname(fileURLToPath(import.meta.url));
/** Far beyond what anything here takes: only so that a hanging test says what it waited for. */
const patienceMs = 60_000;

/** A process of a test's own: its lines, and its end. */
export class Spawned {
  readonly stdout: string[] = [];
  readonly stderr: string[] = [];
  readonly ended: Promise<{ code: number | null; signal: string | null }>;
  readonly child: ChildProcess;
  #wake: (() => void)[] = [];

  /** `script`: a file beside this one. `flags`: Node's own. */
  constructor(
    script: string,
    args: readonly string[],
    {
      ipc = false,
      env = {},
      cwd = folder,
      flags = [],
    }: { ipc?: boolean; env?: NodeJS.ProcessEnv; cwd?: string; flags?: readonly string[] } = {},
  ) {
    this.child = spawn(process.execPath, [...flags, join(folder, script), ...args], {
      cwd,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe", ...(ipc ? (["ipc"] as const) : [])],
    });
    const read = (["stdout", "stderr"] as const).map((stream) => {
      const lines = createInterface({ input: this.child[stream] as Readable });
      lines.on("line", (line) => {
        this[stream].push(line);
        this.#wakeAll();
      });
      return once(lines, "close");
    });
    // Not `close`: that never comes once this side has disconnected the IPC channel.
    this.ended = Promise.all([once(this.child, "exit"), ...read]).then(([[code, signal]]) => {
      this.#wakeAll();
      return { code, signal };
    });
  }

  get pid(): number {
    return this.child.pid as number;
  }

  get isOver(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** The first line of stdout from `from` on that matches. */
  async line(pattern: RegExp, from = 0): Promise<string> {
    const untilMs = performance.now() + patienceMs;
    for (;;) {
      const found = this.stdout.slice(from).find((line) => pattern.test(line));
      if (found !== undefined) return found;
      const output = () => [...this.stdout, ...this.stderr].slice(-30).join("\n");
      if (this.isOver) throw new Error(`ended without a line like ${pattern}:\n${output()}`);
      if (performance.now() > untilMs) throw new Error(`no line like ${pattern}:\n${output()}`);
      await new Promise<void>((resolve) => {
        this.#wake.push(resolve);
        setTimeout(resolve, 100);
      });
    }
  }

  async end(
    signal: "SIGTERM" | "SIGINT" | "SIGKILL" = "SIGKILL",
  ): Promise<{ code: number | null; signal: string | null }> {
    if (!this.isOver) this.child.kill(signal);
    return await this.ended;
  }

  #wakeAll(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}

/** Waits until `look` gives something else than null or false. */
export async function eventually<T>(
  what: string,
  look: () => T | null | false | Promise<T | null | false>,
): Promise<T> {
  const untilMs = performance.now() + patienceMs;
  for (;;) {
    const found = await look();
    if (found !== null && found !== false) return found;
    if (performance.now() > untilMs) throw new Error(`in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/**
 * Ports below where the system takes its own from: some for each of the files that run at once and may want one (test/run.ts), so that
 * what is free when somebody looks is free still when he listens.
 */
const lanes = 3;
const firstPort = 20_000;
const lanePorts = 4_000;
const portsApart = 300;
let given = Math.floor(Math.random() * lanePorts);

/** A port such that this one and all at `offsets` (less than 300) from it are free now; each time others. */
export async function freePort(offsets: readonly number[] = []): Promise<number> {
  const lane = Number(process.env["TEST_LANE"] ?? Math.floor(Math.random() * lanes));
  for (;;) {
    given = (given + portsApart) % (lanePorts - portsApart);
    const port = firstPort + lane * lanePorts + given;
    const free = await Promise.all([...new Set([0, ...offsets])].map((offset) => isFree(port + offset)));
    if (free.every(Boolean)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resolve(true)));
  });
}

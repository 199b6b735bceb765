import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const nodesCount = 3;
const patienceMs = 60_000;

/** What is the same about a cluster of three Testudo nodes and one of three etcd members. */
export abstract class Cluster {
  readonly folder: string;
  readonly #children: (ChildProcess | null)[] = Array.from({ length: nodesCount }, () => null);
  readonly #lastLines: string[][] = Array.from({ length: nodesCount }, () => []);

  constructor(name: string) {
    this.folder = mkdtempSync(join(tmpdir(), `testudo-bench-${name}-`));
  }

  /** Program and arguments of node k: 0, 1, 2. */
  protected abstract command(node: number): readonly [string, readonly string[]];
  /** Every node serves, and there is a leader wherever there must be one. */
  protected abstract isReady(): Promise<boolean>;

  async start(): Promise<void> {
    for (let node = 0; node < nodesCount; node++) this.startNode(node);
    await this.ready();
  }

  startNode(node: number): void {
    const [program, args] = this.command(node);
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
    this.#children[node] = child;
    const lines = this.#lastLines[node] as string[];
    const keep = (bytes: Buffer): void => {
      lines.push(bytes.toString("utf8"));
      if (lines.length > 20) lines.shift();
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
  }

  async ready(): Promise<void> {
    const untilMs = performance.now() + patienceMs;
    for (;;) {
      if (await this.isReady().catch(() => false)) return;
      const ended = this.#children.findIndex((child) => child !== null && child.exitCode !== null);
      if (ended >= 0 || performance.now() > untilMs) {
        throw new Error(
          `the cluster does not come up:\n${(this.#lastLines[Math.max(0, ended)] ?? []).join("")}`,
        );
      }
      await sleep(50);
    }
  }

  pid(node: number): number {
    return this.#children[node]?.pid ?? 0;
  }

  /** kill -9; resolves with the moment at which the signal was sent. */
  kill(node: number): number {
    const killedMs = performance.now();
    this.#children[node]?.kill("SIGKILL");
    return killedMs;
  }

  async ended(node: number): Promise<void> {
    const child = this.#children[node];
    if (child && child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }

  /** Starts a node that was killed; resolves once the cluster is whole again. */
  async restart(node: number): Promise<void> {
    await this.ended(node);
    this.startNode(node);
    await this.ready();
  }

  /** Processor time of all nodes since they were started, in milliseconds (10 ms steps). */
  cpuMs(): number {
    return this.#children.reduce(
      (sum, child) => sum + (child?.pid === undefined ? 0 : processCpuMs(child.pid)),
      0,
    );
  }

  async stop(): Promise<void> {
    for (const child of this.#children) child?.kill("SIGTERM");
    const late = setTimeout(() => {
      for (const child of this.#children) child?.kill("SIGKILL");
    }, 8_000);
    for (let node = 0; node < nodesCount; node++) await this.ended(node);
    clearTimeout(late);
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Leaves nothing running, whatever happened. */
  killAll(): void {
    for (const child of this.#children) child?.kill("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const ticksPerSecond = 100;

/** User and system time of a process: fields 14 and 15 of /proc/PID/stat. */
function processCpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / ticksPerSecond;
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A port such that all at `offsets` (each once) from it are free now; below where the system takes its own from. */
export async function freePort(offsets: readonly number[]): Promise<number> {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 18_000);
    const free = await Promise.all(offsets.map((offset) => isFree(port + offset)));
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

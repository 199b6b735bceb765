import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { StatusJson } from "../../server/admin/status.ts";
import { prepareFolder } from "../../server/cluster/starter-folder.ts";
import { type NodePlan, planNodes, readStarterOptions } from "../../server/cluster/starter-options.ts";
import type { RoomStatus } from "../../server/colyseus/room-status.ts";
import { freePort } from "../cluster/spawned.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
/** Where nodes run, and what Node loads before their code. */
const checkout: Place = {
  cwd: root,
  imports: [pathToFileURL(join(root, "server/colyseus/register.ts")).href],
};
/** Far beyond what anything here takes: only so that a hanging test says what it waited for. */
const patienceMs = 90_000;
const statusAnswerMs = 2_000;
/** What a failing test shows of each node. */
const linesShown = 25;
const lineLengthShown = 300;

export interface Place {
  readonly cwd: string;
  readonly imports: readonly string[];
}

/** How a node's process ended. */
export interface End {
  readonly code: number | null;
  readonly signal: string | null;
}

/** One process of a node: its lines and its end. */
export class NodeProcess {
  readonly lines: string[] = [];
  readonly ended: Promise<End>;
  readonly #child: ChildProcess;

  /** @param fileKiBMax a quota: no file of the process can grow beyond it */
  constructor(
    main: string,
    args: readonly string[],
    { fileKiBMax = null, place = checkout }: { fileKiBMax?: number | null; place?: Place } = {},
  ) {
    const imports = place.imports.flatMap((each) => ["--import", each]);
    const command = [process.execPath, ...imports, main, ...args];
    const limited = ["bash", "-c", `ulimit -f ${fileKiBMax}; exec "$@"`, "bash", ...command];
    const [file = "", ...rest] = fileKiBMax === null ? command : limited;
    this.#child = spawn(file, rest, {
      cwd: place.cwd,
      stdio: ["ignore", "pipe", "pipe"],
      env: Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("TESTUDO_"))),
    });
    const read = (["stdout", "stderr"] as const).map((stream) => {
      const lines = createInterface({ input: this.#child[stream] as Readable });
      lines.on("line", (line) => this.lines.push(line));
      return once(lines, "close");
    });
    this.ended = Promise.all([once(this.#child, "exit"), ...read]).then(([[code, signal]]) => ({
      code,
      signal,
    }));
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  get isOver(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.isOver) this.#child.kill(signal);
  }

  async end(signal: "SIGTERM" | "SIGKILL"): Promise<End> {
    this.signal(signal);
    return await this.ended;
  }
}

/**
 * For nodes under tests that do not look at failovers: a machine that is busy with other things makes nodes miss their
 * heartbeats, and players are sent from one to the next.
 */
export const unhurried = ["--election-timeout-base-ms=400", "--leaderless-ms=10000"] as const;

export interface ClusterOptions {
  readonly nodes?: number;
  /** What every node runs, or each by its id, from the root of the repository or its `place`. */
  readonly main?: string | Readonly<Record<string, string>>;
  /** Another project than this one. */
  readonly place?: Place;
  /** For every node, after the usual ones. */
  readonly args?: readonly string[];
  /** Ports that the test needs beside the nodes' own, counted from the first node's: kept free at the planning. */
  readonly spareOffsets?: readonly number[];
}

/** A real cluster: a process for each node, on free ports, with a data folder of its own. */
export class Cluster {
  readonly plans: readonly NodePlan[];
  readonly data: string;
  readonly #main: (id: string, place: Place) => string;
  readonly #extra: readonly string[];
  readonly #place: Place;
  /** Every process that was ever started, the last one of each node last. */
  readonly #started: { readonly id: string; readonly process: NodeProcess }[] = [];

  private constructor(given: {
    plans: readonly NodePlan[];
    data: string;
    main: (id: string, place: Place) => string;
    extra: readonly string[];
    place: Place;
  }) {
    this.plans = given.plans;
    this.data = given.data;
    this.#main = given.main;
    this.#extra = given.extra;
    this.#place = given.place;
  }

  /** Plans it; nothing runs yet. */
  static async plan({
    nodes = 3,
    main = "server/main.ts",
    args = [],
    spareOffsets = [],
    place = checkout,
  }: ClusterOptions): Promise<Cluster> {
    const offsets = Array.from({ length: nodes }, (_, k) => [k, k + 100]).flat();
    const port = await freePort([...offsets, ...spareOffsets]);
    const data = mkdtempSync(join(tmpdir(), "testudo-e2e-"));
    const argv = [`--nodes=${nodes}`, `--port=${port}`, `--data=${join(data, "cluster")}`, "--config=none"];
    const parsed = readStarterOptions({ argv, env: {}, cwd: root });
    if (parsed.type === "help") throw new Error("no help was asked for");
    const plans = planNodes(parsed.options, prepareFolder(parsed.options));
    const mainOf = (id: string, { cwd }: Place) =>
      resolve(cwd, typeof main === "string" ? main : (main[id] ?? ""));
    return new Cluster({ plans, data, main: mainOf, extra: args, place });
  }

  get ids(): readonly string[] {
    return this.plans.map(({ id }) => id);
  }

  get urls(): readonly string[] {
    return this.plans.map(({ url }) => url);
  }

  planOf(id: string): NodePlan {
    const plan = this.plans.find((one) => one.id === id);
    if (plan === undefined) throw new Error(`there is no node ${id}`);
    return plan;
  }

  url(id: string): string {
    return this.planOf(id).url;
  }

  /** The present process of a node, or its last one. */
  process(id: string): NodeProcess {
    const found = this.#started.findLast((one) => one.id === id);
    if (found === undefined) throw new Error(`${id} was never started`);
    return found.process;
  }

  /** Starts a node's process. @param args after the node's own ones @param how `place`: another build than the others' */
  launch(
    id: string,
    args: readonly string[] = [],
    {
      fileKiBMax = null,
      place = this.#place,
    }: { readonly fileKiBMax?: number | null; readonly place?: Place } = {},
  ): NodeProcess {
    const process = new NodeProcess(
      this.#main(id, place),
      // A room that its checkpoint would not bring back shows where a test looks for it, not before.
      [...this.planOf(id).args, "--no-shadow-restore", ...this.#extra, ...args],
      { fileKiBMax, place },
    );
    this.#started.push({ id, process });
    return process;
  }

  launchAll(): void {
    for (const id of this.ids) this.launch(id);
  }

  async kill(id: string): Promise<void> {
    await this.process(id).end("SIGKILL");
  }

  /** Null if the node does not answer. */
  async status(id: string): Promise<StatusJson | null> {
    try {
      const answer = await fetch(`${this.url(id)}/testudo/status`, {
        signal: AbortSignal.timeout(statusAnswerMs),
      });
      return answer.ok ? ((await answer.json()) as StatusJson) : null;
    } catch {
      return null;
    }
  }

  async room(id: string, roomId: string): Promise<RoomStatus | null> {
    return (await this.status(id))?.rooms.find((room) => room.roomId === roomId) ?? null;
  }

  /** Waits until each of these nodes serves, is linked with all others of these and has applied what they had. */
  async ready(ids: readonly string[] = this.ids): Promise<void> {
    const goal = new Map<number, number>();
    for (const id of ids) {
      for (const { id: group, appliedIndex } of (await this.status(id))?.groups ?? []) {
        goal.set(group, Math.max(goal.get(group) ?? 0, appliedIndex));
      }
    }
    for (const id of ids) {
      await this.until(`${id} is ready`, async () => {
        for (const other of ids) this.#mustRun(other);
        const status = await this.status(id);
        if (status?.state !== "serving" || status.groups.length === 0) return false;
        const linked = ids.every(
          (other) => other === id || status.peers.some(({ node, state }) => node === other && state === "up"),
        );
        return (
          linked &&
          status.groups.every(
            (group) => group.leader !== null && group.appliedIndex >= (goal.get(group.id) ?? 0),
          )
        );
      });
    }
  }

  /** Waits until `look` gives something else than null or false. */
  async until<T>(what: string, look: () => T | null | false | Promise<T | null | false>): Promise<T> {
    return await until(what, look);
  }

  #mustRun(id: string): void {
    const process = this.process(id);
    if (process.isOver) throw new Error(`${id} has ended: ${process.lines.at(-1) ?? ""}`);
  }

  /** The last lines of every process: what a failing test shows. */
  tail(): string {
    return this.#started
      .slice(-2 * this.plans.length)
      .map(({ id, process }) => {
        // Stacks of room code fill the log; its first line says what it was.
        const telling = process.lines.filter((line) => !/^\s+at /.test(line));
        const lines = telling.slice(-linesShown).map((line) => `  ${line.slice(0, lineLengthShown)}`);
        return [`—— ${id} (pid ${process.pid}${process.isOver ? ", ended" : ""})`, ...lines].join("\n");
      })
      .join("\n");
  }

  /** All lines that any process of any node ever wrote and that match. */
  linesLike(pattern: RegExp): string[] {
    return this.#started.flatMap(({ id, process }) =>
      process.lines.filter((line) => pattern.test(line)).map((line) => `${id} | ${line}`),
    );
  }

  async end(): Promise<void> {
    await Promise.all(this.#started.map(({ process }) => process.end("SIGKILL")));
    rmSync(this.data, { recursive: true, force: true });
  }
}

/** Runs `run` with a cluster that is ready, and leaves nothing behind; when it fails the nodes' last lines are shown. */
export async function withCluster(
  options: ClusterOptions,
  run: (cluster: Cluster) => Promise<void>,
): Promise<void> {
  const cluster = await Cluster.plan(options);
  try {
    cluster.launchAll();
    await cluster.ready();
    await run(cluster);
  } catch (error) {
    process.stderr.write(`${cluster.tail()}\n`);
    throw error;
  } finally {
    await cluster.end();
  }
}

/** Waits until `look` gives something else than null or false. @throws Error that says what, after 90 s */
export async function until<T>(
  what: string,
  look: () => T | null | false | Promise<T | null | false>,
): Promise<T> {
  const endMs = performance.now() + patienceMs;
  for (;;) {
    const found = await look();
    if (found !== null && found !== false) return found;
    if (performance.now() > endMs) throw new Error(`in vain: ${what}`);
    await sleep(25);
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

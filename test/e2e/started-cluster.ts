import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { StatusJson } from "../../server/admin/status.ts";
import { freePort } from "../cluster/spawned.ts";
import { until } from "./cluster.ts";

const linesShown = 80;
const lineLengthShown = 300;
const statusAnswerMs = 2_000;
const script = fileURLToPath(new URL("starter-main.ts", import.meta.url));

/** Three nodes under the starter, which brings back who ends. */
export class StartedCluster {
  readonly ids = ["n1", "n2", "n3"] as const;
  readonly urls: readonly string[];
  readonly lines: string[] = [];
  readonly #folder: string;
  readonly #child: ReturnType<typeof spawn>;

  private constructor(port: number, flags: readonly string[], args: readonly string[]) {
    this.#folder = mkdtempSync(join(tmpdir(), "testudo-started-"));
    this.urls = this.ids.map((_, at) => `http://localhost:${port + at}`);
    const own = [`--port=${port}`, `--data=${join(this.#folder, "cluster")}`, "--config=none", "--verbose"];
    this.#child = spawn(process.execPath, [script, ...flags, "--", ...own, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("TESTUDO_"))),
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on("line", (line) => this.lines.push(line));
    }
  }

  static async start(flags: readonly string[], args: readonly string[]): Promise<StartedCluster> {
    const cluster = new StartedCluster(await freePort([1, 2, 100, 101, 102]), flags, args);
    await cluster.serves();
    return cluster;
  }

  /** Null: the node does not answer. */
  async status(at: number): Promise<StatusJson | null> {
    try {
      const signal = AbortSignal.timeout(statusAnswerMs);
      const answer = await fetch(`${this.urls[at]}/testudo/status`, { signal });
      return answer.ok ? ((await answer.json()) as StatusJson) : null;
    } catch {
      return null;
    }
  }

  /** Each node's status, as soon as all of them fulfil `is`. */
  async all(what: string, is: (status: StatusJson) => boolean): Promise<readonly StatusJson[]> {
    return await until(what, async () => {
      if (this.#child.exitCode !== null) throw new Error(`the starter has ended:\n${this.tail()}`);
      const statuses = await Promise.all(this.ids.map((_, at) => this.status(at)));
      const fulfilled = statuses.filter((status) => status !== null && is(status)) as StatusJson[];
      return fulfilled.length === this.ids.length ? fulfilled : null;
    });
  }

  async serves(): Promise<void> {
    await this.all(
      "all nodes serve and are linked",
      ({ state, groups, peers }) =>
        state === "serving" &&
        groups.every(({ leader }) => leader !== null) &&
        peers.every((peer) => peer.state === "up"),
    );
  }

  /** What is in a node's folder of marks. */
  marks(id: string): readonly string[] {
    return readdirSync(join(this.#folder, "cluster", id, "room-marks")).filter((name) =>
      name.includes(".mark."),
    );
  }

  tail(): string {
    return this.lines
      .slice(-linesShown)
      .map((line) => line.slice(0, lineLengthShown))
      .join("\n");
  }

  async end(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill("SIGTERM");
      await once(this.#child, "exit");
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

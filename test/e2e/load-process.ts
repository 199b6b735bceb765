import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { Cluster } from "./cluster.ts";
import { until } from "./cluster.ts";
import { Journal } from "./journal.ts";

const script = fileURLToPath(new URL("load.ts", import.meta.url));
const linesShown = 20;

type Order = "burst" | "pause" | "resume";

interface Players {
  readonly stock: number;
  readonly wrapper: number;
  /** On these nodes; by default on all. */
  readonly ids?: readonly string[];
}

/** The process of load.ts: it knows nothing of the test, and the nodes' deaths are not its own. */
export class Load {
  readonly #child: ChildProcess;
  readonly #file: string;
  readonly #lines: string[] = [];
  readonly #answers: unknown[] = [];

  private constructor(cluster: Cluster, { stock, wrapper, ids = cluster.ids }: Players) {
    this.#file = join(cluster.data, "journal.jsonl");
    this.#child = spawn(
      process.execPath,
      [script, this.#file, ids.map((id) => cluster.url(id)).join(","), String(stock), String(wrapper)],
      {
        stdio: ["ignore", "pipe", "pipe", "ipc"],
      },
    );
    this.#child.on("message", (message) => this.#answers.push(message));
    for (const stream of ["stdout", "stderr"] as const) {
      createInterface({ input: this.#child[stream] as Readable }).on("line", (line) =>
        this.#lines.push(line),
      );
    }
  }

  /** All its players have joined and fire. */
  static async start(cluster: Cluster, players: Players): Promise<Load> {
    const load = new Load(cluster, players);
    await load.#answered("joined");
    return load;
  }

  get roomId(): string {
    const [first] = this.journal().ofType("joined");
    if (first === undefined) throw new Error("nobody has joined");
    return first.roomId;
  }

  journal(): Journal {
    return new Journal(readFileSync(this.#file, "utf8"));
  }

  /** `burst`: everybody has just fired; `pause`: nobody fires, and everything was answered. */
  async order(order: Order): Promise<void> {
    this.#child.send(order);
    await this.#answered(order);
  }

  tail(): string {
    return ["—— load", ...this.#lines.slice(-linesShown).map((line) => `  ${line}`)].join("\n");
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill("SIGKILL");
    await once(this.#child, "exit");
  }

  async #answered(answer: string): Promise<void> {
    await until(`the load's answer "${answer}"`, () => {
      if (this.#child.exitCode !== null) throw new Error(`the load has ended:\n${this.tail()}`);
      const at = this.#answers.indexOf(answer);
      if (at < 0) return false;
      this.#answers.splice(at, 1);
      return true;
    });
  }
}

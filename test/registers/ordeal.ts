import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Cluster, sleep, until } from "../e2e/cluster.ts";
import { Chance } from "../sim/chance.ts";
import { type Torment, Torturer } from "../torture/torturer.ts";
import { Wire } from "../torture/wire.ts";
import type { Asked } from "./question.ts";
import { judge, type Verdict } from "./verdict.ts";

export interface OrdealOptions {
  /** At least so long, and at least so many torments: on a busy machine each takes longer. */
  readonly seconds: number;
  readonly tormentsMin: number;
  /** Chooses what is done, in which order; what the machine does with it is its own. */
  readonly seed: number;
  readonly nodes: number;
  readonly groups: number;
  readonly clients: number;
  readonly torments: readonly Torment[];
  readonly tell: (line: string) => void;
}

export interface OrdealReport extends Verdict {
  readonly inflicted: number;
  readonly perSecond: number;
}

const clientsMain = join(import.meta.dirname, "register-clients-main.ts");
/** Behind each node's port for peers, where others find the wire. */
const realPortOffset = 100;
const calmMs = { min: 100, max: 800 };
const answersBetween = 50;

/** Real nodes with registers, under load, and what may happen to them; then every answer is judged. */
export async function ordeal(options: OrdealOptions): Promise<OrdealReport> {
  const { nodes, groups } = options;
  const cluster = await Cluster.plan({
    nodes,
    main: "test/registers/register-main.ts",
    args: [`--groups=${groups}`],
    spareOffsets: Array.from({ length: nodes }, (_, at) => 2 * realPortOffset + at),
  });
  const wire = new Wire();
  const launch = (id: string) => {
    const { peerPort } = cluster.planOf(id);
    cluster.launch(id, [`--peer-port=${peerPort + realPortOffset}`]);
  };
  let clients: Clients | null = null;
  try {
    for (const id of cluster.ids) {
      const { peerPort } = cluster.planOf(id);
      await wire.place(id, { port: peerPort, target: peerPort + realPortOffset });
      launch(id);
    }
    await cluster.ready();
    clients = new Clients(cluster, options);
    const chance = new Chance(options.seed);
    const torturer = new Torturer({ cluster, wire, chance, members: () => cluster.ids, launch });
    return await run(options, { cluster, clients, chance, torturer });
  } catch (error) {
    process.stderr.write(`${cluster.tail()}\n`);
    throw error;
  } finally {
    await clients?.end();
    await cluster.end();
    await wire.end();
  }
}

async function run(
  { seconds, tormentsMin, torments, tell }: OrdealOptions,
  parts: { cluster: Cluster; clients: Clients; chance: Chance; torturer: Torturer },
): Promise<OrdealReport> {
  const { cluster, clients, chance, torturer } = parts;
  const begunMs = performance.now();
  const elapsed = () => (performance.now() - begunMs) / 1_000;
  let inflicted = 0;
  while (elapsed() < seconds || inflicted < tormentsMin) {
    await clients.answersAgain();
    const what = await torturer.inflict(chance.pick(torments));
    inflicted++;
    await cluster.ready();
    tell(
      `${elapsed().toFixed(0).padStart(4)} s  ${String(await clients.answered()).padStart(7)} answered  ${what}`,
    );
    await sleep(chance.between(calmMs.min, calmMs.max));
  }
  const perSecond = (await clients.answered()) / elapsed();
  await clients.finish();
  return { ...judge(clients.asked()), inflicted, perSecond };
}

interface Told {
  readonly order: string;
  readonly answered: number;
}

/** The process of register-clients-main.ts. */
class Clients {
  readonly #child: ChildProcess;
  /** Listened to from the start: it may have ended before anyone waits for it. */
  readonly #exited: Promise<unknown>;
  readonly #file: string;
  readonly #told: Told[] = [];
  readonly #lines: string[] = [];

  constructor(cluster: Cluster, { clients, groups }: OrdealOptions) {
    this.#file = join(cluster.data, "asked.jsonl");
    const args = [clientsMain, this.#file, String(clients), String(groups), ...cluster.urls];
    this.#child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe", "ipc"] });
    this.#exited = once(this.#child, "exit");
    this.#child.on("message", (message) => this.#told.push(message as Told));
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on("data", (bytes: Buffer) => this.#lines.push(bytes.toString("utf8")));
  }

  async answered(): Promise<number> {
    return await this.#order("progress");
  }

  /** Waits until something has been answered since the call: the load goes on. */
  async answersAgain(): Promise<void> {
    const before = await this.answered();
    await until("clients are answered again", async () => (await this.answered()) > before + answersBetween);
  }

  /** Everything was asked, and answered or given up. */
  async finish(): Promise<void> {
    await this.#order("finish");
    await this.#exited;
  }

  asked(): Asked[] {
    const lines = readFileSync(this.#file, "utf8").trimEnd().split("\n");
    return lines.map((line) => JSON.parse(line) as Asked);
  }

  async end(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#exited;
  }

  async #order(order: "progress" | "finish"): Promise<number> {
    this.#child.send(order);
    return await until(`the clients' answer to "${order}"`, () => {
      const at = this.#told.findIndex((told) => told.order === order);
      if (at >= 0) return (this.#told.splice(at, 1)[0]?.answered ?? 0) + 1;
      if (this.#child.exitCode !== null) throw new Error(`the clients have ended:\n${this.#lines.join("")}`);
      return null;
    });
  }
}

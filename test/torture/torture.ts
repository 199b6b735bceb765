import { join } from "node:path";
import { quantile } from "../bench/quantile.ts";
import { Cluster } from "../e2e/cluster.ts";
import { HashWatch } from "../e2e/hash-watch.ts";
import { Chance } from "../sim/chance.ts";
import { finalCounts, PlayerProcess } from "./player-process.ts";
import { type Torment, Torturer, torments } from "./torturer.ts";
import { judge, type Verdict } from "./verdict.ts";
import { Wire } from "./wire.ts";

export interface TortureOptions {
  readonly seconds: number;
  /** It goes on until there were as many, however long a busy machine takes for each. */
  readonly tormentsMin: number;
  /** Chooses what is done, in which order; what the machine does with it is its own. */
  readonly seed: number;
  readonly stock: number;
  readonly wrapper: number;
  /** Requests a second, all players together. */
  readonly rate: number;
  readonly tell: (line: string) => void;
}

export interface TortureReport extends Verdict {
  readonly seconds: number;
  readonly perSecond: number;
  readonly inflicted: Readonly<Partial<Record<Torment, number>>>;
  readonly moves: number;
  /** How long a player that was moved was away, ms: median, 99 %, most. */
  readonly gapsMs: readonly [number, number, number];
  readonly hashesCompared: number;
}

const nodes = 5;
const rooms = 4;
/** Behind each node's port for peers, where others find the wire. */
const realPortOffset = 100;
const calmMs = { min: 200, max: 1_500 };

/** Five real nodes under load, and everything that may happen to them. */
export async function torture(options: TortureOptions): Promise<TortureReport> {
  const cluster = await Cluster.plan({
    nodes,
    main: "test/torture/torture-main.ts",
    spareOffsets: [200, 201, 202, 203, 204],
  });
  const wire = new Wire();
  try {
    for (const id of cluster.ids) await wire.place(id, portsOf(cluster, id));
    for (const id of cluster.ids) launch(cluster, id);
    await cluster.ready();
    return await new Torture(options, cluster, wire).run();
  } catch (error) {
    process.stderr.write(`${cluster.tail()}\n`);
    throw error;
  } finally {
    await cluster.end();
    await wire.end();
  }
}

function portsOf(cluster: Cluster, id: string): { port: number; target: number } {
  const { peerPort } = cluster.planOf(id);
  return { port: peerPort, target: peerPort + realPortOffset };
}

function launch(cluster: Cluster, id: string): void {
  cluster.launch(id, [`--peer-port=${portsOf(cluster, id).target}`]);
}

class Torture {
  readonly #options: TortureOptions;
  readonly #cluster: Cluster;
  readonly #players: PlayerProcess;
  readonly #watch: HashWatch;
  readonly #torturer: Torturer;
  readonly #chance: Chance;
  readonly #inflicted: Partial<Record<Torment, number>> = {};

  constructor(options: TortureOptions, cluster: Cluster, wire: Wire) {
    this.#options = options;
    this.#cluster = cluster;
    this.#chance = new Chance(options.seed);
    const file = join(cluster.data, "history.jsonl");
    this.#players = new PlayerProcess({ ...options, file, urls: cluster.urls, rooms });
    this.#watch = new HashWatch(cluster);
    this.#torturer = new Torturer({
      cluster,
      wire,
      chance: this.#chance,
      members: () => cluster.ids,
      launch: (id) => launch(cluster, id),
    });
  }

  async run(): Promise<TortureReport> {
    const { seconds, tormentsMin, tell } = this.#options;
    try {
      await this.#players.joined();
      const begunMs = performance.now();
      const elapsed = () => (performance.now() - begunMs) / 1000;
      const plan = this.#order();
      for (let inflicted = 0; elapsed() < seconds || inflicted < tormentsMin; inflicted++) {
        const torment = plan.next().value;
        await this.#players.answersAgain();
        const what = await this.#torturer.inflict(torment);
        this.#inflicted[torment] = (this.#inflicted[torment] ?? 0) + 1;
        const healedMs = performance.now();
        await this.#cluster.ready();
        const recoveredMs = performance.now() - healedMs;
        const { answered } = await this.#players.progress();
        tell(
          `${elapsed().toFixed(0).padStart(4)} s  ${String(answered).padStart(8)} answered  ${what}; whole again after ${recoveredMs.toFixed(0)} ms`,
        );
        await new Promise((resolve) => setTimeout(resolve, this.#chance.between(calmMs.min, calmMs.max)));
      }
      return await this.#report(elapsed());
    } finally {
      await this.#watch.stop();
      await this.#players.end();
    }
  }

  /** Every kind once, in a random order, and again; all nodes at once seldom, for everybody waits then. */
  *#order(): Generator<Torment, never> {
    for (;;) {
      const left = torments.filter((torment) => torment !== "killAll" || this.#chance.hits(0.5));
      while (left.length > 0) yield left.splice(this.#chance.below(left.length), 1)[0] as Torment;
    }
  }

  async #report(seconds: number): Promise<TortureReport> {
    await this.#players.pause();
    const lines = this.#players.history();
    const urls = new Map(this.#cluster.plans.map(({ id, url }) => [id, url]));
    const verdict = judge(lines, await finalCounts(urls, lines));
    const differing = this.#watch.differing.map((what) => `replicas differ: ${what}`);
    const gaps = lines
      .flatMap((line) => (line.type === "moved" ? (line.gapMs ?? []) : []))
      .sort((a, b) => a - b);
    return {
      ...verdict,
      problems: [...verdict.problems, ...differing],
      seconds,
      perSecond: (verdict.ok + verdict.unknown) / seconds,
      inflicted: this.#inflicted,
      moves: gaps.length,
      gapsMs: [quantile(gaps, 0.5), quantile(gaps, 0.99), gaps.at(-1) ?? 0],
      hashesCompared: this.#watch.compared,
    };
  }
}

import type { Chance } from "./chance.ts";
import type { Cluster } from "./cluster.ts";
import type { Coverage } from "./coverage.ts";
import type { Trace } from "./trace.ts";

interface LagParts {
  readonly chance: Chance;
  readonly coverage: Coverage;
  readonly trace: Trace;
  /** Never, if the faults are over by then. */
  readonly later: (ms: number, run: () => void) => void;
}

/**
 * One way through the network takes long, the other does not: whoever is at the end of it believes what has not been so
 * for some time, that it is followed above all.
 */
export class Lags {
  readonly #cluster: Cluster;
  readonly #parts: LagParts;

  constructor(cluster: Cluster, parts: LagParts) {
    this.#cluster = cluster;
    this.#parts = parts;
  }

  happen(id: string): void {
    const { chance, later } = this.#parts;
    const node = chance.hits(0.7) ? this.#aLeaderOr(id) : id;
    const isLate = chance.hits(0.75);
    const ms = chance.between(20, 400);
    const others = this.#lag(node, ms, isLate);
    // What is late still comes, when nothing comes through the other way any more.
    if (chance.hits(0.7)) later(ms + chance.wait(150), () => this.#cutOff(node, others, isLate));
  }

  /** Whatever goes to `id` comes late for a while. */
  late(id: string): void {
    this.#lag(id, this.#parts.chance.between(20, 200), true);
  }

  #lag(node: string, ms: number, isLate: boolean): readonly string[] {
    const { chance, coverage, trace, later } = this.#parts;
    const { network, nodeIds } = this.#cluster;
    coverage.hit("lags");
    const others = nodeIds.filter((other) => other !== node);
    trace.note(`what goes ${isLate ? "to" : "from"} ${node} takes ${ms.toFixed(0)} ms longer`);
    const set = (lagMs: number) => {
      for (const other of others)
        if (isLate) network.lag(other, node, lagMs);
        else network.lag(node, other, lagMs);
    };
    set(ms);
    later(ms + chance.between(100, 2_000), () => set(0));
    return others;
  }

  #cutOff(node: string, others: readonly string[], isDumb: boolean): void {
    const { chance, trace, later } = this.#parts;
    const { network } = this.#cluster;
    trace.note(`${node} is ${isDumb ? "dumb" : "deaf"} besides`);
    const directions = others.map((other) => (isDumb ? ([node, other] as const) : ([other, node] as const)));
    for (const [from, to] of directions) network.cut(from, to);
    later(chance.between(50, 900), () => {
      for (const [from, to] of directions) network.heal(from, to);
    });
  }

  #aLeaderOr(id: string): string {
    const leaders = this.#cluster.processes.filter(({ node }) =>
      node.groups().some(({ role }) => role === "leader"),
    );
    return leaders.length === 0 ? id : this.#parts.chance.pick(leaders).nodeId;
  }
}

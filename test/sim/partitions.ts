import type { Chance } from "./chance.ts";
import type { Cluster } from "./cluster.ts";
import type { Coverage } from "./coverage.ts";
import type { Trace } from "./trace.ts";

const cutKinds = ["isolate", "isolateLeader", "deafenLeader", "split", "oneSided", "bridge"] as const;

/** How a network may fall apart. `flap`: some other way, on and off again at once, several times. */
export const partitionKinds = [...cutKinds, "flap"] as const;

export type PartitionKind = (typeof partitionKinds)[number];

/** From whom nothing comes through any more, and to whom. */
type Direction = readonly [from: string, to: string];

interface Cut {
  readonly directions: readonly Direction[];
  readonly what: string;
}

interface PartitionParts {
  readonly chance: Chance;
  readonly coverage: Coverage;
  readonly trace: Trace;
  /** Never, if the faults are over by then. */
  readonly later: (ms: number, run: () => void) => void;
}

/** Cuts of every kind between the nodes that there are, for some time each. */
export class Partitions {
  readonly #cluster: Cluster;
  readonly #parts: PartitionParts;

  constructor(cluster: Cluster, parts: PartitionParts) {
    this.#cluster = cluster;
    this.#parts = parts;
  }

  happen(kind: PartitionKind, id: string): void {
    if (kind === "flap") return this.#flap(id);
    if (kind === "bridge" && this.#parts.chance.hits(0.7)) return this.#shakyBridge();
    const cut = this.#cutOf(kind, id);
    if (cut === null) return;
    const { chance } = this.#parts;
    this.#cut(cut, chance.hits(0.5) ? chance.between(30, 500) : chance.between(500, 3_000));
  }

  /** `id` hears nothing of the others, for so long. */
  deafen(id: string, others: readonly string[], ms: number): void {
    this.#cut(this.#deafness(id, others), ms);
  }

  #cutOf(kind: (typeof cutKinds)[number], id: string): Cut | null {
    const { coverage } = this.#parts;
    switch (kind) {
      case "isolate":
        coverage.hit("partitions");
        return this.#isolation(id);
      case "isolateLeader": {
        const leader = this.#aLeader();
        if (leader === null) return null;
        coverage.hit("leadersIsolated");
        return this.#isolation(leader);
      }
      case "deafenLeader": {
        // It gives the lead up by itself, and its node goes on being heard.
        const leader = this.#aLeader();
        if (leader === null) return null;
        coverage.hit("leadersDeafened");
        return this.#deafness(leader, this.#otherThan(leader));
      }
      case "split":
        return this.#split();
      case "oneSided":
        coverage.hit("oneSidedPartitions");
        return this.#oneSided(id);
      case "bridge":
        coverage.hit("bridges");
        return this.#bridge(id);
    }
  }

  #otherThan(id: string): readonly string[] {
    return this.#cluster.nodeIds.filter((other) => other !== id);
  }

  #aLeader(): string | null {
    const leaders = this.#cluster.processes.filter(({ node }) =>
      node.groups().some(({ role }) => role === "leader"),
    );
    return leaders.length === 0 ? null : this.#parts.chance.pick(leaders).nodeId;
  }

  #isolation(id: string): Cut {
    return { directions: between([id], this.#otherThan(id)), what: `${id} is cut off` };
  }

  /** Two camps, of whatever size, that do not see each other. */
  #split(): Cut | null {
    const { chance, coverage } = this.#parts;
    const one: string[] = [];
    const other: string[] = [];
    for (const id of this.#cluster.nodeIds) (chance.hits(0.5) ? one : other).push(id);
    if (one.length === 0 || other.length === 0) return null;
    coverage.hit("splits");
    return {
      directions: between(one, other),
      what: `${one.join(", ")} and ${other.join(", ")} are two camps`,
    };
  }

  #oneSided(id: string): Cut {
    const { chance } = this.#parts;
    const all = this.#otherThan(id);
    const others = chance.hits(0.5) ? all : [chance.pick(all)];
    if (chance.hits(0.5)) return this.#deafness(id, others);
    const directions = others.map((other): Direction => [id, other]);
    return { directions, what: `${id} is dumb towards ${others.join(", ")}` };
  }

  #deafness(id: string, others: readonly string[]): Cut {
    const directions = others.map((other): Direction => [other, id]);
    return { directions, what: `${id} is deaf towards ${others.join(", ")}` };
  }

  /** The others are in two camps that do not see each other; this node sees both. */
  #bridge(id: string): Cut {
    const others = this.#otherThan(id);
    const here = others.slice(others.length / 2);
    const there = others.slice(0, others.length / 2);
    const what = `${id} is the bridge between ${here.join(", ")} and ${there.join(", ")}`;
    return { directions: between(here, there), what };
  }

  /** Who sees both camps loses its link to the leader again and again, while the other camp wants its vote. */
  #shakyBridge(): void {
    const { chance, coverage } = this.#parts;
    const leader = this.#aLeader();
    if (leader === null) return;
    const id = chance.pick(this.#otherThan(leader));
    const ms = chance.between(300, 2_000);
    coverage.hit("bridges");
    this.#cut(this.#bridge(id), ms);
    this.#shake(id, leader, ms);
  }

  #shake(id: string, other: string, leftMs: number): void {
    const { chance, later } = this.#parts;
    const waitMs = chance.wait(80);
    if (waitMs > leftMs) return;
    later(waitMs, () => {
      this.#cluster.network.dropLink(id, other);
      this.#shake(id, other, leftMs - waitMs);
    });
  }

  #flap(id: string): void {
    const { chance, coverage } = this.#parts;
    const kind = chance.pick(cutKinds);
    const cut = this.#cutOf(kind, id);
    if (cut === null) return;
    coverage.hit("flappings");
    this.#flapOn(cut, { times: 3 + chance.below(12), meanMs: chance.between(5, 150) });
  }

  #flapOn(cut: Cut, { times, meanMs }: { times: number; meanMs: number }): void {
    if (times === 0) return;
    const { chance, later } = this.#parts;
    const onMs = chance.wait(meanMs);
    this.#cut(cut, onMs);
    later(onMs + chance.wait(meanMs), () => this.#flapOn(cut, { times: times - 1, meanMs }));
  }

  #cut({ directions, what }: Cut, ms: number): void {
    const { trace, later } = this.#parts;
    const { network } = this.#cluster;
    trace.note(what);
    for (const [from, to] of directions) network.cut(from, to);
    later(ms, () => {
      trace.note(`no more: ${what}`);
      for (const [from, to] of directions) network.heal(from, to);
    });
  }
}

function between(ones: readonly string[], others: readonly string[]): readonly Direction[] {
  return ones.flatMap((one) =>
    others.flatMap((other): Direction[] => [
      [one, other],
      [other, one],
    ]),
  );
}

import type { Chance } from "./chance.ts";
import type { Cluster } from "./cluster.ts";
import type { Coverage } from "./coverage.ts";
import type { Trace } from "./trace.ts";

interface StrandingParts {
  readonly chance: Chance;
  readonly coverage: Coverage;
  readonly trace: Trace;
  /** Never, if the faults are over by then. */
  readonly later: (ms: number, run: () => void) => void;
}

/**
 * A leader is left alone in the middle of its work: its disk takes long, and what it says gets to nobody any more, while
 * it is still given work to do. What it has begun meets what the others have agreed since.
 */
export class Strandings {
  readonly #cluster: Cluster;
  readonly #parts: StrandingParts;

  constructor(cluster: Cluster, parts: StrandingParts) {
    this.#cluster = cluster;
    this.#parts = parts;
  }

  happen(): void {
    const { chance, coverage, trace, later } = this.#parts;
    const { network, nodeIds } = this.#cluster;
    const leaders = this.#cluster.processes.filter(({ node }) =>
      node.groups().some(({ role }) => role === "leader"),
    );
    if (leaders.length === 0) return;
    const { nodeId } = chance.pick(leaders);
    if (chance.hits(0.4)) return this.#stallAll(nodeId);
    const disk = this.#cluster.disk(nodeId);
    coverage.hit("strandings");
    trace.note(`${nodeId} is stranded`);
    const others = nodeIds.filter((other) => other !== nodeId);
    for (const other of others) network.cut(nodeId, other);
    later(chance.wait(10), () => disk.stall(chance.between(50, 900)));
    later(chance.between(100, 600), () => {
      trace.note(`${nodeId} is stranded no more`);
      for (const other of others) network.heal(nodeId, other);
    });
  }

  /** Nobody can take the lead over while all disks stall, and the leader's own goes on stalling. */
  #stallAll(leader: string): void {
    const { chance, coverage } = this.#parts;
    coverage.hit("stallsOfAll");
    const ms = chance.between(200, 900);
    for (const id of this.#cluster.nodeIds) this.#cluster.disk(id).stall(ms);
    this.#cluster.disk(leader).stall(ms + chance.between(300, 3_000));
  }
}

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
    const { chance, coverage, later } = this.#parts;
    const leaders = this.#cluster.processes.filter(({ node }) =>
      node.groups().some(({ role }) => role === "leader"),
    );
    if (chance.hits(0.35)) return this.#strandFollower();
    if (leaders.length === 0) return;
    const { nodeId } = chance.pick(leaders);
    if (chance.hits(0.4)) return this.#stallAll(nodeId);
    const disk = this.#cluster.disk(nodeId);
    coverage.hit("strandings");
    const aloneMs = chance.between(100, 600);
    if (chance.hits(0.4)) {
      this.#leaveAlone(nodeId, aloneMs);
      return later(chance.wait(10), () => disk.stall(chance.between(50, 900)));
    }
    // What waits for the disk then begins with what the others have got, and goes on with what they never will.
    disk.stall(aloneMs + chance.between(50, 900));
    later(chance.wait(30), () => this.#leaveAlone(nodeId, aloneMs));
  }

  /** What it had begun to save, and what comes of that, still waits for its slow disk when a snapshot comes instead. */
  #strandFollower(): void {
    const { chance, coverage, later } = this.#parts;
    const id = chance.pick(this.#cluster.nodeIds);
    const disk = this.#cluster.disk(id);
    coverage.hit("strandings");
    const beforeMs = chance.wait(30);
    const aloneMs = chance.between(100, 900);
    disk.stall(beforeMs + aloneMs + chance.between(-50, 100));
    disk.saveMs = chance.between(5, 150);
    later(beforeMs, () => this.#leaveAlone(id, aloneMs));
    later(beforeMs + aloneMs + chance.between(100, 800), () => {
      disk.saveMs = 1.5;
    });
  }

  #leaveAlone(nodeId: string, ms: number): void {
    const { trace, later } = this.#parts;
    const { network, nodeIds } = this.#cluster;
    trace.note(`${nodeId} is stranded`);
    const others = nodeIds.filter((other) => other !== nodeId);
    for (const other of others) network.cut(nodeId, other);
    later(ms, () => {
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

import type { Builds } from "./builds.ts";
import type { Chance } from "./chance.ts";
import type { Cluster } from "./cluster.ts";
import type { Coverage } from "./coverage.ts";
import type { Schedule } from "./schedule.ts";
import type { Trace } from "./trace.ts";

interface UpgradeParts {
  readonly builds: Builds;
  readonly schedule: Schedule;
  readonly chance: Chance;
  readonly coverage: Coverage;
  readonly trace: Trace;
}

/** Nodes are ended and started with the next version, one here and one there, and at times with the old one again. */
export class Upgrade {
  readonly #cluster: Cluster;
  readonly #parts: UpgradeParts;
  readonly #meanMs: number;
  #isOver = false;

  constructor(cluster: Cluster, parts: UpgradeParts, pace: number) {
    this.#cluster = cluster;
    this.#parts = parts;
    this.#meanMs = parts.chance.pick([80, 200, 500]) * pace;
  }

  start(): void {
    if (this.#parts.builds.isUpgrading) this.#soon();
  }

  #soon(): void {
    const { schedule, chance, builds } = this.#parts;
    schedule.in(chance.wait(this.#meanMs), null, () => {
      if (this.#isOver) return;
      const id = chance.pick(this.#cluster.nodeIds);
      const goesBack = builds.isNext(id);
      if (!goesBack || chance.hits(0.15)) this.#replace(id, !goesBack);
      this.#soon();
    });
  }

  #replace(id: string, isNext: boolean): void {
    const { builds, chance, coverage, trace, schedule } = this.#parts;
    trace.note(`${id} gets ${isNext ? "the next version" : "the old version again"}`);
    coverage.hit(isNext ? "upgrades" : "downgrades");
    builds.set(id, isNext);
    const process = this.#cluster.process(id);
    if (process === null) return;
    const boot = () => this.#cluster.boot(id);
    if (process.isReady && chance.hits(0.4)) this.#cluster.stop(id, boot);
    else {
      this.#cluster.crash(id, chance.hits(0.5) ? "killed" : "powerCut");
      schedule.in(chance.between(5, 200), null, boot);
    }
  }

  /** From now on nobody goes back; everybody has the next version in the end, or some never. */
  end(): void {
    this.#isOver = true;
    const { builds } = this.#parts;
    if (!builds.isUpgrading) return;
    for (const id of this.#cluster.nodeIds)
      if (!builds.isNext(id) && (builds.isFinished || builds.isRaised)) this.#replace(id, true);
  }

  /** Behind the end: whoever is left behind by what others have agreed on since cannot be linked until it has the next version. */
  followUp(): void {
    const { builds } = this.#parts;
    if (!builds.isRaised) return;
    for (const id of this.#cluster.nodeIds) if (!builds.isNext(id)) this.#replace(id, true);
  }

  /** Null: every group has agreed on what all of its members know. */
  unrest(): string | null {
    const { builds } = this.#parts;
    if (!builds.isUpgrading) return null;
    for (const { nodeId, node } of this.#cluster.processes) {
      for (const { id, level, members } of node.groups()) {
        const { voters, learners } = members.configuration;
        const all = [...voters, ...learners];
        const able = Math.min(
          ...all.map(({ nodeId: member }) => this.#cluster.process(member)?.levels.max ?? 0),
        );
        if (level.agreed < able)
          return `${nodeId} goes by level ${level.agreed} in group ${id}, whose members all know ${able}`;
      }
    }
    return null;
  }
}

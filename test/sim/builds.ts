import type { Levels } from "../../server/raft/level.ts";
import type { Chance } from "./chance.ts";
import type { Coverage } from "./coverage.ts";
import type { Trace } from "./trace.ts";
import { hold } from "./violation.ts";

/** What the version that a cluster runs knows at most, and the next one. */
const [present, next] = [1, 2];

/** Of the runs; in them nodes are replaced by the next version's while everything else goes wrong. */
const upgradingShare = 0.35;

interface BuildsParts {
  /** Of its own: other runs go on as they would without. */
  readonly chance: Chance;
  readonly coverage: Coverage;
  readonly trace: Trace;
}

/** Which version of Testudo each node starts with. */
export class Builds {
  readonly #parts: BuildsParts;
  readonly isUpgrading: boolean;
  /** Everybody has the next version in the end. */
  readonly isFinished: boolean;
  readonly #max = new Map<string, number>();
  /** Nodes that have run the next version, on the disk that they have. */
  readonly #wasNewer = new Set<string>();
  /** Some group has agreed on the next level. */
  isRaised = false;

  constructor(parts: BuildsParts) {
    this.#parts = parts;
    this.isUpgrading = parts.chance.hits(upgradingShare);
    this.isFinished = parts.chance.hits(0.7);
  }

  levelMax(id: string): number {
    return this.#max.get(id) ?? present;
  }

  /** A process of the node begins. */
  booted(id: string): Levels {
    const max = this.levelMax(id);
    if (max === next) this.#wasNewer.add(id);
    return { min: present, max };
  }

  /** A node with an empty disk: new, or after a loss. */
  isBlank(id: string): void {
    this.#wasNewer.delete(id);
    if (!this.isUpgrading) return;
    // Nobody would link with an older one.
    this.#max.set(id, this.isRaised || this.#parts.chance.hits(0.5) ? next : present);
  }

  set(id: string, isNext: boolean): void {
    this.#max.set(id, isNext ? next : present);
  }

  isNext(id: string): boolean {
    return this.levelMax(id) === next;
  }

  /** Why a process ended: it had gone back to a version that does not know what was agreed on. Its operator learns from that. */
  explains(id: string, error: unknown): boolean {
    const { code } = error as { code?: unknown };
    if (code !== "STORAGE_LEVEL" && code !== "LEVEL_UNKNOWN") return false;
    const { coverage, trace } = this.#parts;
    hold(
      this.#wasNewer.has(id) && !this.isNext(id),
      "V30",
      () =>
        `${id}, which knows ${this.levelMax(id)} and never knew more, has met what it does not know: ${String(error)}`,
    );
    coverage.hit("outdatedEnds");
    trace.note(`${id} gets the next version again`);
    this.set(id, true);
    return true;
  }
}

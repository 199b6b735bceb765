import type { GroupStatus } from "../../server/group/group-status.ts";
import type { PeerIdentity } from "../../server/network/network.ts";
import { members } from "../../server/raft/quorum.ts";
import type { Builds } from "./builds.ts";
import type { Coverage } from "./coverage.ts";
import type { Schedule } from "./schedule.ts";
import { hold } from "./violation.ts";

/** What a node's network was told of a peer last. */
export interface Told {
  readonly peer: PeerIdentity;
  /** Null: the link is up. */
  readonly downMs: number | null;
}

interface Seen {
  readonly term: number;
  readonly role: GroupStatus["role"];
  readonly level: number;
}

/** From the network to the group it takes a turn or two. */
const turnMsMax = 300;

/** What is agreed on between different versions of Testudo. */
export class LevelLaws {
  readonly #parts: { readonly builds: Builds; readonly coverage: Coverage; readonly schedule: Schedule };
  /** By "node group", of the process that runs now. */
  readonly #seen = new Map<string, Seen>();
  /** By group: the last index that anybody has applied under the lower level, and the first under the higher. */
  readonly #bounds = new Map<number, { low: number; high: number }>();

  constructor(parts: { builds: Builds; coverage: Coverage; schedule: Schedule }) {
    this.#parts = parts;
  }

  started(node: string): void {
    for (const key of [...this.#seen.keys()]) if (key.startsWith(`${node} `)) this.#seen.delete(key);
  }

  observe(node: string, statuses: readonly GroupStatus[], told: (peer: string) => Told | null): void {
    if (!this.#parts.builds.isUpgrading) return;
    for (const status of statuses) {
      const { id, role, term, level, appliedIndex } = status;
      const bounds = this.#bounds.get(id) ?? { low: -1, high: Number.POSITIVE_INFINITY };
      this.#bounds.set(id, bounds);
      if (level.agreed === 1) bounds.low = Math.max(bounds.low, appliedIndex);
      else bounds.high = Math.min(bounds.high, appliedIndex);
      hold(
        bounds.low < bounds.high,
        "V30",
        () => `${node}: group ${id} goes by level 1 at ${bounds.low}, and by level 2 at ${bounds.high}`,
      );
      const seen = this.#seen.get(`${node} ${id}`);
      const now = { term, role, level: status.members.configuration.level };
      this.#seen.set(`${node} ${id}`, now);
      const hasRaised =
        seen?.role === "leader" && seen.term === term && role === "leader" && now.level > seen.level;
      if (hasRaised) this.#raised(node, status, told);
    }
  }

  /** A leader has just written it down: every member's process that it is linked with has said that it knows it. */
  #raised(node: string, { id, members: notice }: GroupStatus, told: (peer: string) => Told | null): void {
    const { builds, coverage, schedule } = this.#parts;
    const { configuration } = notice;
    coverage.hit("levelsRaised");
    builds.isRaised = true;
    for (const { nodeId, storeId } of members(configuration)) {
      if (nodeId === node) continue;
      const known = told(nodeId);
      const isThere = known?.downMs === null || schedule.nowMs - (known?.downMs ?? 0) < turnMsMax;
      const isAble = known?.peer.storeId === storeId && known.peer.levels.max >= configuration.level;
      hold(isAble && isThere, "V30", () => {
        const says =
          known === null ? "was never linked" : `knows ${known.peer.levels.max}, down since ${known.downMs}`;
        return `${node} raises group ${id} to level ${configuration.level}, but ${nodeId} ${says}`;
      });
    }
  }
}

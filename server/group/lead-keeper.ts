import type { Raft } from "../raft/raft.ts";
import type { EngineOptions } from "./engine-options.ts";

interface Led {
  nextTryMs: number;
}

type LeadKeeperOptions = Pick<EngineOptions, "spreadLeaders" | "spreadStableMs" | "spreadBackoffMsMax">;

/** A leader that is behind with applying asks no more often than this. */
const behindEveryMs = 1000;

/**
 * Where this node's leads should go. A leader that is behind with applying hands over at once. And leaders are spread
 * over the nodes: group g prefers the voter number g mod n in the order of node ids; only a lead, and a link, that have
 * been stable for a while are moved, and if the lead comes back, each time later.
 */
export class LeadKeeper {
  readonly #options: LeadKeeperOptions;
  readonly #behindTriedMs = new Map<number, number>();
  readonly #led = new Map<number, Led>();
  readonly #waitMs = new Map<number, number>();
  readonly #upSinceMs = new Map<string, number>();

  constructor(options: LeadKeeperOptions) {
    this.#options = options;
  }

  linkUp(nodeId: string, nowMs: number): void {
    this.#upSinceMs.set(nodeId, nowMs);
  }

  linkDown(nodeId: string): void {
    this.#upSinceMs.delete(nodeId);
  }

  preferred(group: number, raft: Raft): string | null {
    const nodeIds = raft.configuration.voters.map((voter) => voter.nodeId).sort();
    return nodeIds[group % nodeIds.length] ?? null;
  }

  /** The node that should lead this group instead of this one, now; null: nothing is to be done. */
  tick(
    group: number,
    replica: { raft: Raft; self: string; isBehind: boolean; nowMs: number },
  ): string | null {
    if (replica.raft.role !== "leader") {
      this.#led.delete(group);
      this.#behindTriedMs.delete(group);
      return null;
    }
    if (replica.isBehind) return this.#relief(group, replica);
    return this.#options.spreadLeaders ? this.#spread(group, replica) : null;
  }

  #relief(group: number, { raft, nowMs }: { raft: Raft; nowMs: number }): string | null {
    const triedMs = this.#behindTriedMs.get(group);
    if (triedMs !== undefined && nowMs - triedMs < behindEveryMs) return null;
    this.#behindTriedMs.set(group, nowMs);
    const able = raft
      .status()
      .followers.filter(({ nodeId, state }) => state === "replicating" && this.#upSinceMs.has(nodeId));
    return able.sort((a, b) => b.matchIndex - a.matchIndex)[0]?.nodeId ?? null;
  }

  #spread(group: number, { raft, self, nowMs }: { raft: Raft; self: string; nowMs: number }): string | null {
    const { spreadStableMs, spreadBackoffMsMax } = this.#options;
    const waitMs = this.#waitMs.get(group) ?? spreadStableMs;
    const led = this.#led.get(group);
    if (led === undefined) {
      this.#led.set(group, { nextTryMs: nowMs + waitMs });
      return null;
    }
    if (nowMs < led.nextTryMs) return null;
    const preferred = this.preferred(group, raft);
    if (preferred === null || preferred === self) {
      this.#waitMs.delete(group);
      return null;
    }
    const upSinceMs = this.#upSinceMs.get(preferred);
    if (upSinceMs === undefined || nowMs - upSinceMs < spreadStableMs) return null;
    const follower = raft.status().followers.find(({ nodeId }) => nodeId === preferred);
    if (follower?.state !== "replicating" || follower.matchIndex < raft.commitIndex) return null;
    led.nextTryMs = nowMs + waitMs;
    this.#waitMs.set(group, Math.min(waitMs * 2, spreadBackoffMsMax));
    return preferred;
  }
}

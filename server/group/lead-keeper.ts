import type { EngineOptions } from "./engine-options.ts";
import type { Group } from "./group.ts";
import type { Log } from "./log.ts";

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
  readonly #self: string;
  readonly #log: Log;
  readonly #behindTriedMs = new Map<number, number>();
  readonly #led = new Map<number, Led>();
  readonly #waitMs = new Map<number, number>();
  readonly #upSinceMs = new Map<string, number>();

  constructor(options: LeadKeeperOptions, { self, log }: { self: string; log: Log }) {
    this.#options = options;
    this.#self = self;
    this.#log = log;
  }

  linkUp(nodeId: string, nowMs: number): void {
    this.#upSinceMs.set(nodeId, nowMs);
  }

  linkDown(nodeId: string): void {
    this.#upSinceMs.delete(nodeId);
  }

  #preferred({ id, raft }: Group): string | null {
    const nodeIds = raft.configuration.voters.map((voter) => voter.nodeId).sort();
    return nodeIds[id % nodeIds.length] ?? null;
  }

  /** Whom a lead of this node may be given to: voters that are there and catch up, those that lack least first. */
  heirs(group: Group): readonly string[] {
    const able = group.raft
      .status()
      .followers.filter(
        ({ nodeId, storeId, state }) =>
          state === "replicating" &&
          this.#upSinceMs.has(nodeId) &&
          group.raft.configuration.voters.some((one) => one.nodeId === nodeId && one.storeId === storeId),
      );
    const preferred = this.#preferred(group);
    const rank = (nodeId: string) => (nodeId === preferred ? 0 : 1);
    return able
      .sort((a, b) => b.matchIndex - a.matchIndex || rank(a.nodeId) - rank(b.nodeId))
      .map(({ nodeId }) => nodeId);
  }

  /** Hands over what should not stay here. */
  tick(group: Group, nowMs: number): void {
    if (!group.isLeader) {
      this.#led.delete(group.id);
      this.#behindTriedMs.delete(group.id);
      return;
    }
    if (group.raft.transferTo !== null) return;
    if (group.isBehind) this.#relieve(group, nowMs);
    else if (this.#options.spreadLeaders) this.#spread(group, nowMs);
  }

  #relieve(group: Group, nowMs: number): void {
    const triedMs = this.#behindTriedMs.get(group.id);
    if (triedMs !== undefined && nowMs - triedMs < behindEveryMs) return;
    this.#behindTriedMs.set(group.id, nowMs);
    const [heir] = this.heirs(group);
    if (heir !== undefined) this.#handOver(group, heir, "behind with applying: handing the lead over");
  }

  #spread(group: Group, nowMs: number): void {
    const { spreadStableMs, spreadBackoffMsMax } = this.#options;
    const waitMs = this.#waitMs.get(group.id) ?? spreadStableMs;
    const led = this.#led.get(group.id);
    if (led === undefined) {
      this.#led.set(group.id, { nextTryMs: nowMs + waitMs });
      return;
    }
    if (nowMs < led.nextTryMs) return;
    const preferred = this.#preferred(group);
    if (preferred === null || preferred === this.#self) {
      this.#waitMs.delete(group.id);
      return;
    }
    const upSinceMs = this.#upSinceMs.get(preferred);
    if (upSinceMs === undefined || nowMs - upSinceMs < spreadStableMs) return;
    const follower = group.raft.status().followers.find(({ nodeId }) => nodeId === preferred);
    if (follower?.state !== "replicating" || follower.matchIndex < group.raft.commitIndex) return;
    led.nextTryMs = nowMs + waitMs;
    this.#waitMs.set(group.id, Math.min(waitMs * 2, spreadBackoffMsMax));
    this.#handOver(group, preferred, "handing the lead to the node it is meant for");
  }

  #handOver(group: Group, to: string, why: string): void {
    const { id, raft, applier, transfer } = group;
    const facts = { group: id, term: raft.term, to };
    this.#log.info({ ...facts, waiting: applier.queue.length }, why);
    void transfer.ask(to).then((outcome) => {
      if (outcome.type === "refused") this.#log.info({ ...facts, code: outcome.code }, outcome.message);
    });
  }
}

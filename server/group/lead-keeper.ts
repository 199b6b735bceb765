import { isQuorum } from "../raft/quorum.ts";
import type { EngineOptions } from "./engine-options.ts";
import type { Group } from "./group.ts";
import type { Log } from "./log.ts";
import type { StrainSign } from "./strain.ts";

type LeadKeeperOptions = Pick<EngineOptions, "spreadLeaders" | "spreadStableMs" | "spreadBackoffMsMax">;

export interface LeadKeeperParts {
  readonly self: string;
  readonly log: Log;
  /** How much a node should lead: more is more, 0 is only if nobody else can. Null: not known. */
  readonly leadPriority: (nodeId: string) => number | null;
  /** It said that it may be given a lead. */
  readonly takesLeads: (nodeId: string) => boolean;
  /** Why this node should not lead just now; null if it may. */
  readonly strain: () => StrainSign | null;
}

type Trouble =
  | StrainSign
  | { readonly type: "behind"; readonly waiting: number }
  | { readonly type: "partsElsewhere" };

/** A lead that must go, and did not, is offered again no more often than this. */
const retryMs = 1000;
const lookEveryMs = 50;

/** A group that this node leads. */
interface Led {
  readonly term: number;
  readonly sinceMs: number;
  nextTryMs: number;
  /** Those that did not take it when this node was in trouble. */
  refusedBy: string[];
  /** How often in a row nobody took it that has what this node lacks. */
  vainRounds: number;
}

/** The last time that a lead was moved to where it belongs. */
interface Moved {
  readonly atMs: number;
  readonly waitMs: number;
}

/**
 * Where this node's leads should go. A leader that is behind with applying, whose disk stalls or whose pipe lags, or whose
 * machine lacks parts that others have, hands over at once (design 4.1); if nobody takes it, one with a stalled disk steps down. Otherwise a lead belongs to the
 * voter of the highest priority that is there and has caught up; among equals group g's to number g mod n in the order
 * of node ids. Only a lead, and a link, that have been stable for a while are moved for that, and if the lead comes
 * back soon, each time later. A node of priority 0 does not wait.
 */
export class LeadKeeper {
  readonly #options: LeadKeeperOptions;
  readonly #parts: LeadKeeperParts;
  readonly #led = new Map<number, Led>();
  readonly #moved = new Map<number, Moved>();
  readonly #upSinceMs = new Map<string, number>();
  #nextLookMs = Number.NEGATIVE_INFINITY;
  /** As of these facts every lead that is here stays here. */
  #settledFacts: string | null = null;

  constructor(options: LeadKeeperOptions, parts: LeadKeeperParts) {
    this.#options = options;
    this.#parts = parts;
  }

  linkUp(nodeId: string, nowMs: number): void {
    this.#upSinceMs.set(nodeId, nowMs);
  }

  linkDown(nodeId: string): void {
    this.#upSinceMs.delete(nodeId);
  }

  /** Whom a lead of this node may be given to: voters that are there and catch up, the best first, the strained last. */
  heirs(group: Group): readonly string[] {
    const { configuration, commitIndex } = group.raft;
    const able = group.raft
      .status()
      .followers.filter(
        ({ nodeId, storeId, state }) =>
          state === "replicating" &&
          this.#upSinceMs.has(nodeId) &&
          configuration.voters.some((one) => one.nodeId === nodeId && one.storeId === storeId),
      );
    return able
      .map(({ nodeId, matchIndex }) => ({
        nodeId,
        matchIndex,
        strained: this.#parts.takesLeads(nodeId) ? 0 : 1,
        lacksParts: lacksParts(group, nodeId) ? 1 : 0,
        lacks: matchIndex >= commitIndex ? 0 : 1,
        priority: this.#priority(nodeId),
        rank: nodeId === this.#choice(group, this.#priority(nodeId)) ? 0 : 1,
      }))
      .sort(
        (a, b) =>
          a.strained - b.strained ||
          a.lacksParts - b.lacksParts ||
          a.lacks - b.lacks ||
          b.priority - a.priority ||
          a.rank - b.rank ||
          b.matchIndex - a.matchIndex,
      )
      .map(({ nodeId }) => nodeId);
  }

  /** Who is not known yet is taken for an equal. */
  #priority(nodeId: string): number {
    const { leadPriority, self } = this.#parts;
    return leadPriority(nodeId) ?? leadPriority(self) ?? 0;
  }

  /** Among the voters of one priority, there or not, so that a loss moves nobody else's leads. */
  #choice({ id, raft }: Group, priority: number): string | null {
    const nodeIds = raft.configuration.voters.map((voter) => voter.nodeId).sort();
    const equals = nodeIds.filter((nodeId) => this.#priority(nodeId) === priority);
    return equals[id % equals.length] ?? null;
  }

  /** Hands over what should not stay here. Those that sleep are looked at only when something has changed. */
  tick({ groups, awake }: { groups: readonly Group[]; awake: readonly Group[] }, nowMs: number): void {
    const isStrained = this.#parts.strain() !== null;
    if (nowMs < this.#nextLookMs && !isStrained) return;
    this.#nextLookMs = nowMs + lookEveryMs;
    const facts = this.#facts();
    const looked = facts === this.#settledFacts && !isStrained ? awake : groups;
    const moving = looked.filter((group) => !this.#look(group, nowMs));
    if (moving.length > 0) this.#settledFacts = null;
    else if (looked === groups) this.#settledFacts = facts;
  }

  /** Everything that where a lead belongs depends on, but for the group itself. */
  #facts(): string {
    const { takesLeads } = this.#parts;
    return [...this.#upSinceMs.keys()]
      .map((nodeId) => `${nodeId} ${takesLeads(nodeId)} ${this.#priority(nodeId)}`)
      .join();
  }

  /** True: as long as nothing changes, the group's lead, if it is here, stays. */
  #look(group: Group, nowMs: number): boolean {
    if (!group.isLeader) {
      this.#led.delete(group.id);
      return true;
    }
    let led = this.#led.get(group.id);
    if (led?.term !== group.raft.term) {
      led = { term: group.raft.term, sinceMs: nowMs, nextTryMs: nowMs, refusedBy: [], vainRounds: 0 };
      this.#led.set(group.id, led);
    }
    if (group.raft.transferTo !== null || nowMs < led.nextTryMs) return false;
    const trouble = this.#trouble(group);
    if (trouble !== null) {
      this.#relieve(group, { led, trouble, nowMs });
      return false;
    }
    if (!this.#options.spreadLeaders || this.#isHome(group)) return true;
    this.#bringHome(group, led, nowMs);
    return false;
  }

  #trouble(group: Group): Trouble | null {
    const waiting = group.applier.queue.length;
    const strain = this.#parts.strain();
    if (strain !== null) return strain;
    if (group.isBehind) return { type: "behind", waiting };
    return group.lacksParts ? { type: "partsElsewhere" } : null;
  }

  #relieve(group: Group, { led, trouble, nowMs }: { led: Led; trouble: Trouble; nowMs: number }): void {
    // Whoever lacks what this node lacks would not take it, and proposals would wait for that in vain.
    const heirs = this.#givable(this.heirs(group)).filter(
      (nodeId) => trouble.type !== "partsElsewhere" || !lacksParts(group, nodeId),
    );
    // A vote is worth nothing before it is on the disk: without this one's the others must be enough.
    const { configuration } = group.raft;
    const canElect =
      trouble.type !== "disk" || isQuorum(configuration, ({ nodeId }) => heirs.includes(nodeId));
    if (heirs.length === 0 || !canElect) return;
    const heir = heirs.find((nodeId) => !led.refusedBy.includes(nodeId));
    if (heir !== undefined) {
      const event = "lead-relieved";
      this.#handOver(group, heir, { event, why: describe(trouble), refused: () => led.refusedBy.push(heir) });
      return;
    }
    led.refusedBy = [];
    // Whoever has those parts may be away for long, and each try holds the proposals up.
    const waitMs =
      trouble.type === "partsElsewhere" ? retryMs * 2 ** Math.min(led.vainRounds++, 20) : retryMs;
    led.nextTryMs = nowMs + Math.min(waitMs, Math.max(retryMs, this.#options.spreadBackoffMsMax));
    if (trouble.type !== "disk") return;
    this.#parts.log.warn(
      { group: group.id },
      `${describe(trouble)}, and nobody takes the lead: stepping down`,
    );
    group.step({ type: "stepDown" });
  }

  #bringHome(group: Group, led: Led, nowMs: number): void {
    const { spreadStableMs } = this.#options;
    const isReluctant = this.#priority(this.#parts.self) === 0;
    const home = this.#home(group, isReluctant ? nowMs : nowMs - spreadStableMs);
    if (home === null) return;
    const why = { event: "lead-brought-home", why: "it belongs there" };
    if (isReluctant && this.#priority(home) > 0) {
      led.nextTryMs = nowMs + retryMs;
      this.#handOver(group, home, why);
      return;
    }
    const waitMs = this.#waitMs(group.id, led);
    if (nowMs - led.sinceMs < waitMs) return;
    led.nextTryMs = nowMs + waitMs;
    this.#moved.set(group.id, { atMs: nowMs, waitMs });
    this.#handOver(group, home, why);
  }

  /** How long a lead stays here at least before it is moved: longer each time that it came back soon. */
  #waitMs(group: number, led: Led): number {
    const { spreadStableMs, spreadBackoffMsMax } = this.#options;
    const moved = this.#moved.get(group);
    if (moved === undefined || led.sinceMs - moved.atMs >= spreadBackoffMsMax) return spreadStableMs;
    return Math.min(moved.waitMs * 2, spreadBackoffMsMax);
  }

  /** Another node that the lead belongs to, is linked since `sinceMs` and has caught up; null: it may stay here. */
  #home(group: Group, sinceMs: number): string | null {
    const { commitIndex } = group.raft;
    const followers = group.raft.status().followers;
    const able = this.#givable(this.heirs(group)).filter((nodeId) => {
      const follower = followers.find((one) => one.nodeId === nodeId);
      const hasAll = (follower?.matchIndex ?? 0) >= commitIndex && !lacksParts(group, nodeId);
      return (this.#upSinceMs.get(nodeId) ?? 0) <= sinceMs && hasAll;
    });
    return this.#homeAmong(group, able);
  }

  /** Whoever may be given it, once it is stable and has caught up, has no better claim to it than this node. */
  #isHome(group: Group): boolean {
    const others = group.raft.configuration.voters.map(({ nodeId }) => nodeId);
    return this.#homeAmong(group, this.#givable(others)) === null;
  }

  #givable(nodeIds: readonly string[]): readonly string[] {
    return nodeIds.filter((nodeId) => this.#upSinceMs.has(nodeId) && this.#parts.takesLeads(nodeId));
  }

  /** Among these others; null: none of them. */
  #homeAmong(group: Group, able: readonly string[]): string | null {
    const highest = Math.max(...able.map((nodeId) => this.#priority(nodeId)));
    const own = this.#priority(this.#parts.self);
    if (able.length === 0 || highest < own) return null;
    const choice = this.#choice(group, highest);
    if (choice !== null && able.includes(choice)) return choice;
    const equals = able.filter((nodeId) => this.#priority(nodeId) === highest).sort();
    return highest > own ? (equals[group.id % equals.length] ?? null) : null;
  }

  #handOver(
    group: Group,
    to: string,
    { event, why, refused }: { event: string; why: string; refused?: () => void },
  ): void {
    const { id, raft, transfer } = group;
    const { log } = this.#parts;
    const facts = { group: id, term: raft.term, to };
    log.info({ event, ...facts }, `${why}: handing the lead of group ${id} to ${to}`);
    void transfer.ask(to).then((outcome) => {
      if (outcome.type === "done") return;
      log.info({ event: "not-handed-over", ...facts, code: outcome.code }, outcome.message);
      if (outcome.code !== "TRANSFERRING") refused?.();
    });
  }
}

function lacksParts({ machine }: Group, nodeId: string): boolean {
  return machine.lacksParts?.(nodeId) ?? false;
}

function describe(trouble: Trouble): string {
  switch (trouble.type) {
    case "disk":
      return `the disk has been at work on one save for ${Math.round(trouble.forMs)} ms`;
    case "pipe":
      return `this process came ${Math.round(trouble.lagMs)} ms late to its turn`;
    case "behind":
      return `${trouble.waiting} committed commands wait to be applied`;
    case "partsElsewhere":
      return "rooms of the group are run by other nodes only";
  }
}

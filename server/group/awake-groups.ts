import assert from "node:assert";
import { isQuorum } from "../raft/quorum.ts";
import type { EngineOptions } from "./engine-options.ts";
import type { Group } from "./group.ts";
import type { Heartbeats } from "./heartbeats.ts";
import { LeadSum } from "./lead-digest.ts";
import type { TurnClock } from "./turn-clock.ts";

export interface AwakeGroupsParts {
  readonly groups: readonly Group[];
  readonly self: string;
  readonly options: Pick<EngineOptions, "heartbeatIntervalMs" | "sleepAfterMs" | "tickMs">;
  readonly time: TurnClock;
  readonly heartbeats: () => Heartbeats;
  /** A turn is wanted, and ticks as usual. */
  readonly woken: () => void;
}

/** A group that sleeps, and what of it may not change meanwhile. */
interface Sleep {
  readonly leaderId: string;
  readonly term: number;
  /** Its machine's next tick is due; `Infinity`: none is. */
  readonly untilMs: number;
}

/** So much earlier than its tick is due a group is woken. */
const earlyTicks = 2;
/** So many intervals without a heartbeat that agrees are silence: the least election timeout. */
const silenceIntervals = 2;

/**
 * Which of a node's groups take part in its turns. One that has nothing to do sleeps (design 4.3): no turn, no tick and no
 * heartbeat touches it, until something happens to it, its machine's next tick is due, or a node falls silent or is not
 * of the same opinion that keeps it quiet. Its followers' and its leader's signs of life are then those of their nodes.
 */
export class AwakeGroups {
  readonly #parts: AwakeGroupsParts;
  #awake: readonly Group[];
  readonly #sleeps = new Map<Group, Sleep>();
  /** Since when there has been nothing to do, of those that are awake. */
  readonly #idleSinceMs = new Map<Group, number>();
  /** Of the sleeping ones, by who leads them. */
  readonly #sums = new Map<string, LeadSum>();
  #nextDueMs = Number.POSITIVE_INFINITY;

  constructor(parts: AwakeGroupsParts) {
    this.#parts = parts;
    this.#awake = parts.groups;
  }

  /** In the order of their ids; another list after each change. */
  get groups(): readonly Group[] {
    return this.#awake;
  }

  /** Nobody needs a tick before this; null: somebody is awake. */
  get restUntilMs(): number | null {
    return this.#awake.length === 0 ? this.#nextDueMs : null;
  }

  isAsleep(group: Group): boolean {
    return this.#sleeps.has(group);
  }

  /** Of all groups that `nodeId` leads, as far as this node knows. */
  leadsOf(nodeId: string): number {
    const sum = this.#sums.get(nodeId)?.copy() ?? new LeadSum();
    for (const { id, raft } of this.#awake)
      if (raft.leaderId === nodeId) sum.add({ group: id, term: raft.term });
    return sum.digest;
  }

  // ── falling asleep ───────────────────────────────────────────────────────────────────────────────────────────────

  /** Wakes whoever may not sleep any longer, and lets those sleep that have been idle for a while. */
  tick(): void {
    const { nowMs } = this.#parts.time;
    if (nowMs >= this.#nextDueMs) this.#wakeDue(nowMs);
    if (this.#sleeps.size > 0) this.#listen(nowMs);
    const { sleepAfterMs } = this.#parts.options;
    for (const group of this.#awake) {
      const sinceMs = group.isIdle ? (this.#idleSinceMs.get(group) ?? nowMs) : null;
      if (sinceMs === null) this.#idleSinceMs.delete(group);
      else this.#idleSinceMs.set(group, sinceMs);
      if (sinceMs !== null && nowMs - sinceMs >= sleepAfterMs) this.#sleep(group, nowMs);
    }
  }

  #sleep(group: Group, nowMs: number): void {
    const { id, raft } = group;
    const { leaderId, term } = raft;
    assert(leaderId !== null, "an idle group knows its leader");
    const { options, self } = this.#parts;
    const dueMs = nowMs + (group.tickDueInMs ?? Number.POSITIVE_INFINITY);
    const untilMs = dueMs - earlyTicks * options.tickMs;
    const isKept =
      leaderId === self ? this.#isKept(group, nowMs) : !this.#isSilent(leaderId, leaderId, nowMs);
    if (untilMs <= nowMs || !isKept) return;
    this.#idleSinceMs.delete(group);
    this.#sleeps.set(group, { leaderId, term, untilMs });
    this.#awake = this.#awake.filter((one) => one !== group);
    this.#sumOf(leaderId).add({ group: id, term });
    this.#nextDueMs = Math.min(this.#nextDueMs, untilMs);
  }

  #sumOf(leaderId: string): LeadSum {
    const sum = this.#sums.get(leaderId) ?? new LeadSum();
    this.#sums.set(leaderId, sum);
    return sum;
  }

  /**
   * Every member that can be reached keeps this leader in its place, and they are a quorum: one that has lost its quorum
   * must not rest before it has noticed.
   */
  #isKept({ raft }: Group, nowMs: number): boolean {
    const { self } = this.#parts;
    const heartbeats = this.#parts.heartbeats();
    const reachable = raft.memberIds.filter((nodeId) => heartbeats.isUp(nodeId));
    if (reachable.some((nodeId) => this.#isSilent(nodeId, self, nowMs))) return false;
    return isQuorum(raft.configuration, ({ nodeId }) => nodeId === self || reachable.includes(nodeId));
  }

  /** The node's heartbeats do not say (any more) what keeps a group of this leader quiet. */
  #isSilent(nodeId: string, leaderId: string, nowMs: number): boolean {
    const heartbeats = this.#parts.heartbeats();
    const heardMs =
      leaderId === this.#parts.self ? heartbeats.confirmedMs(nodeId) : heartbeats.agreedMs(nodeId);
    return heardMs === null || nowMs - heardMs >= silenceIntervals * this.#parts.options.heartbeatIntervalMs;
  }

  // ── waking up ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** To be called before anything happens to a group. */
  wake(group: Group): void {
    const sleep = this.#sleeps.get(group);
    if (sleep === undefined) return;
    this.#sleeps.delete(group);
    this.#sumOf(sleep.leaderId).remove({ group: group.id, term: sleep.term });
    this.#awake = [...this.#awake, group].sort((a, b) => a.id - b.id);
    this.#tellSigns(group, sleep);
    this.#parts.woken();
  }

  wakeAll(): void {
    for (const group of [...this.#sleeps.keys()]) this.wake(group);
  }

  /** Those that are kept quiet by this leader. */
  wakeLedBy(nodeId: string): void {
    for (const [group, { leaderId }] of [...this.#sleeps]) if (leaderId === nodeId) this.wake(group);
  }

  /** Those that are led from here, and kept quiet by this follower. */
  wakeFollowedBy(nodeId: string): void {
    for (const [group, { leaderId }] of [...this.#sleeps])
      if (leaderId === this.#parts.self && group.raft.memberIds.includes(nodeId)) this.wake(group);
  }

  /** The core has heard of nobody since it fell asleep: the nodes' heartbeats stood for the group's. */
  #tellSigns(group: Group, { leaderId, term }: Sleep): void {
    const { self, time, heartbeats } = this.#parts;
    const { raft } = group;
    if (leaderId !== self) {
      const agreedMs = heartbeats().agreedMs(leaderId);
      const agoMs = time.nowMs - (agreedMs ?? Number.NaN);
      if (agreedMs !== null) raft.step({ type: "leaderAlive", nodeId: leaderId, term, agoMs }, time.now);
      return;
    }
    for (const nodeId of raft.memberIds) {
      const confirmedMs = heartbeats().confirmedMs(nodeId);
      const agoMs = time.nowMs - (confirmedMs ?? Number.NaN);
      if (confirmedMs !== null) raft.step({ type: "followerAlive", nodeId, term, agoMs }, time.now);
    }
  }

  #wakeDue(nowMs: number): void {
    this.#nextDueMs = Number.POSITIVE_INFINITY;
    for (const [group, { untilMs }] of [...this.#sleeps]) {
      if (nowMs >= untilMs) this.wake(group);
      else this.#nextDueMs = Math.min(this.#nextDueMs, untilMs);
    }
  }

  /** One look a node, however many groups it keeps quiet. */
  #listen(nowMs: number): void {
    const { self, heartbeats } = this.#parts;
    for (const nodeId of heartbeats().peers()) {
      if (this.#keepsQuiet(nodeId) && this.#isSilent(nodeId, nodeId, nowMs)) this.wakeLedBy(nodeId);
      if (this.#keepsQuiet(self) && this.#isSilent(nodeId, self, nowMs)) this.wakeFollowedBy(nodeId);
    }
  }

  #keepsQuiet(leaderId: string): boolean {
    return (this.#sums.get(leaderId)?.count ?? 0) > 0;
  }
}

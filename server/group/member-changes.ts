import type { PeerMessage } from "../network/peer-message.ts";
import type { ChangeRefusal, ChangeResult, Wish } from "../raft/member-change.ts";
import type { Raft } from "../raft/raft.ts";
import type { GroupHost } from "./group-host.ts";
import { type MembersChange, wishOf } from "./members-wish.ts";

export type MembersRefusalCode =
  | ChangeRefusal
  /** Nobody led the group until the deadline. */
  | "NO_LEADER"
  | "TOO_MANY_CHANGES"
  | "STOPPED";

/** `appended`: it is on its way, and goes on by itself. `possible`: it would be. `unchanged`: it is so, or on its way. */
export type MembersOutcome =
  | { readonly type: "appended" | "possible" | "unchanged" }
  | { readonly type: "refused"; readonly code: MembersRefusalCode; readonly message: string };

export type ChangeMembers = Extract<PeerMessage, { type: "changeMembers" }>;
export type ChangeMembersAnswer = Extract<PeerMessage, { type: "changeMembersAnswer" }>;

interface MemberChangesParts {
  readonly group: number;
  readonly raft: Raft;
  readonly host: Pick<GroupHost, "self" | "now" | "isUp" | "send" | "engine" | "settlements" | "random">;
}

interface Asked {
  readonly id: number;
  readonly change: MembersChange;
  readonly dryRun: boolean;
  readonly deadlineMs: number;
  readonly settle: (outcome: MembersOutcome) => void;
  /** Not before this. */
  nextTryMs: number;
}

/** At once, of one group: they are an operator's, and each takes effect on what the one before it leads to. */
const askedMax = 16;
const idsMax = 2 ** 32;

const stopped: MembersOutcome = Object.freeze({
  type: "refused",
  code: "STOPPED",
  message: "this node is stopping",
});

/**
 * Changes of one group's members, from the question to the leader's answer. Asking twice is asking once, so a question
 * is simply asked again, of whoever leads, until there is an answer.
 */
export class MemberChanges {
  readonly #parts: MemberChangesParts;
  readonly #asked = new Map<number, Asked>();
  #lastId: number;
  #hasStopped = false;

  constructor(parts: MemberChangesParts) {
    this.#parts = parts;
    // An answer to this node's last start must not look like one to this one.
    this.#lastId = Math.floor(parts.host.random() * idsMax);
  }

  get isIdle(): boolean {
    return this.#asked.size === 0;
  }

  get #nowMs(): number {
    return this.#parts.host.now().monotonicMs;
  }

  /** It begins in the pipe's next turn. */
  ask(
    change: MembersChange,
    { dryRun = false, timeoutMs }: { dryRun?: boolean; timeoutMs?: number },
  ): Promise<MembersOutcome> {
    const { group, host } = this.#parts;
    if (this.#hasStopped) return Promise.resolve(stopped);
    if (this.#asked.size >= askedMax) {
      const message = `${askedMax} changes of group ${group} wait for an answer already`;
      return Promise.resolve({ type: "refused", code: "TOO_MANY_CHANGES", message });
    }
    return new Promise((settle) => {
      this.#lastId = (this.#lastId + 1) % idsMax;
      const id = this.#lastId;
      const deadlineMs = this.#nowMs + (timeoutMs ?? host.engine.proposeTimeoutMs);
      this.#asked.set(id, { id, change, dryRun, deadlineMs, settle, nextTryMs: this.#nowMs });
    });
  }

  /** In each turn: what is due goes to the core, or to whoever leads. */
  route(): void {
    if (this.#asked.size === 0) return;
    const { group, raft, host } = this.#parts;
    for (const asked of [...this.#asked.values()]) {
      if (this.#nowMs < asked.nextTryMs) continue;
      asked.nextTryMs = this.#nowMs + host.engine.resendMs;
      const { id, change, dryRun } = asked;
      const { leaderId } = raft;
      if (raft.role === "leader") this.#answered(id, this.#carryOut(change, dryRun));
      else if (leaderId !== null && host.isUp(leaderId))
        host.send(leaderId, { type: "changeMembers", group, id, dryRun, change });
    }
  }

  #carryOut(change: MembersChange, dryRun: boolean): ChangeResult {
    const { raft, host } = this.#parts;
    const wish: Wish = wishOf(raft.configuration, change);
    return raft.changeMembers(wish, host.now(), { dryRun });
  }

  /** Another node asks this one, which it takes for the leader. */
  receive(from: string, { id, change, dryRun }: ChangeMembers): void {
    const { group, host } = this.#parts;
    const result = this.#carryOut(change, dryRun);
    const outcome = outcomeOf(result);
    // It will ask again, of whoever leads by then.
    if (outcome !== null) host.send(from, { type: "changeMembersAnswer", group, id, outcome });
  }

  answer({ id, outcome }: ChangeMembersAnswer): void {
    this.#settle(id, outcome);
  }

  #answered(id: number, result: ChangeResult): void {
    const outcome = outcomeOf(result);
    if (outcome !== null) this.#settle(id, outcome);
  }

  #settle(id: number, outcome: MembersOutcome): void {
    const asked = this.#asked.get(id);
    if (asked === undefined) return;
    this.#asked.delete(id);
    this.#parts.host.settlements.add(() => asked.settle(outcome));
  }

  /** Whoever leads now has not been asked. */
  leadChanged(): void {
    for (const asked of this.#asked.values()) asked.nextTryMs = Number.NEGATIVE_INFINITY;
  }

  tick(): void {
    const { group } = this.#parts;
    for (const { id, deadlineMs } of [...this.#asked.values()]) {
      if (this.#nowMs < deadlineMs) continue;
      const message = `nobody who leads group ${group} has answered; the change may have been begun`;
      this.#settle(id, { type: "refused", code: "NO_LEADER", message });
    }
  }

  stop(): void {
    this.#hasStopped = true;
    for (const { settle } of this.#asked.values()) settle(stopped);
    this.#asked.clear();
  }
}

/** null: there is none yet. */
function outcomeOf(result: ChangeResult): ChangeMembersAnswer["outcome"] | null {
  switch (result.type) {
    case "notLeader":
      return null;
    case "refused":
      return { type: "refused", code: result.reason, message: result.message };
    case "appended":
    case "possible":
    case "unchanged":
      return { type: result.type };
  }
}

import type { Raft } from "../raft/raft.ts";
import type { TransferRefusal } from "../raft/ready.ts";
import type { LeaderChange } from "./group-status.ts";
import type { Settlements } from "./settlements.ts";

export type TransferRefusalCode =
  | TransferRefusal["code"]
  /** It went to somebody else, or to nobody within an election timeout. */
  | "LEAD_LOST"
  /** This node is stopping. */
  | "STOPPED";

/** `done`: the node that was named leads. */
export type TransferOutcome =
  | { readonly type: "done" }
  | { readonly type: "refused"; readonly code: TransferRefusalCode; readonly message: string };

export interface LeadTransferParts {
  readonly group: number;
  readonly raft: Raft;
  readonly settlements: Settlements;
  /** For how long a lead may be nobody's before the transfer counts as failed. */
  readonly electionTimeoutMs: number;
  /** Before anything happens to the group. */
  readonly wake: () => void;
  /** Into the core. */
  readonly begin: (to: string) => void;
}

interface Asked {
  readonly to: string;
  readonly settle: (outcome: TransferOutcome) => void;
  state: { readonly type: "waiting" | "begun" } | { readonly type: "leaderless"; readonly sinceMs: number };
}

/** One transfer of a group's lead at a time, from the question to the outcome. */
export class LeadTransfer {
  readonly #parts: LeadTransferParts;
  #asked: Asked | null = null;

  constructor(parts: LeadTransferParts) {
    this.#parts = parts;
  }

  get isIdle(): boolean {
    return this.#asked === null;
  }

  /** It begins in the pipe's next turn. */
  ask(to: string): Promise<TransferOutcome> {
    const { group } = this.#parts;
    if (this.#asked !== null)
      return Promise.resolve(refusedTransfer({ group, to, code: "TRANSFERRING", towards: this.#asked.to }));
    this.#parts.wake();
    return new Promise((settle) => {
      this.#asked = { to, settle, state: { type: "waiting" } };
    });
  }

  /** Before what the core says is looked at. */
  begin(): void {
    const asked = this.#asked;
    if (asked?.state.type !== "waiting") return;
    const { raft, begin } = this.#parts;
    asked.state = { type: "begun" };
    if (asked.to === raft.leaderId && raft.transferTo === null) this.#settle({ type: "done" });
    else begin(asked.to);
  }

  /** The core has taken it up no longer, or never. */
  refused({ to, code }: TransferRefusal): void {
    if (this.#asked?.to === to && this.#asked.state.type === "begun") this.#refuse(code);
  }

  leadChanged({ leaderId, isLeader }: LeaderChange, nowMs: number): void {
    const asked = this.#asked;
    if (asked === null || asked.state.type === "waiting") return;
    if (leaderId === null) asked.state = { type: "leaderless", sinceMs: nowMs };
    else if (leaderId === asked.to && !isLeader) this.#settle({ type: "done" });
    else this.#refuse("LEAD_LOST");
  }

  tick(nowMs: number): void {
    const state = this.#asked?.state;
    if (state?.type !== "leaderless") return;
    if (nowMs - state.sinceMs >= this.#parts.electionTimeoutMs) this.#refuse("LEAD_LOST");
  }

  stop(): void {
    const asked = this.#asked;
    this.#asked = null;
    asked?.settle(refusedTransfer({ group: this.#parts.group, to: asked.to, code: "STOPPED" }));
  }

  #refuse(code: TransferRefusalCode): void {
    if (this.#asked === null) return;
    const { group, raft } = this.#parts;
    const towards = code === "TRANSFERRING" ? raft.transferTo : raft.leaderId;
    this.#settle(refusedTransfer({ group, to: this.#asked.to, code, towards }));
  }

  #settle(outcome: TransferOutcome): void {
    const asked = this.#asked;
    this.#asked = null;
    if (asked !== null) this.#parts.settlements.add(() => asked.settle(outcome));
  }
}

interface Refusal {
  readonly group: number;
  readonly to: string;
  readonly code: TransferRefusalCode;
  /** Who leads, or is about to. */
  readonly towards?: string | null;
}

export function refusedTransfer(refusal: Refusal): TransferOutcome {
  return { type: "refused", code: refusal.code, message: messageOf(refusal) };
}

function messageOf({ group, to, code, towards = null }: Refusal): string {
  switch (code) {
    case "NOT_LEADER":
      return `this node does not lead group ${group}: ${towards === null ? "nobody does" : `ask ${towards}`}`;
    case "NOT_A_VOTER":
      return `${to} is no voter of group ${group}: only a voter can lead`;
    case "NOT_LINKED":
      return `the link to ${to} is down`;
    case "LAGGING":
      return `${to} is too far behind in group ${group}, or silent: try again once it has caught up`;
    case "TRANSFERRING":
      return `the lead of group ${group} is on its way to ${towards ?? "another node"} already`;
    case "REFUSED":
      return `${to} does not take the lead of group ${group} now: it lacks parts of it, is behind or restoring, or its disk stalls; try again later, or name another node`;
    case "TIMED_OUT":
      return `${to} did not take the lead of group ${group} within an election timeout`;
    case "LEAD_LOST":
      return `the lead of group ${group} did not get to ${to}: ${towards ?? "nobody"} leads`;
    case "STOPPED":
      return "this node is stopping";
  }
}

import assert from "node:assert";
import type { Raft } from "../raft/raft.ts";
import type { Now } from "../raft/ready.ts";
import type { Machine } from "./machine.ts";
import type { Proposals } from "./proposals.ts";

/** Proposes the command that moves a group's clocks when it is due: on the leader, and one at a time (design 5.1). */
export class TickProposer {
  readonly #machine: Machine;
  readonly #raft: Raft;
  readonly #proposals: Proposals;
  /** Not applied here yet. */
  #outstanding: number | null = null;

  constructor({ machine, raft, proposals }: { machine: Machine; raft: Raft; proposals: Proposals }) {
    this.#machine = machine;
    this.#raft = raft;
    this.#proposals = proposals;
  }

  /** How long until a tick is due, at least 0; null if none is, or one is on its way. Asks the machine: macrotasks only. */
  dueInMs(now: Now): number | null {
    if (this.#raft.role !== "leader") return null;
    if (this.#outstanding !== null && this.#proposals.isPending(this.#outstanding)) return null;
    const nextTickMs = this.#machine.nextTickMs();
    if (nextTickMs === null) return null;
    return Math.max(0, nextTickMs - this.#raft.logTimeMs(now));
  }

  /**
   * Limits do not hold a tick back: it is one a group, and only time brings parts to rest that keep the log from being
   * cut.
   */
  propose(now: Now): void {
    const command = this.#machine.tickCommand();
    assert(command.length > 0, "a tick has at least one byte");
    this.#outstanding = this.#proposals.addOwn(command, now.monotonicMs);
  }
}

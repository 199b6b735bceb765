import type { Raft } from "../raft/raft.ts";
import type { Applier } from "./applier.ts";
import type { Machine } from "./machine.ts";
import type { Proposals } from "./proposals.ts";

export interface MissingMembersParts {
  readonly machine: Machine;
  readonly raft: Raft;
  readonly applier: Applier;
  readonly proposals: Proposals;
  readonly isUp: (nodeId: string) => boolean;
}

/** How often a leader looks again: what its machine is to say of a node may come up later. */
const lookEveryMs = 250;

/**
 * Where this replica leads: has agreed on what members that it cannot reach have applied at most, if the machine needs to
 * know. From the question until that is agreed such a member is told of no commits, even if it comes back meanwhile: then
 * it learns of them together with that.
 */
export class MissingMembers {
  readonly #parts: MissingMembersParts;
  /** By node: the number of the proposal that is on its way. */
  readonly #asked = new Map<string, number>();
  #term = 0;
  #nextLookMs = Number.NEGATIVE_INFINITY;

  constructor(parts: MissingMembersParts) {
    this.#parts = parts;
  }

  get isIdle(): boolean {
    return this.#asked.size === 0;
  }

  /** In macrotasks. */
  linkDown(nowMs: number): void {
    this.#nextLookMs = nowMs;
    this.tick(nowMs);
  }

  /** In macrotasks. */
  tick(nowMs: number): void {
    const { raft } = this.#parts;
    if (raft.term !== this.#term) {
      // Who was held back is so no longer, and what was proposed is void.
      this.#asked.clear();
      this.#term = raft.term;
      this.#nextLookMs = nowMs;
    }
    if (raft.role !== "leader") return;
    this.#letOn();
    if (nowMs < this.#nextLookMs || !this.#knowsAll) return;
    this.#nextLookMs = nowMs + lookEveryMs;
    for (const nodeId of raft.memberIds) if (!this.#parts.isUp(nodeId)) this.#ask(nodeId, nowMs);
  }

  /** The machine has applied everything that came before this term. */
  get #knowsAll(): boolean {
    const { raft, applier } = this.#parts;
    return applier.isWhole && applier.appliedIndex >= raft.told.firstIndex;
  }

  #ask(nodeId: string, nowMs: number): void {
    const { machine, raft, proposals } = this.#parts;
    if (this.#asked.has(nodeId)) return;
    const { term, told } = raft;
    const command = machine.missingCommand?.(nodeId, { appliedAtMost: told.atMost(nodeId), term });
    if (command === undefined || command === null) return;
    told.holdBack(nodeId);
    this.#asked.set(nodeId, proposals.addOwn(command, nowMs));
  }

  /** It was agreed, and applied here; if it stands in the log more than once, then nowhere behind what is there now. */
  #letOn(): void {
    const { raft, proposals } = this.#parts;
    for (const [nodeId, sequence] of this.#asked) {
      if (proposals.isPending(sequence)) continue;
      raft.told.letOn(nodeId, raft.lastIndex);
      this.#asked.delete(nodeId);
    }
  }
}

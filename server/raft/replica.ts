import { check } from "./check.ts";
import type { Configuration, Member } from "./configuration.ts";
import type { Entry, HardState, PersistedState } from "./entry.ts";
import type { Levels, Linked } from "./level.ts";
import { RaftLog } from "./log.ts";
import { Outbox } from "./outbox.ts";
import { isVoter, members, sameMember } from "./quorum.ts";
import type { RaftOptions } from "./raft-options.ts";
import type { Now, Role } from "./ready.ts";
import { nextRole, type RoleEvent } from "./role-machine.ts";

export interface ReplicaOptions extends RaftOptions {
  readonly self: Member;
  /** Uniform in [0, 1): the only source of chance. */
  readonly random: () => number;
  /** What this process can read and write. */
  readonly levels: Levels;
}

/** The state that all of a replica's concerns share: figure 2's, and the role. */
export class Replica {
  readonly options: ReplicaOptions;
  readonly log: RaftLog;
  readonly outbox = new Outbox();
  /** The nodes whose links are up; null: it has not been told what they say. */
  readonly links = new Map<string, Linked | null>();
  /** The clocks of the event that is being handled. */
  now: Now;
  leaderId: string | null = null;
  /** The last chunk of a snapshot is being swapped in: until that is done the log takes nothing, and nobody may lead with it. */
  swapping = false;
  /** Saves take too long to end: this replica does not campaign. */
  diskStalled = false;
  #role: Role;
  #term: number;
  #votedFor: Member | null;
  #commitIndex: number;
  #committedHandedOutIndex: number;
  #hardStateDirty = false;
  #savedCommitIndex: number;
  readonly #onRoleChange: (from: Role, to: Role) => void;

  constructor(
    options: ReplicaOptions,
    persisted: PersistedState,
    now: Now,
    onRoleChange: (from: Role, to: Role) => void,
  ) {
    const { hardState, base, entries } = persisted;
    this.options = options;
    this.now = now;
    this.#onRoleChange = onRoleChange;
    this.log = new RaftLog(base, entries, options.levels);
    // What a vote or an append promised must be older than what it was promised in (Raft figure 2).
    check(
      hardState.term >= this.log.lastTerm,
      `hard state's term ${hardState.term} is below the log's ${this.log.lastTerm}`,
    );
    check(
      hardState.commitIndex <= this.log.lastIndex,
      `commit index ${hardState.commitIndex} is beyond the log's end ${this.log.lastIndex}`,
    );
    this.#term = hardState.term;
    this.#votedFor = hardState.votedFor;
    this.#commitIndex = Math.max(hardState.commitIndex, base.index);
    this.#savedCommitIndex = this.#commitIndex;
    this.#committedHandedOutIndex = base.index;
    this.#role = this.mayCampaign ? "follower" : "learner";
  }

  get role(): Role {
    return this.#role;
  }

  get term(): number {
    return this.#term;
  }

  get votedFor(): Member | null {
    return this.#votedFor;
  }

  get commitIndex(): number {
    return this.#commitIndex;
  }

  /** The latest in the log, committed or not (Raft §6). */
  get configuration(): Configuration {
    return this.log.membership.latest.configuration;
  }

  get isConfigurationCommitted(): boolean {
    return this.log.membership.latest.index <= this.#commitIndex;
  }

  get isVoter(): boolean {
    return isVoter(this.configuration, this.options.self);
  }

  /**
   * Also whoever is out by a configuration that is not committed yet: it may be the only one that has it, and be needed
   * as a leader until it is (dissertation §4.2.2).
   */
  get mayCampaign(): boolean {
    if (this.isVoter) return true;
    if (this.isConfigurationCommitted) return false;
    return this.log.membership.from(this.#commitIndex).some((one) => isVoter(one, this.options.self));
  }

  isSelf(member: Member): boolean {
    return sameMember(member, this.options.self);
  }

  /** The member that speaks from this node with this disk; null if it is none of the configuration's. */
  member(nodeId: string, storeId: string): Member | null {
    return (
      members(this.configuration).find((one) => one.nodeId === nodeId && one.storeId === storeId) ?? null
    );
  }

  /**
   * Whom a vote may go to. A voter of a newer configuration may be unknown here, and yet be needed as the leader; but
   * another disk of a node that is known here is nobody (design 4.3). Only the candidate's own configuration counts.
   */
  candidate(nodeId: string, storeId: string): Member | null {
    const known = this.member(nodeId, storeId);
    if (known !== null) return known;
    const isOtherDisk = members(this.configuration).some((one) => one.nodeId === nodeId);
    return isOtherDisk ? null : { nodeId, storeId };
  }

  changeRole(event: RoleEvent): void {
    const from = this.#role;
    this.#role = nextRole(from, event);
    this.#onRoleChange(from, this.#role);
  }

  /** Of `term`, no older than the own, with its leader if known. */
  follow({ term, leaderId }: { term: number; leaderId: string | null }): void {
    check(term >= this.#term, `following a term ${term} below ${this.#term}`);
    if (term > this.#term) {
      this.#term = term;
      this.#votedFor = null;
      this.#hardStateDirty = true;
    }
    this.leaderId = leaderId;
    if (this.#role === "follower" || this.#role === "learner") return;
    this.changeRole({ type: "follow" });
    this.settleRole();
  }

  /** Campaigning in the next term begins with the own vote. */
  nextTermVotingForSelf(): void {
    this.#term += 1;
    this.#votedFor = this.options.self;
    this.#hardStateDirty = true;
  }

  /** So that what is sent after the next save leaves behind the present term and vote, whatever is under way already. */
  saveHardStateAgain(): void {
    this.#hardStateDirty = true;
  }

  /** Also when it was given before: whoever repeats a vote's answer saves it again before that leaves. */
  vote(candidate: Member): void {
    check(this.#votedFor === null || sameMember(this.#votedFor, candidate), "a second vote in one term");
    this.#votedFor = candidate;
    this.#hardStateDirty = true;
  }

  raiseCommitIndex(index: number): void {
    check(index <= this.log.lastIndex, `commit index ${index} is beyond the log's end ${this.log.lastIndex}`);
    this.#commitIndex = Math.max(this.#commitIndex, index);
  }

  /** A snapshot took the log's place. */
  swappedIn(): void {
    const { index } = this.log.base;
    this.raiseCommitIndex(index);
    this.#committedHandedOutIndex = index;
    this.settleRole();
  }

  /** The role follows this replica's place in the configuration; but a leader leads until its removal is committed (§6). */
  settleRole(): void {
    if (this.#role === "leader") return;
    if (this.mayCampaign && this.#role === "learner") this.changeRole({ type: "promoted" });
    if (!this.mayCampaign && this.#role !== "learner") this.changeRole({ type: "demoted" });
  }

  /** Committed and durable here: no replica applies what a crash could take back. */
  get committableIndex(): number {
    return Math.min(this.#commitIndex, this.log.durableIndex);
  }

  get committedHandedOutIndex(): number {
    return this.#committedHandedOutIndex;
  }

  takeCommitted(): readonly Entry[] {
    const to = this.committableIndex;
    const committed = this.log.range(this.#committedHandedOutIndex + 1, to);
    this.#committedHandedOutIndex = Math.max(this.#committedHandedOutIndex, to);
    return committed;
  }

  get hardStateDirty(): boolean {
    return this.#hardStateDirty;
  }

  /** The commit index alone is worth no save of its own: it goes along with others. */
  takeHardState(entriesToSave: boolean): HardState | null {
    const commitMoved = this.#commitIndex !== this.#savedCommitIndex;
    if (!this.#hardStateDirty && !(entriesToSave && commitMoved)) return null;
    this.#hardStateDirty = false;
    this.#savedCommitIndex = this.#commitIndex;
    return { term: this.#term, votedFor: this.#votedFor, commitIndex: this.#commitIndex };
  }
}

import { check } from "./check.ts";
import { Compaction } from "./compaction.ts";
import type { Configuration, Member } from "./configuration.ts";
import { Election } from "./election.ts";
import type { Base, Entry, PersistedState } from "./entry.ts";
import { Inbox } from "./inbox.ts";
import { Lead } from "./lead.ts";
import { type HeldBack, type Levels, type Linked, levels } from "./level.ts";
import { heldBackBy } from "./level-raise.ts";
import { LogReceiver } from "./log-receiver.ts";
import { type ChangeResult, MemberChange, type Wish } from "./member-change.ts";
import { members } from "./quorum.ts";
import { completeRaftOptions, type RaftOptions } from "./raft-options.ts";
import { followerStatus, type RaftStatus } from "./raft-status.ts";
import { ReadIndex } from "./read-index.ts";
import type { Now, ProposeResult, RaftEvent, Ready, Role } from "./ready.ts";
import { Replica } from "./replica.ts";
import { Replication } from "./replication.ts";
import { SnapshotReceiver } from "./snapshot-receiver.ts";
import type { ToldCommits } from "./told-commits.ts";

export interface RaftConstruction extends Partial<RaftOptions> {
  readonly self: Member;
  /** Uniform in [0, 1); the only source of chance. */
  readonly random: () => number;
  /** What this process can read and write; by default what this build can. */
  readonly levels?: Levels;
}

/**
 * One replica of one group: the Raft paper's figure 2, without any IO. Every event goes in through `step` or `propose`,
 * with the clocks as they stand; `ready` then says what to do. Same events, same clocks, same `random`: same result.
 */
export class Raft {
  readonly #replica: Replica;
  readonly #election: Election;
  readonly #replication: Replication;
  readonly #logReceiver: LogReceiver;
  readonly #snapshotReceiver: SnapshotReceiver;
  readonly #readIndex: ReadIndex;
  readonly #inbox: Inbox;
  readonly #compaction: Compaction;
  /** Not null exactly while this replica leads. */
  #lead: Lead | null = null;
  #memberChange: MemberChange | null = null;
  /** As of the end of the last event. */
  #noticed: { readonly configuration: Configuration; readonly isCommitted: boolean };

  /**
   * @param persisted what is durable here: contiguous, and its term no older than its last entry's
   * @throws RangeError that names a wrong option, its value and what is allowed
   * @throws RaftBroken if what was persisted contradicts itself
   */
  constructor(construction: RaftConstruction, persisted: PersistedState, now: Now) {
    const { self, random, levels: known = levels, ...options } = construction;
    this.#replica = new Replica(
      { ...completeRaftOptions(options), self, random, levels: known },
      persisted,
      now,
      (from, to) => this.#roleChanged(from, to),
    );
    this.#election = new Election(this.#replica);
    this.#replication = new Replication(this.#replica);
    this.#logReceiver = new LogReceiver(this.#replica);
    this.#snapshotReceiver = new SnapshotReceiver(this.#replica);
    this.#readIndex = new ReadIndex(this.#replica);
    this.#inbox = new Inbox({
      replica: this.#replica,
      election: this.#election,
      replication: this.#replication,
      logReceiver: this.#logReceiver,
      snapshotReceiver: this.#snapshotReceiver,
      readIndex: this.#readIndex,
      leadRefused: (by) => this.#lead?.refused(by),
      advance: () => this.#advance(),
    });
    this.#noticed = {
      configuration: this.configuration,
      isCommitted: this.#replica.isConfigurationCommitted,
    };
    this.#compaction = new Compaction(this.#replica, this.#replication, () => this.#lead?.beforeCompaction());
  }

  get role(): Role {
    return this.#replica.role;
  }

  get term(): number {
    return this.#replica.term;
  }

  /** null while none is known in this term, or the link to it is closed. */
  get leaderId(): string | null {
    return this.#replica.leaderId;
  }

  get commitIndex(): number {
    return this.#replica.commitIndex;
  }

  get lastIndex(): number {
    return this.#replica.log.lastIndex;
  }

  get durableIndex(): number {
    return this.#replica.log.durableIndex;
  }

  /** Where the log in memory begins. A leader's may lag behind the last `compacted` for a while. */
  get base(): Base {
    return this.#replica.log.base;
  }

  /** The nodes of the members, but for this one. */
  get memberIds(): readonly string[] {
    const { configuration } = this;
    const ids = members(configuration).map(({ nodeId }) => nodeId);
    return [...new Set(ids)].filter((nodeId) => nodeId !== this.#replica.options.self.nodeId);
  }

  /** The latest in the log; it counts, committed or not. */
  get configuration(): Configuration {
    return this.#replica.configuration;
  }

  get levelHeldBackBy(): readonly HeldBack[] {
    return heldBackBy(this.#replica);
  }

  /** To whom the lead is on its way from here; null: to nobody. Until that is over proposals are refused. */
  get transferTo(): string | null {
    return this.#lead?.transferTo ?? null;
  }

  get configurationIndex(): number {
    return this.#replica.log.membership.latest.index;
  }

  /** This very disk was a member, by a configuration that is committed and that the log still has. */
  get hasBeenMember(): boolean {
    return this.#replica.log.membership.hasCounted(this.#replica.options.self, this.commitIndex);
  }

  /** As of an index from `base.index` on. */
  configurationAt(index: number): Configuration {
    return this.#replica.log.membership.at(index);
  }

  /**
   * Nothing is under way here, and whoever can be reached has everything and knows it to be committed: then ticks only
   * look for silence. Whoever leaves them out looks for it instead, and before anything else happens tells when each was
   * heard last (`leaderAlive` and `followerAlive` with `agoMs`).
   */
  get isQuiet(): boolean {
    const { log, commitIndex, committedHandedOutIndex, leaderId, hardStateDirty, outbox } = this.#replica;
    const isDone = commitIndex === log.lastIndex && committedHandedOutIndex === commitIndex;
    const isSaved = log.durableIndex === log.lastIndex && !hardStateDirty && outbox.isEmpty;
    if (!isDone || !isSaved || leaderId === null || !this.#readIndex.isIdle) return false;
    if (this.#lead === null) return !this.#replica.swapping && !this.#logReceiver.hasAnswer;
    return this.#replication.isQuiet && this.transferTo === null && (this.#memberChange?.isDone ?? false);
  }

  /** What a command proposed now would be stamped. For the leader only. */
  logTimeMs(now: Now): number {
    check(this.#lead !== null, "only the leader knows the log time");
    this.#replica.now = now;
    return this.#lead.logTimeMs;
  }

  /** Appends all of `data` (at least one), each as a command of its own, or nothing. Appended is not committed. */
  propose(data: readonly Uint8Array[], now: Now): ProposeResult {
    check(data.length > 0, "nothing was proposed");
    this.#replica.now = now;
    if (this.#lead === null) return { type: "notLeader", leaderId: this.#replica.leaderId };
    return this.#lead.propose(data);
  }

  /**
   * Appends the wish as the first step of a change; the further ones follow by themselves, under whatever leader. Until
   * the joint configuration another wish may replace it. With `dryRun` nothing is appended.
   */
  changeMembers(wish: Wish, now: Now, { dryRun = false }: { dryRun?: boolean } = {}): ChangeResult {
    this.#replica.now = now;
    if (this.#memberChange === null) return { type: "notLeader", leaderId: this.#replica.leaderId };
    const result = this.#memberChange.change(wish, { dryRun });
    this.#noticeConfiguration();
    return result;
  }

  /** What is known here to be committed, and not handed out yet, as it is not durable here. */
  get committedAhead(): readonly Entry[] {
    return this.#replica.log.range(this.#replica.committedHandedOutIndex + 1, this.commitIndex);
  }

  /** For the leader only. */
  get told(): ToldCommits {
    return this.#replication.told;
  }

  /** Entries behind `after` that are committed and durable here; null: the log has forgotten where that was. */
  committedSince(after: number): readonly Entry[] | null {
    const { log, committableIndex } = this.#replica;
    return after < log.base.index ? null : log.range(after + 1, committableIndex);
  }

  /**
   * Begins a linearizable read, on any replica. `Ready.reads` tells when it may be answered, by this ticket or a higher
   * one; not before there is a leader that a quorum confirms. Reads that begin together share a ticket.
   */
  read(now: Now): number {
    this.#replica.now = now;
    return this.#readIndex.read();
  }

  /**
   * What a linearizable read that begins now may be answered with, once that is applied here; null if the leader's
   * lease does not say so (never where the group fails over fast). `now` must be read after the read began.
   */
  leaseIndex(now: Now): number | null {
    this.#replica.now = now;
    // The lease ends before the successor hears that it may campaign.
    if (this.#lead === null || this.#lead.hasHandedOver) return null;
    return this.#readIndex.leaseIndex();
  }

  step(event: RaftEvent, now: Now): void {
    this.#replica.now = now;
    this.#handle(event);
    this.#noticeConfiguration();
  }

  /** An event may have appended a configuration, cut one off, installed or committed one. */
  #noticeConfiguration(): void {
    const { configuration } = this;
    const isCommitted = this.#replica.isConfigurationCommitted;
    if (this.#noticed.configuration === configuration && this.#noticed.isCommitted === isCommitted) return;
    this.#noticed = { configuration, isCommitted };
    this.#replica.settleRole();
  }

  #handle(event: RaftEvent): void {
    switch (event.type) {
      case "tick":
        this.#tick();
        break;
      case "message":
        this.#inbox.receive(event.from, event.message);
        break;
      case "saved":
        this.#replica.log.saved(event);
        this.#advance();
        break;
      case "linkUp":
        this.#linkUp(event.nodeId, event.linked);
        break;
      case "linkDown":
        this.#linkDown(event.nodeId);
        break;
      case "leaderAlive":
        this.#leaderAlive(event.nodeId, event.term, event.agoMs ?? 0);
        break;
      case "followerAlive":
        if (this.#lead !== null && event.term === this.term)
          this.#replication.followerAlive(event.nodeId, event.agoMs ?? 0);
        break;
      case "transferLeader":
        if (this.#lead !== null) this.#lead.transfer(event.to);
        else this.#replica.outbox.refuseTransfer({ to: event.to, code: "NOT_LEADER" });
        break;
      case "refuseLead":
        if (event.term === this.term) this.#election.refuseLead(event.from);
        break;
      case "stepDown":
        if (this.#lead !== null) this.#replica.follow({ term: this.term, leaderId: null });
        break;
      case "diskStalled":
        this.#election.diskStalled();
        break;
      case "diskMoves":
        this.#replica.diskStalled = false;
        break;
      case "snapshotChunk":
        this.#replication.onSnapshotChunk(event);
        break;
      case "snapshotFailed":
        this.#replication.onSnapshotFailed(event);
        break;
      case "chunkStored":
        this.#snapshotReceiver.onChunkStored(event);
        break;
      case "compacted":
        this.#compaction.compact(event.base);
        break;
      default:
        event satisfies never;
    }
  }

  /** What is to be done since the last call, once; null if nothing is. */
  ready(): Ready | null {
    const replica = this.#replica;
    if (this.#lead !== null) this.#replication.flush();
    this.#readIndex.flush();
    const entries = replica.log.takeUnsaved();
    const hardState = replica.takeHardState(entries.length > 0);
    this.#logReceiver.takeAnswer(entries.length > 0 || hardState !== null);
    const committed = replica.takeCommitted();
    if (hardState === null && entries.length === 0 && committed.length === 0 && replica.outbox.isEmpty)
      return null;
    return { hardState, entries, committed, ...replica.outbox.take() };
  }

  status(): RaftStatus {
    const { role, term, leaderId, commitIndex, lastIndex, durableIndex, base, transferTo } = this;
    return {
      role,
      term,
      leaderId,
      votedFor: this.#replica.votedFor,
      commitIndex,
      lastIndex,
      durableIndex,
      baseIndex: base.index,
      transferTo,
      configuration: this.configuration,
      configurationIndex: this.configurationIndex,
      followers: this.#replication.followers.map((progress) =>
        followerStatus(progress, this.#replica.now.monotonicMs),
      ),
    };
  }

  #roleChanged(from: Role, to: Role): void {
    if (from === "leader" && to !== "leader") {
      this.#lead = null;
      this.#memberChange = null;
      this.#replication.stop();
      this.#readIndex.stop();
      this.#election.followedNobody();
      this.#compaction.compactDeferred();
    }
    if (to === "leader") {
      const [replica, replication] = [this.#replica, this.#replication];
      const lead = new Lead(replica, replication);
      this.#lead = lead;
      this.#memberChange = new MemberChange({ replica, replication, lead });
      this.#advance();
    }
  }

  /** After anything that a leader counts has moved. */
  #advance(): void {
    if (this.#lead === null) return;
    this.#replication.advanceCommitIndex();
    this.#lead.handOver();
    this.#advanceChange();
    this.#compaction.compactDeferred();
  }

  #advanceChange(): void {
    this.#memberChange?.advance();
    if (!this.#memberChange?.isOut) return;
    this.#memberChange.part();
    this.#replica.follow({ term: this.term, leaderId: null });
  }

  #tick(): void {
    this.#readIndex.tick();
    if (this.#lead === null) return this.#election.tick();
    this.#lead.tick();
    this.#advanceChange();
    if (this.#lead === null) return;
    this.#compaction.compactDeferred();
    if (!this.#replication.tick()) this.#replica.follow({ term: this.term, leaderId: null });
  }

  #linkUp(nodeId: string, linked: Linked | undefined): void {
    const { links } = this.#replica;
    links.set(nodeId, linked ?? links.get(nodeId) ?? null);
    this.#election.linkUp(nodeId);
    this.#replication.linkUp(nodeId);
    this.#readIndex.linkUp(nodeId);
    this.#advanceChange();
  }

  #linkDown(nodeId: string): void {
    this.#replica.links.delete(nodeId);
    this.#election.linkDown(nodeId);
    this.#replication.linkDown(nodeId);
    this.#lead?.linkDown(nodeId);
  }

  #leaderAlive(nodeId: string, term: number, agoMs: number): void {
    const { leaderId } = this.#replica;
    if (term !== this.term || this.role === "leader" || (leaderId !== null && leaderId !== nodeId)) return;
    this.#replica.follow({ term, leaderId: nodeId });
    this.#election.leaderHeard(agoMs);
  }
}

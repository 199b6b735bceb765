import { check } from "./check.ts";
import type { Configuration, Member } from "./configuration.ts";
import { Election } from "./election.ts";
import type { Base, PersistedState } from "./entry.ts";
import { Lead } from "./lead.ts";
import { LogReceiver } from "./log-receiver.ts";
import type { RaftMessage } from "./message.ts";
import type { Progress } from "./progress.ts";
import { completeRaftOptions, type RaftOptions } from "./raft-options.ts";
import type { Now, ProposeResult, RaftEvent, Ready, Role } from "./ready.ts";
import { Replica } from "./replica.ts";
import { Replication } from "./replication.ts";
import { SnapshotReceiver } from "./snapshot-receiver.ts";

export interface RaftConstruction extends Partial<RaftOptions> {
  readonly self: Member;
  /** Uniform in [0, 1); the only source of chance. */
  readonly random: () => number;
}

export interface FollowerStatus {
  readonly nodeId: string;
  readonly storeId: string;
  readonly state: Progress["state"]["type"];
  readonly matchIndex: number;
  /** null while a snapshot is being installed. */
  readonly nextIndex: number | null;
  readonly inFlightEntries: number;
  readonly inFlightBytes: number;
  /** Since it last confirmed this leader's term. */
  readonly silentMs: number;
}

export interface RaftStatus {
  readonly role: Role;
  readonly term: number;
  readonly leaderId: string | null;
  readonly votedFor: Member | null;
  readonly commitIndex: number;
  readonly lastIndex: number;
  readonly durableIndex: number;
  readonly baseIndex: number;
  readonly transferTo: string | null;
  /** Empty but on a leader. */
  readonly followers: readonly FollowerStatus[];
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
  /** Not null exactly while this replica leads. */
  #lead: Lead | null = null;
  /** A compaction that is put off, because a follower that is there still lacks the entries. */
  #deferredBase: Base | null = null;

  /**
   * @param persisted what is durable here: contiguous, and its term no older than its last entry's
   * @throws RangeError that names a wrong option, its value and what is allowed
   * @throws RaftBroken if what was persisted contradicts itself
   */
  constructor(construction: RaftConstruction, persisted: PersistedState, now: Now) {
    const { self, random, ...options } = construction;
    this.#replica = new Replica(
      { ...completeRaftOptions(options), self, random },
      persisted,
      now,
      (from, to) => this.#roleChanged(from, to),
    );
    this.#election = new Election(this.#replica);
    this.#replication = new Replication(this.#replica);
    this.#logReceiver = new LogReceiver(this.#replica);
    this.#snapshotReceiver = new SnapshotReceiver(this.#replica);
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

  get votedFor(): Member | null {
    return this.#replica.votedFor;
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

  get configuration(): Configuration {
    return this.#replica.configuration;
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

  step(event: RaftEvent, now: Now): void {
    this.#replica.now = now;
    switch (event.type) {
      case "tick":
        this.#tick();
        break;
      case "message":
        this.#message(event.from, event.message);
        break;
      case "saved":
        this.#replica.log.saved(event);
        this.#advance();
        break;
      case "linkUp":
        this.#linkUp(event.nodeId);
        break;
      case "linkDown":
        this.#linkDown(event.nodeId);
        break;
      case "leaderAlive":
        this.#leaderAlive(event.nodeId, event.term);
        break;
      case "followerAlive":
        if (this.#lead !== null && event.term === this.term) this.#replication.followerAlive(event.nodeId);
        break;
      case "transferLeader":
        this.#lead?.transfer(event.to);
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
        this.#compact(event.base);
        break;
      default:
        event satisfies never;
    }
  }

  /** What is to be done since the last call, once; null if nothing is. */
  ready(): Ready | null {
    const replica = this.#replica;
    if (this.#lead !== null) this.#replication.flush();
    const entries = replica.log.takeUnsaved();
    const hardState = replica.takeHardState(entries.length > 0);
    this.#logReceiver.takeAnswer(entries.length > 0 || hardState !== null);
    const committed = replica.takeCommitted();
    if (hardState === null && entries.length === 0 && committed.length === 0 && replica.outbox.isEmpty)
      return null;
    return { hardState, entries, committed, ...replica.outbox.take() };
  }

  status(): RaftStatus {
    const { role, term, leaderId, votedFor, commitIndex, lastIndex, durableIndex, base } = this;
    return {
      role,
      term,
      leaderId,
      votedFor,
      commitIndex,
      lastIndex,
      durableIndex,
      baseIndex: base.index,
      transferTo: this.#lead?.transferTo ?? null,
      followers: this.#replication.followers.map((progress) => this.#followerStatus(progress)),
    };
  }

  #followerStatus({
    member,
    state,
    matchIndex,
    inFlightEntries,
    inFlightBytes,
    heardMs,
  }: Progress): FollowerStatus {
    return {
      ...member,
      state: state.type,
      matchIndex,
      nextIndex: state.type === "installing" ? null : state.nextIndex,
      inFlightEntries,
      inFlightBytes,
      silentMs: this.#replica.now.monotonicMs - heardMs,
    };
  }

  #roleChanged(from: Role, to: Role): void {
    if (from === "leader" && to !== "leader") {
      this.#lead = null;
      this.#replication.stop();
      this.#election.followedNobody();
      this.#compactDeferred();
    }
    if (to === "leader") {
      this.#lead = new Lead(this.#replica, this.#replication);
      this.#advance();
    }
  }

  /** After anything that a leader counts has moved. */
  #advance(): void {
    if (this.#lead === null) return;
    this.#replication.advanceCommitIndex();
    this.#lead.handOver();
    this.#compactDeferred();
  }

  #tick(): void {
    if (this.#lead === null) {
      this.#election.tick();
      return;
    }
    this.#lead.tick();
    this.#compactDeferred();
    if (!this.#replication.tick()) this.#replica.follow({ term: this.term, leaderId: null });
  }

  #linkUp(nodeId: string): void {
    this.#replica.links.add(nodeId);
    this.#election.linkUp(nodeId);
    this.#replication.linkUp(nodeId);
  }

  #linkDown(nodeId: string): void {
    this.#replica.links.delete(nodeId);
    this.#election.linkDown(nodeId);
    this.#replication.linkDown(nodeId);
  }

  #leaderAlive(nodeId: string, term: number): void {
    const { leaderId } = this.#replica;
    if (term !== this.term || this.role === "leader" || (leaderId !== null && leaderId !== nodeId)) return;
    this.#replica.follow({ term, leaderId: nodeId });
    this.#election.leaderHeard();
  }

  // ── messages ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #message(from: string, message: RaftMessage): void {
    switch (message.type) {
      case "preVote":
      case "requestVote":
        this.#onVoteRequest(from, message);
        break;
      case "appendEntries":
      case "installSnapshot":
      case "timeoutNow":
        this.#onLeaderMessage(from, message);
        break;
      case "preVoteResponse":
      case "requestVoteResponse":
      case "appendEntriesResponse":
      case "installSnapshotResponse":
        this.#onResponse(from, message);
        break;
      default:
        message satisfies never;
    }
  }

  #onVoteRequest(from: string, message: Extract<RaftMessage, { type: "preVote" | "requestVote" }>): void {
    const candidate = this.#replica.member(from, message.storeId);
    // An emptied disk under a voter's name is nobody (design 4.3).
    if (candidate === null) return;
    if (message.type === "preVote") {
      this.#election.onPreVote(candidate, message);
      return;
    }
    if (this.#election.ignoresVoteRequest(message)) return;
    if (message.term > this.term) this.#replica.follow({ term: message.term, leaderId: null });
    this.#election.onRequestVote(candidate, message);
  }

  #onLeaderMessage(
    from: string,
    message: Extract<RaftMessage, { type: "appendEntries" | "installSnapshot" | "timeoutNow" }>,
  ): void {
    if (message.type === "timeoutNow") {
      if (message.term === this.term) this.#election.onTimeoutNow(from);
      return;
    }
    if (message.term < this.term) {
      if (message.type === "appendEntries") this.#logReceiver.reject(from, message);
      else this.#snapshotReceiver.refuseStale(from, message);
      return;
    }
    check(
      message.term > this.term || this.role !== "leader",
      `${from} leads term ${message.term}, which is led from here: two leaders in one term`,
    );
    this.#replica.follow({ term: message.term, leaderId: from });
    this.#election.leaderHeard();
    if (message.type === "appendEntries") this.#logReceiver.onAppendEntries(from, message);
    else this.#snapshotReceiver.onInstallSnapshot(from, message);
  }

  #onResponse(from: string, message: Extract<RaftMessage, { type: `${string}Response` }>): void {
    const member = this.#replica.member(from, message.storeId);
    if (member === null) return;
    const isPreVoteGranted = message.type === "preVoteResponse" && message.granted;
    if (message.term > this.term && !isPreVoteGranted) {
      this.#replica.follow({ term: message.term, leaderId: null });
      return;
    }
    if (message.type === "preVoteResponse") this.#election.onPreVoteResponse(member, message);
    else if (message.term < this.term) return;
    else if (message.type === "requestVoteResponse") this.#election.onRequestVoteResponse(member, message);
    else this.#onFollowerResponse(member, message);
  }

  #onFollowerResponse(
    { nodeId, storeId }: Member,
    message: Extract<RaftMessage, { type: "appendEntriesResponse" | "installSnapshotResponse" }>,
  ): void {
    const progress = this.#replication.follower(nodeId, storeId);
    if (this.#lead === null || progress === null) return;
    if (message.type === "appendEntriesResponse") this.#replication.onAppendResponse(progress, message);
    else this.#replication.onSnapshotResponse(progress, message);
    this.#advance();
  }

  // ── compaction ───────────────────────────────────────────────────────────────────────────────────────────────────

  #compact(base: Base): void {
    check(
      base.index <= this.#replica.committedHandedOutIndex,
      `base ${base.index} was never handed out as committed`,
    );
    if (this.#deferredBase === null || base.index > this.#deferredBase.index) this.#deferredBase = base;
    this.#compactDeferred();
  }

  /** Followers that are there get the entries rather than a snapshot, as long as the log does not grow too large by it. */
  #compactDeferred(): void {
    const base = this.#deferredBase;
    if (base === null) return;
    const { log, options } = this.#replica;
    const isNeeded = this.#lead !== null && this.#replication.isLackedUpTo(base.index);
    if (isNeeded && log.bytes <= options.catchUpBytesMax) return;
    this.#deferredBase = null;
    this.#lead?.beforeCompaction();
    log.compact(base);
  }
}

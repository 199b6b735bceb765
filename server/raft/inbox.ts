import { check } from "./check.ts";
import type { Member } from "./configuration.ts";
import type { Election } from "./election.ts";
import type { LogReceiver } from "./log-receiver.ts";
import type { RaftMessage } from "./message.ts";
import type { ReadIndex } from "./read-index.ts";
import type { Replica } from "./replica.ts";
import type { Replication } from "./replication.ts";
import type { SnapshotReceiver } from "./snapshot-receiver.ts";

type FollowerResponse = Extract<
  RaftMessage,
  { type: "appendEntriesResponse" | "installSnapshotResponse" | "confirmLeadResponse" }
>;
type LeaderMessage = Extract<
  RaftMessage,
  { type: "appendEntries" | "installSnapshot" | "confirmLead" | "readIndexResponse" }
>;
type MemberResponse = Exclude<Extract<RaftMessage["type"], `${string}Response`>, "readIndexResponse">;

interface InboxParts {
  readonly replica: Replica;
  readonly election: Election;
  readonly replication: Replication;
  readonly logReceiver: LogReceiver;
  readonly snapshotReceiver: SnapshotReceiver;
  readonly readIndex: ReadIndex;
  readonly leadRefused: (by: Member) => void;
  /** Something that a leader counts has moved. */
  readonly advance: () => void;
}

/** What other replicas say: figure 2's rules about terms first, then on to whoever's concern it is. */
export class Inbox {
  readonly #parts: InboxParts;

  constructor(parts: InboxParts) {
    this.#parts = parts;
  }

  receive(from: string, message: RaftMessage): void {
    switch (message.type) {
      case "preVote":
      case "requestVote":
        this.#onVoteRequest(from, message);
        break;
      case "appendEntries":
      case "installSnapshot":
      case "timeoutNow":
      case "confirmLead":
      case "readIndexResponse":
        this.#onLeaderMessage(from, message);
        break;
      case "preVoteResponse":
      case "requestVoteResponse":
      case "appendEntriesResponse":
      case "installSnapshotResponse":
      case "confirmLeadResponse":
        this.#onResponse(from, message);
        break;
      case "timeoutNowRefused":
        if (message.term === this.#parts.replica.term)
          this.#parts.leadRefused({ nodeId: from, storeId: message.storeId });
        break;
      case "readIndex":
        this.#onReadIndex(from, message);
        break;
      default:
        message satisfies never;
    }
  }

  #onVoteRequest(from: string, message: Extract<RaftMessage, { type: "preVote" | "requestVote" }>): void {
    const candidate = this.#parts.replica.candidate(from, message.storeId);
    if (candidate === null) return;
    if (message.type === "preVote") {
      this.#parts.election.onPreVote(candidate, message);
      return;
    }
    if (this.#parts.election.ignoresVoteRequest(message)) return;
    if (message.term > this.#parts.replica.term)
      this.#parts.replica.follow({ term: message.term, leaderId: null });
    this.#parts.election.onRequestVote(candidate, message);
  }

  #onLeaderMessage(
    from: string,
    message: LeaderMessage | Extract<RaftMessage, { type: "timeoutNow" }>,
  ): void {
    if (message.type === "timeoutNow") {
      if (message.term === this.#parts.replica.term) this.#parts.election.onTimeoutNow(from);
      return;
    }
    if (message.term < this.#parts.replica.term) {
      this.#refuseStale(from, message);
      return;
    }
    check(
      message.term > this.#parts.replica.term || this.#parts.replica.role !== "leader",
      `${from} leads term ${message.term}, which is led from here: two leaders in one term`,
    );
    this.#parts.replica.follow({ term: message.term, leaderId: from });
    this.#parts.election.leaderHeard();
    if (message.type === "appendEntries") this.#parts.logReceiver.onAppendEntries(from, message);
    else if (message.type === "installSnapshot")
      this.#parts.snapshotReceiver.onInstallSnapshot(from, message);
    else if (message.type === "confirmLead") this.#parts.readIndex.onConfirmLead(from, message);
    else this.#parts.readIndex.onReadIndexResponse(message);
  }

  #refuseStale(from: string, message: LeaderMessage): void {
    if (message.type === "appendEntries") this.#parts.logReceiver.reject(from, message);
    else if (message.type === "installSnapshot") this.#parts.snapshotReceiver.refuseStale(from, message);
    else if (message.type === "confirmLead") this.#parts.readIndex.refuseStale(from, message);
    // A read index needs no answer: it was asked again of whoever leads now.
  }

  #onReadIndex(from: string, message: Extract<RaftMessage, { type: "readIndex" }>): void {
    const member = this.#parts.replica.member(from, message.storeId);
    if (member === null) return;
    if (message.term > this.#parts.replica.term)
      this.#parts.replica.follow({ term: message.term, leaderId: null });
    this.#parts.readIndex.onReadIndex(member, message);
  }

  #onResponse(from: string, message: Extract<RaftMessage, { type: MemberResponse }>): void {
    const member = this.#parts.replica.member(from, message.storeId);
    if (member === null) {
      // It may have been removed, and be told so; but it deposes nobody.
      if (message.term === this.#parts.replica.term && isFollowerResponse(message))
        this.#onFollowerResponse({ nodeId: from, storeId: message.storeId }, message);
      return;
    }
    const isPreVoteGranted = message.type === "preVoteResponse" && message.granted;
    if (message.term > this.#parts.replica.term && !isPreVoteGranted) {
      this.#parts.replica.follow({ term: message.term, leaderId: null });
      return;
    }
    if (message.type === "preVoteResponse") this.#parts.election.onPreVoteResponse(member, message);
    else if (message.term < this.#parts.replica.term) return;
    else if (message.type === "requestVoteResponse")
      this.#parts.election.onRequestVoteResponse(member, message);
    else this.#onFollowerResponse(member, message);
  }

  #onFollowerResponse({ nodeId, storeId }: Member, message: FollowerResponse): void {
    const { replica, replication, readIndex, advance } = this.#parts;
    const progress = replication.follower(nodeId, storeId);
    if (replica.role !== "leader" || progress === null) return;
    replication.heard(progress);
    if (message.type === "appendEntriesResponse") replication.onAppendResponse(progress, message);
    else if (message.type === "installSnapshotResponse") replication.onSnapshotResponse(progress, message);
    else readIndex.onConfirmed(progress.member, message);
    advance();
  }
}

function isFollowerResponse(message: RaftMessage): message is FollowerResponse {
  return message.type === "appendEntriesResponse" || message.type === "installSnapshotResponse";
}

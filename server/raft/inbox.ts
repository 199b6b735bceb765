import { check } from "./check.ts";
import type { Member } from "./configuration.ts";
import type { Election } from "./election.ts";
import type { LogReceiver } from "./log-receiver.ts";
import type { RaftMessage } from "./message.ts";
import type { Replica } from "./replica.ts";
import type { Replication } from "./replication.ts";
import type { SnapshotReceiver } from "./snapshot-receiver.ts";

type FollowerResponse = Extract<RaftMessage, { type: "appendEntriesResponse" | "installSnapshotResponse" }>;

interface InboxParts {
  readonly replica: Replica;
  readonly election: Election;
  readonly replication: Replication;
  readonly logReceiver: LogReceiver;
  readonly snapshotReceiver: SnapshotReceiver;
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
    message: Extract<RaftMessage, { type: "appendEntries" | "installSnapshot" | "timeoutNow" }>,
  ): void {
    if (message.type === "timeoutNow") {
      if (message.term === this.#parts.replica.term) this.#parts.election.onTimeoutNow(from);
      return;
    }
    if (message.term < this.#parts.replica.term) {
      if (message.type === "appendEntries") this.#parts.logReceiver.reject(from, message);
      else this.#parts.snapshotReceiver.refuseStale(from, message);
      return;
    }
    check(
      message.term > this.#parts.replica.term || this.#parts.replica.role !== "leader",
      `${from} leads term ${message.term}, which is led from here: two leaders in one term`,
    );
    this.#parts.replica.follow({ term: message.term, leaderId: from });
    this.#parts.election.leaderHeard();
    if (message.type === "appendEntries") this.#parts.logReceiver.onAppendEntries(from, message);
    else this.#parts.snapshotReceiver.onInstallSnapshot(from, message);
  }

  #onResponse(from: string, message: Extract<RaftMessage, { type: `${string}Response` }>): void {
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
    const { replica, replication, advance } = this.#parts;
    const progress = replication.follower(nodeId, storeId);
    if (replica.role !== "leader" || progress === null) return;
    if (message.type === "appendEntriesResponse") this.#parts.replication.onAppendResponse(progress, message);
    else this.#parts.replication.onSnapshotResponse(progress, message);
    advance();
  }
}

function isFollowerResponse(message: RaftMessage): message is FollowerResponse {
  return message.type === "appendEntriesResponse" || message.type === "installSnapshotResponse";
}

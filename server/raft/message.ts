import type { Base, Entry } from "./entry.ts";

/**
 * What the replicas of one group say to each other. Each message says when it may leave: *at once* rests on nothing that
 * is yet to be saved here (`Ready.messages`); *after the save* would be untrue if the sender crashed before it
 * (`Ready.messagesAfterSave`).
 */
export type RaftMessage =
  | PreVote
  | PreVoteResponse
  | RequestVote
  | RequestVoteResponse
  | AppendEntries
  | AppendEntriesAccepted
  | AppendEntriesRejected
  | TimeoutNow
  | TimeoutNowRefused
  | ConfirmLead
  | ConfirmLeadResponse
  | ReadIndex
  | ReadIndexResponse
  | InstallSnapshot
  | InstallSnapshotResponse;

interface Signed {
  /**
   * The sender's; but in `preVote`, and in the `preVoteResponse` that grants it, the term that the asker would campaign
   * in (dissertation §9.6).
   */
  readonly term: number;
  /** The sender's disk: what is counted is counted for a disk. The link names its node. */
  readonly storeId: string;
}

/** Would you vote for me? At once: nothing is promised by asking, nor by answering. */
interface PreVote extends Signed {
  readonly type: "preVote";
  readonly lastLogIndex: number;
  readonly lastLogTerm: number;
  /** The link to the leader closed: where the group fails over fast, leases do not hold this up. */
  readonly leaderLost: boolean;
}

interface PreVoteResponse extends Signed {
  readonly type: "preVoteResponse";
  readonly granted: boolean;
}

/** After the save of the new term and of the own vote, which is counted like all others. */
interface RequestVote extends Signed {
  readonly type: "requestVote";
  readonly lastLogIndex: number;
  readonly lastLogTerm: number;
  /** A transferred lead is not held up by leases, nor is a lost leader's where the group fails over fast. */
  readonly cause: "timeout" | "leaderLost" | "transfer";
}

/** After the save of term and vote. */
interface RequestVoteResponse extends Signed {
  readonly type: "requestVoteResponse";
  readonly granted: boolean;
}

/** At once, beside the leader's own save of the entries (dissertation §10.2.1). */
interface AppendEntries extends Signed {
  readonly type: "appendEntries";
  /** What must be in the receiver's log right before `entries`. */
  readonly prevLogIndex: number;
  readonly prevLogTerm: number;
  /** The leader's; it may lie behind what the receiver has. */
  readonly commitIndex: number;
  /** Contiguous; none: only the commit index is news, or this is a probe. */
  readonly entries: readonly Entry[];
}

/** After the save of what `matchIndex` vouches for. One that goes ahead of the save vouches for no more than the disk has. */
interface AppendEntriesAccepted extends Signed {
  readonly type: "appendEntriesResponse";
  readonly success: true;
  /** The sender's log agrees with the leader's up to here, in its memory at least: what is behind may be sent. */
  readonly receivedIndex: number;
  /** Durable on the sender's disk up to here: this alone counts for commitment. */
  readonly matchIndex: number;
  /** Known to the sender to be committed up to here. */
  readonly commitIndex: number;
}

/** After the save of the term: to a leader of an older one it is the end of its lead. */
interface AppendEntriesRejected extends Signed {
  readonly type: "appendEntriesResponse";
  readonly success: false;
  /** The `prevLogIndex` that was refused. */
  readonly rejectedIndex: number;
  /** The last index at which the logs may agree (Raft §5.3, by conflict term), and the sender's term there. */
  readonly conflictIndex: number;
  readonly conflictTerm: number;
}

/** Campaign now (dissertation §3.10). At once; only when the receiver has the whole log, and once in a term. */
interface TimeoutNow extends Signed {
  readonly type: "timeoutNow";
}

/** I do not campaign: go on leading, in this term. At once: nothing is promised by it. */
interface TimeoutNowRefused extends Signed {
  readonly type: "timeoutNowRefused";
}

/** Do I still lead (dissertation §6.4)? At once. */
interface ConfirmLead extends Signed {
  readonly type: "confirmLead";
  /** 1, 2, … in the leader's term. */
  readonly round: number;
}

/** At once: whom a replica follows rests on no disk. But to a leader of an older term after the save of the newer one. */
interface ConfirmLeadResponse extends Signed {
  readonly type: "confirmLeadResponse";
  readonly round: number;
  /** For so long, by its own clock from the question on, the sender helps nobody to replace this leader; 0: no promise. */
  readonly leaseMs: number;
}

/** A follower or learner asks its leader for a read index. At once. */
interface ReadIndex extends Signed {
  readonly type: "readIndex";
  /** The sender's own; each request has a higher one. */
  readonly id: number;
}

/** At once, when a quorum has confirmed the lead since the question came. */
interface ReadIndexResponse extends Signed {
  readonly type: "readIndexResponse";
  readonly id: number;
  /** Whoever has applied up to here may answer the reads that were asked for. */
  readonly index: number;
}

/** At once; the next chunk only when the one before was answered (Raft §7). */
interface InstallSnapshot extends Signed {
  readonly type: "installSnapshot";
  readonly snapshotId: number;
  readonly base: Base;
  /** From 0. */
  readonly chunk: number;
  readonly bytes: Uint8Array;
  readonly last: boolean;
}

/** After the save of what was staged or, with `installed`, swapped in. */
interface InstallSnapshotResponse extends Signed {
  readonly type: "installSnapshotResponse";
  readonly snapshotId: number;
  readonly chunk: number;
  /** `received`: send the next chunk. `installed`: durable, all of it. `refused`: begin again. */
  readonly status: "received" | "installed" | "refused";
  /** With `installed`: the log agrees up to here. */
  readonly matchIndex: number;
  /** With `received`: what the follower's group tells the leader's, such as what it holds already. */
  readonly answer: Uint8Array;
}

export interface Envelope {
  readonly to: string;
  readonly message: RaftMessage;
}

import type { Base, Entry } from "./entry.ts";

/**
 * What the replicas of one group say to each other. `term` is the sender's term, but in `preVote` and in a
 * granted `preVoteResponse` the term that the sender would campaign in (dissertation §9.6).
 * The link names the sender's node; `storeId` names its disk, in everything that is counted.
 */
export type RaftMessage =
  | {
      readonly type: "preVote";
      readonly term: number;
      readonly storeId: string;
      readonly lastLogIndex: number;
      readonly lastLogTerm: number /** the link to the leader closed: leases do not hold it up */;
      readonly leaderLost: boolean;
    }
  | {
      readonly type: "preVoteResponse";
      readonly term: number;
      readonly storeId: string;
      readonly granted: boolean;
    }
  | {
      readonly type: "requestVote";
      readonly term: number;
      readonly storeId: string;
      readonly lastLogIndex: number;
      readonly lastLogTerm: number /** a transferred lead, or a lost leader's where the group fails over fast, is not held up by leases */;
      readonly cause: "timeout" | "leaderLost" | "transfer";
    }
  | {
      readonly type: "requestVoteResponse";
      readonly term: number;
      readonly storeId: string;
      readonly granted: boolean;
    }
  | {
      readonly type: "appendEntries";
      readonly term: number;
      readonly storeId: string;
      readonly prevLogIndex: number;
      readonly prevLogTerm: number;
      readonly commitIndex: number;
      readonly entries: readonly Entry[];
    }
  | {
      readonly type: "appendEntriesResponse";
      readonly term: number;
      readonly storeId: string;
      readonly success: true /** the sender's log agrees up to here, in its memory at least: what is behind may be sent */;
      readonly receivedIndex: number /** durable on the sender's disk up to here: this alone counts for commitment */;
      readonly matchIndex: number /** known to the sender to be committed up to here */;
      readonly commitIndex: number;
    }
  | {
      readonly type: "appendEntriesResponse";
      readonly term: number;
      readonly storeId: string;
      readonly success: false /** the refused prevLogIndex */;
      readonly rejectedIndex: number /** the follower's hint: the last index that may agree */;
      readonly conflictIndex: number;
      readonly conflictTerm: number;
    }
  | { readonly type: "timeoutNow"; readonly term: number; readonly storeId: string }
  /** A leader asks its voters whether it still leads (dissertation §6.4). */
  | {
      readonly type: "confirmLead";
      readonly term: number;
      readonly storeId: string /** 1, 2, … in the leader's term */;
      readonly round: number;
    }
  | {
      readonly type: "confirmLeadResponse";
      readonly term: number;
      readonly storeId: string;
      readonly round: number /** for so long, by its own clock from the question on, the sender helps nobody to replace this leader; 0: no promise */;
      readonly leaseMs: number;
    }
  /** A follower or learner asks its leader for a read index. */
  | {
      readonly type: "readIndex";
      readonly term: number;
      readonly storeId: string /** the sender's own; each request has a higher one */;
      readonly id: number;
    }
  | {
      readonly type: "readIndexResponse";
      readonly term: number;
      readonly storeId: string;
      readonly id: number /** whoever has applied up to here may answer the reads that were asked for */;
      readonly index: number;
    }
  | {
      readonly type: "installSnapshot";
      readonly term: number;
      readonly storeId: string;
      readonly snapshotId: number;
      readonly base: Base /** from 0 */;
      readonly chunk: number;
      readonly bytes: Uint8Array;
      readonly last: boolean;
    }
  | {
      readonly type: "installSnapshotResponse";
      readonly term: number;
      readonly storeId: string;
      readonly snapshotId: number;
      readonly chunk: number /** `received`: send the next chunk. `installed`: durable, all of it. `refused`: start again */;
      readonly status:
        | "received"
        | "installed"
        | "refused" /** with `installed`: the log agrees up to here */;
      readonly matchIndex: number /** with `received`: what the follower's group tells the leader's, such as what it holds already */;
      readonly answer: Uint8Array;
    };

export interface Envelope {
  readonly to: string;
  readonly message: RaftMessage;
}

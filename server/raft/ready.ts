import type { Base, Entry, HardState } from "./entry.ts";
import type { Linked } from "./level.ts";
import type { Envelope, RaftMessage } from "./message.ts";

/** The clocks, as read once for an event. Both in milliseconds; `monotonicMs` may have fractions. */
export interface Now {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

/** What may happen to one replica of a group. Everything enters through `Raft.step`. */
export type RaftEvent =
  | { readonly type: "tick" }
  | { readonly type: "message"; readonly from: string; readonly message: RaftMessage }
  /** A batch of `Ready.entries` (and its hard state) is durable up to (term, index). */
  | { readonly type: "saved"; readonly term: number; readonly index: number }
  /** The link to a node opened or closed. A closed link to the leader starts a pre-vote after a short random delay. */
  | { readonly type: "linkDown"; readonly nodeId: string }
  /** Without `linked` what it said before still holds. */
  | { readonly type: "linkUp"; readonly nodeId: string; readonly linked?: Linked }
  /**
   * A heartbeat of `nodeId` confirmed that it leads this group in `term` (counts as an empty appendEntries for the election
   * timer only): now, or `agoMs` before now, if the group was left alone meanwhile (see `Raft.isQuiet`).
   */
  | { readonly type: "leaderAlive"; readonly nodeId: string; readonly term: number; readonly agoMs?: number }
  /** `nodeId` confirmed that it follows this leader in `term` (check-quorum): now, or `agoMs` before now. */
  | {
      readonly type: "followerAlive";
      readonly nodeId: string;
      readonly term: number;
      readonly agoMs?: number;
    }
  /** Hand the lead to another voter (dissertation §3.10). If it does not get there, `Ready.transfersRefused` says why. */
  | { readonly type: "transferLeader"; readonly to: string }
  /** A `timeoutNow` that `from` sent in `term`, to a node that could lead this group, but would bring it to a standstill. */
  | { readonly type: "refuseLead"; readonly from: string; readonly term: number }
  /** Lead no longer, whoever may follow: only if a transfer is not to be had. Nothing on a replica that does not lead. */
  | { readonly type: "stepDown" }
  /** No save comes to an end just now: a campaign would only disturb, since no vote of this replica could leave. */
  | { readonly type: "diskStalled" }
  /** Saves come to an end again. */
  | { readonly type: "diskMoves" }
  /** A chunk that `Ready.chunksWanted` asked for. */
  | {
      readonly type: "snapshotChunk";
      readonly to: string;
      readonly snapshotId: number;
      readonly base: Base;
      readonly chunk: number;
      readonly bytes: Uint8Array;
      readonly last: boolean;
    }
  /** The snapshot cannot be had now: begin again later. */
  | { readonly type: "snapshotFailed"; readonly to: string; readonly snapshotId: number }
  /** A chunk of `Ready.chunksReceived` is kept, or, with the last one, all of it is durable and swapped in. */
  | {
      readonly type: "chunkStored";
      readonly from: string;
      readonly snapshotId: number;
      readonly chunk: number;
      readonly base: Base;
      readonly status: "received" | "installed" | "refused";
      /** For the leader's group, with `received`. */
      readonly answer: Uint8Array;
    }
  /** Everything up to `base.index` is in durable checkpoints: the log in memory may forget it. */
  | { readonly type: "compacted"; readonly base: Base };

/** What a node must do for one group. `Raft.ready()` hands it out once. */
export interface Ready {
  /** To be saved in one atomic batch with `entries`, if not null. */
  readonly hardState: HardState | null;
  /** Contiguous; saving them first drops everything at and after `entries[0].index`. */
  readonly entries: readonly Entry[];
  /** To be sent at once, beside the save. */
  readonly messages: readonly Envelope[];
  /** To be sent only once this Ready's hard state and entries are durable. */
  readonly messagesAfterSave: readonly Envelope[];
  /** Committed *and durable here*, in order, each handed out once: to be applied. */
  readonly committed: readonly Entry[];
  /**
   * The leader wants this chunk of a snapshot for a follower; chunk 0 begins a snapshot under a new id. A chunk may be
   * wanted again. `answer`: what the follower's group said to the chunk before; what is sent may depend on it.
   */
  readonly chunksWanted: readonly {
    readonly to: string;
    readonly snapshotId: number;
    readonly chunk: number;
    readonly answer: Uint8Array;
  }[];
  /** Snapshots that are no longer being sent: what they pin is free. */
  readonly snapshotsEnded: readonly number[];
  /** A leader's chunk, to be staged; answered by `chunkStored`. A new snapshotId is another snapshot, from its beginning. */
  readonly chunksReceived: readonly {
    readonly from: string;
    readonly snapshotId: number;
    readonly base: Base;
    readonly chunk: number;
    readonly bytes: Uint8Array;
    readonly last: boolean;
  }[];
  /** Transfers of the lead that were asked for and are not, or no longer, under way here. One that succeeds is not among them: it ends this lead. */
  readonly transfersRefused: readonly TransferRefusal[];
  /**
   * All reads up to `ticket` (see Raft.read) may be answered by whoever has applied up to `index`: everything that was
   * committed anywhere before they began lies there. Rests on no save; may be ahead of what is committed here.
   */
  readonly reads: readonly { readonly ticket: number; readonly index: number }[];
}

export interface TransferRefusal {
  readonly to: string;
  /**
   * - `NOT_LEADER`: the lead is not here.
   * - `NOT_A_VOTER`: whom it should go to is a learner, or unknown.
   * - `NOT_LINKED`: its link is down, or went down meanwhile.
   * - `LAGGING`: it needs a snapshot, or has been silent for too long.
   * - `TRANSFERRING`: the lead is on its way to somebody else.
   * - `REFUSED`: it does not take the lead now, and is not asked again before an election timeout is over.
   * - `TIMED_OUT`: it did not catch up, or did not take the lead, within an election timeout. It may still do so.
   */
  readonly code:
    | "NOT_LEADER"
    | "NOT_A_VOTER"
    | "NOT_LINKED"
    | "LAGGING"
    | "TRANSFERRING"
    | "REFUSED"
    | "TIMED_OUT";
}

export type Role = "follower" | "preCandidate" | "candidate" | "leader" | "learner";

export type ProposeResult =
  | {
      readonly type: "appended";
      readonly firstIndex: number;
      readonly lastIndex: number;
      readonly term: number;
    }
  | { readonly type: "notLeader"; readonly leaderId: string | null }
  /** Too many entries or bytes are uncommitted, or a transfer is under way: nothing was appended. */
  | { readonly type: "refused"; readonly reason: "OVERLOADED" | "TRANSFERRING" };

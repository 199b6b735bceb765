import type { Address, Member } from "../raft/configuration.ts";
import type { Founding } from "../raft/founding.ts";
import type { ChangeRefusal } from "../raft/member-change.ts";
import type { RaftMessage } from "../raft/message.ts";

/** A node's signature under a proposal: which node, which of its starts, which of that start's proposals for the group (1, 2, …). */
export interface ProposalId {
  readonly nodeId: string;
  readonly bootCount: number;
  readonly sequence: number;
}

/**
 * A node's store, as it says it is or as another node saw it: an older state of it must never be taken for the present
 * one. `bootId` null: which process that start was is no longer known.
 */
export interface StoreSighting {
  readonly nodeId: string;
  readonly storeId: string;
  readonly bootId: string | null;
  readonly bootCount: number;
  /** How many saves its disk had acknowledged, at least. */
  readonly saves: number;
}

/** Who the members of a group are, by a configuration that is committed. */
export interface GroupMembers {
  readonly group: number;
  /** Of the configuration's entry. */
  readonly index: number;
  readonly members: readonly Member[];
}

/** What nodes say to each other over a link. */
export type PeerMessage =
  | { readonly type: "raft"; readonly group: number; readonly message: RaftMessage }
  /**
   * One a link and interval, whatever the number of groups. `digest`: of the (group, term) pairs that the sender leads.
   * `confirms`: the receiver's last digest, if the sender agrees with it, else 0 (check-quorum). `takesLeads`: false if
   * the sender should not be given a lead just now, because its disk or its turns are late, or it is about to stop.
   */
  | {
      readonly type: "heartbeat";
      readonly sequence: number;
      readonly digest: number;
      readonly confirms: number;
      readonly takesLeads: boolean;
      /** The receiver's last heartbeat sequence, echoed for the round trip. */
      readonly echo: number;
      /** How long the echo waited here, ms; may have fractions. */
      readonly echoDelayMs: number;
    }
  /** After a digest that did not agree: what the sender leads, in full. */
  | { readonly type: "leads"; readonly groups: readonly { readonly group: number; readonly term: number }[] }
  /** A follower's proposals on their way to the leader, in order. `term`: of the leader that they are meant for. */
  | {
      readonly type: "propose";
      readonly group: number;
      readonly proposals: readonly { readonly id: ProposalId; readonly data: Uint8Array }[];
    }
  /** The leader (or who was taken for it) did not append them, from this sequence on. */
  | {
      readonly type: "proposeRefused";
      readonly group: number;
      readonly sequence: number;
      readonly reason: "NOT_LEADER" | "OVERLOADED";
    }
  /** A change of a group's members, on its way to the leader, who answers; not to lead is no answer. */
  | {
      readonly type: "changeMembers";
      readonly group: number;
      /** The asker's own. */
      readonly id: number;
      readonly dryRun: boolean;
      readonly change: {
        readonly add: readonly Member[];
        readonly learn: readonly Member[];
        readonly remove: readonly string[];
        readonly cancel: boolean;
        readonly addresses: readonly Address[];
      };
    }
  | {
      readonly type: "changeMembersAnswer";
      readonly group: number;
      readonly id: number;
      readonly outcome:
        | { readonly type: "appended" | "possible" | "unchanged" }
        | { readonly type: "refused"; readonly code: ChangeRefusal; readonly message: string };
    }
  /** To a node that is no member, as far as the sender knows, and may not know it. */
  | { readonly type: "members"; readonly groups: readonly GroupMembers[] }
  /** The founder's decision, and its acceptance (see cluster/founding). */
  | { readonly type: "found"; readonly founding: Founding }
  | { readonly type: "founded"; readonly clusterId: string }
  /** What the sender's own store is, and what it has seen of others' (see cluster/store-witness). First on every link. */
  | { readonly type: "stores"; readonly own: StoreSighting; readonly seen: readonly StoreSighting[] }
  /** What the machines of two replicas of a group say to each other beside the log. Opaque here. */
  | { readonly type: "session"; readonly group: number; readonly body: Uint8Array }
  /** What a node tells all others about itself: addresses, load, who is attached. Opaque here; a newer version replaces an older one. */
  | { readonly type: "gossip"; readonly version: number; readonly body: Uint8Array }
  /**
   * What of the sender's rows has changed behind version `from` up to `to`, opaque here, and which version is its newest
   * (see cluster/gossip-table). `question`: the receiver's, that this answers, and all before; 0: none.
   */
  | {
      readonly type: "rows";
      readonly question: number;
      readonly version: number;
      readonly from: number;
      readonly to: number;
      readonly body: Uint8Array;
    }
  /** What of the receiver's rows has changed behind version `after`? */
  | { readonly type: "rowsWanted"; readonly question: number; readonly after: number };

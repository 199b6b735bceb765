import type { Configuration } from "../raft/configuration.ts";
import type { HeldBack } from "../raft/level.ts";
import type { FollowerStatus } from "../raft/raft-status.ts";
import type { Role } from "../raft/ready.ts";
import type { ReceivingStatus } from "./snapshot-receiver.ts";

export interface GroupStatus {
  readonly id: number;
  readonly role: Role;
  readonly term: number;
  readonly leader: string | null;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  /** A replica serves nothing before it has applied past this index (see GroupEngine.servesFrom). */
  readonly servesFrom: number;
  readonly lastIndex: number;
  readonly baseIndex: number;
  /** Of the last applied command; on the leader, the group's time now. */
  readonly logTimeMs: number;
  readonly logBytes: number;
  readonly proposalsInFlight: number;
  readonly applyBacklog: number;
  /** It has nothing to do, and is left alone until something happens. */
  readonly isAsleep: boolean;
  readonly members: MembersNotice;
  readonly level: LevelStatus;
  /** Parts are still being brought back from the disk: nothing is applied or served. */
  readonly isRestoring: boolean;
  /** To followers that are too far behind. */
  readonly snapshotsSending: number;
  readonly snapshotReceiving: ReceivingStatus | null;
}

export interface LevelStatus {
  /** As applied here (see raft/level.ts). */
  readonly agreed: number;
  /** Members that keep the group from agreeing on all that this node's build knows. */
  readonly heldBackBy: readonly HeldBack[];
}

export interface LeaderChange {
  readonly group: number;
  readonly term: number;
  /** Null: nobody that this node knows of. */
  readonly leaderId: string | null;
  /** It is this node. */
  readonly isLeader: boolean;
}

/** Who the members of a group are, as far as this node's log goes. */
export interface MembersNotice {
  readonly group: number;
  readonly configuration: Configuration;
  /** Of the entry that brought it. */
  readonly index: number;
  /** Nobody can take it back any more. */
  readonly isCommitted: boolean;
  /** This very node was a member, by a configuration that nobody can take back, as far as its log remembers. */
  readonly hasBeenMember: boolean;
}

/** How far the others are, as the leader sees them. */
export interface MembersProgress {
  readonly lastIndex: number;
  readonly followers: readonly FollowerStatus[];
}

export interface PeerPulse {
  readonly node: string;
  /** Smoothed; null before the first echo over the present link. */
  readonly roundTripMs: number | null;
}

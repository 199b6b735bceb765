import { firstLevel } from "./level.ts";

/** A voter or learner is a node *and* its disk: an emptied disk is another member (design 4.3). */
export interface Member {
  readonly nodeId: string;
  readonly storeId: string;
}

/** Where the other nodes reach a node. The core only carries it. */
export interface Address {
  readonly nodeId: string;
  /** ws://host:port */
  readonly url: string;
}

/**
 * Who counts. The one in effect is the latest in the log, from the moment at which it is appended (Raft §6). A change
 * is at most three of them: the wish is written down (new members are learners, `nextVoters` says who is to vote),
 * then the joint configuration (`votersOutgoing` as well as `voters`), then the final one. A new level is one with the same
 * members: so it is never agreed on in the middle of a change, and who is to become a member is asked before.
 */
export interface Configuration {
  readonly voters: readonly Member[];
  /** Empty but in a joint configuration. */
  readonly votersOutgoing: readonly Member[];
  /** They are sent the log and count for nothing. One who is to be demoted is among them while it still votes. */
  readonly learners: readonly Member[];
  /** The voters that are wished for, while the learners among them catch up; empty: no change waits for that. */
  readonly nextVoters: readonly Member[];
  readonly addresses: readonly Address[];
  /** What the members may write from this entry on (see level.ts); in a group's log it never falls. */
  readonly level: number;
}

export const emptyConfiguration: Configuration = Object.freeze({
  voters: Object.freeze([]),
  votersOutgoing: Object.freeze([]),
  learners: Object.freeze([]),
  nextVoters: Object.freeze([]),
  addresses: Object.freeze([]),
  level: firstLevel,
});

/** Where a change stands. */
export function changePhase(configuration: Configuration): "none" | "catchingUp" | "joint" {
  if (configuration.votersOutgoing.length > 0) return "joint";
  return configuration.nextVoters.length > 0 ? "catchingUp" : "none";
}

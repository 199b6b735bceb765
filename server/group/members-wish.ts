import type { Address, Configuration, Member } from "../raft/configuration.ts";
import { destination, type Wish } from "../raft/member-change.ts";
import { sameMember } from "../raft/quorum.ts";

/** What an operator wants of a group's members: relative to whoever is one, or is about to become one. */
export interface MembersChange {
  /** To vote. Another disk of the same node goes. */
  readonly add: readonly Member[];
  /** To be learners, and to vote no longer if they did. Another disk of the same node goes. */
  readonly learn: readonly Member[];
  /** Nodes, whatever their disk. */
  readonly remove: readonly string[];
  /** Whatever still waits for learners to catch up is taken back first. */
  readonly cancel: boolean;
  readonly addresses: readonly Address[];
}

/** The same change comes to the same wish, however often it is asked for. */
export function wishOf(configuration: Configuration, change: MembersChange): Wish {
  const from = change.cancel ? withoutWaiting(configuration) : destination(configuration);
  const named = new Set([...change.remove, ...[...change.add, ...change.learn].map(({ nodeId }) => nodeId)]);
  const others = (set: readonly Member[]) => set.filter(({ nodeId }) => !named.has(nodeId));
  return {
    voters: [...others(from.voters), ...change.add],
    learners: [...others(from.learners), ...change.learn],
    addresses: change.addresses,
  };
}

function withoutWaiting(configuration: Configuration): Omit<Wish, "addresses"> {
  const { voters, learners, nextVoters, votersOutgoing } = configuration;
  if (votersOutgoing.length > 0) return { voters, learners };
  const isIn = (set: readonly Member[], member: Member) => set.some((one) => sameMember(one, member));
  return {
    voters,
    learners: learners.filter((member) => !isIn(nextVoters, member) && !isIn(voters, member)),
  };
}

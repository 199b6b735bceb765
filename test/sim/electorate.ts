import type { Address, Configuration, Member } from "../../server/raft/configuration.ts";
import { sameMember } from "../../server/raft/quorum.ts";

/** One name for a node with its disk. */
export function memberKey({ nodeId, storeId }: Member): string {
  return `${nodeId} ${storeId}`;
}

function isSameSet(ones: readonly Member[], others: readonly Member[]): boolean {
  const keys = (set: readonly Member[]) => set.map(memberKey).sort().join();
  return keys(ones) === keys(others);
}

/**
 * Whether the one configuration may follow the other in a log (Raft §6): the same voters; or from the wish that was
 * written down into the joint of both; or out of a joint one.
 */
export function isStep(from: Configuration, to: Configuration): boolean {
  if (from.votersOutgoing.length > 0)
    return isSameSet(from.voters, to.voters) && to.votersOutgoing.length === 0;
  if (to.votersOutgoing.length > 0)
    return isSameSet(from.voters, to.votersOutgoing) && isSameSet(from.nextVoters, to.voters);
  return isSameSet(from.voters, to.voters);
}

/** By hand: it is asked after every event of a leader, and text would take a tenth of all that a simulation does. */
export function isSameConfiguration(one: Configuration, other: Configuration): boolean {
  return (
    isSameList(one.voters, other.voters, sameMember) &&
    isSameList(one.votersOutgoing, other.votersOutgoing, sameMember) &&
    isSameList(one.learners, other.learners, sameMember) &&
    isSameList(one.nextVoters, other.nextVoters, sameMember) &&
    isSameList(one.addresses, other.addresses, isSameAddress)
  );
}

function isSameList<T>(ones: readonly T[], others: readonly T[], isSame: (one: T, other: T) => boolean) {
  return ones.length === others.length && ones.every((one, at) => isSame(one, others[at] as T));
}

function isSameAddress(one: Address, other: Address): boolean {
  return one.nodeId === other.nodeId && one.url === other.url;
}

export function isSettled({ votersOutgoing, nextVoters }: Configuration): boolean {
  return votersOutgoing.length === 0 && nextVoters.length === 0;
}

export function describe({ voters, votersOutgoing, learners, nextVoters }: Configuration): string {
  const names = (set: readonly Member[]) => set.map(({ nodeId }) => nodeId).join("+");
  const parts = [
    names(voters),
    votersOutgoing.length > 0 ? `out ${names(votersOutgoing)}` : "",
    learners.length > 0 ? `learn ${names(learners)}` : "",
    nextVoters.length > 0 ? `next ${names(nextVoters)}` : "",
  ];
  return parts.filter((part) => part !== "").join(", ");
}

/** Whoever votes, or learns. */
export function membersOf({ voters, votersOutgoing, learners }: Configuration): readonly Member[] {
  return [...voters, ...votersOutgoing, ...learners];
}

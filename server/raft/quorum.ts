import type { Configuration, Member } from "./configuration.ts";

/** A joint configuration needs a majority of both sets of voters, each on its own (Raft §6). */
export function electorates(configuration: Configuration): readonly (readonly Member[])[] {
  const { voters, votersOutgoing } = configuration;
  return votersOutgoing.length === 0 ? [voters] : [voters, votersOutgoing];
}

export function majority(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

export function sameMember(a: Member, b: Member): boolean {
  return a.nodeId === b.nodeId && a.storeId === b.storeId;
}

export function isVoter(configuration: Configuration, member: Member): boolean {
  return electorates(configuration).some((voters) => voters.some((voter) => sameMember(voter, member)));
}

export function isMember(configuration: Configuration, member: Member): boolean {
  const { voters, votersOutgoing, learners } = configuration;
  return [voters, votersOutgoing, learners].some((set) => set.some((one) => sameMember(one, member)));
}

/** Everyone who is sent the log, each once, in the configuration's order. */
export function members(configuration: Configuration): readonly Member[] {
  const all: Member[] = [];
  for (const member of [
    ...configuration.voters,
    ...configuration.votersOutgoing,
    ...configuration.learners,
  ]) {
    if (!all.some((known) => sameMember(known, member))) all.push(member);
  }
  return all;
}

export function voters(configuration: Configuration): readonly Member[] {
  return members({ ...configuration, learners: [] });
}

/** `voteOf`: true for granted, false for refused, null for no answer yet. */
export function voteResult(
  configuration: Configuration,
  voteOf: (voter: Member) => boolean | null,
): "won" | "lost" | "pending" {
  let pending = false;
  for (const electorate of electorates(configuration)) {
    const needed = majority(electorate.length);
    let granted = 0;
    let open = 0;
    for (const voter of electorate) {
      const vote = voteOf(voter);
      if (vote === true) granted += 1;
      else if (vote === null) open += 1;
    }
    if (granted + open < needed) return "lost";
    if (granted < needed) pending = true;
  }
  return pending ? "pending" : "won";
}

export function isQuorum(configuration: Configuration, counts: (voter: Member) => boolean): boolean {
  return voteResult(configuration, counts) === "won";
}

/** The highest index that a quorum holds durably (Raft §5.3, figure 2 "leaders"). */
export function quorumIndex(configuration: Configuration, matchIndexOf: (voter: Member) => number): number {
  const indexes = electorates(configuration).map((electorate) => {
    const descending = electorate.map(matchIndexOf).sort((a, b) => b - a);
    return descending[majority(electorate.length) - 1] ?? 0;
  });
  return Math.min(...indexes);
}

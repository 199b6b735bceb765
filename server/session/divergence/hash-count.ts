import type { Configuration, Member } from "../../raft/configuration.ts";
import { electorates, majority } from "../../raft/quorum.ts";

/** A voter's hash, and whose word it is: what was copied from another node is not a second witness. */
export interface HashVote {
  readonly hash: string;
  readonly source: string;
}

export type HashCount =
  /** `isContested`: a voter has another one. */
  | { readonly type: "majority"; readonly hash: string; readonly isContested: boolean }
  /** Voters differ, and whatever the silent ones have, no hash will have a majority. */
  | { readonly type: "split" }
  /** It depends on those who are silent. */
  | { readonly type: "open"; readonly isContested: boolean };

/**
 * A hash is the majority's if so many independent witnesses have it, or every voter; in a joint configuration in both
 * sets of voters.
 */
export function countHashes(
  configuration: Configuration,
  voteOf: (voter: Member) => HashVote | null,
): HashCount {
  const sets = electorates(configuration).map((voters) => voters.map(voteOf));
  const hashes = new Set(sets.flat().flatMap((vote) => vote?.hash ?? []));
  const isContested = hashes.size > 1;
  for (const hash of hashes)
    if (sets.every((votes) => hasMajority(votes, hash))) return { type: "majority", hash, isContested };
  const isHopeless = [...hashes].every((hash) => !sets.every((votes) => mayHaveMajority(votes, hash)));
  return isContested && isHopeless ? { type: "split" } : { type: "open", isContested };
}

type Votes = readonly (HashVote | null)[];

function hasMajority(votes: Votes, hash: string): boolean {
  const having = votes.filter((vote) => vote?.hash === hash);
  const witnesses = new Set(having.map((vote) => vote?.source));
  return having.length === votes.length || witnesses.size >= majority(votes.length);
}

/** If all who are silent turned out to have it, each on its own. */
function mayHaveMajority(votes: Votes, hash: string): boolean {
  return hasMajority(
    votes.map((vote, at) => vote ?? { hash, source: `silent ${at}` }),
    hash,
  );
}

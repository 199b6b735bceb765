import type { GroupStatus } from "../../server/group/group-status.ts";
import type { Configuration, Member } from "../../server/raft/configuration.ts";

/** Raft §6, written down once more, since the core's own may be wrong: a majority of both sets of voters, each on its own. */
export function hasQuorum(
  { voters, votersOutgoing }: Configuration,
  isCounted: (voter: Member) => boolean,
): boolean {
  return [voters, votersOutgoing].every(
    (set) => set.length === 0 || set.filter(isCounted).length * 2 > set.length,
  );
}

/** The configurations that a node may go by within one turn: what it went by before, and what it does now. */
export type GoesBy = (nodeId: string, now: GroupStatus) => readonly Configuration[];

import type { Configuration } from "../../server/raft/configuration.ts";

/** Raft §6, written down once more: a majority of both sets of voters, each on its own. */
export function hasQuorum(
  { voters, votersOutgoing }: Configuration,
  isCounted: (nodeId: string) => boolean,
): boolean {
  return [voters, votersOutgoing].every(
    (set) => set.length === 0 || set.filter(({ nodeId }) => isCounted(nodeId)).length * 2 > set.length,
  );
}

import type { PeerIdentity } from "./network.ts";

type Speaker = Pick<PeerIdentity, "nodeId" | "levels" | "agreedLevel">;

/** Why `one` must not be linked with `other`, which knows or has agreed on more; null: not for that. It fits into a close frame. */
export function levelRefusal(one: Speaker, other: Speaker): string | null {
  const { nodeId, levels } = one;
  const { agreedLevel } = other;
  const knows = `${nodeId} knows ${levels.min} to ${levels.max}`;
  if (agreedLevel !== null && agreedLevel > levels.max)
    return `the cluster has agreed on level ${agreedLevel}, ${knows}: start a newer version there`;
  if (agreedLevel !== null && agreedLevel < levels.min)
    return `the cluster has agreed on level ${agreedLevel}, ${knows}: start an older version there`;
  if (other.levels.min > levels.max)
    return `${knows}, ${other.nodeId} needs ${other.levels.min} or more: start a newer version there`;
  return null;
}

import type { Network } from "../network/network.ts";
import type { Group } from "./group.ts";
import { Heartbeats } from "./heartbeats.ts";
import type { Lead } from "./lead-digest.ts";

/** Heartbeats that speak for these groups, and are heard by them. */
export function groupHeartbeats(
  groups: readonly Group[],
  { network, takesLeads }: { network: Network; takesLeads: () => boolean },
): Heartbeats {
  const leadsOf = (isLed: (group: Group) => boolean): readonly Lead[] =>
    groups.filter(isLed).map(({ id, raft }) => ({ group: id, term: raft.term }));
  const stepAll = (type: "leaderAlive" | "followerAlive", nodeId: string, leads: readonly Lead[]) => {
    for (const { group, term } of leads) groups[group]?.step({ type, nodeId, term });
  };
  return new Heartbeats({
    leads: () => leadsOf((group) => group.isLeader),
    believes: (nodeId) => leadsOf((group) => group.raft.leaderId === nodeId),
    takesLeads,
    send: (nodeId, message) => network.send(nodeId, message),
    leaderAlive: (nodeId, leads) => stepAll("leaderAlive", nodeId, leads),
    followerAlive: (nodeId, leads) => stepAll("followerAlive", nodeId, leads),
    disagreed: (nodeId) => {
      for (const group of groups) group.disagreed(nodeId);
    },
  });
}

import type { Network } from "../network/network.ts";
import type { AwakeGroups } from "./awake-groups.ts";
import type { Group } from "./group.ts";
import { Heartbeats } from "./heartbeats.ts";
import type { Lead } from "./lead-digest.ts";

interface GroupHeartbeatsParts {
  readonly groups: readonly Group[];
  readonly awake: AwakeGroups;
  readonly self: string;
  readonly network: Network;
  readonly takesLeads: () => boolean;
}

/** Heartbeats that speak for these groups, and are heard by those that are awake. */
export function groupHeartbeats({
  groups,
  awake,
  self,
  network,
  takesLeads,
}: GroupHeartbeatsParts): Heartbeats {
  const leadsOf = (nodeId: string): readonly Lead[] =>
    groups
      .filter(({ raft }) => raft.leaderId === nodeId)
      .map(({ id, raft }) => ({ group: id, term: raft.term }));
  const awakeLeadsOf = (nodeId: string): readonly Group[] =>
    awake.groups.filter(({ raft }) => raft.leaderId === nodeId);
  return new Heartbeats({
    digest: () => awake.leadsOf(self),
    believedDigest: (nodeId) => awake.leadsOf(nodeId),
    leads: () => leadsOf(self),
    believes: leadsOf,
    takesLeads,
    send: (nodeId, message) => network.send(nodeId, message),
    leaderAlive: (nodeId) => {
      for (const group of awakeLeadsOf(nodeId))
        group.step({ type: "leaderAlive", nodeId, term: group.raft.term });
    },
    leadsAlive: (nodeId, leads) => {
      for (const { group, term } of leads) groups[group]?.step({ type: "leaderAlive", nodeId, term });
    },
    followerAlive: (nodeId) => {
      for (const group of awakeLeadsOf(self))
        group.step({ type: "followerAlive", nodeId, term: group.raft.term });
    },
    disbelieved: (nodeId) => awake.wakeLedBy(nodeId),
    disagreed: (nodeId) => {
      awake.wakeFollowedBy(nodeId);
      for (const group of awakeLeadsOf(self)) group.disagreed(nodeId);
    },
  });
}

import type { GroupStatus } from "../group/group-status.ts";
import { changePhase, type Member } from "../raft/configuration.ts";
import { sameMember } from "../raft/quorum.ts";
import type { Membership } from "./membership.ts";

/** One disk of a node: what counts as a member. While a lost disk is being replaced a node has two. */
export interface ListedMember {
  readonly node: string;
  readonly storeId: string;
  /** In how many groups it votes, is a learner, leads. A node of none only waits to be made a member. */
  readonly votes: number;
  readonly learns: number;
  readonly leads: number;
  /** `self`: the node that was asked; `down`: no link from there, or another disk answers. */
  readonly link: "self" | "up" | "down";
  /** Where the other nodes reach it; null: not known. */
  readonly url: string | null;
  /** Where clients and operators reach it; null: not known. */
  readonly clientUrl: string | null;
}

export interface MembersList {
  /** The node that was asked. */
  readonly node: string;
  readonly clusterId: string;
  readonly groups: number;
  /** Groups whose change of members is not done yet. */
  readonly changing: readonly number[];
  readonly members: readonly ListedMember[];
}

/** Who the members are, as one node sees them, and who waits to be one. */
export function listMembers({
  clusterId,
  membership,
  groups,
  clientUrlOf,
}: {
  readonly clusterId: string;
  readonly membership: Membership;
  readonly groups: readonly GroupStatus[];
  readonly clientUrlOf: (nodeId: string) => string | null;
}): MembersList {
  const { self, roster, waiting } = membership;
  const all = [
    ...roster.disks,
    ...waiting.map(({ nodeId, storeId }) => ({ nodeId, storeId })),
    ...(roster.disks.some((disk) => sameMember(disk, self)) ? [] : [self]),
  ].sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
  const listed = (disk: Member): ListedMember => {
    const isIn = (members: readonly Member[]) => members.some((member) => sameMember(member, disk));
    const count = (holds: (group: GroupStatus) => boolean) => groups.filter(holds).length;
    const votes = count(({ members: { configuration } }) => isIn(configuration.voters));
    const isSelf = sameMember(disk, self);
    const isUp = membership.linked(disk.nodeId)?.storeId === disk.storeId;
    return {
      node: disk.nodeId,
      storeId: disk.storeId,
      votes,
      learns: count(({ members: { configuration } }) => isIn(configuration.learners)),
      leads: votes === 0 ? 0 : count(({ leader }) => leader === disk.nodeId),
      link: isSelf ? "self" : isUp ? "up" : "down",
      url: isSelf ? membership.selfUrl : roster.addressOf(disk.nodeId),
      clientUrl: clientUrlOf(disk.nodeId),
    };
  };
  const changing = groups.filter(
    ({ members: { configuration, isCommitted } }) => !isCommitted || changePhase(configuration) !== "none",
  );
  return {
    node: self.nodeId,
    clusterId,
    groups: groups.length,
    changing: changing.map(({ id }) => id),
    members: all.map(listed),
  };
}

import type { Member } from "./configuration.ts";
import type { HeldBack } from "./level.ts";
import { members } from "./quorum.ts";
import type { Replica } from "./replica.ts";

/** What a member's process has said over the link that is up now; null: nothing. */
function saidBy(replica: Replica, member: Member): number | null {
  if (replica.isSelf(member)) return replica.options.levels.max;
  const linked = replica.links.get(member.nodeId);
  return linked?.storeId === member.storeId ? linked.levelMax : null;
}

/**
 * What every member knows, as far as it has been said; who has said nothing knows no more than what is agreed on.
 * @param recipients whom the leader sends its log: they may be members no more, and would get the new level all the same
 */
export function levelOfAll(replica: Replica, recipients: readonly Member[]): number {
  const { configuration, options } = replica;
  const all = [...members(configuration), ...recipients];
  const known = all.map((member) => saidBy(replica, member) ?? configuration.level);
  return Math.min(options.levels.max, ...known);
}

export function heldBackBy(replica: Replica): HeldBack[] {
  const { max } = replica.options.levels;
  if (replica.configuration.level >= max) return [];
  return members(replica.configuration).flatMap((member) => {
    const levelMax = saidBy(replica, member);
    return levelMax !== null && levelMax >= max ? [] : [{ nodeId: member.nodeId, levelMax }];
  });
}

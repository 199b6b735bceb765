import type { MembersNotice } from "../group/group-status.ts";
import type { GroupMembers } from "../network/peer-message.ts";
import type { Address, Member } from "../raft/configuration.ts";
import type { Founding } from "../raft/founding.ts";
import { members, sameMember } from "../raft/quorum.ts";

/**
 * What this node is to its cluster. `joining`: it was never a member, as far as it knows. `removed`: it was, and is of
 * none any more.
 */
export type Standing = "joining" | "member" | "removed";

interface RosterParts {
  readonly self: Member;
  /** What --peers names: it counts as long as this node knows no better. */
  readonly given: Readonly<Record<string, string>>;
  /** Who is to be linked, or what this node is, may have changed. */
  readonly changed: () => void;
}

interface KnownGroup {
  readonly notice: MembersNotice;
  /**
   * This disk was a member of it. That a configuration does not count this node means nothing before one has: snapshots,
   * and what other nodes tell, may be older than that.
   */
  readonly hasCounted: boolean;
  /** What another node knows, if it is newer. */
  readonly told: GroupMembers | null;
}

/**
 * Who the members are and where they are reached, as far as this node knows: by its groups' configurations above all,
 * which everybody agrees on; by what other nodes tell; by the founding; and by --peers.
 */
export class Roster {
  readonly #parts: RosterParts;
  #founding: Founding | null = null;
  readonly #groups = new Map<number, KnownGroup>();
  /** Of members, by nodeId: what a group was told last. */
  readonly #addresses = new Map<string, string>();
  /** Nodes that somebody here wants to reach, to make them members. */
  readonly #invited = new Map<string, { readonly url: string | null }>();

  constructor(parts: RosterParts) {
    this.#parts = parts;
  }

  /** The groups are at least as far as the founding; `notices` say how far each is. */
  found(founding: Founding, notices: readonly MembersNotice[]): void {
    this.#founding = founding;
    for (const { nodeId, url } of founding.addresses) this.#addresses.set(nodeId, url);
    // Of two groups that differ the first is asked first, and so has what is newer.
    for (const notice of notices.toReversed()) this.#take(notice);
    this.#parts.changed();
  }

  /** A group has another configuration. */
  noticed(notice: MembersNotice): void {
    this.#take(notice);
    this.#parts.changed();
  }

  #take(notice: MembersNotice): void {
    const before = this.#groups.get(notice.group);
    const known = before?.notice.configuration.addresses ?? [];
    for (const { nodeId, url } of notice.configuration.addresses)
      if (urlOf(known, nodeId) !== url) this.#addresses.set(nodeId, url);
    const told = before?.told ?? null;
    const hasCounted = before?.hasCounted === true || notice.hasBeenMember || this.#isFounder;
    const newer = told !== null && isNewer(told, notice) ? told : null;
    this.#groups.set(notice.group, { notice, hasCounted, told: newer });
  }

  get #isFounder(): boolean {
    return this.#founding?.members.some((member) => sameMember(member, this.#parts.self)) === true;
  }

  /** By another node, of this cluster. */
  told(groups: readonly GroupMembers[]): void {
    let isNews = false;
    for (const told of groups) {
      const known = this.#groups.get(told.group);
      if (known === undefined || !isNewer(told, known.notice)) continue;
      if (known.told !== null && told.index <= known.told.index) continue;
      const hasCounted =
        known.hasCounted || told.members.some((member) => sameMember(member, this.#parts.self));
      this.#groups.set(told.group, { ...known, hasCounted, told });
      isNews = true;
    }
    if (isNews) this.#parts.changed();
  }

  /** For nodes that may not know. */
  get committed(): readonly GroupMembers[] {
    return [...this.#groups.values()].flatMap(({ notice: { group, index, configuration, isCommitted } }) =>
      isCommitted ? { group, index, members: members(configuration) } : [],
    );
  }

  /** The result takes it back, unless somebody has invited the node again. */
  invite(nodeId: string, url: string | null): () => void {
    const invitation = { url };
    this.#invited.set(nodeId, invitation);
    this.#parts.changed();
    return () => {
      if (this.#invited.get(nodeId) !== invitation) return;
      this.#invited.delete(nodeId);
      this.#parts.changed();
    };
  }

  /** Of one group at least, with whatever disk. */
  isMember(nodeId: string): boolean {
    return this.disksOf(nodeId).length > 0;
  }

  /** The disks that stand for a node in any group. */
  disksOf(nodeId: string): readonly Member[] {
    return this.disks.filter((disk) => disk.nodeId === nodeId);
  }

  /** All that are a member of any group. */
  get disks(): readonly Member[] {
    const disks: Member[] = [];
    for (const member of this.#everybody)
      if (!disks.some((disk) => sameMember(disk, member))) disks.push(member);
    return disks;
  }

  /** Each with all its disks, in the order of ids. */
  get nodeIds(): readonly string[] {
    return [...new Set(this.#everybody.map(({ nodeId }) => nodeId))].sort();
  }

  get #everybody(): readonly Member[] {
    if (this.#groups.size === 0) return this.#founding?.members ?? [];
    return [...this.#groups.values()].flatMap(
      ({ notice, told }) => told?.members ?? members(notice.configuration),
    );
  }

  addressOf(nodeId: string): string | null {
    return this.#invited.get(nodeId)?.url ?? this.#addresses.get(nodeId) ?? this.#parts.given[nodeId] ?? null;
  }

  /** Who is to be linked, and where it listens, if that is known. */
  get peers(): ReadonlyMap<string, string | null> {
    const { self, given } = this.#parts;
    const nodeIds = new Set([...this.nodeIds, ...this.#invited.keys()]);
    if (this.#founding === null || this.standing === "joining")
      for (const nodeId of Object.keys(given)) nodeIds.add(nodeId);
    nodeIds.delete(self.nodeId);
    return new Map([...nodeIds].sort().map((nodeId) => [nodeId, this.addressOf(nodeId)]));
  }

  /** `member` as soon as one group counts this node; to serve it must be of all. */
  get standing(): Standing {
    const { self } = this.#parts;
    const isSelf = (member: Member) => sameMember(member, self);
    const groups = [...this.#groups.values()];
    const counts = ({ notice, told }: KnownGroup) =>
      (told?.members ?? members(notice.configuration)).some(isSelf);
    if (groups.some(counts)) return "member";
    if (!groups.some(({ hasCounted }) => hasCounted) && !this.#isFounder) return "joining";
    // What is not committed may be taken back; and a group that has not counted this node yet may be about to.
    const mayCount = ({ notice, told, hasCounted }: KnownGroup) =>
      !hasCounted || (told === null && !notice.isCommitted);
    return groups.length === 0 || groups.some(mayCount) ? "member" : "removed";
  }

  /** Of every group. */
  get isWholeMember(): boolean {
    const isSelf = (member: Member) => sameMember(member, this.#parts.self);
    const groups = [...this.#groups.values()];
    return groups.every(({ notice }) => members(notice.configuration).some(isSelf));
  }
}

/** What others know to be committed counts against what is not committed here, as far as this node knows. */
function isNewer(told: GroupMembers, { index, isCommitted }: MembersNotice): boolean {
  return told.index > index || (told.index === index && !isCommitted);
}

function urlOf(addresses: readonly Address[], nodeId: string): string | undefined {
  return addresses.find((address) => address.nodeId === nodeId)?.url;
}

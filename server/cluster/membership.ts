import type { GroupNotices } from "../group/group-notices.ts";
import type { GroupStatus, MembersNotice } from "../group/group-status.ts";
import type { PeerIdentity } from "../network/network.ts";
import type { PeerMessage } from "../network/peer-message.ts";
import type { Member } from "../raft/configuration.ts";
import type { Founding } from "../raft/founding.ts";
import type { Clock } from "./clock.ts";
import type { Log } from "./log.ts";
import { Roster, type Standing } from "./roster.ts";

export const membershipDefaults = Object.freeze({
  /** Who may not know that it is no member is told again so often: a link may lose a message. */
  tellMs: 1_000,
});

interface MembershipParts {
  readonly self: Member;
  /** Where others reach this node; null: it does not know. */
  readonly selfUrl: string | null;
  /** What --peers names. */
  readonly given: Readonly<Record<string, string>>;
  readonly clock: Clock;
  readonly log: Log;
  send(nodeId: string, message: PeerMessage): void;
  /** Who is to be linked has changed. */
  peersChanged(peers: ReadonlyMap<string, string | null>): void;
  /** A group's log has this level. */
  levelAgreed(level: number): void;
  /** Who the members are has changed. */
  membersChanged(): void;
  /** This node is no member any more; once. */
  removed(): void;
}

interface Groups {
  readonly notices: GroupNotices;
  status(): readonly GroupStatus[];
}

/** Keeps a node in step with who the members are: whom it links with, what it tells others, and what it is itself. */
export class Membership {
  readonly roster: Roster;
  readonly #parts: MembershipParts;
  /** Nodes whose groups hear this one. */
  readonly #admitted = new Map<string, PeerIdentity>();
  #peers = "";
  #standing: Standing = "joining";
  #clusterId: string | null = null;
  #cancelTell: (() => void) | null = null;
  #hasEnded = false;

  constructor(parts: MembershipParts) {
    const { self, given } = parts;
    this.#parts = parts;
    this.roster = new Roster({ self, given, changed: () => this.#changed() });
  }

  get self(): Member {
    return this.#parts.self;
  }

  get selfUrl(): string | null {
    return this.#parts.selfUrl;
  }

  /** Linked nodes of this cluster that are no members with the disk that they run on. */
  get waiting(): readonly PeerIdentity[] {
    return [...this.#admitted.values()].filter(
      ({ nodeId, storeId }) => !this.roster.disksOf(nodeId).some((disk) => disk.storeId === storeId),
    );
  }

  /** The groups run from now on. */
  founded(founding: Founding, groups: Groups): void {
    this.#clusterId = founding.clusterId;
    this.#parts.levelAgreed(founding.level);
    groups.notices.onMembers((notice) => this.#noticed(notice));
    this.roster.found(
      founding,
      groups.status().map(({ members }) => members),
    );
    this.#warnOfStrangePeers();
    if (this.#standing === "joining") this.#sayThatItWaits(founding);
  }

  admitted(peer: PeerIdentity): void {
    this.#admitted.set(peer.nodeId, peer);
    this.#tellStrangers();
  }

  left(nodeId: string): void {
    this.#admitted.delete(nodeId);
  }

  /** The process of a linked node, and the disk that it runs on; null if none is. */
  linked(nodeId: string): PeerIdentity | null {
    return this.#admitted.get(nodeId) ?? null;
  }

  /** Another node says who the members are. */
  told({ groups }: Extract<PeerMessage, { type: "members" }>): void {
    if (!this.#hasEnded) this.roster.told(groups);
  }

  stop(): void {
    this.#hasEnded = true;
    this.#cancelTell?.();
    this.#cancelTell = null;
  }

  #noticed(notice: MembersNotice): void {
    if (this.#hasEnded) return;
    const { group, index, isCommitted, configuration } = notice;
    const { voters, votersOutgoing, learners, nextVoters, level } = configuration;
    const ids = (members: readonly Member[]) => members.map(({ nodeId }) => nodeId);
    this.#parts.log.info(
      {
        event: "members",
        group,
        index,
        isCommitted,
        voters: ids(voters),
        votersOutgoing: ids(votersOutgoing),
        learners: ids(learners),
        nextVoters: ids(nextVoters),
        level,
      },
      `group ${group}: ${ids(voters).join(", ")} vote${isCommitted ? "" : ", not committed yet"}`,
    );
    this.#parts.levelAgreed(level);
    this.roster.noticed(notice);
    if (isCommitted) this.#tellStrangers();
  }

  #changed(): void {
    if (this.#hasEnded) return;
    const { peers, standing } = this.roster;
    const described = JSON.stringify([...peers]);
    if (described !== this.#peers) {
      this.#peers = described;
      this.#parts.peersChanged(peers);
    }
    this.#standing = standing;
    this.#parts.membersChanged();
    if (standing === "removed") {
      this.stop();
      this.#parts.removed();
    }
  }

  /** Who is no member as far as this node knows may believe that it is one. */
  #tellStrangers(): void {
    const { waiting } = this;
    const { committed } = this.roster;
    if (committed.length === 0 || waiting.length === 0 || this.#standing !== "member") return;
    for (const { nodeId } of waiting) this.#parts.send(nodeId, { type: "members", groups: committed });
    this.#cancelTell ??= this.#parts.clock.setTimer(() => {
      this.#cancelTell = null;
      if (!this.#hasEnded) this.#tellStrangers();
    }, membershipDefaults.tellMs);
  }

  #sayThatItWaits({ clusterId, members }: Founding): void {
    const { self, log } = this.#parts;
    const { nodeId, storeId } = self;
    const isEmptied = members.some((member) => member.nodeId === nodeId) || this.roster.isMember(nodeId);
    log.warn(
      { event: "not-a-member", clusterId, storeId },
      `${nodeId} is no member of cluster ${clusterId}${isEmptied ? " with this data folder" : ""}: it waits until an operator makes it one (testudo members add ${nodeId}=HOST:PORT)`,
    );
  }

  #warnOfStrangePeers(): void {
    const { given, log } = this.#parts;
    const others = Object.keys(given).filter((nodeId) => !this.roster.isMember(nodeId));
    if (others.length === 0 || this.#standing !== "member") return;
    log.warn(
      { event: "peers-differ", peers: others, members: this.roster.nodeIds },
      `option peers names ${others.join(", ")}, which cluster ${this.#clusterId} has not: its members are ${this.roster.nodeIds.join(", ")} (testudo members changes them)`,
    );
  }
}

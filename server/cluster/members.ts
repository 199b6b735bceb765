import type { MembersOutcome } from "../group/member-changes.ts";
import type { MembersChange } from "../group/members-wish.ts";
import type { Address, Member } from "../raft/configuration.ts";
import { sameMember } from "../raft/quorum.ts";
import type { Clock } from "./clock.ts";
import { MembersError } from "./members-error.ts";
import type { Membership } from "./membership.ts";

export const membersDefaults = Object.freeze({
  /** How long a node that is to be a member has to answer at its address. */
  reachMsMax: 10_000,
  pollMs: 20,
  /** A leader that misses voters is asked again for so long: with new links and new leads some are always missing. */
  quorumMsMax: 2_000,
  /** How long the leaders of the groups have to answer, each. */
  answerMsMax: 5_000,
});

/** A node that is to be a member. */
export interface MemberToBe {
  readonly node: string;
  /** ws://host:port; null: as it is known already. */
  readonly url: string | null;
  readonly role: "voter" | "learner";
  /** A member with this id has lost its disk, or has given it up: the node stands for it with the one that it has now. */
  readonly replacesDisk: boolean;
}

/** What an operator wants to become of the members, in one step. */
export interface MembersRequest {
  readonly members: readonly MemberToBe[];
  /** Nodes that are to be members no longer. */
  readonly remove: readonly string[];
  /** Changes that still wait for their learners are taken back first. */
  readonly cancel: boolean;
  /** It was asked before: who was to be removed may be gone by now. */
  readonly again: boolean;
}

export interface GroupOutcome {
  readonly group: number;
  readonly outcome: MembersOutcome;
}

interface Groups {
  changeMembers(
    group: number,
    change: MembersChange,
    how: { dryRun?: boolean; timeoutMs?: number },
  ): Promise<MembersOutcome>;
}

interface MembersParts {
  readonly membership: Membership;
  readonly groups: Groups;
  readonly groupCount: number;
  readonly selfId: string;
  readonly clock: Clock;
}

/** Try again: it is no mistake of the request. */
const passing: ReadonlySet<string> = new Set(["CHANGE_UNDER_WAY", "NOT_YET", "NO_LEADER"]);

/** Changes the members of the whole cluster: of all its groups, each of which carries its own change through by itself. */
export class Members {
  readonly #parts: MembersParts;

  constructor(parts: MembersParts) {
    this.#parts = parts;
  }

  /**
   * Begins the change in every group, or in none if any group's leader refuses it. Asking again is harmless, and needed
   * where the outcome is that another change is under way: until every group says `unchanged`.
   *
   * @throws {MembersError} what is wrong with the request, or why a group's leader refuses it
   */
  async change(request: MembersRequest): Promise<readonly GroupOutcome[]> {
    const { membership, clock } = this.#parts;
    if (membership.roster.standing !== "member")
      throw new MembersError("NOT_A_MEMBER", "this node is no member of the cluster: ask one that is");
    this.#check(request);
    const unknown = request.members.filter(({ node }) => membership.linked(node) === null);
    for (const { node, url } of request.members)
      if (url !== null || unknown.some((one) => one.node === node)) membership.roster.invite(node, url);
    try {
      await this.#reach(unknown.filter((one) => this.#mustBeReached(one)));
      const change = this.#resolve(request);
      await this.#askWhether(change);
      return await this.#askAll(change, { dryRun: false });
    } finally {
      // Who has become a member is dialled as one; who has not is not wanted.
      clock.setTimer(() => {
        for (const { node } of request.members) membership.roster.uninvite(node);
      }, membersDefaults.reachMsMax);
    }
  }

  #check({ members, remove, cancel, again }: MembersRequest): void {
    const { roster } = this.#parts.membership;
    if (members.length === 0 && remove.length === 0 && !cancel)
      throw new MembersError("NOTHING_ASKED", "nothing is to be changed");
    const named = [...members.map(({ node }) => node), ...remove];
    const twice = named.find((node, at) => named.indexOf(node) !== at);
    if (twice !== undefined) throw new MembersError("NODE_TWICE", `${twice} is named twice`);
    const stranger = remove.find((node) => !roster.isMember(node));
    if (stranger === undefined || again) return;
    throw new MembersError(
      "NODE_UNKNOWN",
      `${stranger} is no member: the members are ${roster.nodeIds.join(", ")}`,
    );
  }

  /** Whose disk is not known yet. */
  #mustBeReached({ node, replacesDisk }: MemberToBe): boolean {
    const { selfId, membership } = this.#parts;
    return node !== selfId && (replacesDisk || !membership.roster.isMember(node));
  }

  async #reach(wanted: readonly MemberToBe[]): Promise<void> {
    const { membership, clock } = this.#parts;
    for (const { node } of wanted) {
      if (membership.roster.addressOf(node) === null)
        throw new MembersError(
          "ADDRESS_MISSING",
          `${node} is not linked, and nobody knows where: say ${node}=ws://HOST:PORT`,
        );
    }
    const untilMs = clock.now().monotonicMs + membersDefaults.reachMsMax;
    const isMissing = ({ node }: MemberToBe) => membership.linked(node) === null;
    while (wanted.some(isMissing) && clock.now().monotonicMs < untilMs) await this.#pause();
    const missing = wanted.find(isMissing);
    if (missing === undefined) return;
    const { node } = missing;
    throw new MembersError(
      "NODE_UNREACHABLE",
      `${node} does not answer at ${membership.roster.addressOf(node)}: is it running, with the cluster's secret, and with --peers that names members of this cluster?`,
    );
  }

  #resolve({ members, remove, cancel }: MembersRequest): MembersChange {
    const ofRole = (role: MemberToBe["role"]) =>
      members.filter((one) => one.role === role).map((one) => this.#disk(one));
    return {
      add: ofRole("voter"),
      learn: ofRole("learner"),
      remove,
      cancel,
      addresses: members.flatMap(({ node }) => this.#address(node)),
    };
  }

  #address(nodeId: string): readonly Address[] {
    const url = this.#parts.membership.roster.addressOf(nodeId);
    return url === null ? [] : [{ nodeId, url }];
  }

  /** The disk that a node is to be a member with. */
  #disk({ node, replacesDisk }: MemberToBe): Member {
    const { membership } = this.#parts;
    const [known] = membership.roster.disksOf(node);
    const linked = membership.linked(node);
    if (linked === null) {
      if (known !== undefined) return known;
      throw new MembersError("NODE_UNREACHABLE", `the link to ${node} is down again`);
    }
    const present = { nodeId: node, storeId: linked.storeId };
    if (known === undefined || sameMember(known, present)) return present;
    if (replacesDisk || membership.roster.disksOf(node).some((disk) => sameMember(disk, present)))
      return present;
    throw new MembersError(
      "DISK_DIFFERS",
      `${node} is a member with another data folder (store ${known.storeId}, now it has ${present.storeId}): to go on with the new one, testudo members replace ${node}`,
    );
  }

  /** Whether every group's leader would take it. */
  async #askWhether(change: MembersChange): Promise<void> {
    const { clock } = this.#parts;
    const untilMs = clock.now().monotonicMs + membersDefaults.quorumMsMax;
    for (;;) {
      try {
        await this.#askAll(change, { dryRun: true });
        return;
      } catch (error) {
        const isPassing = error instanceof MembersError && error.code === "QUORUM_LOST";
        if (!isPassing || clock.now().monotonicMs >= untilMs) throw error;
        await this.#pause();
      }
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => void this.#parts.clock.setTimer(resolve, membersDefaults.pollMs));
  }

  async #askAll(change: MembersChange, { dryRun }: { dryRun: boolean }): Promise<readonly GroupOutcome[]> {
    const { groups, groupCount } = this.#parts;
    const how = { dryRun, timeoutMs: membersDefaults.answerMsMax };
    const outcomes = await Promise.all(
      Array.from({ length: groupCount }, async (_, group) => ({
        group,
        outcome: await groups.changeMembers(group, change, how),
      })),
    );
    for (const { group, outcome } of outcomes) {
      if (outcome.type !== "refused" || passing.has(outcome.code)) continue;
      throw new MembersError(outcome.code, `group ${group}: ${outcome.message}`);
    }
    return outcomes;
  }
}

import type { GroupStatus } from "../group/group-status.ts";
import type { MembersOutcome } from "../group/member-changes.ts";
import { type MembersChange, wishOf } from "../group/members-wish.ts";
import { type Address, changePhase, type Member } from "../raft/configuration.ts";
import { isWished } from "../raft/member-change.ts";
import type { Clock } from "./clock.ts";
import { MembersError } from "./members-error.ts";
import type { Membership } from "./membership.ts";

export const membersDefaults = Object.freeze({
  /** How long a node that is to be a member has to answer at its address. */
  reachMsMax: 10_000,
  pollMs: 20,
  /** A leader that misses voters is asked again for so long: with new links and new leads some are always missing. */
  quorumMsMax: 5_000,
  /** How long the leaders of the groups have to answer, each. */
  answerMsMax: 5_000,
});

/** A node that is to be a member. */
export interface MemberToBe {
  readonly node: string;
  /** ws://host:port; null: as it is known already. */
  readonly url: string | null;
  readonly role: "voter" | "learner";
}

/** What an operator wants to become of the members, in one step. */
export interface MembersRequest {
  /** With the disks that they run on now: of a member that has lost its disk the old one goes. */
  readonly members: readonly MemberToBe[];
  /** Nodes that are to be members no longer. */
  readonly remove: readonly string[];
  /** Changes that still wait for their learners are taken back first. */
  readonly cancel: boolean;
  /** It was asked before: what was asked may be so by now. */
  readonly again: boolean;
  /** Only say what would come of it. */
  readonly dryRun: boolean;
}

export interface GroupOutcome {
  readonly group: number;
  readonly outcome: MembersOutcome;
}

export interface ChangeProgress {
  readonly outcomes: readonly GroupOutcome[];
  /** It is so in every group, and nobody can take it back. */
  readonly isDone: boolean;
}

interface Groups {
  status(): readonly GroupStatus[];
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
   * where another change is under way: until it is done.
   *
   * @throws {MembersError} what is wrong with the request, or why a group's leader refuses it
   */
  async change(request: MembersRequest): Promise<ChangeProgress> {
    const { membership, clock } = this.#parts;
    if (membership.roster.standing !== "member")
      throw new MembersError("NOT_A_MEMBER", "this node is no member of the cluster: ask one that is");
    this.#check(request);
    const invited = request.members
      .filter(({ node, url }) => url !== null || membership.linked(node) === null)
      .map(({ node, url }) => membership.roster.invite(node, url));
    try {
      const others = request.members
        .map(({ node }) => node)
        .filter((node) => node !== membership.self.nodeId);
      this.#checkAddresses(others);
      await this.#reach(others);
      return await this.#carryOut(this.#resolve(request), request);
    } finally {
      // Who has become a member is dialled as one; who has not is not wanted.
      clock.setTimer(() => {
        for (const takeBack of invited) takeBack();
      }, membersDefaults.reachMsMax);
    }
  }

  async #carryOut(change: MembersChange, request: MembersRequest): Promise<ChangeProgress> {
    const { again, dryRun } = request;
    const possible = await this.#askWhether(change);
    const isSo = possible.every(({ outcome }) => outcome.type === "unchanged") && this.#isDone(change);
    if (isSo && !again) throw new MembersError("ALREADY_SO", `${described(request)} already`);
    const outcomes = dryRun || isSo ? possible : await this.#askAll(change, { dryRun });
    return { outcomes, isDone: this.#isDone(change) };
  }

  /** As far as this node knows: another may have it already. */
  #isDone(change: MembersChange): boolean {
    return this.#parts.groups.status().every(({ members: { configuration, isCommitted } }) => {
      const isSo = isWished(configuration, wishOf(configuration, change));
      return isSo && isCommitted && changePhase(configuration) === "none";
    });
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

  #checkAddresses(nodeIds: readonly string[]): void {
    const { roster } = this.#parts.membership;
    const unknown = nodeIds.find((nodeId) => roster.addressOf(nodeId) === null);
    if (unknown === undefined) return;
    throw new MembersError(
      "ADDRESS_MISSING",
      `nobody knows where the other nodes reach ${unknown}: say ${unknown}=HOST:PORT`,
    );
  }

  async #reach(wanted: readonly string[]): Promise<void> {
    const { membership, clock } = this.#parts;
    const untilMs = clock.now().monotonicMs + membersDefaults.reachMsMax;
    const isMissing = (node: string) => membership.linked(node) === null;
    while (wanted.some(isMissing) && clock.now().monotonicMs < untilMs) await this.#pause();
    const missing = wanted.find(isMissing);
    if (missing === undefined) return;
    throw new MembersError(
      "NO_ANSWER",
      `${missing} does not answer at ${membership.roster.addressOf(missing)}: is it running, with the cluster's secret, and with --peers that names members of this cluster?`,
    );
  }

  #resolve({ members, remove, cancel }: MembersRequest): MembersChange {
    const { membership } = this.#parts;
    const ofRole = (role: MemberToBe["role"]) =>
      members.filter((one) => one.role === role).map(({ node }) => this.#disk(node));
    const moved = new Set(members.map(({ node }) => node));
    // Its own address may be known to nobody yet.
    if (membership.roster.isWholeMember && !remove.includes(membership.self.nodeId))
      moved.add(membership.self.nodeId);
    const addresses = [...moved].flatMap((node) => this.#address(node));
    return { add: ofRole("voter"), learn: ofRole("learner"), remove, cancel, addresses };
  }

  #address(nodeId: string): readonly Address[] {
    const { membership } = this.#parts;
    const url = nodeId === membership.self.nodeId ? membership.selfUrl : membership.roster.addressOf(nodeId);
    return url === null ? [] : [{ nodeId, url }];
  }

  /** The disk that a node runs on now. */
  #disk(nodeId: string): Member {
    const { membership } = this.#parts;
    const linked = membership.linked(nodeId);
    if (linked !== null) return { nodeId, storeId: linked.storeId };
    if (nodeId === membership.self.nodeId) return membership.self;
    throw new MembersError("NO_ANSWER", `the link to ${nodeId} is down again`);
  }

  /** Whether every group's leader would take it. */
  async #askWhether(change: MembersChange): Promise<readonly GroupOutcome[]> {
    const { clock } = this.#parts;
    const untilMs = clock.now().monotonicMs + membersDefaults.quorumMsMax;
    for (;;) {
      const outcomes = await this.#askAll(change, { dryRun: true });
      const refused = refusalAmong(outcomes);
      if (refused === null) return outcomes;
      if (refused.code !== "QUORUM_LOST" || clock.now().monotonicMs >= untilMs) throw refused;
      await this.#pause();
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => void this.#parts.clock.setTimer(resolve, membersDefaults.pollMs));
  }

  async #askAll(change: MembersChange, { dryRun }: { dryRun: boolean }): Promise<readonly GroupOutcome[]> {
    const { groups, groupCount } = this.#parts;
    const how = { dryRun, timeoutMs: membersDefaults.answerMsMax };
    return await Promise.all(
      Array.from({ length: groupCount }, async (_, group) => ({
        group,
        outcome: await groups.changeMembers(group, change, how),
      })),
    );
  }
}

function refusalAmong(outcomes: readonly GroupOutcome[]): MembersError | null {
  for (const { group, outcome } of outcomes) {
    if (outcome.type !== "refused" || passing.has(outcome.code)) continue;
    return new MembersError(outcome.code, `group ${group}: ${outcome.message}`);
  }
  return null;
}

function described({ members, remove, cancel }: MembersRequest): string {
  return [
    ...members.map(({ node, role }) => `${node} is a ${role} of every group`),
    ...remove.map((node) => `${node} is no member`),
    ...(cancel ? ["nothing waits"] : []),
  ].join(", ");
}

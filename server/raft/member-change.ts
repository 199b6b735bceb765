import { type Address, type Configuration, changePhase, type Member } from "./configuration.ts";
import type { Lead } from "./lead.ts";
import { levelOfAll } from "./level-raise.ts";
import { isQuorum, majority, members, sameMember } from "./quorum.ts";
import type { Replica } from "./replica.ts";
import type { Replication } from "./replication.ts";

/** Of a wish; while everybody is being replaced a configuration has twice as many. */
export const membersMax = 16;

/** Who is to be a member when a change is done. Whoever is left out is removed. */
export interface Wish {
  readonly voters: readonly Member[];
  readonly learners: readonly Member[];
  /** Of those that are new or have moved; the others' stay. */
  readonly addresses: readonly Address[];
}

export type ChangeRefusal =
  /** An earlier change has gone too far to be replaced. Try again when it is done. */
  | "CHANGE_UNDER_WAY"
  /** The leader has not committed anything of its own yet, or hands over the lead. Try again soon. */
  | "NOT_YET"
  | "NO_VOTERS"
  | "MEMBER_DUPLICATE"
  | "MEMBERS_TOO_MANY"
  /** Not enough of the voters, as they are or as they are wished, are there. */
  | "QUORUM_LOST"
  /** Who is to become a member runs a version of Testudo that is too old for what the members have agreed on. */
  | "LEVEL_TOO_LOW";

export type ChangeResult =
  | { readonly type: "appended"; readonly index: number; readonly term: number }
  /** It would be. */
  | { readonly type: "possible" }
  /** It is so already, or this very change is under way. */
  | { readonly type: "unchanged" }
  | { readonly type: "notLeader"; readonly leaderId: string | null }
  | { readonly type: "refused"; readonly reason: ChangeRefusal; readonly message: string };

interface MemberChangeParts {
  readonly replica: Replica;
  readonly replication: Replication;
  readonly lead: Lead;
}

/**
 * A leader's part in changes of the membership (Raft §6): it takes a wish into the log, and moves whatever change the
 * log holds on, its own or an earlier leader's. So a change survives every leader.
 */
export class MemberChange {
  readonly #replica: Replica;
  readonly #replication: Replication;
  readonly #lead: Lead;
  /** The lead was offered to a voter that stays; once is enough. */
  #offered = false;

  constructor({ replica, replication, lead }: MemberChangeParts) {
    this.#replica = replica;
    this.#replication = replication;
    this.#lead = lead;
  }

  /** Appends the wish, unless it is refused; with `dryRun` it only says what would come of it. */
  change(wish: Wish, { dryRun }: { dryRun: boolean }): ChangeResult {
    const configuration = this.#replica.configuration;
    const malformed = malformation(wish);
    if (malformed !== null) return malformed;
    if (isWished(configuration, wish)) return { type: "unchanged" };
    const refused =
      this.#early(configuration) ??
      this.#quorumLost(configuration, wish) ??
      this.#levelTooLow(configuration, wish);
    if (refused !== null) return refused;
    if (dryRun) return { type: "possible" };
    const index = this.#lead.appendConfiguration(wishing(configuration, wish));
    return { type: "appended", index, term: this.#replica.term };
  }

  /** One change at a time, and none before the term's own no-op is committed: else two quorums could miss each other. */
  #early(configuration: Configuration): ChangeResult | null {
    const { log, commitIndex } = this.#replica;
    if (changePhase(configuration) === "joint" || commitIndex < log.membership.latest.index)
      return refusal("CHANGE_UNDER_WAY", "an earlier change of the members is on its way");
    if (!this.#isSettled) return refusal("NOT_YET", "the leader has not committed anything in its term yet");
    if (this.#lead.transferTo !== null)
      return refusal("NOT_YET", `the lead is being handed to ${this.#lead.transferTo}`);
    return null;
  }

  /** The leader's own term has a committed entry. */
  get #isSettled(): boolean {
    const { log, commitIndex, term } = this.#replica;
    return log.termAt(commitIndex) === term;
  }

  /** Who is new must catch up before it counts, so it does no harm; but those that vote already must be there. */
  #quorumLost({ voters }: Configuration, wish: Wish): ChangeResult | null {
    for (const [which, electorate] of [
      ["present", voters],
      ["wished", wish.voters],
    ] as const) {
      const missing = electorate.filter((voter) => has(voters, voter) && !this.#isThere(voter));
      const needed = majority(electorate.length);
      if (electorate.length - missing.length >= needed) continue;
      return refusal(
        "QUORUM_LOST",
        `of the ${which} voters ${names(electorate)} at least ${needed} must be there, but ${names(missing)} ${
          missing.length === 1 ? "is" : "are"
        } not`,
      );
    }
    return null;
  }

  /** A node that is not linked has not said what it knows: it will be asked when it comes (see PeerBook). */
  #levelTooLow({ level }: Configuration, wish: Wish): ChangeResult | null {
    const { links } = this.#replica;
    for (const { nodeId, storeId } of [...wish.voters, ...wish.learners]) {
      const linked = links.get(nodeId);
      if (linked?.storeId !== storeId || linked.levelMax >= level) continue;
      return refusal(
        "LEVEL_TOO_LOW",
        `the members have agreed on level ${level}, and the version of Testudo on ${nodeId} knows only ${linked.levelMax}: start a newer one there first`,
      );
    }
    return null;
  }

  #isThere(member: Member): boolean {
    if (this.#replica.isSelf(member)) return true;
    const progress = this.#replication.follower(member.nodeId, member.storeId);
    return progress?.confirmed === true && this.#replication.isHeard(progress);
  }

  /** After anything that a leader counts has moved: the next step of the change that the log holds, if it is due. */
  advance(): void {
    const { log, commitIndex, configuration } = this.#replica;
    if (commitIndex < log.membership.latest.index || !this.#isSettled) return;
    if (this.#lead.transferTo !== null) return;
    switch (changePhase(configuration)) {
      case "none":
        this.#raiseLevel(configuration);
        return;
      case "catchingUp":
        if (this.#mayVote(configuration)) this.#lead.appendConfiguration(enteringJoint(configuration));
        return;
      case "joint":
        if (!this.#offersLead(configuration)) this.#lead.appendConfiguration(leavingJoint(configuration));
        return;
    }
  }

  /**
   * To what all members know. Whoever is only away may come back as what it was before: so each must be linked, with the
   * disk that counts, at the very moment at which it is written down.
   */
  #raiseLevel(configuration: Configuration): void {
    const level = this.#levelOfAll;
    if (level > configuration.level) this.#lead.appendConfiguration({ ...configuration, level });
  }

  get #levelOfAll(): number {
    const recipients = this.#replication.all.map(({ member }) => member);
    return levelOfAll(this.#replica, recipients);
  }

  /** No change is under way, and none is due. */
  get isDone(): boolean {
    const { configuration } = this.#replica;
    return changePhase(configuration) === "none" && this.#levelOfAll <= configuration.level;
  }

  /** All new voters are so close behind that they hold nothing up, and enough of all are there. */
  #mayVote({ voters, nextVoters }: Configuration): boolean {
    const isReady = (voter: Member) =>
      voters.some((present) => sameMember(present, voter)) || this.#isCaughtUp(voter);
    return (
      nextVoters.every(isReady) &&
      isQuorum({ ...this.#replica.configuration, voters: nextVoters, votersOutgoing: [] }, (voter) =>
        this.#isThere(voter),
      )
    );
  }

  #isCaughtUp(member: Member): boolean {
    const { log, options } = this.#replica;
    const progress = this.#replication.follower(member.nodeId, member.storeId);
    return (
      progress?.state.type === "replicating" &&
      this.#isThere(member) &&
      log.lastIndex - progress.matchIndex <= options.learnerLagEntriesMax
    );
  }

  /**
   * A leader that is not to stay offers its lead to one that is before it lets go of its vote, so that nobody has to
   * wait for an election. True: it has just done so.
   */
  #offersLead({ voters }: Configuration): boolean {
    if (this.#offered || voters.some((voter) => this.#replica.isSelf(voter))) return false;
    this.#offered = true;
    this.#offerLead();
    return this.#lead.transferTo !== null;
  }

  #offerLead(): void {
    const { voters } = this.#replica.configuration;
    const heirs = this.#replication.followers.filter(
      ({ member, confirmed }) => confirmed && voters.some((voter) => sameMember(voter, member)),
    );
    const [best] = heirs.toSorted((a, b) => b.matchIndex - a.matchIndex);
    if (best !== undefined) this.#lead.transfer(best.member.nodeId);
  }

  /** True once this leader is out, by a configuration that is committed: it must not lead any longer (§6). */
  get isOut(): boolean {
    const { log, commitIndex, isVoter } = this.#replica;
    return !isVoter && commitIndex >= log.membership.latest.index;
  }

  /** Parting, it asks whoever has everything to campaign at once. */
  part(): void {
    this.#offerLead();
  }
}

function refusal(reason: ChangeRefusal, message: string): ChangeResult {
  return { type: "refused", reason, message };
}

function names(list: readonly Member[]): string {
  return list.map(({ nodeId }) => nodeId).join(", ");
}

function malformation({ voters, learners }: Wish): ChangeResult | null {
  const all = [...voters, ...learners];
  if (voters.length === 0) return refusal("NO_VOTERS", "nobody would be left to vote");
  if (all.length > membersMax)
    return refusal("MEMBERS_TOO_MANY", `${all.length} members; ${membersMax} are allowed`);
  const twice = all.find(({ nodeId }, at) => all.findIndex((other) => other.nodeId === nodeId) !== at);
  if (twice !== undefined) return refusal("MEMBER_DUPLICATE", `${twice.nodeId} would be a member twice`);
  return null;
}

function has(set: readonly Member[], member: Member): boolean {
  return set.some((one) => sameMember(one, member));
}

function without(set: readonly Member[], others: readonly Member[]): Member[] {
  return set.filter((member) => !has(others, member));
}

function isSameSet(a: readonly Member[], b: readonly Member[]): boolean {
  return a.length === b.length && a.every((member) => has(b, member));
}

/** Who is a member when the change that a configuration is part of, if any, is done. */
export function destination({
  voters,
  votersOutgoing,
  learners,
  nextVoters,
}: Configuration): Omit<Wish, "addresses"> {
  if (votersOutgoing.length > 0 || nextVoters.length === 0) return { voters, learners };
  return { voters: nextVoters, learners: without(learners, nextVoters) };
}

/** It is so, or about to become so. */
export function isWished(configuration: Configuration, { voters, learners, addresses }: Wish): boolean {
  const to = destination(configuration);
  return (
    isSameSet(to.voters, voters) &&
    isSameSet(to.learners, learners) &&
    addresses.every(({ nodeId, url }) => addressOf(configuration.addresses, nodeId) === url)
  );
}

function addressOf(addresses: readonly Address[], nodeId: string): string | undefined {
  return addresses.find((one) => one.nodeId === nodeId)?.url;
}

/** With the addresses of its members, no more: the first that is given for a node counts. */
function addressed(configuration: Configuration, given: readonly Address[]): Configuration {
  const nodeIds = new Set(members(configuration).map(({ nodeId }) => nodeId));
  const addresses = [...nodeIds].flatMap((nodeId) => {
    const url = addressOf(given, nodeId);
    return url === undefined ? [] : [{ nodeId, url }];
  });
  return { ...configuration, addresses };
}

/** The wish as a configuration: nobody's vote is touched yet. */
function wishing({ voters, addresses, level }: Configuration, wish: Wish): Configuration {
  const isVotersChange = !isSameSet(voters, wish.voters);
  const next: Configuration = {
    voters,
    votersOutgoing: [],
    learners: [...wish.learners, ...without(wish.voters, voters)],
    nextVoters: isVotersChange ? wish.voters : [],
    addresses: [],
    level,
  };
  return addressed(next, [...wish.addresses, ...addresses]);
}

function enteringJoint(configuration: Configuration): Configuration {
  const { voters, learners, nextVoters } = configuration;
  return {
    ...configuration,
    voters: nextVoters,
    votersOutgoing: voters,
    learners: without(learners, nextVoters),
    nextVoters: [],
  };
}

function leavingJoint(configuration: Configuration): Configuration {
  return addressed({ ...configuration, votersOutgoing: [] }, configuration.addresses);
}

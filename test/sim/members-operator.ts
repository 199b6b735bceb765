import type { MembersChange } from "../../server/group/members-wish.ts";
import { type Configuration, changePhase, type Member } from "../../server/raft/configuration.ts";
import type { Chance } from "./chance.ts";
import type { Cluster } from "./cluster.ts";
import type { Coverage, Covered } from "./coverage.ts";
import { describe, isSettled, memberKey } from "./electorate.ts";
import type { Laws } from "./laws.ts";
import type { Schedule } from "./schedule.ts";
import type { SimProcess } from "./sim-node.ts";
import type { Trace } from "./trace.ts";

const votersMin = 2;
const votersMax = 5;
const nodesMax = 7;
/** Between one change that is done and the next. */
const restMs = 60;
const askTimeoutMs = 400;
/** Long enough for what was asked last to have arrived, or to have been lost with its link. */
const doubtMs = 3_000;

const kinds = [
  "add",
  "learn",
  "promote",
  "demote",
  "remove",
  "replace",
  "replaceTwo",
  "grow",
  "shrink",
  "rejoin",
] as const;
type Kind = (typeof kinds)[number];
const rareKinds = ["shrink", "promote"] as const satisfies readonly Kind[];

const counted: Readonly<Record<Kind, Covered>> = {
  add: "votersAdded",
  learn: "learnersAdded",
  promote: "learnersPromoted",
  demote: "votersDemoted",
  remove: "votersRemoved",
  replace: "votersReplaced",
  replaceTwo: "pairsReplaced",
  grow: "grownByTwo",
  shrink: "shrunkByTwo",
  rejoin: "disksRejoined",
};

/** Who is to be a member of every group, with whatever disk they have. */
interface Wish {
  readonly kind: Kind;
  readonly voters: readonly string[];
  readonly learners: readonly string[];
}

/** A wish, with the disks that its nodes have. */
interface Target {
  readonly voters: readonly Member[];
  readonly learners: readonly Member[];
}

interface MembersOperatorParts {
  readonly schedule: Schedule;
  readonly chance: Chance;
  readonly coverage: Coverage;
  readonly laws: Laws;
  readonly trace: Trace;
}

/**
 * Changes who the members are, one wish after the other, by asking any node, again and again until it is so: nodes are
 * set up, made learners and voters, replaced, demoted, removed and switched off, and come back with empty disks.
 */
export class MembersOperator {
  readonly #cluster: Cluster;
  readonly #parts: MembersOperatorParts;
  #voters: readonly string[];
  #learners: readonly string[] = [];
  /** What is not so yet. */
  #wish: Wish | null = null;
  #askedMs = Number.NEGATIVE_INFINITY;
  /** Changes of which some leader was in the middle when it was looked at. */
  readonly #known = new Set<string>();
  #isOver = false;
  /** Ends a process, and starts it again later. */
  readonly #crash: (id: string) => void;

  constructor(cluster: Cluster, parts: MembersOperatorParts, crash: (id: string) => void) {
    this.#cluster = cluster;
    this.#parts = parts;
    this.#crash = crash;
    this.#voters = cluster.nodeIds;
  }

  start(): void {
    this.#parts.trace.note("the members change");
    this.#wishSoon();
    this.#work();
    this.#hunt();
  }

  /** Nothing new is wished for; what is under way gets done. */
  end(): void {
    this.#isOver = true;
  }

  /** What is not as it was wished; null: everything is. */
  unrest(): string | null {
    if (this.#wish !== null) return `the members are not as wished: ${this.#words(this.#wish)}`;
    const target = this.#target();
    const open = this.#groups.find((group) => target === null || !this.#isSo(group, target));
    if (open !== undefined) return `the members of group ${open} are others again`;
    const guest = this.#cluster.nodeIds.find((id) => !this.#isWished(id));
    return guest === undefined ? null : `${guest} is not gone yet`;
  }

  #words({ kind, voters, learners }: Wish): string {
    return `${kind}: ${voters.join("+")}${learners.length === 0 ? "" : `, learn ${learners.join("+")}`}`;
  }

  #isWished(id: string): boolean {
    return this.#voters.includes(id) || this.#learners.includes(id);
  }

  // ── wishes ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #wishSoon(): void {
    const { schedule, chance } = this.#parts;
    schedule.in(20 + chance.wait(restMs), null, () => {
      if (this.#isOver) return;
      if (this.#wish === null && this.#isFounded) this.#wishForSomething();
      this.#wishSoon();
    });
  }

  /** Every founder has read its disk, and every group has had a leader. */
  get #isFounded(): boolean {
    return this.#groups.every((group) => this.#parts.laws.committedIndex(group) > 0);
  }

  #wishForSomething(): void {
    const { chance } = this.#parts;
    // What seldom fits is tried first when it does.
    const rare = rareKinds.filter(() => chance.hits(0.5));
    let wish: Wish | null = null;
    for (const kind of [...rare, ...this.#shuffled(kinds)]) wish ??= this.#wishOf(kind);
    if (wish === null) return;
    this.#wish = wish;
    this.#voters = wish.voters;
    this.#learners = wish.learners;
    this.#parts.trace.note(`wished is ${this.#words(wish)}`);
  }

  /** Null: it does not fit what there is. */
  #wishOf(kind: Kind): Wish | null {
    const voters = this.#voters;
    const learners = this.#learners;
    const { cluster, chance } = { cluster: this.#cluster, chance: this.#parts.chance };
    const room = nodesMax - cluster.nodeIds.length;
    const some = this.#shuffled(voters);
    const fresh = (count: number) => Array.from({ length: count }, () => cluster.add());
    switch (kind) {
      case "add":
        if (voters.length >= votersMax || room < 1) return null;
        return { kind, voters: [...voters, ...fresh(1)], learners };
      case "learn":
        if (learners.length >= 2 || room < 1) return null;
        return { kind, voters, learners: [...learners, ...fresh(1)] };
      case "promote": {
        if (learners.length === 0 || voters.length >= votersMax) return null;
        const one = chance.pick(learners);
        return { kind, voters: [...voters, one], learners: learners.filter((id) => id !== one) };
      }
      case "demote":
        if (voters.length <= votersMin) return null;
        return { kind, voters: some.slice(1), learners: [...learners, ...some.slice(0, 1)] };
      case "remove":
        if (voters.length <= votersMin) return null;
        return { kind, voters: some.slice(1), learners };
      case "replace":
        if (room < 1) return null;
        return { kind, voters: [...some.slice(1), ...fresh(1)], learners };
      case "replaceTwo":
        if (voters.length < 3 || room < 2) return null;
        return { kind, voters: [...some.slice(2), ...fresh(2)], learners };
      case "grow":
        if (voters.length > votersMax - 2 || room < 2) return null;
        return { kind, voters: [...voters, ...fresh(2)], learners };
      case "shrink":
        if (voters.length < 5) return null;
        return { kind, voters: some.slice(2), learners };
      case "rejoin":
        if (!this.#mayLoseDisk) return null;
        this.#loseDisk(some[0] as string);
        return { kind, voters, learners };
    }
  }

  #shuffled<T>(all: readonly T[]): T[] {
    const { chance } = this.#parts;
    return all
      .map((one) => [chance.fraction(), one] as const)
      .sort(([one], [other]) => one - other)
      .map(([, one]) => one);
  }

  /**
   * A majority of every electorate that anybody may still go by has its disks, also without one more; and if somebody
   * hears late that a voter is to go.
   */
  get #mayLoseDisk(): boolean {
    const isSure = this.#parts.schedule.nowMs - this.#askedMs > doubtMs;
    return this.#wish === null && this.#voters.length >= (isSure ? 3 : 4);
  }

  /** A broken disk is given up for an empty one. False: not now, the others could not go on without it. */
  replaceDisk(id: string): boolean {
    if (!this.#mayLoseDisk || !this.#voters.includes(id)) return false;
    this.#wish = { kind: "rejoin", voters: this.#voters, learners: this.#learners };
    this.#loseDisk(id);
    return true;
  }

  #loseDisk(id: string): void {
    const { schedule, chance } = this.#parts;
    this.#cluster.loseDisk(id);
    schedule.in(chance.between(20, 1_000), null, () => this.#cluster.boot(id));
  }

  // ── until it is so ───────────────────────────────────────────────────────────────────────────────────────────────

  #work(): void {
    const { schedule, chance } = this.#parts;
    schedule.in(5 + chance.wait(40), null, () => {
      this.#work();
      this.#emptyDisksOfRemoved();
      const target = this.#target();
      if (target === null) return;
      // What was asked for long ago may arrive late, and undo what is done.
      const open = this.#groups.filter((group) => !this.#isSo(group, target));
      if (open.length === 0) return this.#done();
      const process = this.#anybody();
      if (process !== null) for (const group of open) this.#ask(process, group, target);
    });
  }

  /** Whoever was removed, and is wished again before it knew, can only come back with an empty disk. */
  #emptyDisksOfRemoved(): void {
    for (const id of [...this.#voters, ...this.#learners])
      if (this.#cluster.nodeIds.includes(id) && this.#cluster.disk(id).wasRemoved) this.#loseDisk(id);
  }

  get #groups(): readonly number[] {
    return Array.from({ length: this.#cluster.groups }, (_, group) => group);
  }

  /** Null as long as some disk has not been read. */
  #target(): Target | null {
    const member = (nodeId: string): Member[] => {
      const storeId = this.#parts.laws.storeOf(nodeId);
      return storeId === null ? [] : [{ nodeId, storeId }];
    };
    const voters = this.#voters.flatMap(member);
    const learners = this.#learners.flatMap(member);
    const isKnown = voters.length === this.#voters.length && learners.length === this.#learners.length;
    return isKnown ? { voters, learners } : null;
  }

  #isSo(
    group: number,
    { voters, learners }: { voters: readonly Member[]; learners: readonly Member[] },
  ): boolean {
    const committed = this.#parts.laws.committedConfiguration(group);
    const keys = (set: readonly Member[]) => set.map(memberKey).sort().join();
    return (
      isSettled(committed) &&
      keys(committed.voters) === keys(voters) &&
      keys(committed.learners) === keys(learners)
    );
  }

  #done(): void {
    const wish = this.#wish;
    if (wish === null) return;
    const { coverage, trace } = this.#parts;
    trace.note(`the members are as wished: ${this.#words(wish)}`);
    coverage.hit(counted[wish.kind]);
    this.#wish = null;
    for (const id of this.#cluster.nodeIds) if (!this.#isWished(id)) this.#retireSoon(id);
  }

  /** Until then it may disturb. */
  #retireSoon(id: string): void {
    const { schedule, chance, laws } = this.#parts;
    schedule.in(chance.wait(500), null, () => {
      const isMember = this.#groups.some((group) => laws.isCommittedMember(id, group));
      if (isMember) this.#retireSoon(id);
      else this.#cluster.retire(id);
    });
  }

  /** Who may be asked: a member or not. */
  #anybody(): SimProcess | null {
    const able = this.#cluster.processes.filter(
      ({ isAlive, node }) => isAlive && node.founding !== null && node.groups().length > 0,
    );
    return able.length === 0 ? null : this.#parts.chance.pick(able);
  }

  #ask(process: SimProcess, group: number, target: Target): void {
    const { schedule, chance, coverage, trace } = this.#parts;
    const dryRun = chance.hits(0.1);
    const cancel = chance.hits(0.3);
    schedule.in(0, process, () => {
      const status = process.node.groups()[group];
      if (status === undefined) return;
      const change = changeTowards(status.members.configuration, { target, cancel });
      if (change === null) return;
      this.#askedMs = schedule.nowMs;
      void process.node.engine
        .changeMembers(group, change, { dryRun, timeoutMs: askTimeoutMs })
        .then((outcome) => {
          this.#askedMs = schedule.nowMs;
          if (outcome.type === "refused") coverage.hit("memberChangesRefused");
          const words = outcome.type === "refused" ? outcome.code : outcome.type;
          trace.note(
            `${process.nodeId} is asked for other members of g${group} than ${describe(status.members.configuration)}: ${words}`,
          );
        });
    });
  }

  /** Leaders die in the middle of changes. */
  #hunt(): void {
    const { schedule, chance, coverage } = this.#parts;
    schedule.in(4, null, () => {
      if (this.#isOver) return;
      this.#hunt();
      for (const process of this.#cluster.processes) {
        for (const { id, role, members } of process.node.groups()) {
          const key = `${id} ${members.index}`;
          if (role !== "leader" || changePhase(members.configuration) === "none" || this.#known.has(key))
            continue;
          this.#known.add(key);
          coverage.hit(
            members.configuration.votersOutgoing.length > 0 ? "jointConfigurations" : "learnersAwaited",
          );
          if (!chance.hits(0.25)) continue;
          coverage.hit("leadersKilledInChange");
          schedule.in(chance.wait(4), null, () => {
            if (this.#cluster.process(process.nodeId) === process) this.#crash(process.nodeId);
          });
        }
      }
    });
  }
}

/**
 * What to ask for, relative to where the present change leads, or to where it began if that is taken back; null: nothing,
 * as far as this node knows.
 */
function changeTowards(
  configuration: Configuration,
  { target, cancel }: { target: Target; cancel: boolean },
): MembersChange | null {
  if (changePhase(configuration) === "joint") return null;
  const { voters, learners, nextVoters } = configuration;
  const goals = nextVoters.length > 0 && !cancel ? nextVoters : voters;
  const isIn = (set: readonly Member[], member: Member) =>
    set.some((one) => memberKey(one) === memberKey(member));
  const add = target.voters.filter((member) => !isIn(goals, member));
  const learn = target.learners.filter((member) => !isIn(learners, member) || isIn(goals, member));
  const wished = new Set([...target.voters, ...target.learners].map(({ nodeId }) => nodeId));
  const all = new Set([...voters, ...learners, ...nextVoters].map(({ nodeId }) => nodeId));
  const remove = [...all].filter((nodeId) => !wished.has(nodeId));
  if (add.length + learn.length + remove.length === 0) return null;
  const addresses = [...add, ...learn].map(({ nodeId }) => ({ nodeId, url: `ws://${nodeId}` }));
  return { add, learn, remove, cancel, addresses };
}

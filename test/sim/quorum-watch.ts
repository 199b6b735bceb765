import type { GroupStatus } from "../../server/group/group-status.ts";
import { membersOf } from "./electorate.ts";
import { hasQuorum } from "./quorums.ts";
import type { Schedule } from "./schedule.ts";
import type { SimProcess } from "./sim-node.ts";
import { hold } from "./violation.ts";

const lookMs = 200;
/** So many looks in a row, none of them late, without a word of a quorum; a leader gives up after 400 ms at most. */
const silentLooksMax = 6;

/** So many looks in a row at what is not so: what is late still comes, and an election timeout is two of them. */
const wrongLooksMax = 8;

/** Whoever is told so has an election timeout left, of 330 ms at most. */
const toldLooksMax = 4;

/** Silence is two intervals without a heartbeat, of 80 ms each at most. */
const silentInSleepLooksMax = 3;

/** Whom a node follows, as it takes it for so. */
interface Following {
  readonly by: string;
  readonly nodeId: string;
  readonly group: number;
  readonly term: number;
}

interface QuorumWatchParts {
  readonly schedule: Schedule;
  readonly process: (nodeId: string) => SimProcess | null;
  readonly isSaving: (nodeId: string) => boolean;
  readonly storeOf: (nodeId: string) => string | null;
  readonly isLinked: (one: string, other: string) => boolean;
  readonly committedIndex: (group: number) => number;
}

/**
 * What each node takes for so, looked at again and again as it ticks: whoever leads has heard of a quorum not long ago
 * (check-quorum, dissertation §6.2); whoever is followed leads; and who sleeps has nothing to wake up for (design 4.3).
 */
export class QuorumWatch {
  readonly #parts: QuorumWatchParts;
  /** When anything came last, by "from>to". */
  readonly #arrivedMs = new Map<string, number>();

  /** What the last heartbeat that came said, by "from>to". */
  readonly #told = new Map<string, { readonly leads: ReadonlySet<string>; readonly atMs: number }>();

  /** By "node group": whom it follows, and since when it is seen to. */
  readonly #follows = new Map<string, { readonly whom: string; readonly sinceMs: number }>();

  constructor(parts: QuorumWatchParts) {
    this.#parts = parts;
  }

  /** `leads`: what the sender of a heartbeat led as it left, by "group term". */
  arrived(from: string, to: string, leads: ReadonlySet<string> | null): void {
    if (leads !== null) this.#told.set(`${from}>${to}`, { leads, atMs: this.#parts.schedule.nowMs });
    this.#arrivedMs.set(`${from}>${to}`, this.#parts.schedule.nowMs);
  }

  watch(process: SimProcess): void {
    this.#look(process, new Map());
  }

  /** `wrong`: what was not so, for how many looks. A node that pauses does not look. */
  #look(process: SimProcess, wrong: ReadonlyMap<string, number>): void {
    this.#parts.schedule.in(lookMs, process, () => {
      const still = new Map<string, number>();
      // Its groups are stopped, and know nothing of time any more.
      if (process.node.life.state === "stopping") return;
      for (const status of process.node.groups()) {
        for (const [law, what, looksMax] of this.#wrongs(process.nodeId, status)) {
          const looks = (wrong.get(what) ?? 0) + 1;
          hold(looks < looksMax, law, () => `${what} for ${looks * lookMs} ms`);
          still.set(what, looks);
        }
      }
      this.#look(process, still);
    });
  }

  *#wrongs(
    nodeId: string,
    { id, role, term, leader, members, isAsleep, commitIndex }: GroupStatus,
  ): Iterable<readonly [law: string, what: string, looksMax: number]> {
    const of = `term ${term} of group ${id}`;
    if (
      role === "leader" &&
      !hasQuorum(members.configuration, (other) => this.#isHeard(other.nodeId, nodeId))
    )
      yield ["X32", `${nodeId} leads ${of}, and has heard of no quorum`, silentLooksMax];
    // Who cannot save does not campaign.
    const mayCampaign = role === "follower" && !this.#parts.isSaving(nodeId);
    if (mayCampaign && leader !== null && !this.#isLed({ by: leader, nodeId, group: id, term }))
      yield [
        "X41",
        `${nodeId} follows ${leader} in ${of}, which does not lead it, or says nothing`,
        wrongLooksMax,
      ];
    if (mayCampaign && leader !== null && this.#isTold({ by: leader, nodeId, group: id, term }))
      yield [
        "X41",
        `${nodeId} follows ${leader} in ${of}, which says that it does not lead it`,
        toldLooksMax,
      ];
    if (isAsleep && leader !== null && !this.#isHeard(leader, nodeId))
      yield [
        "X44",
        `${nodeId} sleeps in ${of}, and ${leader}, which leads it, is silent`,
        silentInSleepLooksMax,
      ];
    if (isAsleep && role === "leader")
      for (const { nodeId: other, storeId } of membersOf(members.configuration)) {
        const knows = this.#parts.process(other)?.node.groups()[id]?.commitIndex ?? commitIndex;
        if (this.#isLinked(nodeId, other) && this.#parts.storeOf(other) === storeId && knows < commitIndex)
          yield [
            "X42",
            `${nodeId}, which leads ${of}, sleeps at ${commitIndex}, and ${other} knows of ${knows} as committed`,
            1,
          ];
      }
    // Whoever has left the group has heard the last of it.
    if (!membersOf(members.configuration).some((member) => member.nodeId === nodeId)) return;
    // An answer that waits for the disk keeps its leader waiting, and not its own group awake.
    if (commitIndex >= this.#parts.committedIndex(id) || this.#parts.isSaving(nodeId)) return;
    if (isAsleep || (leader !== null && this.#isLedInSleep({ by: leader, nodeId, group: id, term })))
      yield [
        "X42",
        `${nodeId}, or ${leader}, which it follows, sleeps in ${of}; it knows of ${commitIndex} as committed, not of more`,
        wrongLooksMax,
      ];
  }

  /** Since it was seen to follow that leader, and by that very node, that it leads nobody. */
  #isTold({ by, nodeId, group, term }: Following): boolean {
    const { nowMs } = this.#parts.schedule;
    const key = `${nodeId} ${group}`;
    const whom = `${by} ${term}`;
    const known = this.#follows.get(key);
    const follows = known?.whom === whom ? known : { whom, sinceMs: nowMs };
    this.#follows.set(key, follows);
    const told = this.#told.get(`${by}>${nodeId}`);
    return told !== undefined && told.atMs >= follows.sinceMs && !told.leads.has(`${group} ${term}`);
  }

  /** Nobody is heard before it is durably remembered whose start that is. */
  #isLinked(nodeId: string, other: string): boolean {
    const peers = this.#parts.process(nodeId)?.node.engine.peers() ?? [];
    return this.#parts.isLinked(nodeId, other) && peers.some(({ node }) => node === other);
  }

  #isHeard(other: string, nodeId: string): boolean {
    if (other === nodeId) return true;
    return this.#parts.schedule.nowMs - (this.#arrivedMs.get(`${other}>${nodeId}`) ?? 0) <= lookMs;
  }

  #isLed({ by, nodeId, group, term }: Following): boolean {
    const status = this.#parts.process(by)?.node.groups()[group];
    return this.#isHeard(by, nodeId) && status?.role === "leader" && status.term === term;
  }

  #isLedInSleep(following: Following): boolean {
    const status = this.#parts.process(following.by)?.node.groups()[following.group];
    return this.#isLed(following) && status?.isAsleep === true;
  }
}

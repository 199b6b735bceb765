import type { GroupStatus } from "../../server/group/group-status.ts";
import type { RaftMessage } from "../../server/raft/message.ts";
import { type GoesBy, hasQuorum } from "./quorums.ts";
import type { Schedule } from "./schedule.ts";
import { hold } from "./violation.ts";

type Message<T extends RaftMessage["type"]> = Extract<RaftMessage, { type: T }>;

/** Whose clock it is, to know when a time that it measures is over. */
interface Clock {
  readonly nodeId: string;
  trueMs(measuredMs: number): number;
}

/** What one voter promised last, until when, and which leader. */
interface Promised {
  readonly to: string;
  readonly term: number;
  readonly untilMs: number;
}

/**
 * A lease is what voters promised: looked at promise by promise, in simulated time, so that a lease which nobody stands
 * for is noticed without anybody's having taken the lead meanwhile (dissertation §6.4.1).
 */
export class LeaseLaws {
  readonly #schedule: Schedule;
  readonly #goesBy: GoesBy;
  /** By "group voter". */
  readonly #promised = new Map<string, Promised[]>();
  /** By "group term candidate". */
  readonly #causes = new Map<string, string>();

  constructor(schedule: Schedule, goesBy: GoesBy) {
    this.#schedule = schedule;
    this.#goesBy = goesBy;
  }

  /** A message leaves a node. */
  sent({ from, to, group }: { from: Clock; to: string; group: number }, message: RaftMessage): void {
    const { nodeId } = from;
    if (message.type === "confirmLeadResponse") this.#promises(from, to, group, message);
    else if (message.type === "requestVote")
      this.#causes.set(`${group} ${message.term} ${nodeId}`, message.cause);
    else if (message.type === "requestVoteResponse" && message.granted)
      this.#votes(nodeId, to, group, message);
  }

  #open(group: number, voter: string): Promised[] {
    const { nowMs } = this.#schedule;
    return (this.#promised.get(`${group} ${voter}`) ?? []).filter(({ untilMs }) => nowMs < untilMs);
  }

  #promises(from: Clock, to: string, group: number, message: Message<"confirmLeadResponse">): void {
    const { term, leaseMs } = message;
    if (leaseMs === 0) return;
    const promised = { to, term, untilMs: this.#schedule.nowMs + from.trueMs(leaseMs) };
    this.#promised.set(`${group} ${from.nodeId}`, [...this.#open(group, from.nodeId), promised]);
  }

  /** Nobody but the leader that was promised a lease, or whom it handed its lead over to, is voted for before that ends. */
  #votes(voter: string, to: string, group: number, { term }: Message<"requestVoteResponse">): void {
    const cause = this.#causes.get(`${group} ${term} ${to}`);
    if (cause === "transfer") return;
    const broken = this.#open(group, voter).find((promised) => promised.term < term);
    hold(
      broken === undefined,
      "X31",
      () =>
        `${voter} votes for ${to} in term ${term} of group ${group} (${cause}), and has promised ${broken?.to} a lease of term ${broken?.term} until ${broken?.untilMs.toFixed(2)}`,
    );
  }

  /** `leader` was read without asking anybody: a quorum keeps the promise that it relies on. */
  read(leader: string, status: GroupStatus): void {
    const { id: group, term } = status;
    const isBound = (voter: string) =>
      voter === leader ||
      this.#open(group, voter).some((promised) => promised.to === leader && promised.term === term);
    hold(
      this.#goesBy(leader, status).some((configuration) =>
        hasQuorum(configuration, ({ nodeId }) => isBound(nodeId)),
      ),
      "X31",
      () => `${leader} is read by its lease of term ${term} of group ${group}, and no quorum stands for it`,
    );
  }
}

import type { GroupStatus } from "../../server/group/group-status.ts";
import type { RaftMessage } from "../../server/raft/message.ts";
import { type GoesBy, hasQuorum } from "./quorums.ts";
import type { Schedule } from "./schedule.ts";
import { hold } from "./violation.ts";

/** One message on its way out of a node. */
interface Sent {
  readonly from: string;
  readonly to: string;
  readonly group: number;
}

/** Read indexes rest on confirmations that were asked for since: looked at one by one (dissertation §6.4). */
export class ReadLaws {
  readonly #schedule: Schedule;
  readonly #goesBy: GoesBy;
  /** When it was sent last, by "group term voter>leader". */
  readonly #confirmedMs = new Map<string, number>();
  /** When another node's read was asked for first, by "group asker number". */
  readonly #askedMs = new Map<string, number>();

  constructor(schedule: Schedule, goesBy: GoesBy) {
    this.#schedule = schedule;
    this.#goesBy = goesBy;
  }

  sent(sent: Sent, message: RaftMessage, statuses: () => readonly GroupStatus[]): void {
    const { from, to, group } = sent;
    const { nowMs } = this.#schedule;
    if (message.type === "confirmLeadResponse")
      this.#confirmedMs.set(`${group} ${message.term} ${from}>${to}`, nowMs);
    else if (message.type === "readIndex") {
      const key = `${group} ${from} ${message.id}`;
      if (!this.#askedMs.has(key)) this.#askedMs.set(key, nowMs);
    } else if (message.type === "readIndexResponse") {
      const askedMs = this.#askedMs.get(`${group} ${to} ${message.id}`) ?? nowMs;
      const status = statuses().find(({ id }) => id === group);
      if (status?.role === "leader") this.answered(from, status, { askedMs, who: to });
    }
  }

  /** Something that `who` asked for at `askedMs` may be read, says the leader. */
  answered(leader: string, status: GroupStatus, { askedMs, who }: { askedMs: number; who: string }): void {
    const { id: group, term } = status;
    const isConfirmed = (voter: string) =>
      voter === leader || (this.#confirmedMs.get(`${group} ${term} ${voter}>${leader}`) ?? -1) >= askedMs;
    hold(
      this.#goesBy(leader, status).some((configuration) =>
        hasQuorum(configuration, ({ nodeId }) => isConfirmed(nodeId)),
      ),
      "X33",
      () =>
        `${leader}, leader of term ${term} of group ${group}, lets ${who} read, and no quorum has confirmed it`,
    );
  }
}

import { hasQuorum } from "./quorums.ts";
import type { Schedule } from "./schedule.ts";
import type { SimProcess } from "./sim-node.ts";
import { hold } from "./violation.ts";

const lookMs = 200;
/** So many looks in a row, none of them late, without a word of a quorum; a leader gives up after 400 ms at most. */
const silentLooksMax = 6;

/** Check-quorum (dissertation §6.2): whoever leads has heard of a quorum not long ago. */
export class QuorumWatch {
  readonly #schedule: Schedule;
  /** When anything came last, by "from>to". */
  readonly #arrivedMs = new Map<string, number>();

  constructor(schedule: Schedule) {
    this.#schedule = schedule;
  }

  arrived(from: string, to: string): void {
    this.#arrivedMs.set(`${from}>${to}`, this.#schedule.nowMs);
  }

  watch(process: SimProcess): void {
    this.#look(process, new Map());
  }

  /** `silent`: by "group term", for how many looks. A node that pauses does not look. */
  #look(process: SimProcess, silent: ReadonlyMap<string, number>): void {
    this.#schedule.in(lookMs, process, () => {
      const { nodeId } = process;
      const { nowMs } = this.#schedule;
      const isHeard = (other: string) =>
        other === nodeId || nowMs - (this.#arrivedMs.get(`${other}>${nodeId}`) ?? 0) <= lookMs;
      const still = new Map<string, number>();
      for (const { id, role, term, members } of process.node.groups()) {
        if (role !== "leader" || hasQuorum(members.configuration, ({ nodeId }) => isHeard(nodeId))) continue;
        const key = `${id} ${term}`;
        const looks = (silent.get(key) ?? 0) + 1;
        hold(
          looks < silentLooksMax,
          "X32",
          () =>
            `${nodeId} leads term ${term} of group ${id}, and has heard of no quorum for ${looks * lookMs} ms`,
        );
        still.set(key, looks);
      }
      this.#look(process, still);
    });
  }
}

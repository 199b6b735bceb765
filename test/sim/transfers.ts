import type { TransferOutcome } from "../../server/group/lead-transfer.ts";
import type { Coverage } from "./coverage.ts";
import type { Schedule } from "./schedule.ts";
import type { SimProcess } from "./sim-node.ts";
import type { Trace } from "./trace.ts";
import { hold } from "./violation.ts";

/** An election timeout until it is given up, and another until somebody else leads; with all that may slow a node down. */
const outcomeMsMax = 1_200;

export interface TransferParts {
  readonly schedule: Schedule;
  readonly coverage: Coverage;
  readonly trace: Trace;
}

/** Leads that are moved on purpose, and what comes of it. */
export class Transfers {
  readonly #parts: TransferParts;

  constructor(parts: TransferParts) {
    this.#parts = parts;
  }

  /** Everything that this node leads is to go to `to`. */
  ask(process: SimProcess, to: string): void {
    this.#parts.schedule.in(0, process, () => {
      for (const { id: group, role } of process.node.groups())
        if (role === "leader") this.#askOne(process, group, to);
    });
  }

  #askOne(process: SimProcess, group: number, to: string): void {
    const { coverage, schedule, trace } = this.#parts;
    const { engine } = process.node;
    let outcome: TransferOutcome | null = null;
    void engine.transferLeader(group, to).then((told) => {
      outcome = told;
      coverage.hit(told.type === "done" ? "transfersDone" : "transfersRefused");
      trace.note(`${process.nodeId} to ${to}, g${group}: ${told.type === "done" ? "done" : told.code}`);
      if (told.type === "done") {
        const status = process.node.groups()[group];
        hold(status?.leader === to, "X7", () => `a transfer to ${to} is done, but ${status?.leader} leads`);
      }
    });
    // Twice, since what waited while the process was paused comes all at once.
    const check = () =>
      hold(outcome !== null, "X7", () => `${process.nodeId}: a transfer to ${to} has no outcome`);
    schedule.in(outcomeMsMax, process, () => schedule.in(outcomeMsMax, process, check));
  }
}

import type { BeginRun, Lead, StepPiece } from "./led-program.ts";
import type { RoomReplica } from "./room-replica.ts";
import type { RoomWatch } from "./room-watch.ts";
import type { Refusal } from "./session-error.ts";
import type { SessionGroups } from "./session-groups.ts";
import type { SessionMachine } from "./session-machine.ts";

interface LeadRunnerParts {
  readonly nodeId: string;
  readonly machines: readonly SessionMachine[];
  readonly groups: () => Pick<SessionGroups, "lead" | "barrier">;
  readonly beginRun: (group: number, run: BeginRun) => Promise<Refusal | null>;
  readonly step: (group: number, piece: StepPiece) => Promise<Refusal | null>;
  readonly soon: (act: () => void) => void;
  readonly watch: RoomWatch;
  readonly log: { warn(fields: object, message: string): void };
}

/** Has the rooms that their leader alone runs be run by this node where it leads, and by no other node's lead. */
export class LeadRunner {
  readonly #parts: LeadRunnerParts;
  /** By group: the term of this node's lead since whose beginning all is applied here. */
  readonly #caughtUp = new Map<number, number>();
  readonly #catchingUp = new Set<number>();
  readonly #waiting = new Set<number>();
  #isStopped = false;

  constructor(parts: LeadRunnerParts) {
    this.#parts = parts;
  }

  /** What was committed is applied for now: a room may be new, or at an end. */
  drained(group: number): void {
    if (this.#waiting.has(group) || !this.#hasLed(group)) return;
    this.#waiting.add(group);
    this.#parts.soon(() => {
      this.#waiting.delete(group);
      this.#tend(group);
    });
  }

  /** Now and then: the lead may have moved. */
  sweep(): void {
    for (const group of this.#parts.machines.keys()) if (this.#hasLed(group)) this.#tend(group);
  }

  stop(): void {
    this.#isStopped = true;
    for (const { rooms } of this.#parts.machines)
      for (const { program } of rooms.values()) program.led?.stepDown();
  }

  #hasLed(group: number): boolean {
    for (const { program } of this.#parts.machines[group]?.rooms.values() ?? [])
      if (program.led !== undefined) return true;
    return false;
  }

  #tend(group: number): void {
    if (this.#isStopped) return;
    const { nodeId, groups, machines } = this.#parts;
    const { leaderId, term } = groups().lead(group);
    const leads = leaderId === nodeId;
    const isReady = leads && this.#caughtUp.get(group) === term;
    if (leads && !isReady) this.#catchUp(group, term);
    const machine = machines[group];
    for (const replica of machine?.rooms.values() ?? []) {
      const { roomId, program } = replica;
      if (isReady && machine?.standing(roomId) === undefined)
        program.led?.lead({ term, ...this.#lead(group, replica) });
      else program.led?.stepDown();
    }
  }

  #lead(group: number, replica: RoomReplica): Omit<Lead, "term"> {
    const { beginRun, step, soon, watch } = this.#parts;
    return {
      watched: (act) => {
        watch.begin({ group, roomId: replica.roomId, act: "run", index: replica.index });
        try {
          return act();
        } finally {
          watch.end();
        }
      },
      beginRun: (run) => beginRun(group, run),
      step: (piece) => step(group, piece),
      soon,
    };
  }

  /** Earlier leaders' steps may be on their way still: an instance begins from all of them. */
  #catchUp(group: number, term: number): void {
    if (this.#catchingUp.has(group)) return;
    this.#catchingUp.add(group);
    const { soon, log, groups } = this.#parts;
    groups()
      .barrier(group)
      .then(() => {
        this.#caughtUp.set(group, term);
        soon(() => this.#tend(group));
      })
      .catch((error: unknown) =>
        log.warn({ group, error: String(error) }, "its rooms will be run a little later"),
      )
      .finally(() => this.#catchingUp.delete(group));
  }
}

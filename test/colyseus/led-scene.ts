/** A scene with a leader that alone runs the room: what it proposes goes into the scene's log, is lost, or comes late. */
import type { ApplyResult } from "../../server/group/machine.ts";
import { isRefusal, type Refusal } from "../../server/session/session-error.ts";
import type { LoggedCommand } from "./machine-harness.ts";
import { Scene } from "./scene.ts";

export interface LeadProposal {
  readonly nodeId: string;
  readonly name: "beginRun" | "step";
  readonly argument: object;
  resolve(refused: Refusal | null): void;
  reject(error: Error): void;
}

export class LedScene extends Scene {
  leader: string | null = null;
  #term = 0;
  readonly proposals: LeadProposal[] = [];
  /** What becomes of the next proposal. */
  fate: (proposal: LeadProposal) => "commit" | "lose" | "keep" = () => "commit";
  #soon = 0;
  /** The leader's room code is at work. */
  isWatched = false;

  override async apply(command: LoggedCommand): Promise<ApplyResult[]> {
    const results = await super.apply(command);
    await this.settle();
    return results;
  }

  /** The node leads from here on; null: nobody does. */
  async lead(nodeId: string | null): Promise<void> {
    this.leader = nodeId;
    this.#term++;
    await this.tend();
  }

  /** What every node does now and then. */
  async tend(): Promise<void> {
    const term = this.#term;
    for (const { nodeId, machine } of this.replicas) {
      const led = machine.rooms.get(this.roomId)?.program.led;
      if (nodeId !== this.leader) led?.stepDown();
      else
        led?.lead({
          term,
          beginRun: (argument) => this.#propose(nodeId, "beginRun", argument),
          watched: (act) => {
            this.isWatched = true;
            try {
              return act();
            } finally {
              this.isWatched = false;
            }
          },
          step: (argument) => this.#propose(nodeId, "step", argument),
          soon: (act) => {
            this.#soon++;
            setImmediate(() => {
              this.#soon--;
              act();
            });
          },
        });
    }
    await this.settle();
  }

  #propose(nodeId: string, name: "beginRun" | "step", argument: object): Promise<Refusal | null> {
    return new Promise((resolve, reject) => {
      this.proposals.push({ nodeId, name, argument, resolve, reject });
    });
  }

  async commit(proposal: LeadProposal): Promise<void> {
    this.proposals.splice(this.proposals.indexOf(proposal), 1);
    const { nodeId, name, argument } = proposal;
    const at = this.replicas.findIndex((each) => each.nodeId === nodeId);
    const results = await super.apply(this.log.next(nodeId, name, argument));
    const result = results[at];
    if (result?.type === "done") proposal.resolve(isRefusal(result.value) ? result.value : null);
  }

  /** Until nothing more comes by itself. */
  async settle(): Promise<void> {
    for (let idle = 0; idle < 4; ) {
      await new Promise((resolve) => setImmediate(resolve));
      const open = this.proposals.find((each) => this.fate(each) !== "keep");
      if (open !== undefined) {
        idle = 0;
        if (this.fate(open) === "commit") await this.commit(open);
        else this.proposals.splice(this.proposals.indexOf(open), 1);
      } else idle = this.#soon > 0 ? 0 : idle + 1;
    }
  }

  /** Real time, in which the live room goes on. */
  async passes(ms: number): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, ms));
    await this.settle();
  }

  override kill(nodeId: string): void {
    this.node(nodeId).machine.rooms.get(this.roomId)?.program.led?.stepDown();
    for (const each of [...this.proposals])
      if (each.nodeId === nodeId) this.proposals.splice(this.proposals.indexOf(each), 1);
    super.kill(nodeId);
  }

  override async create(roomName: string, options: object = {}): Promise<unknown> {
    const created = await super.create(roomName, options);
    await this.lead("A");
    return created;
  }
}

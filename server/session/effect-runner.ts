import { type EffectOutcome, outcomeOf } from "./effect-outcome.ts";
import { sessionLimits } from "./limits.ts";
import type { OpenEffect } from "./room-effects.ts";
import { isRefusal } from "./session-error.ts";
import type { SessionGroups } from "./session-groups.ts";
import type { SessionMachine } from "./session-machine.ts";

export interface EffectRunnerParts {
  readonly nodeId: string;
  readonly machines: readonly SessionMachine[];
  readonly groups: () => Pick<SessionGroups, "lead" | "barrier">;
  readonly propose: (
    roomId: string,
    done: { readonly number: number; readonly outcome: EffectOutcome },
  ) => Promise<unknown>;
  /** Calls `act` soon, from a macrotask, unless this node stops before. */
  readonly soon: (act: () => void) => void;
  readonly log: { warn(fields: object, message: string): void };
}

interface Placed {
  readonly group: number;
  /** Of this node's lead. */
  readonly term: number;
  readonly roomId: string;
  readonly effect: OpenEffect;
}

/** One attempt at an effect, in one term of this node's lead. */
interface Run extends Placed {
  readonly abort: AbortController;
  /** Null: it is still running. */
  outcome: EffectOutcome | null;
  isTelling: boolean;
  hasWarned: boolean;
}

/**
 * Runs what rooms wait for, where this node leads: what was opened in its own lead at once, and once it has caught up
 * whatever an earlier leader has left open (design 5.4). So each runs at least once, and never on replay.
 */
export class EffectRunner {
  readonly #parts: EffectRunnerParts;
  readonly #runs = new Map<OpenEffect, Run>();
  /** Opened by the entries of this drain, in this node's own lead. */
  #opened: Placed[] = [];
  readonly #catchingUp = new Set<number>();

  constructor(parts: EffectRunnerParts) {
    this.#parts = parts;
  }

  /** In the middle of an apply: only noted. */
  opened(placed: Omit<Placed, "term">): void {
    const term = this.#leadTerm(placed.group);
    if (term !== null) this.#opened.push({ ...placed, term });
  }

  /** What was committed is applied for now. Effects are foreign code: never within the stage that applies. */
  drained(group: number): void {
    const isOver = ({ effect, group: of }: Placed) => of === group && !effect.isOpen;
    if (this.#opened.length > 0 || [...this.#runs.values()].some(isOver))
      this.#parts.soon(() => this.#tend());
  }

  /** Now and then: the lead may have moved, and a proposal may have been refused. */
  sweep(): void {
    this.#tend();
    for (const [group, machine] of this.#parts.machines.entries()) {
      const waits = [...machine.servingRooms()].some(({ world }) => this.#hasUnstarted(world.effects.open()));
      const term = this.#leadTerm(group);
      if (waits && term !== null) this.#adopt(group, term);
    }
    for (const run of this.#runs.values())
      if (run.outcome !== null && !run.isTelling && !this.#isFrozen(run)) void this.#tell(run);
  }

  /** This node stops: whoever leads next runs them again. */
  stop(): void {
    for (const { outcome, abort } of this.#runs.values()) if (outcome === null) abort.abort();
    this.#runs.clear();
    this.#opened = [];
  }

  #tend(): void {
    for (const run of this.#runs.values()) {
      // One that has come to its end is told all the same: the first word counts.
      const isMine = run.outcome !== null || this.#leadTerm(run.group) === run.term;
      if (run.effect.isOpen && isMine) continue;
      this.#runs.delete(run.effect);
      if (run.outcome === null) run.abort.abort();
    }
    for (const placed of this.#opened.splice(0)) this.#start(placed);
  }

  /** It refuses whatever is agreed for it, until an operator lets it go on: no reason to fill the log. */
  #isFrozen({ group, roomId }: Run): boolean {
    const frozen = this.#parts.machines[group]?.rooms.get(roomId)?.witness.frozen ?? null;
    return frozen !== null;
  }

  /** Null: another node leads the group, or none. */
  #leadTerm(group: number): number | null {
    const { leaderId, term } = this.#parts.groups().lead(group);
    return leaderId === this.#parts.nodeId ? term : null;
  }

  #hasUnstarted(effects: Iterable<OpenEffect>): boolean {
    for (const effect of effects) if (!this.#runs.has(effect)) return true;
    return false;
  }

  /** What is open here may be settled further on in the log: not before all of it is applied. */
  #adopt(group: number, term: number): void {
    if (this.#catchingUp.has(group)) return;
    this.#catchingUp.add(group);
    const { soon, log, machines, groups } = this.#parts;
    const start = () => {
      for (const { roomId, world } of machines[group]?.servingRooms() ?? [])
        for (const effect of world.effects.open()) this.#start({ group, term, roomId, effect });
    };
    groups()
      .barrier(group)
      .then(() => soon(start))
      .catch((error: unknown) =>
        log.warn({ group, error: String(error) }, "its effects will be looked for again"),
      )
      .finally(() => this.#catchingUp.delete(group));
  }

  #start(placed: Placed): void {
    const { group, term, effect } = placed;
    if (this.#leadTerm(group) !== term || !effect.isOpen || this.#runs.has(effect)) return;
    // The rest stays open, and is found by a later sweep.
    if (this.#runs.size >= sessionLimits.effectsRunningMax) return;
    const abort = new AbortController();
    const run: Run = { ...placed, abort, outcome: null, isTelling: false, hasWarned: false };
    this.#runs.set(effect, run);
    void this.#run(run);
  }

  async #run(run: Run): Promise<void> {
    const { group, roomId, effect, abort } = run;
    const call = { key: effect.key, signal: abort.signal };
    run.outcome = await outcomeOf(effect.name, () =>
      this.#parts.machines[group]?.rooms.get(roomId)?.program.runEffect(effect.name, effect.argument, call),
    );
    // Given up meanwhile: what it says then is its answer to that.
    if (this.#runs.get(effect) === run) await this.#tell(run);
  }

  async #tell(run: Run): Promise<void> {
    const { roomId, effect, outcome } = run;
    if (outcome === null) return;
    run.isTelling = true;
    try {
      const result = await this.#parts.propose(roomId, { number: effect.number, outcome });
      if (isRefusal(result)) throw new Error(result.message);
    } catch (error) {
      const facts = { roomId, effect: effect.name, key: effect.key, error: String(error) };
      if (effect.isOpen && !run.hasWarned)
        this.#parts.log.warn(facts, "the outcome of an effect will be proposed again, until it is taken");
      run.hasWarned = true;
    } finally {
      run.isTelling = false;
      if (!effect.isOpen) this.#runs.delete(effect);
    }
  }
}

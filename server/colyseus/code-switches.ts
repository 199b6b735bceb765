import { SessionError } from "../session/session-error.ts";
import type { Sessions } from "../session/sessions.ts";
import type { Trial, UpgradeTrial } from "./upgrade-trial.ts";

export const codeSwitchTimes = Object.freeze({
  /** A room may be at rest for a moment only, now and then: it is asked again so often. */
  againMs: 100,
  /** In all, until this node runs the room. */
  mostMs: 10_000,
  /** Rooms that are switched at once. */
  atOnceMax: 8,
});

/** How one room was switched; or why not. */
export interface CodeSwitched {
  readonly roomId: string;
  readonly from: string;
  readonly to: string;
  readonly tookMs: number | null;
  /** Null: it is. */
  readonly why: string | null;
}

interface CodeSwitchesParts {
  readonly sessions: Sessions;
  readonly trial: Pick<UpgradeTrial, "of">;
}

/** Brings rooms over to the code that this node has: see switchRoom. */
export class CodeSwitches {
  readonly #sessions: Sessions;
  readonly #trial: Pick<UpgradeTrial, "of">;

  constructor({ sessions, trial }: CodeSwitchesParts) {
    this.#sessions = sessions;
    this.#trial = trial;
  }

  /** All rooms that run under another code. */
  async all(): Promise<CodeSwitched[]> {
    const waiting = [...this.#sessions.machines].flatMap(({ odd }) =>
      odd.all().flatMap(({ foreign, divergence }) => (foreign === null ? [] : [divergence.roomId])),
    );
    const done: CodeSwitched[] = [];
    const work = async () => {
      for (let roomId = waiting.pop(); roomId !== undefined; roomId = waiting.pop())
        done.push(await this.bring(roomId));
    };
    await Promise.all(Array.from({ length: codeSwitchTimes.atOnceMax }, work));
    return done;
  }

  /** @throws SessionError ROOM_NOT_FOREIGN, and why the room cannot be had at all */
  async one(roomId: string): Promise<CodeSwitched> {
    if (this.#foreign(roomId) !== null) return await this.bring(roomId);
    if (this.#sessions.room(roomId) === undefined) throw this.#sessions.notServed(roomId);
    const { nodeId } = this.#sessions;
    const what = `room ${roomId} runs under ${nodeId}'s code already; ask a node that has the code that it is to go on under`;
    throw new SessionError("ROOM_NOT_FOREIGN", what);
  }

  /**
   * Nothing is agreed before this node's code has taken over a copy of the room: what it cannot take over stays where it is.
   * @param goesOn whether a trial that ended so is followed by another, or by the switch; by default only a failure ends it
   */
  async bring(
    roomId: string,
    goesOn: (trial: Trial) => boolean = ({ type }) => type !== "fails",
  ): Promise<CodeSwitched> {
    const sessions = this.#sessions;
    const { code: from, own: to } = this.#foreign(roomId) ?? { code: "", own: "" };
    const begunMs = sessions.nowMs();
    for (;;) {
      const trial = await this.#trial.of(roomId, to);
      let why = trial.type === "works" ? null : trial.why;
      if (!goesOn(trial)) return { roomId, from, to, tookMs: null, why: why ?? "" };
      // Whether it was at rest only those know that ran it: the room's coming says so.
      if (trial.type === "works") why = await sessions.switchCode(roomId, to).catch(String);
      const waitMs = codeSwitchTimes.againMs;
      await new Promise<void>((resolve) => sessions.later(resolve, waitMs));
      const tookMs = Math.round(sessions.nowMs() - begunMs);
      if (this.#foreign(roomId) === null) return this.#ended({ roomId, from, to, tookMs });
      why ??= this.#odd(roomId)?.divergence.waitsFor ?? "no node with its code has answered";
      if (tookMs >= codeSwitchTimes.mostMs) return { roomId, from, to, tookMs: null, why };
    }
  }

  #ended(switched: Omit<CodeSwitched, "why">): CodeSwitched {
    if (this.#sessions.room(switched.roomId) !== undefined) return { ...switched, why: null };
    return { ...switched, tookMs: null, why: this.#sessions.notServed(switched.roomId).message };
  }

  #foreign(roomId: string) {
    return this.#odd(roomId)?.foreign ?? null;
  }

  #odd(roomId: string) {
    const group = this.#sessions.groupOf(roomId);
    return group === null ? undefined : this.#sessions.machines[group]?.odd.get(roomId);
  }
}

import { SessionError } from "../session/session-error.ts";
import type { Sessions } from "../session/sessions.ts";

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

/** Brings rooms over to the code that this node has: see switchRoom. */
export class CodeSwitches {
  readonly #sessions: Sessions;

  constructor(sessions: Sessions) {
    this.#sessions = sessions;
  }

  /** All rooms that run under another code. */
  async all(): Promise<CodeSwitched[]> {
    const waiting = [...this.#sessions.machines].flatMap(({ odd }) =>
      odd.all().flatMap(({ foreign, divergence }) => (foreign === null ? [] : [divergence.roomId])),
    );
    const done: CodeSwitched[] = [];
    const work = async () => {
      for (let roomId = waiting.pop(); roomId !== undefined; roomId = waiting.pop())
        done.push(await this.#switch(roomId));
    };
    await Promise.all(Array.from({ length: codeSwitchTimes.atOnceMax }, work));
    return done;
  }

  /** @throws SessionError ROOM_NOT_FOREIGN, and why the room cannot be had at all */
  async one(roomId: string): Promise<CodeSwitched> {
    if (this.#foreign(roomId) !== null) return await this.#switch(roomId);
    if (this.#sessions.room(roomId) === undefined) throw this.#sessions.notServed(roomId);
    const { nodeId } = this.#sessions;
    const what = `room ${roomId} runs under ${nodeId}'s code already; ask a node that has the code that it is to go on under`;
    throw new SessionError("ROOM_NOT_FOREIGN", what);
  }

  async #switch(roomId: string): Promise<CodeSwitched> {
    const sessions = this.#sessions;
    const { code: from, own: to } = this.#foreign(roomId) ?? { code: "", own: "" };
    const begunMs = sessions.nowMs();
    let why = "";
    for (;;) {
      // Whether it was at rest only those know that ran it: the room's coming says so.
      const refused = await sessions.switchCode(roomId, to).catch(String);
      const waitMs = codeSwitchTimes.againMs;
      await new Promise<void>((resolve) => sessions.later(resolve, waitMs));
      const tookMs = Math.round(sessions.nowMs() - begunMs);
      if (this.#foreign(roomId) === null) return this.#ended({ roomId, from, to, tookMs });
      const { waitsFor = null } = this.#odd(roomId)?.divergence ?? {};
      why = refused ?? waitsFor ?? "no node with its code has answered";
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

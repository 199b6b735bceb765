import type { Configuration } from "../raft/configuration.ts";
import { isQuorum, voters } from "../raft/quorum.ts";
import { leftFrom, upgradable } from "../session/code-switch.ts";
import type { OddReplica } from "../session/divergence/odd-replica.ts";
import { inMacrotask } from "../session/macrotask.ts";
import type { RoomMarks } from "../session/room-mark.ts";
import type { RoomWatch } from "../session/room-watch.ts";
import { SessionError } from "../session/session-error.ts";
import type { Sessions } from "../session/sessions.ts";
import type { Upgrade } from "./seam.ts";

export const codeSwitchTimes = Object.freeze({
  /** A room may be at rest for a moment only, now and then: it is asked again so often. */
  againMs: 100,
  /** In all, until this node runs the room. */
  mostMs: 10_000,
  /** Rooms that are switched, or tried, at once. */
  atOnceMax: 8,
  /** A room that is to come by itself and was not at rest all the time is left alone for so long; doubled each time. */
  restlessMsMin: 1_000,
  /** One that this code cannot take over as it is now. */
  failedMsMin: 10_000,
  waitMsMax: 300_000,
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
  readonly log: Record<"info" | "error", (fields: object, message: string) => void>;
  readonly watch: RoomWatch;
  readonly marks: RoomMarks;
  /** Nodes with this one's code that take clients. */
  readonly sameCode: () => ReadonlySet<string>;
  readonly configuration: (group: number) => Configuration;
  /** What the class of that name says, as this node has it. */
  readonly upgradeOf: (roomName: string) => Upgrade;
  /** Why this node's code cannot bring such a checkpoint to life; null: it can. In a macrotask. */
  readonly failure: (checkpoint: Uint8Array) => string | null;
}

/** Whether this node's code takes a room over as it is now. */
type Trial =
  | { readonly type: "works"; readonly hasLeft: boolean }
  /** It was not at rest, or nobody has answered. */
  | { readonly type: "notNow"; readonly why: string }
  | { readonly type: "fails"; readonly why: string };

/** A room that is to come by itself. */
interface Attempt {
  times: number;
  nextMs: number;
  isTried: boolean;
  why: string | null;
}

/** Brings rooms over to the code that this node has: see switchRoom. */
export class CodeSwitches {
  readonly #parts: CodeSwitchesParts;
  readonly #sessions: Sessions;
  readonly #attempts = new WeakMap<OddReplica, Attempt>();
  readonly #underWay = new Set<string>();

  constructor(parts: CodeSwitchesParts) {
    this.#parts = parts;
    this.#sessions = parts.sessions;
  }

  /** All rooms that run under another code. */
  async all(): Promise<CodeSwitched[]> {
    const waiting = [...this.#foreigners()].map(({ divergence }) => divergence.roomId);
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

  /** Why a room that should have come by itself has not, as far as this node knows. */
  whyNot(odd: OddReplica): string | null {
    return this.#attempts.get(odd)?.why ?? null;
  }

  // ---- by themselves ----------------------------------------------------------------------------------------------

  /**
   * A few times a second. Each node that is new tries its code on the rooms of such classes; once those that have it could
   * hold a majority of the group without any other, one of them brings the rooms over: two majorities have a node in common,
   * so whenever the group can agree on anything, somebody is there who runs the room. No two codes can have that at once.
   */
  sweep(): void {
    const nowMs = this.#sessions.nowMs();
    for (const odd of this.#foreigners()) {
      const { roomId } = odd.divergence;
      const group = this.#sessions.groupOf(roomId) ?? 0;
      const attempt = this.#attemptOf(odd, group);
      if (attempt === null || this.#underWay.has(roomId) || nowMs < attempt.nextMs) continue;
      const acts = this.#acts(group);
      if (attempt.isTried && !acts) continue;
      if (this.#underWay.size >= codeSwitchTimes.atOnceMax) return;
      this.#underWay.add(roomId);
      const done = acts ? this.#bring(roomId, attempt) : this.#try(roomId, attempt);
      void done.finally(() => this.#underWay.delete(roomId));
    }
  }

  /** Null: it ends under its own code, unless an operator says otherwise. */
  #attemptOf(odd: OddReplica, group: number): Attempt | null {
    const roomName = this.#sessions.machines[group]?.nameOf(odd.divergence.roomId);
    if (roomName === undefined || this.#parts.upgradeOf(roomName) !== "switch") return null;
    const attempt = this.#attempts.get(odd) ?? { times: 0, nextMs: 0, isTried: false, why: null };
    this.#attempts.set(odd, attempt);
    return attempt;
  }

  #acts(group: number): boolean {
    const { sameCode, configuration } = this.#parts;
    const same = sameCode();
    const all = configuration(group);
    if (!isQuorum(all, ({ nodeId }) => same.has(nodeId))) return false;
    const [first] = voters(all)
      .map(({ nodeId }) => nodeId)
      .filter((nodeId) => same.has(nodeId))
      .sort();
    return first === this.#sessions.nodeId;
  }

  /** The copy comes again when the room is brought over: this one has made the code warm, and tells early what is wrong. */
  async #try(roomId: string, attempt: Attempt): Promise<void> {
    const trial = await this.#trial(roomId);
    if (this.#foreign(roomId) !== null) this.#note(roomId, attempt, trial);
  }

  async #bring(roomId: string, attempt: Attempt): Promise<void> {
    const trial = await this.#trial(roomId);
    if (this.#foreign(roomId) === null) return;
    if (!this.#note(roomId, attempt, trial)) return;
    const { log } = this.#parts;
    const switched = await this.#switch(roomId);
    const { from, to, tookMs, why } = switched;
    if (why !== null) this.#note(roomId, attempt, { type: "notNow", why });
    else
      log.info(
        { event: "room-upgraded", ...switched },
        `room ${roomId} went from code "${from}" to "${to}" in ${tookMs} ms`,
      );
  }

  /** False: it is not for now. */
  #note(roomId: string, attempt: Attempt, trial: Trial): boolean {
    const { restlessMsMin, failedMsMin, waitMsMax } = codeSwitchTimes;
    const why = trial.type === "works" ? (trial.hasLeft ? leftBefore : null) : trial.why;
    if (trial.type === "fails" && why !== attempt.why) this.#tell(roomId, trial.why);
    const msMin = trial.type === "fails" ? failedMsMin : restlessMsMin;
    const waitMs = Math.min(waitMsMax, msMin * 2 ** Math.min(attempt.times, 20));
    attempt.times = why === null ? 0 : attempt.times + 1;
    attempt.nextMs = why === null ? 0 : this.#sessions.nowMs() + waitMs;
    attempt.isTried = trial.type === "works";
    attempt.why = why;
    return why === null;
  }

  #tell(roomId: string, why: string): void {
    const { code: from, own: to } = this.#foreign(roomId) ?? { code: "", own: "" };
    const facts = { event: "room-not-upgraded", roomId, from, to, why };
    const what = `room ${roomId} stays under code "${from}": "${to}" cannot take it over`;
    this.#parts.log.error(facts, `${what}: ${why}`);
  }

  // -----------------------------------------------------------------------------------------------------------------

  async #trial(roomId: string): Promise<Trial> {
    const { sessions, watch, marks, failure } = this.#parts;
    const group = sessions.groupOf(roomId) ?? 0;
    const mark = marks.of(roomId);
    if (mark?.act === "upgrade")
      return { type: "fails", why: `an earlier start of this node did not come back from it: ${mark.why}` };
    const own = this.#foreign(roomId)?.own;
    if (own === undefined) return { type: "notNow", why: "it is here" };
    const copied = await sessions.divergences.trialCopy(group, roomId).catch((error: Error) => error);
    if (copied instanceof Error) return { type: "notNow", why: copied.message };
    return await inMacrotask((): Trial => {
      watch.begin({ group, roomId, act: "upgrade", index: copied.index });
      try {
        const why = failure(upgradable(copied.bytes, own));
        return why === null
          ? { type: "works", hasLeft: leftFrom(copied.bytes).includes(own) }
          : { type: "fails", why };
      } finally {
        watch.end();
      }
    });
  }

  async #switch(roomId: string): Promise<CodeSwitched> {
    const sessions = this.#sessions;
    const { code: from, own: to } = this.#foreign(roomId) ?? { code: "", own: "" };
    const begunMs = sessions.nowMs();
    for (;;) {
      const trial = await this.#trial(roomId);
      // Whether it was at rest only those know that ran it: the room's coming says so.
      const refused =
        trial.type === "works" ? await sessions.switchCode(roomId, to).catch(String) : trial.why;
      if (trial.type === "fails") return { roomId, from, to, tookMs: null, why: trial.why };
      const waitMs = codeSwitchTimes.againMs;
      await new Promise<void>((resolve) => sessions.later(resolve, waitMs));
      const tookMs = Math.round(sessions.nowMs() - begunMs);
      if (this.#foreign(roomId) === null) return this.#ended({ roomId, from, to, tookMs });
      const { waitsFor = null } = this.#odd(roomId)?.divergence ?? {};
      const why = refused ?? waitsFor ?? "no node with its code has answered";
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

  *#foreigners(): Iterable<OddReplica> {
    for (const { odd } of this.#sessions.machines)
      for (const each of odd.all()) if (each.foreign !== null) yield each;
  }

  #odd(roomId: string) {
    const group = this.#sessions.groupOf(roomId);
    return group === null ? undefined : this.#sessions.machines[group]?.odd.get(roomId);
  }
}

const leftBefore =
  "it has left this code before, and an operator's word is needed to bring it back: testudo rooms switch";

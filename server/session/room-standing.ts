import { describeOtherCode, type OtherCode } from "./absence.ts";
import type { Divergence } from "./divergence/divergence.ts";
import type { Frozen } from "./divergence/room-witness.ts";
import { describeAct, isPast, type RoomMark, type RoomMarks } from "./room-mark.ts";
import { type Refusal, refusal } from "./session-error.ts";

/** Why this node's replica of a room takes no part just now. Elsewhere the room may well go on. */
export type RoomStanding =
  /** An earlier start could not get past it: nothing of its code runs here until it is quarantined. */
  | { readonly type: "marked"; readonly mark: RoomMark }
  /** Its quarantine is committed, at `index`, and on its way to be applied: what comes before it need not run any more. */
  | { readonly type: "ending"; readonly index: number }
  /** The majority's state is another: this replica speaks for nobody until it has theirs. */
  | ({ readonly type: "diverged" } & Divergence)
  /** It is pinned to other nodes: the log was cut while it was not at rest, and this one has only a stub of it. */
  | { readonly type: "absent"; readonly because: string; readonly waitsFor: string | null }
  /** Its game's code is another than this node's, which keeps its log and votes for it, and runs nothing of it. */
  | ({ readonly type: "foreign" } & OtherCode)
  /** Agreed: the replicas differ, none has a majority, and the room stands still on all of them. */
  | ({ readonly type: "frozen" } & Frozen);

/** One sentence, for a player or an operator. */
export function describeStanding(roomId: string, standing: RoomStanding): string {
  switch (standing.type) {
    case "marked": {
      const { mark } = standing;
      return `room ${roomId} stands still on this node, which did not get past its ${describeAct(mark)}: ${mark.why}`;
    }
    case "ending":
      return `room ${roomId} is being closed: its quarantine is agreed at entry ${standing.index}`;
    case "diverged":
      return `this node's replica of room ${roomId} differs from the others': go on at another node`;
    case "absent": {
      const why = `it is pinned to those that run it, as it has long not been at rest (${standing.because})`;
      return `room ${roomId} is not on this node: ${why}; go on at another node`;
    }
    case "foreign":
      return `room ${roomId} is not on this node: ${describeOtherCode(standing)}; go on at another node`;
    case "frozen":
      return `room ${roomId} stands still: its replicas differ since entry ${standing.index}, and none has a majority`;
  }
}

/** The same for a program. */
export function standingRefusal(roomId: string, standing: RoomStanding): Refusal {
  return refusal(standingCodes[standing.type], describeStanding(roomId, standing));
}

const standingCodes = {
  marked: "ROOM_STANDS_STILL",
  ending: "ROOM_STANDS_STILL",
  diverged: "ROOM_NOT_SERVED_HERE",
  absent: "ROOM_NOT_SERVED_HERE",
  foreign: "ROOM_NOT_SERVED_HERE",
  frozen: "ROOM_FROZEN",
} as const;

export interface RoomStandingsHost {
  readonly group: number;
  readonly marks: RoomMarks;
  readonly log: { error(fields: object, message: string): void };
  /** The room is to be saved again, or deleted, before the log behind this entry may go. */
  readonly touch: (roomId: string, index: number) => void;
}

/**
 * The rooms of one group that this replica passes over, and why. None of it is replicated: nothing but the room itself
 * may depend on it.
 */
export class RoomStandings {
  readonly #host: RoomStandingsHost;
  readonly #standings = new Map<string, RoomStanding>();
  /** Marked rooms that have ended, by the entry that ended them. While a restart could meet them again the mark stays. */
  readonly #ended = new Map<string, number>();

  constructor(host: RoomStandingsHost) {
    this.#host = host;
  }

  get all(): ReadonlyMap<string, RoomStanding> {
    return this.#standings;
  }

  of(roomId: string): RoomStanding | undefined {
    return this.#standings.get(roomId);
  }

  has(roomId: string): boolean {
    return this.#standings.has(roomId);
  }

  /** The mark has done what it is for, and is kept only until the room's end is durable. */
  hasEnded(roomId: string): boolean {
    return this.#ended.has(roomId);
  }

  /**
   * A room is about to come to life as of this entry. False: it must not, an earlier start did not get past it. From
   * there on the log is kept: whoever gets the room from this node's disk needs all that came after it.
   */
  meet(roomId: string, index: number): boolean {
    const { group, marks, log, touch } = this.#host;
    const found = marks.of(roomId);
    // What a trial did not get past is nothing that the room has come to.
    const mark = found?.act === "upgrade" ? undefined : found;
    if (mark !== undefined && isPast(mark, index)) marks.drop(roomId);
    else if (mark !== undefined && !this.#standings.has(roomId)) {
      const standing = { type: "marked", mark } as const;
      this.#standings.set(roomId, standing);
      touch(roomId, index + 1);
      log.error({ event: "room-stands-still", group, roomId }, describeStanding(roomId, standing));
    }
    return !this.#standings.has(roomId);
  }

  /** The room's quarantine is committed, at `index`, and waits to be applied. `appliedIndex`: what has been applied. */
  foresee(
    roomId: string,
    { index, appliedIndex }: { readonly index: number; readonly appliedIndex: number },
  ): void {
    if (this.#standings.has(roomId)) return;
    this.#standings.set(roomId, { type: "ending", index });
    this.#host.touch(roomId, appliedIndex + 1);
  }

  /** The entry at `index` has ended the room. True if it stood still here. */
  end(roomId: string, index: number): boolean {
    if (!this.#standings.delete(roomId)) return false;
    this.#host.touch(roomId, index);
    if (this.#host.marks.of(roomId) !== undefined) this.#ended.set(roomId, index);
    return true;
  }

  /** Drops the marks of rooms whose end is durable. */
  settle(isDurable: (roomId: string, endedAt: number) => boolean): void {
    for (const [roomId, endedAt] of this.#ended) {
      if (!isDurable(roomId, endedAt)) continue;
      this.#ended.delete(roomId);
      this.#host.marks.drop(roomId);
    }
  }

  clear(): void {
    this.#standings.clear();
    this.#ended.clear();
  }
}

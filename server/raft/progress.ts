import { check } from "./check.ts";
import type { Member } from "./configuration.ts";

interface InFlight {
  readonly lastIndex: number;
  readonly bytes: number;
}

/** How a leader brings one follower up to date (etcd's progress, dissertation §10.2). */
export type ProgressState =
  /** Where the logs agree is not known: one append at a time, not before `dueMs`. */
  | { readonly type: "probing"; readonly nextIndex: number; readonly dueMs: number }
  /** Pipelined: what follows nextIndex - 1 is sent without waiting. `inFlight` is what no answer has covered yet. */
  | {
      readonly type: "replicating";
      nextIndex: number;
      readonly inFlight: InFlight[];
      inFlightBytes: number;
      /** Since when nothing in flight was answered; null if nothing is. */
      waitingSinceMs: number | null;
    }
  /** Too far behind for the log: a snapshot, chunk by chunk. */
  | {
      readonly type: "installing";
      readonly snapshotId: number;
      readonly chunk: number;
      /** What the follower said to the chunk before. */
      readonly answer: Uint8Array;
      /** `wanted` from the group, or `sent` to the follower. */
      readonly step: "wanted" | "sent";
      readonly sinceMs: number;
      readonly tries: number;
    };

export class Progress {
  readonly member: Member;
  state: ProgressState;
  /** Durable there, as far as its answers in this term go. */
  matchIndex = 0;
  /** The commit index that it was last told. */
  toldCommitIndex = 0;
  /** What it said to know of that, over the present link. */
  knownCommitIndex = 0;
  lastSentMs = Number.NEGATIVE_INFINITY;
  /** When this member last confirmed this leader's term. */
  heardMs: number;
  /** An answer from this very disk came over the present link: heartbeats of its node may stand for it. */
  confirmed = false;

  constructor(member: Member, { nextIndex, nowMs }: { nextIndex: number; nowMs: number }) {
    this.member = member;
    this.state = { type: "probing", nextIndex, dueMs: nowMs };
    this.heardMs = nowMs;
  }

  get inFlightEntries(): number {
    if (this.state.type !== "replicating" || this.state.inFlight.length === 0) return 0;
    return this.state.nextIndex - 1 - this.matchIndex;
  }

  get inFlightBytes(): number {
    return this.state.type === "replicating" ? this.state.inFlightBytes : 0;
  }

  probe({ nextIndex, dueMs }: { nextIndex: number; dueMs: number }): void {
    check(
      nextIndex > this.matchIndex,
      `probing at ${nextIndex}, at or below what matches, ${this.matchIndex}`,
    );
    this.state = { type: "probing", nextIndex, dueMs };
  }

  replicate(): void {
    const nextIndex = this.matchIndex + 1;
    this.state = { type: "replicating", nextIndex, inFlight: [], inFlightBytes: 0, waitingSinceMs: null };
  }

  sentInFlight({ lastIndex, bytes, nowMs }: InFlight & { nowMs: number }): void {
    const { state } = this;
    check(state.type === "replicating", "only a replicating follower is sent entries ahead of its answers");
    state.nextIndex = lastIndex + 1;
    state.inFlight.push({ lastIndex, bytes });
    state.inFlightBytes += bytes;
    state.waitingSinceMs ??= nowMs;
  }

  /** Returns whether more is known to match than before. */
  acknowledged({ matchIndex, nowMs }: { matchIndex: number; nowMs: number }): boolean {
    if (matchIndex <= this.matchIndex) return false;
    this.matchIndex = matchIndex;
    const { state } = this;
    if (state.type === "probing" && state.nextIndex <= matchIndex) {
      this.state = { ...state, nextIndex: matchIndex + 1 };
    }
    if (state.type === "replicating") {
      const open = state.inFlight.findIndex((append) => append.lastIndex > matchIndex);
      const answered = state.inFlight.splice(0, open === -1 ? state.inFlight.length : open);
      for (const append of answered) state.inFlightBytes -= append.bytes;
      state.nextIndex = Math.max(state.nextIndex, matchIndex + 1);
      state.waitingSinceMs = state.inFlight.length === 0 ? null : nowMs;
    }
    return true;
  }
}

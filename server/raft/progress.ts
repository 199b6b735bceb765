import { check } from "./check.ts";
import type { Member } from "./configuration.ts";

interface Append {
  readonly lastIndex: number;
  readonly bytes: number;
}

/** How a leader brings one follower up to date (etcd's progress, dissertation §10.2). */
export type ProgressState =
  /** Where the logs agree is not known: one append at a time, not before `dueMs`. */
  | { readonly type: "probing"; readonly nextIndex: number; readonly dueMs: number }
  /** Pipelined: what follows nextIndex - 1 is sent without waiting. */
  | {
      readonly type: "replicating";
      nextIndex: number;
      /** The follower has up to here, if only in its memory. What lies behind is in flight. */
      receivedIndex: number;
      inFlightBytes: number;
      /** What was sent and is not on the follower's disk, as far as its answers go. */
      readonly unsaved: Append[];
      unsavedBytes: number;
      /** Since when no answer has told anything new; null if there is nothing to be told. */
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

type Replicating = Extract<ProgressState, { type: "replicating" }>;

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
  /** The snapshot that brought it up, as long as it has not caught up behind that: the log it needs for that is kept. */
  catchingUpFrom: number | null = null;
  /** An answer from this very disk came over the present link: heartbeats of its node may stand for it. */
  confirmed = false;

  constructor(member: Member, { nextIndex, nowMs }: { nextIndex: number; nowMs: number }) {
    this.member = member;
    this.state = { type: "probing", nextIndex, dueMs: nowMs };
    this.heardMs = nowMs;
  }

  get inFlightEntries(): number {
    if (this.state.type !== "replicating") return 0;
    return this.state.nextIndex - 1 - this.state.receivedIndex;
  }

  get inFlightBytes(): number {
    return this.state.type === "replicating" ? this.state.inFlightBytes : 0;
  }

  /** Those in flight, and those that wait for the follower's disk. */
  get unsavedEntries(): number {
    return this.state.type === "replicating" ? this.state.nextIndex - 1 - this.matchIndex : 0;
  }

  get unsavedBytes(): number {
    return this.state.type === "replicating" ? this.state.unsavedBytes : 0;
  }

  probe({ nextIndex, dueMs }: { nextIndex: number; dueMs: number }): void {
    check(
      nextIndex > this.matchIndex,
      `probing at ${nextIndex}, at or below what matches, ${this.matchIndex}`,
    );
    this.state = { type: "probing", nextIndex, dueMs };
  }

  /** From now on ahead of the answers. `unsavedBytes`: of what it has received and not saved. */
  replicate({ receivedIndex, unsavedBytes }: { receivedIndex: number; unsavedBytes: number }): void {
    check(receivedIndex >= this.matchIndex, `received ${receivedIndex}, and saved ${this.matchIndex}`);
    const isSaved = receivedIndex === this.matchIndex;
    this.state = {
      type: "replicating",
      nextIndex: receivedIndex + 1,
      receivedIndex,
      inFlightBytes: 0,
      unsaved: isSaved ? [] : [{ lastIndex: receivedIndex, bytes: unsavedBytes }],
      unsavedBytes,
      waitingSinceMs: isSaved ? null : this.heardMs,
    };
  }

  sent({ lastIndex, bytes, nowMs }: Append & { nowMs: number }): void {
    const { state } = this;
    check(state.type === "replicating", "only a replicating follower is sent entries ahead of its answers");
    state.nextIndex = lastIndex + 1;
    state.inFlightBytes += bytes;
    state.unsaved.push({ lastIndex, bytes });
    state.unsavedBytes += bytes;
    state.waitingSinceMs ??= nowMs;
  }

  /** Returns whether more is known to match than before. */
  acknowledged(answer: { matchIndex: number; receivedIndex: number; nowMs: number }): boolean {
    const { matchIndex } = answer;
    const advanced = matchIndex > this.matchIndex;
    if (advanced) this.matchIndex = matchIndex;
    const { state } = this;
    if (state.type === "probing" && state.nextIndex <= matchIndex)
      this.state = { ...state, nextIndex: matchIndex + 1 };
    if (state.type === "replicating") this.#answered(state, answer);
    return advanced;
  }

  #answered(state: Replicating, { receivedIndex, nowMs }: { receivedIndex: number; nowMs: number }): void {
    state.nextIndex = Math.max(state.nextIndex, this.matchIndex + 1);
    // An answer may tell of more than was sent since this follower was probed last.
    const received = Math.max(Math.min(receivedIndex, state.nextIndex - 1), this.matchIndex);
    const saved = state.unsaved.filter(({ lastIndex }) => lastIndex <= this.matchIndex).length;
    if (received <= state.receivedIndex && saved === 0) return;
    for (const { lastIndex, bytes } of state.unsaved)
      if (lastIndex > state.receivedIndex && lastIndex <= received) state.inFlightBytes -= bytes;
    for (const { bytes } of state.unsaved.splice(0, saved)) state.unsavedBytes -= bytes;
    state.receivedIndex = Math.max(state.receivedIndex, received);
    state.waitingSinceMs = state.unsaved.length === 0 ? null : nowMs;
  }
}

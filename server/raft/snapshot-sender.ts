import type { RaftMessage } from "./message.ts";
import type { Progress, ProgressState } from "./progress.ts";
import type { RaftEvent } from "./ready.ts";
import type { Replica } from "./replica.ts";

type Installing = Extract<ProgressState, { type: "installing" }>;
type SnapshotChunk = Extract<RaftEvent, { type: "snapshotChunk" }>;
type Response = Extract<RaftMessage, { type: "installSnapshotResponse" }>;

const snapshotIdsMax = 4_294_967_296;
const nothing = new Uint8Array(0);

/** Snapshots from a leader to its followers, one chunk at a time each (Raft §7). The bytes are the group's. */
export class SnapshotSender {
  readonly #replica: Replica;
  #lastId: number;

  constructor(replica: Replica) {
    this.#replica = replica;
    // Ids of different leaders must differ, or a follower could put two snapshots' chunks together.
    this.#lastId = Math.floor(replica.options.random() * snapshotIdsMax);
  }

  get #nowMs(): number {
    return this.#replica.now.monotonicMs;
  }

  begin(progress: Progress): void {
    this.#release(progress);
    this.#lastId = (this.#lastId + 1) % snapshotIdsMax;
    progress.state = {
      type: "installing",
      snapshotId: this.#lastId,
      chunk: 0,
      answer: nothing,
      step: "wanted",
      sinceMs: this.#nowMs,
      tries: 1,
    };
    this.#want(progress, progress.state);
  }

  #want(progress: Progress, { snapshotId, chunk, answer }: Installing): void {
    this.#replica.outbox.wantChunk({ to: progress.member.nodeId, snapshotId, chunk, answer });
  }

  /** Frees what the snapshot pins; the caller says how the follower goes on. */
  end(progress: Progress): void {
    if (progress.state.type === "installing") this.#replica.outbox.endSnapshot(progress.state.snapshotId);
    this.#release(progress);
  }

  /**
   * A follower that was just brought up lacks what came meanwhile. If that were cut off before it has got it, it would need
   * the next snapshot at once, and so for ever where much is appended.
   */
  caughtUp(progress: Progress): void {
    if (progress.matchIndex >= this.#replica.commitIndex) this.#release(progress);
  }

  #release(progress: Progress): void {
    if (progress.catchingUpFrom === null) return;
    this.#replica.outbox.endSnapshot(progress.catchingUpFrom);
    progress.catchingUpFrom = null;
  }

  /** Begins again after a pause, if the log does not reach back that far even then. */
  fail(progress: Progress): void {
    this.end(progress);
    const dueMs = this.#nowMs + this.#replica.options.snapshotPauseMs;
    progress.probe({ nextIndex: progress.matchIndex + 1, dueMs });
  }

  tick(progress: Progress): void {
    const { state } = progress;
    if (state.type !== "installing") return;
    const { snapshotReadTimeoutMs, snapshotAnswerTimeoutMs } = this.#replica.options;
    const silentMs = this.#nowMs - state.sinceMs;
    if (state.step === "wanted" && silentMs >= snapshotReadTimeoutMs) this.fail(progress);
    if (state.step === "sent" && silentMs >= snapshotAnswerTimeoutMs) this.#again(progress, state);
  }

  /** The link is new: what was under way is lost, but what the follower staged is not. */
  linkUp(progress: Progress): void {
    const { state } = progress;
    if (state.type === "installing" && state.step === "sent") this.#again(progress, state);
  }

  #again(progress: Progress, state: Installing): void {
    if (state.tries >= this.#replica.options.snapshotChunkTriesMax) {
      this.fail(progress);
      return;
    }
    progress.state = { ...state, step: "wanted", sinceMs: this.#nowMs, tries: state.tries + 1 };
    this.#want(progress, progress.state);
  }

  /** The group has read a chunk. */
  chunk(progress: Progress, event: SnapshotChunk): void {
    const { state } = progress;
    if (state.type !== "installing" || state.snapshotId !== event.snapshotId) return;
    if (state.chunk !== event.chunk || state.step !== "wanted") return;
    progress.state = { ...state, step: "sent", sinceMs: this.#nowMs };
    const { snapshotId, base, chunk, bytes, last } = event;
    const { term, options, outbox } = this.#replica;
    const { storeId } = options.self;
    const { nodeId } = progress.member;
    outbox.send(nodeId, { type: "installSnapshot", term, storeId, snapshotId, base, chunk, bytes, last });
  }

  /** Returns true when the follower holds all of it. */
  response(progress: Progress, { snapshotId, chunk, status, answer }: Response): boolean {
    const { state } = progress;
    if (state.type !== "installing" || state.snapshotId !== snapshotId) return false;
    switch (status) {
      case "installed":
        progress.catchingUpFrom = snapshotId;
        return true;
      case "refused":
        this.fail(progress);
        return false;
      case "received":
        // An older chunk's answer that comes again says nothing new.
        if (state.chunk === chunk && state.step === "sent") {
          const next = { chunk: chunk + 1, answer, step: "wanted", sinceMs: this.#nowMs, tries: 1 } as const;
          progress.state = { ...state, ...next };
          this.#want(progress, progress.state);
        }
        return false;
    }
  }
}

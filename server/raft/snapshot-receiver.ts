import { check } from "./check.ts";
import type { Base } from "./entry.ts";
import { checkLevel } from "./level.ts";
import type { RaftMessage } from "./message.ts";
import type { RaftEvent } from "./ready.ts";
import type { Replica } from "./replica.ts";

type InstallSnapshot = Extract<RaftMessage, { type: "installSnapshot" }>;
type ChunkStored = Extract<RaftEvent, { type: "chunkStored" }>;
type Status = ChunkStored["status"];

const nothing = new Uint8Array(0);

/** A replica's side of a snapshot: figure 13, with chunks that are staged and swapped in at the end (design 5.5). */
export class SnapshotReceiver {
  readonly #replica: Replica;
  #staging: {
    readonly from: string;
    readonly snapshotId: number;
    readonly base: Base;
    readonly chunk: number;
    /** What the group said to the chunk; null while it is being stored. */
    readonly answer: Uint8Array | null;
  } | null = null;

  constructor(replica: Replica) {
    this.#replica = replica;
  }

  /** Of the present term's leader. */
  onInstallSnapshot(from: string, message: InstallSnapshot): void {
    const { snapshotId, base, chunk, bytes, last } = message;
    const replica = this.#replica;
    if (replica.swapping) return;
    if (this.#isHere(base)) {
      this.#staging = null;
      // That it is committed an append will say, when all may be known that is (see ToldCommits).
      const { log, commitIndex } = replica;
      const matchIndex = Math.min(Math.max(base.index, commitIndex), log.durableIndex);
      // Not durable yet: it will be when the leader asks again.
      if (matchIndex >= base.index) this.#respond(from, message, { status: "installed", matchIndex });
      return;
    }
    checkLevel(`a snapshot at entry ${base.index}`, base.configuration.level, replica.options.levels);
    const staging = this.#staging;
    const known = staging !== null && staging.from === from && staging.snapshotId === snapshotId;
    if (known && chunk <= staging.chunk) {
      // Sent again: its answer was lost, or is still to come. What came before it has long been answered.
      const { answer } = staging;
      if (chunk === staging.chunk && answer !== null)
        this.#respond(from, message, { status: "received", answer });
      return;
    }
    const continues = known && staging.answer !== null && chunk === staging.chunk + 1;
    if (chunk !== 0 && !continues) {
      this.#respond(from, message, { status: "refused" });
      return;
    }
    if (last) {
      // The swap drops the log from the disk: no save of an entry may be under way then. The leader sends it again.
      if (replica.log.durableIndex < replica.log.lastIndex) return;
      replica.swapping = true;
    }
    this.#staging = { from, snapshotId, base, chunk, answer: null };
    replica.outbox.stageChunk({ from, snapshotId, base, chunk, bytes, last });
  }

  /** The log reaches as far: nothing is to be installed, and what it has beyond must not be lost (Raft §7). */
  #isHere(base: Base): boolean {
    const { log, commitIndex } = this.#replica;
    return base.index <= commitIndex || log.matches(base.index, base.term);
  }

  onChunkStored(event: ChunkStored): void {
    const replica = this.#replica;
    const staging = this.#staging;
    const isExpected =
      staging !== null &&
      staging.answer === null &&
      staging.from === event.from &&
      staging.snapshotId === event.snapshotId &&
      staging.chunk === event.chunk;
    if (!isExpected) {
      check(event.status !== "installed", `snapshot ${event.snapshotId} was swapped in unasked`);
      return;
    }
    const { status, answer } = event;
    if (status === "received") {
      check(!replica.swapping, `the last chunk of snapshot ${event.snapshotId} was kept, but not swapped in`);
      this.#staging = { ...staging, answer };
    } else {
      this.#staging = null;
      if (status === "installed") this.#swappedIn(event.base);
      replica.swapping = false;
    }
    this.#respond(event.from, event, { status, answer, matchIndex: replica.committableIndex });
  }

  #swappedIn(base: Base): void {
    const replica = this.#replica;
    check(replica.swapping, "a snapshot was swapped in before its last chunk");
    check(
      base.index > replica.commitIndex,
      `a snapshot at ${base.index} would undo what is committed, ${replica.commitIndex}`,
    );
    replica.log.reset(base);
    replica.swappedIn();
  }

  #respond(
    to: string,
    { snapshotId, chunk }: { readonly snapshotId: number; readonly chunk: number },
    {
      status,
      matchIndex = 0,
      answer = nothing,
    }: { status: Status; matchIndex?: number; answer?: Uint8Array },
  ): void {
    const { outbox, term, options } = this.#replica;
    const { storeId } = options.self;
    outbox.sendAfterSave(to, {
      type: "installSnapshotResponse",
      term,
      storeId,
      snapshotId,
      chunk,
      status,
      matchIndex,
      answer,
    });
  }

  /** To a leader of an older term, which learns of its end by it. */
  refuseStale(from: string, message: InstallSnapshot): void {
    this.#respond(from, message, { status: "refused" });
  }
}

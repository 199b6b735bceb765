import type { Base } from "../raft/entry.ts";
import type { RaftEvent, Ready } from "../raft/ready.ts";
import type { Checkpoint, CheckpointMark, CheckpointRead } from "../storage/storage.ts";
import type { EngineOptions } from "./engine-options.ts";
import { type SnapshotChunk, SnapshotSource } from "./snapshot-source.ts";
import { snapshotStreamLimits } from "./snapshot-stream.ts";
import { decodeWanted } from "./snapshot-wanted.ts";

type ChunkEvent = Extract<RaftEvent, { type: "snapshotChunk" | "snapshotFailed" }>;
type ChunkWanted = Ready["chunksWanted"][number];

interface Sending {
  readonly to: string;
  readonly snapshotId: number;
  readonly base: Base;
  /** Null while the parts are being listed. */
  source: SnapshotSource | null;
  /** Asked for, and not handed over yet. */
  wanted: Pick<ChunkWanted, "chunk" | "answer"> | null;
  /** May be asked for again. */
  last: (SnapshotChunk & { readonly chunk: number }) | null;
}

export interface SnapshotSenderOptions
  extends Pick<
    EngineOptions,
    "snapshotBytesMax" | "snapshotChunkBytes" | "snapshotsSendingMax" | "bulkBufferedBytesMax"
  > {
  /** Where the log begins now: durable checkpoints hold everything up to there. */
  readonly base: () => Base;
  readonly appliedIndex: () => number;
  /** The answer comes back through the pipe, into `listed`. */
  readonly list: (snapshotId: number) => void;
  /** The answer comes back through the pipe, into `read`. */
  readonly read: (snapshotId: number, read: CheckpointRead) => void;
  readonly bufferedBytes: (nodeId: string) => number;
  /** Into the core. */
  readonly step: (event: ChunkEvent) => void;
  readonly failed: (to: string, reason: string) => void;
}

/**
 * Snapshots of one group on their way to followers that are too far behind: the durable checkpoints, over a base that
 * they cover (design 5.5). From the first question on, the log behind that base is kept until the
 * snapshot has ended, and the follower has caught up behind it (R132).
 */
export class SnapshotSender {
  readonly #options: SnapshotSenderOptions;
  readonly #sendings = new Map<number, Sending>();

  constructor(options: SnapshotSenderOptions) {
    this.#options = options;
  }

  /** The log may not be cut beyond this: `Infinity` if nothing is being sent. */
  get pinnedIndex(): number {
    let pinned = Number.POSITIVE_INFINITY;
    for (const { base } of this.#sendings.values()) pinned = Math.min(pinned, base.index);
    return pinned;
  }

  get count(): number {
    return this.#sendings.size;
  }

  want({ to, snapshotId, chunk, answer }: ChunkWanted): void {
    const { base, list, step, snapshotsSendingMax } = this.#options;
    const known = this.#sendings.get(snapshotId);
    if (known !== undefined) {
      known.wanted = { chunk, answer };
      this.#serve(known);
      return;
    }
    if (chunk !== 0 || this.#sendings.size >= snapshotsSendingMax) {
      step({ type: "snapshotFailed", to, snapshotId });
      return;
    }
    const sending = { to, snapshotId, base: base(), source: null, wanted: { chunk, answer }, last: null };
    this.#sendings.set(snapshotId, sending);
    list(snapshotId);
  }

  listed(snapshotId: number, parts: ReadonlyMap<string, CheckpointMark>): void {
    const sending = this.#sendings.get(snapshotId);
    if (sending === undefined) return;
    const { snapshotBytesMax, snapshotChunkBytes, read, appliedIndex } = this.#options;
    let bytes = 0;
    for (const { sizeBytes } of parts.values()) bytes += sizeBytes;
    if (bytes > snapshotBytesMax || parts.size > snapshotStreamLimits.partsMax) {
      const allowed = `${snapshotStreamLimits.partsMax} parts and ${snapshotBytesMax} bytes are allowed`;
      this.#fail(sending, `it has ${parts.size} parts with ${bytes} bytes; ${allowed}`);
      return;
    }
    sending.source = new SnapshotSource({
      parts,
      chunkBytes: snapshotChunkBytes,
      read: (wanted) => read(snapshotId, wanted),
      throughIndex: appliedIndex,
    });
    this.#serve(sending);
  }

  read(snapshotId: number, checkpoints: ReadonlyMap<string, Checkpoint | null>): void {
    const sending = this.#sendings.get(snapshotId);
    if (sending === undefined) return;
    sending.source?.arrived(checkpoints);
    this.#serve(sending);
  }

  ended(snapshotIds: readonly number[]): void {
    for (const snapshotId of snapshotIds) this.#sendings.delete(snapshotId);
  }

  /** Chunks that waited for room in a link's buffer. */
  poll(): void {
    for (const sending of [...this.#sendings.values()]) this.#serve(sending);
  }

  /** The log is not kept for ever: whoever needs it from furthest back is sent another snapshot, as of a later base. */
  giveUpOldest(): void {
    const { pinnedIndex } = this;
    for (const sending of [...this.#sendings.values()])
      if (sending.base.index === pinnedIndex) this.#fail(sending, "the log has grown too long meanwhile");
  }

  #fail({ to, snapshotId }: Sending, reason: string): void {
    this.#sendings.delete(snapshotId);
    this.#options.failed(to, reason);
    this.#options.step({ type: "snapshotFailed", to, snapshotId });
  }

  #serve(sending: Sending): void {
    const { to, snapshotId, base, source, wanted } = sending;
    if (source === null || wanted === null) return;
    if (this.#options.bufferedBytes(to) > this.#options.bulkBufferedBytesMax) return;
    if (sending.last?.chunk !== wanted.chunk) {
      const next = this.#next(sending, source, wanted);
      if (next === null) return;
      sending.last = { chunk: wanted.chunk, ...next };
    }
    sending.wanted = null;
    const { chunk, bytes, last } = sending.last as SnapshotChunk & { chunk: number };
    this.#options.step({ type: "snapshotChunk", to, snapshotId, base, chunk, bytes, last });
  }

  /** Null: not yet, or never. */
  #next(
    sending: Sending,
    source: SnapshotSource,
    { chunk, answer }: Pick<ChunkWanted, "chunk" | "answer">,
  ): SnapshotChunk | null {
    const { last } = sending;
    if (chunk !== (last === null ? 0 : last.chunk + 1) || last?.last) {
      this.#fail(sending, `chunk ${chunk} is wanted after chunk ${last?.chunk}`);
      return null;
    }
    if (source.awaitsChoice) {
      const keys = decodeWanted(source.parts, answer);
      if (keys === null) {
        this.#fail(sending, "what is wanted of it cannot be read");
        return null;
      }
      source.choose(keys);
    }
    return source.chunk();
  }
}

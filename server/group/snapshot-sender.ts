import type { Base } from "../raft/entry.ts";
import type { RaftEvent } from "../raft/ready.ts";
import type { Checkpoint } from "../storage/storage.ts";
import type { EngineOptions } from "./engine-options.ts";
import { encodeSnapshot, snapshotBytes } from "./snapshot-file.ts";

type ChunkEvent = Extract<RaftEvent, { type: "snapshotChunk" | "snapshotFailed" }>;

interface Sending {
  readonly to: string;
  readonly snapshotId: number;
  readonly base: Base;
  /** Null while the checkpoints are being read. */
  bytes: Uint8Array | null;
  /** Asked for, and not handed over yet. */
  wantedChunk: number | null;
}

export interface SnapshotSenderOptions
  extends Pick<
    EngineOptions,
    "snapshotBytesMax" | "snapshotChunkBytes" | "snapshotsSendingMax" | "bulkBufferedBytesMax"
  > {
  /** The newest base that durable checkpoints allow. */
  readonly base: () => Base;
  /** Reads all checkpoints; the answer comes back through the pipe, into `read`. */
  readonly readCheckpoints: (snapshotId: number) => void;
  readonly bufferedBytes: (nodeId: string) => number;
  /** Into the core. */
  readonly step: (event: ChunkEvent) => void;
  readonly tooLarge: (bytes: number) => void;
}

/**
 * Snapshots of one group on their way to followers that are too far behind: the durable checkpoints, over a base that
 * they cover (design 5.5). From the first question on, the log behind that base is kept until the snapshot has ended.
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

  want({ to, snapshotId, chunk }: { to: string; snapshotId: number; chunk: number }): void {
    const sending = this.#sendings.get(snapshotId);
    if (sending !== undefined) {
      sending.wantedChunk = chunk;
      this.#serve(sending);
      return;
    }
    if (chunk !== 0 || this.#sendings.size >= this.#options.snapshotsSendingMax) {
      this.#options.step({ type: "snapshotFailed", to, snapshotId });
      return;
    }
    this.#sendings.set(snapshotId, {
      to,
      snapshotId,
      base: this.#options.base(),
      bytes: null,
      wantedChunk: chunk,
    });
    this.#options.readCheckpoints(snapshotId);
  }

  read(snapshotId: number, checkpoints: ReadonlyMap<string, Checkpoint>): void {
    const sending = this.#sendings.get(snapshotId);
    if (sending === undefined) return;
    const bytes = snapshotBytes(checkpoints);
    if (bytes > this.#options.snapshotBytesMax) {
      this.#sendings.delete(snapshotId);
      this.#options.tooLarge(bytes);
      this.#options.step({ type: "snapshotFailed", to: sending.to, snapshotId });
      return;
    }
    sending.bytes = encodeSnapshot(checkpoints);
    this.#serve(sending);
  }

  ended(snapshotIds: readonly number[]): void {
    for (const snapshotId of snapshotIds) this.#sendings.delete(snapshotId);
  }

  /** Chunks that waited for room in a link's buffer. */
  poll(): void {
    for (const sending of this.#sendings.values()) this.#serve(sending);
  }

  #serve(sending: Sending): void {
    const { to, snapshotId, base, bytes, wantedChunk } = sending;
    if (bytes === null || wantedChunk === null) return;
    if (this.#options.bufferedBytes(to) > this.#options.bulkBufferedBytesMax) return;
    const from = wantedChunk * this.#options.snapshotChunkBytes;
    const end = Math.min(from + this.#options.snapshotChunkBytes, bytes.length);
    sending.wantedChunk = null;
    if (from >= bytes.length) {
      this.#sendings.delete(snapshotId);
      this.#options.step({ type: "snapshotFailed", to, snapshotId });
      return;
    }
    this.#options.step({
      type: "snapshotChunk",
      to,
      snapshotId,
      base,
      chunk: wantedChunk,
      bytes: bytes.subarray(from, end),
      last: end === bytes.length,
    });
  }
}

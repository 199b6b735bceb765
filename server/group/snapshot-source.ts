import assert from "node:assert";
import type { Checkpoint, CheckpointMark, CheckpointRead } from "../storage/storage.ts";
import { encodeRecord, type SnapshotRecord } from "./snapshot-stream.ts";

export interface SnapshotSourceOptions {
  /** As they are listed now. */
  readonly parts: ReadonlyMap<string, CheckpointMark>;
  readonly chunkBytes: number;
  /** The answer comes back later, into `arrived`. */
  readonly read: (read: CheckpointRead) => void;
  /** What is applied now: no checkpoint that was ever read is newer. */
  readonly throughIndex: () => number;
}

export interface SnapshotChunk {
  readonly bytes: Uint8Array;
  readonly last: boolean;
}

/**
 * A group's durable checkpoints as a stream in chunks, read no further ahead than the next chunk needs. Nothing is pinned:
 * a part that was saved anew meanwhile goes out as it is now, which is as good for whoever has the log behind the base,
 * and one that has gone is told to be gone.
 */
export class SnapshotSource {
  readonly #options: SnapshotSourceOptions;
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  #state: "manifest" | "parts" | "ended" = "manifest";
  /** From the end on. */
  #unread: string[] = [];
  #isReading = false;

  constructor(options: SnapshotSourceOptions) {
    this.#options = options;
    this.#put({ type: "manifest", parts: options.parts });
  }

  get parts(): readonly string[] {
    return [...this.#options.parts.keys()];
  }

  /** All of the manifest is out: what of it is wanted must be chosen before anything follows. */
  get awaitsChoice(): boolean {
    return this.#state === "manifest" && this.#bytes === 0;
  }

  choose(wanted: readonly string[]): void {
    assert(this.awaitsChoice, "parts are chosen once, after the manifest");
    this.#state = "parts";
    this.#unread = wanted.toReversed();
  }

  /** The next chunk; null: the disk must be waited for. */
  chunk(): SnapshotChunk | null {
    const { chunkBytes, throughIndex } = this.#options;
    assert(this.#state !== "ended" && !this.awaitsChoice, "there is nothing more to send");
    if (this.#state === "parts") {
      if (this.#bytes < chunkBytes && this.#unread.length > 0) {
        this.#readMore();
        return null;
      }
      if (this.#unread.length === 0 && this.#bytes + endBytes <= chunkBytes) {
        this.#put({ type: "end", throughIndex: throughIndex() });
        this.#state = "ended";
      }
    }
    return { bytes: this.#cut(chunkBytes), last: this.#state === "ended" };
  }

  #readMore(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    const keys = this.#unread.slice(-keysPerRead).reverse();
    this.#options.read({ keys, bytesMax: this.#options.chunkBytes });
  }

  arrived(checkpoints: ReadonlyMap<string, Checkpoint | null>): void {
    this.#isReading = false;
    for (const [key, checkpoint] of checkpoints) {
      assert.equal(this.#unread.pop(), key, "parts are read in the order in which they were asked for");
      this.#put(checkpoint === null ? { type: "gone", key } : { type: "part", key, checkpoint });
    }
  }

  #put(record: SnapshotRecord): void {
    for (const piece of encodeRecord(record)) {
      this.#pieces.push(piece);
      this.#bytes += piece.length;
    }
  }

  #cut(bytesMax: number): Uint8Array {
    const chunk = new Uint8Array(Math.min(bytesMax, this.#bytes));
    let at = 0;
    let taken = 0;
    while (at < chunk.length) {
      const piece = this.#pieces[taken] as Uint8Array;
      const part = piece.subarray(0, chunk.length - at);
      chunk.set(part, at);
      at += part.length;
      if (part.length < piece.length) this.#pieces[taken] = piece.subarray(part.length);
      else taken += 1;
    }
    this.#pieces.splice(0, taken);
    this.#bytes -= chunk.length;
    return chunk;
  }
}

const keysPerRead = 256;
const endBytes = encodeRecord({ type: "end", throughIndex: 0 }).reduce((sum, { length }) => sum + length, 0);

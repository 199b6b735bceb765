import type { Base } from "../raft/entry.ts";
import type { Ready } from "../raft/ready.ts";
import type { Checkpoint, CheckpointMark } from "../storage/storage.ts";
import { SnapshotGarbled, type SnapshotRecord, SnapshotStreamReader } from "./snapshot-stream.ts";
import { encodeWanted } from "./snapshot-wanted.ts";
import { StagedParts } from "./staged-parts.ts";

export type ReceivedChunk = Ready["chunksReceived"][number];

interface Receiving {
  readonly from: string;
  readonly snapshotId: number;
  readonly base: Base;
  readonly reader: SnapshotStreamReader;
  nextChunk: number;
  /** Null before it is whole. */
  parts: ReadonlyMap<string, CheckpointMark> | null;
  /** Of the parts, what has not come yet, from the end on. */
  missing: string[];
  throughIndex: number | null;
}

/** `staged`: to be saved, whatever the outcome. */
export type Received = { readonly staged: ReadonlyMap<string, Checkpoint | null> } & (
  | { readonly type: "received"; readonly answer: Uint8Array }
  | { readonly type: "refused"; readonly reason: string }
  /** Everything that is wanted is staged, or is to be with this: it can be swapped in. */
  | { readonly type: "complete"; readonly throughIndex: number }
);

export interface ReceivingStatus {
  readonly from: string;
  /** All of the snapshot's, and those that are still to come. */
  readonly parts: number;
  readonly missing: number;
}

const nothing = new Uint8Array(0);

/** Stages one snapshot of a group, part after part, on the disk: nothing of the old state is touched before it is whole. */
export class SnapshotReceiver {
  readonly #bytesMax: number;
  readonly #staged: StagedParts;
  #receiving: Receiving | null = null;
  #isSwapping = false;
  /** Of the chunk at hand. */
  #changes = new Map<string, Checkpoint | null>();
  /** What was committed while a snapshot was last of use. */
  #commitIndex: number;

  /** @param staged by an earlier start */
  constructor(
    { snapshotBytesMax }: { snapshotBytesMax: number },
    { staged, commitIndex }: { staged: ReadonlyMap<string, CheckpointMark>; commitIndex: number },
  ) {
    this.#bytesMax = snapshotBytesMax;
    this.#staged = new StagedParts(staged);
    this.#commitIndex = commitIndex;
  }

  get status(): ReceivingStatus | null {
    if (this.#receiving === null) return null;
    const { from, parts, missing } = this.#receiving;
    return { from, parts: parts?.size ?? 0, missing: missing.length };
  }

  receive({ from, snapshotId, base, chunk, bytes, last }: ReceivedChunk): Received {
    if (chunk === 0) {
      const reader = new SnapshotStreamReader();
      const begun = { nextChunk: 0, parts: null, missing: [], throughIndex: null };
      this.#receiving = { from, snapshotId, base, reader, ...begun };
    }
    this.#changes = new Map();
    const receiving = this.#receiving;
    const isKnown = receiving?.from === from && receiving.snapshotId === snapshotId;
    if (receiving === null || !isKnown || receiving.base.index !== base.index)
      return this.#refuse("it was not begun here");
    if (chunk !== receiving.nextChunk) return this.#refuse(`chunk ${receiving.nextChunk} is missing`);
    receiving.nextChunk += 1;
    let answer: Uint8Array = nothing;
    try {
      for (const record of receiving.reader.push(bytes)) {
        const refusal = this.#take(receiving, record);
        if (refusal !== null) return this.#refuse(refusal);
        if (record.type === "manifest")
          answer = encodeWanted(record.parts.keys(), new Set(receiving.missing));
      }
    } catch (error) {
      if (error instanceof SnapshotGarbled) return this.#refuse(error.message);
      throw error;
    }
    const { throughIndex } = receiving;
    if (last !== (throughIndex !== null && receiving.reader.waitingBytes === 0))
      return this.#refuse(last ? "it has no end" : "it goes on behind its end");
    if (throughIndex === null) return { type: "received", answer, staged: this.#changes };
    this.#receiving = null;
    this.#isSwapping = true;
    return { type: "complete", throughIndex, staged: this.#changes };
  }

  #refuse(reason: string): Received {
    this.#receiving = null;
    return { type: "refused", reason, staged: this.#changes };
  }

  /** What is wrong with it, or null. */
  #take(receiving: Receiving, record: SnapshotRecord): string | null {
    const { parts, missing } = receiving;
    if (receiving.throughIndex !== null) return "it goes on behind its end";
    if (record.type === "manifest") return this.#takeManifest(receiving, record.parts);
    if (parts === null) return `a ${record.type} comes before its manifest`;
    if (record.type === "end") {
      if (missing.length > 0) return `it ends, but ${missing.length} parts have not come`;
      receiving.throughIndex = record.throughIndex;
      return null;
    }
    const { key } = record;
    if (missing.pop() !== key) return `the part "${key}" is not the one that was to come next`;
    if (record.type === "gone") return null;
    const { checkpoint } = record;
    const named = parts.get(key)?.index ?? 0;
    if (checkpoint.index < named)
      return `the part "${key}" is of ${checkpoint.index}, and was named as of ${named}`;
    this.#staged.add(key, checkpoint);
    this.#changes.set(key, checkpoint);
    return this.#staged.bytes > this.#bytesMax ? `it has more than ${this.#bytesMax} bytes` : null;
  }

  #takeManifest(receiving: Receiving, parts: ReadonlyMap<string, CheckpointMark>): string | null {
    if (receiving.parts !== null) return "it has two manifests";
    let bytes = 0;
    for (const { sizeBytes } of parts.values()) bytes += sizeBytes;
    if (bytes > this.#bytesMax) return `it has ${bytes} bytes; ${this.#bytesMax} are allowed`;
    const { wanted, dropped } = this.#staged.plan(parts, receiving.base.index);
    for (const key of dropped.keys()) this.#changes.set(key, null);
    receiving.parts = parts;
    receiving.missing = [...wanted].reverse();
    return null;
  }

  /** It is swapped in: what is staged are the checkpoints now. */
  swappedIn(): ReadonlyMap<string, CheckpointMark> {
    this.#isSwapping = false;
    return this.#staged.take();
  }

  /**
   * What is staged is of no use any more once the log goes on by itself: then the replica is connected to a leader that
   * has what it lacks. The result is to be deleted, if it is not null.
   */
  look(commitIndex: number): ReadonlyMap<string, null> | null {
    if (this.#receiving !== null && commitIndex >= this.#receiving.base.index) this.#receiving = null;
    const isInUse = this.#receiving !== null || this.#isSwapping;
    const goesOn = commitIndex > this.#commitIndex;
    if (isInUse || !goesOn || this.#staged.size === 0) {
      this.#commitIndex = commitIndex;
      return null;
    }
    return new Map([...this.#staged.take().keys()].map((key) => [key, null]));
  }
}

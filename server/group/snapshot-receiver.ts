import type { Base } from "../raft/entry.ts";
import type { Ready } from "../raft/ready.ts";
import type { Checkpoint } from "../storage/storage.ts";
import { decodeSnapshot } from "./snapshot-file.ts";

export type ReceivedChunk = Ready["chunksReceived"][number];

interface Staging {
  readonly from: string;
  readonly snapshotId: number;
  readonly base: Base;
  readonly chunks: Uint8Array[];
  bytes: number;
}

export type Received =
  | { readonly type: "received" }
  | { readonly type: "refused"; readonly reason: string }
  /** Whole and verified: to be swapped in. */
  | { readonly type: "complete"; readonly base: Base; readonly checkpoints: ReadonlyMap<string, Checkpoint> };

/** Stages one snapshot of a group, chunk after chunk, in memory: nothing of the old state is touched before it is whole. */
export class SnapshotReceiver {
  readonly #bytesMax: number;
  #staging: Staging | null = null;

  constructor({ snapshotBytesMax }: { snapshotBytesMax: number }) {
    this.#bytesMax = snapshotBytesMax;
  }

  receive(received: ReceivedChunk): Received {
    const { from, snapshotId, base, chunk, bytes, last } = received;
    if (chunk === 0) this.#staging = { from, snapshotId, base, chunks: [], bytes: 0 };
    const staging = this.#staging;
    if (
      staging === null ||
      staging.from !== from ||
      staging.snapshotId !== snapshotId ||
      staging.base.index !== base.index
    ) {
      return { type: "refused", reason: "it was not begun here" };
    }
    // A chunk that was sent again is the same chunk.
    if (chunk < staging.chunks.length) return { type: "received" };
    if (chunk > staging.chunks.length) return this.#refuse("a chunk is missing");
    staging.bytes += bytes.length;
    if (staging.bytes > this.#bytesMax) return this.#refuse(`it has more than ${this.#bytesMax} bytes`);
    staging.chunks.push(bytes);
    return last ? this.#complete(staging) : { type: "received" };
  }

  #refuse(reason: string): Received {
    this.#staging = null;
    return { type: "refused", reason };
  }

  #complete(staging: Staging): Received {
    const checkpoints = decodeSnapshot(Buffer.concat(staging.chunks));
    if (checkpoints === null) return this.#refuse("its checksum is wrong");
    this.#staging = null;
    return { type: "complete", base: staging.base, checkpoints };
  }
}

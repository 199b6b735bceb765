import type { SessionMachine } from "../session-machine.ts";
import type { PeerWord } from "./peer-words.ts";
import { copyRoom } from "./room-copy.ts";

type CopyWanted = Extract<PeerWord, { type: "copyWanted" }>;

interface Sending {
  readonly to: string;
  readonly request: number;
  /** As of this entry. */
  readonly index: number;
  readonly bytes: Uint8Array;
  wantedChunk: number | null;
  lastAskedMs: number;
}

export const copyLimits = Object.freeze({
  /** Copies of one group that are on their way from here at once. */
  sendingMax: 4,
  chunkBytes: 64 * 1024,
  /** A copy that is not asked for any more is forgotten. */
  idleMsMax: 10_000,
  /** A copy that is bigger is none: see checkpointBytesMax. */
  bytesMax: 8 * 1024 * 1024,
});

interface RoomCopiesParts {
  readonly machine: SessionMachine;
  readonly tell: (nodeId: string, word: PeerWord) => void;
  /** Bulk towards the node has to wait (design 4.1). */
  readonly isBusy: (nodeId: string) => boolean;
}

/** Rooms of one group on their way to nodes whose replicas differ: a chunk for each question. */
export class RoomCopies {
  readonly #parts: RoomCopiesParts;
  readonly #sendings = new Map<string, Sending>();

  constructor(parts: RoomCopiesParts) {
    this.#parts = parts;
  }

  wanted(from: string, { request, chunk, ...wish }: CopyWanted, nowMs: number): void {
    const key = `${from} ${wish.roomId}`;
    let sending = this.#sendings.get(key);
    // Every first question is about the room as it is now.
    if (chunk === 0 && sending?.request !== request) {
      if (sending === undefined && this.#sendings.size >= copyLimits.sendingMax)
        return this.#refuse(from, request, `${copyLimits.sendingMax} other copies are on their way`);
      const copied = copyRoom(this.#parts.machine, wish);
      if (copied.type === "refused") return this.#refuse(from, request, copied.reason);
      const { index, bytes } = copied.checkpoint;
      sending = { to: from, request, index, bytes, wantedChunk: null, lastAskedMs: nowMs };
      this.#sendings.set(key, sending);
    }
    if (sending?.request !== request || chunk * copyLimits.chunkBytes >= sending.bytes.length)
      return this.#refuse(from, request, "it is not being copied");
    sending.wantedChunk = chunk;
    sending.lastAskedMs = nowMs;
    this.#serve(key, sending);
  }

  /** Chunks that waited for room on a link, and copies that nobody wants any more. */
  tick(nowMs: number): void {
    for (const [key, sending] of this.#sendings) {
      if (nowMs - sending.lastAskedMs > copyLimits.idleMsMax) this.#sendings.delete(key);
      else this.#serve(key, sending);
    }
  }

  #serve(key: string, sending: Sending): void {
    const { to, request, index, bytes, wantedChunk: chunk } = sending;
    if (chunk === null || this.#parts.isBusy(to)) return;
    sending.wantedChunk = null;
    const end = (chunk + 1) * copyLimits.chunkBytes;
    const isLast = end >= bytes.length;
    const part = bytes.subarray(chunk * copyLimits.chunkBytes, end);
    this.#parts.tell(to, { type: "copyChunk", request, index, chunk, isLast, bytes: part });
    // If that one is lost, another copy will be asked for.
    if (isLast) this.#sendings.delete(key);
  }

  #refuse(to: string, request: number, reason: string): void {
    this.#parts.tell(to, { type: "copyRefused", request, reason: reason.slice(0, 1_000) });
  }
}

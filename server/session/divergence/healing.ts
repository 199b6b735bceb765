import type { Checkpoint } from "../../storage/storage.ts";
import type { OddReplica } from "./odd-replica.ts";
import type { PeerWord } from "./peer-words.ts";
import { copyLimits } from "./room-copies.ts";

export const healingTimes = Object.freeze({
  /** Without an answer for so long another node is asked. */
  answerMsMax: 2_000,
  /** After all others were asked in vain; doubled each time. */
  backoffMsMin: 250,
  backoffMsMax: 5_000,
  /** For a room that is not here: those that run it may be at rest for a moment only, now and then. */
  absentBackoffMsMax: 1_000,
});

type State =
  | { readonly type: "waiting"; readonly untilMs: number }
  | {
      readonly type: "asking";
      readonly from: string;
      readonly request: number;
      readonly chunks: Uint8Array[];
      bytes: number;
      deadlineMs: number;
    }
  /** This node must come to its index first. */
  | { readonly type: "complete"; readonly from: string; readonly checkpoint: Checkpoint };

interface HealingParts {
  readonly odd: OddReplica;
  /** This node's version of the game's code: a copy for another is of no use here. */
  readonly code: string;
  /** Not before this time. */
  readonly fromMs: number;
  /** Who else there is, now. */
  readonly others: () => readonly string[];
  /** Numbers its questions: one of all healings of the group. */
  readonly nextRequest: () => number;
  readonly tell: (nodeId: string, word: PeerWord) => void;
  /** See TrialCopies. */
  readonly isTrial: boolean;
}

/** How one replica that differs gets the majority's state: it asks one holder after the other, until one gives it. */
export class Healing {
  readonly odd: OddReplica;
  readonly #parts: HealingParts;
  #state: State;
  /** Whom else to ask in this round. */
  #round: string[] = [];
  #rounds = 0;

  constructor(parts: HealingParts) {
    this.odd = parts.odd;
    this.#parts = parts;
    this.#state = { type: "waiting", untilMs: parts.fromMs };
  }

  get isWaiting(): boolean {
    return this.#state.type === "waiting";
  }

  /** What can be swapped in as soon as this node has applied so much; null: nothing yet. */
  get complete(): Checkpoint | null {
    return this.#state.type === "complete" ? this.#state.checkpoint : null;
  }

  tick(nowMs: number): void {
    const state = this.#state;
    switch (state.type) {
      case "waiting":
        if (nowMs >= state.untilMs) this.#askNext(nowMs);
        return;
      case "asking":
        if (nowMs >= state.deadlineMs) this.#failed(`${state.from} does not answer`, nowMs);
        return;
      case "complete":
        // So much was held meanwhile that the copy is too old by now.
        if (state.checkpoint.index < this.odd.index) this.failed("the copy came too late", nowMs);
        return;
    }
  }

  /** That node has it for this one since now: it is asked next, and nothing is waited for. */
  offered(from: string, nowMs: number): void {
    this.#round = [from, ...this.#round.filter((id) => id !== from)];
    const state = this.#state;
    // Whoever is asked may be gone, or have said already that it has no such copy.
    const isUnderWay = state.type === "complete" || (state.type === "asking" && state.chunks.length > 0);
    if (!isUnderWay) this.#state = { type: "waiting", untilMs: nowMs };
  }

  /** The copy could not be used. */
  failed(why: string, nowMs: number): void {
    this.#failed(why, nowMs);
  }

  /** False: it is no answer to this one's question. */
  refused(
    from: string,
    { request, reason }: Extract<PeerWord, { type: "copyRefused" }>,
    nowMs: number,
  ): boolean {
    const state = this.#state;
    if (state.type !== "asking" || state.from !== from || state.request !== request) return false;
    this.#failed(`${from}: ${reason}`, nowMs);
    return true;
  }

  received(from: string, received: Extract<PeerWord, { type: "copyChunk" }>, nowMs: number): void {
    const { request, index, chunk, isLast, bytes } = received;
    const state = this.#state;
    if (state.type !== "asking" || state.from !== from || state.request !== request) return;
    // What was sent twice.
    if (chunk !== state.chunks.length) return;
    state.chunks.push(bytes);
    state.bytes += bytes.length;
    if (state.bytes > copyLimits.bytesMax)
      return this.#failed(`${from}: its copy has more than ${copyLimits.bytesMax} bytes`, nowMs);
    if (isLast) {
      this.#state = { type: "complete", from, checkpoint: { index, bytes: Buffer.concat(state.chunks) } };
      this.odd.divergence.waitsFor = `entry ${index}, where ${from}'s copy stands`;
      return;
    }
    state.deadlineMs = nowMs + healingTimes.answerMsMax;
    this.#ask(from, request, chunk + 1);
  }

  #askNext(nowMs: number): void {
    if (this.#round.length === 0) {
      const { holders } = this.odd;
      const others = this.#parts.others();
      // Those who had the hash come first; who has applied the verdict and agrees has it, too.
      this.#round = [
        ...others.filter((id) => holders.includes(id)),
        ...others.filter((id) => !holders.includes(id)),
      ];
    }
    const from = this.#round.shift();
    if (from === undefined) return this.#failed("there is nobody else", nowMs);
    const request = this.#parts.nextRequest();
    const deadlineMs = nowMs + healingTimes.answerMsMax;
    this.#state = { type: "asking", from, request, chunks: [], bytes: 0, deadlineMs };
    this.odd.divergence.waitsFor ??= `${from}'s copy`;
    this.#ask(from, request, 0);
  }

  #ask(from: string, request: number, chunk: number): void {
    const { roomId, index, hash } = this.odd.divergence;
    const { code, isTrial } = this.#parts;
    const wish = { roomId, index, hash, notBefore: this.odd.index, code, isTrial };
    this.#parts.tell(from, { type: "copyWanted", request, chunk, ...wish });
  }

  #failed(why: string, nowMs: number): void {
    this.odd.divergence.waitsFor = why;
    if (this.#round.length > 0) return this.#askNext(nowMs);
    const { backoffMsMin, backoffMsMax, absentBackoffMsMax } = healingTimes;
    const mostMs = this.odd.isAbsent ? absentBackoffMsMax : backoffMsMax;
    const waitMs = Math.min(mostMs, backoffMsMin * 2 ** Math.min(this.#rounds++, 10));
    this.#state = { type: "waiting", untilMs: nowMs + waitMs };
  }
}

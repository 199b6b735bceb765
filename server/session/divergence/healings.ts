import { failureWords } from "../failure.ts";
import type { SessionMachine } from "../session-machine.ts";
import { Healing } from "./healing.ts";
import type { OddReplica } from "./odd-replica.ts";
import type { RoomNotice } from "./odd-rooms.ts";
import type { PeerWord } from "./peer-words.ts";

export const healingLimits = Object.freeze({
  /** Rooms of one group whose copies are asked for at once. */
  askingMax: 4,
  /** A replica that differs again and again is put right ever later: what it does is not by accident. Doubled each time. */
  againMsMin: 1_000,
  againMsMax: 60_000,
  /** A room that has not differed for so long begins anew. */
  forgivenMs: 600_000,
});

interface HealingsParts {
  readonly machine: SessionMachine;
  readonly others: () => readonly string[];
  readonly tell: (nodeId: string, word: PeerWord) => void;
  readonly nowMs: () => number;
  readonly log: { error(fields: object, message: string): void };
  /** Numbers the questions. */
  readonly nextRequest: () => number;
}

/** All replicas of one group on this node that differ, on their way to the majority's state. */
export class Healings {
  readonly #parts: HealingsParts;
  readonly #healings = new Map<string, Healing>();
  /** By room: how often it has differed of late. */
  readonly #earlier = new Map<string, { times: number; lastMs: number }>();

  constructor(parts: HealingsParts) {
    this.#parts = parts;
  }

  noticed(notice: RoomNotice): void {
    if (notice.type === "diverged" || notice.type === "absent") this.#begin(notice.odd);
    else if (notice.type === "healed") this.#healings.delete(notice.odd.divergence.roomId);
  }

  #begin(odd: OddReplica): void {
    const { others, tell, nowMs, nextRequest } = this.#parts;
    const { roomId } = odd.divergence;
    const now = nowMs();
    const waitMs = odd.isAbsent ? 0 : this.#waitMs(roomId, now);
    if (waitMs > 0) odd.divergence.waitsFor = `${waitMs} ms: it has differed before, not long ago`;
    const { code } = this.#parts.machine;
    const asking = { code, others, nextRequest, tell, isTrial: false };
    this.#healings.set(roomId, new Healing({ odd, fromMs: now + waitMs, ...asking }));
  }

  #waitMs(roomId: string, nowMs: number): number {
    const { againMsMin, againMsMax, forgivenMs } = healingLimits;
    for (const [each, { lastMs }] of this.#earlier)
      if (nowMs - lastMs > forgivenMs) this.#earlier.delete(each);
    const times = this.#earlier.get(roomId)?.times ?? 0;
    this.#earlier.set(roomId, { times: times + 1, lastMs: nowMs });
    return times === 0 ? 0 : Math.min(againMsMax, againMsMin * 2 ** Math.min(times - 1, 20));
  }

  tick(): void {
    const nowMs = this.#parts.nowMs();
    const { odd } = this.#parts.machine;
    let asking = 0;
    for (const [roomId, healing] of this.#healings) {
      // The room has ended meanwhile.
      if (odd.get(roomId) !== healing.odd) this.#healings.delete(roomId);
      else if (!healing.isWaiting) asking += 1;
    }
    for (const healing of this.#healings.values()) {
      if (healing.isWaiting && asking >= healingLimits.askingMax) continue;
      const wasWaiting = healing.isWaiting;
      healing.tick(nowMs);
      if (wasWaiting && !healing.isWaiting) asking += 1;
    }
  }

  offered(from: string, { roomId, code }: Extract<PeerWord, { type: "handedOver" }>): void {
    const healing = this.#healings.get(roomId);
    if (healing === undefined || code !== this.#parts.machine.code) return;
    healing.offered(from, this.#parts.nowMs());
    this.tick();
  }

  heard(from: string, word: Extract<PeerWord, { type: "copyChunk" | "copyRefused" }>): void {
    const nowMs = this.#parts.nowMs();
    for (const healing of this.#healings.values()) {
      if (word.type === "copyRefused") healing.refused(from, word, nowMs);
      else healing.received(from, word, nowMs);
    }
    this.drained();
  }

  /** Swaps in what is complete, where this node has come to. In a macrotask of the group's. */
  drained(): void {
    const { machine, nowMs, log } = this.#parts;
    for (const [roomId, healing] of [...this.#healings]) {
      const { complete, odd } = healing;
      if (complete === null || odd !== machine.odd.get(roomId) || machine.standings.has(roomId)) continue;
      if (complete.index > machine.appliedIndex || complete.index < odd.index) continue;
      const healed = machine.heal(roomId, complete);
      if (healed.type === "healed") continue;
      const why = `the copy cannot be brought to life here: ${failureWords(healed.error)}`;
      if (odd.failure !== why)
        log.error({ event: "room-not-restored", roomId, why }, `room ${roomId} is not on this node: ${why}`);
      odd.failure = why;
      healing.failed(why, nowMs());
    }
  }
}

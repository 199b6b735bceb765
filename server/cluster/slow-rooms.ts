import type { RoomActing } from "../session/room-watch.ts";

export const slowLimits = Object.freeze({
  /** An act that takes longer holds up everything else of its node (design 6). */
  slowMs: 20,
  /** So often within a window, so that a cold start or a busy machine is not a room's fault. */
  timesMin: 3,
  windowMs: 10_000,
});

interface Slow {
  times: number;
  longestMs: number;
}

/** Tells of rooms whose code is slow, once a window each. */
export class SlowRooms {
  readonly #warn: (fields: object, message: string) => void;
  #windowBegan = Number.NEGATIVE_INFINITY;
  readonly #rooms = new Map<string, Slow>();

  constructor(warn: (fields: object, message: string) => void) {
    this.#warn = warn;
  }

  /** An act has taken so long. */
  took({ group, roomId, act, index }: RoomActing, ms: number, nowMs: number): void {
    if (ms < slowLimits.slowMs) return;
    if (nowMs - this.#windowBegan >= slowLimits.windowMs) {
      this.#windowBegan = nowMs;
      this.#rooms.clear();
    }
    const slow = this.#rooms.get(roomId) ?? { times: 0, longestMs: 0 };
    this.#rooms.set(roomId, slow);
    slow.times += 1;
    slow.longestMs = Math.max(slow.longestMs, Math.round(ms));
    if (slow.times !== slowLimits.timesMin) return;
    const { longestMs } = slow;
    this.#warn(
      { event: "slow-room", group, roomId, act, index, longestMs },
      `room ${roomId} is slow: ${slow.times} times its code took ${slowLimits.slowMs} ms or more, the longest ${longestMs} ms; everything else on this node waits for it`,
    );
  }
}

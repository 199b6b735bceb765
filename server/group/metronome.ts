import type { EngineClock } from "./engine-construction.ts";
import type { EngineOptions } from "./engine-options.ts";

interface MetronomeParts extends Pick<EngineOptions, "tickMs" | "heartbeatIntervalMs"> {
  readonly clock: EngineClock;
  /** Into the pipe. */
  readonly tick: () => void;
}

/** When a node's ticks and heartbeats are due, and how late they come. */
export class Metronome {
  readonly #parts: MetronomeParts;
  #cancel: (() => void) | null = null;
  #dueMs = Number.NEGATIVE_INFINITY;
  #nextBeatMs = Number.NEGATIVE_INFINITY;

  constructor(parts: MetronomeParts) {
    this.#parts = parts;
  }

  arm(): void {
    const { clock, tickMs, tick } = this.#parts;
    this.#dueMs = clock.now().monotonicMs + tickMs;
    // Behind a poll of the sockets: what already waits there is heard before any timeout counts (design 4.1).
    this.#cancel = clock.setTimer(() => clock.defer(tick), tickMs);
  }

  /** How late the tick is that the pipe has come to. */
  lagMs(nowMs: number): number {
    return nowMs - this.#dueMs;
  }

  /** True once for each interval, if the next heartbeat is due within `aheadMs`. */
  takesBeat(nowMs: number, aheadMs = 0): boolean {
    if (nowMs + aheadMs < this.#nextBeatMs) return false;
    this.#nextBeatMs = nowMs + this.#parts.heartbeatIntervalMs;
    return true;
  }

  stop(): void {
    this.#cancel?.();
  }
}

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

  /** For the next tick; while all groups sleep it need not come before the next heartbeat, or `restUntilMs`. */
  arm({ restUntilMs }: { restUntilMs: number | null } = { restUntilMs: null }): void {
    const { clock, tickMs } = this.#parts;
    const nowMs = clock.now().monotonicMs;
    const restMs = restUntilMs === null ? 0 : Math.min(restUntilMs, this.#nextBeatMs) - nowMs;
    this.#arm(nowMs, Math.max(tickMs, restMs));
  }

  #arm(nowMs: number, delayMs: number): void {
    const { clock, tick } = this.#parts;
    this.#cancel?.();
    this.#dueMs = nowMs + delayMs;
    // Behind a poll of the sockets: what already waits there is heard before any timeout counts (design 4.1).
    this.#cancel = clock.setTimer(() => clock.defer(tick), delayMs);
  }

  /** A group woke up: the next tick comes no later than usual. */
  hurry(): void {
    const { clock, tickMs } = this.#parts;
    const nowMs = clock.now().monotonicMs;
    if (this.#dueMs - nowMs > tickMs) this.#arm(nowMs, tickMs);
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
    this.#dueMs = Number.NEGATIVE_INFINITY;
  }
}

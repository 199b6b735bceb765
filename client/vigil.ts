/** What a vigil may do about the connection that it watches. */
export interface Watched {
  /** Asks the node for a sign of life. */
  readonly ping: () => void;
  /** Nothing was heard for `silenceMs`. Called once. */
  readonly silent: () => void;
}

export interface VigilOptions {
  readonly pingIntervalMs: number;
  readonly silenceMs: number;
}

/**
 * Notices a node that is frozen: its socket stays open and says nothing. (The SDK has no heartbeat, and TCP
 * takes minutes.) Its own timers may be late too, in a hidden tab or after a sleep; then frames may be waiting
 * unread, so lateness counts as a sign of life, and the node is asked first.
 */
export class Vigil {
  readonly #options: VigilOptions;
  readonly #watched: Watched;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #tickMs: number;
  #heardMs = performance.now();
  #tickedMs = this.#heardMs;
  #pingedMs = this.#heardMs;

  constructor(options: VigilOptions, watched: Watched) {
    this.#options = options;
    this.#watched = watched;
    this.#tickMs = Math.max(10, Math.min(options.pingIntervalMs, options.silenceMs) / 4);
    this.#timer = setInterval(() => this.#tick(), this.#tickMs);
  }

  /** A frame came. */
  heard(): void {
    this.#heardMs = performance.now();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const nowMs = performance.now();
    const lateMs = nowMs - this.#tickedMs - this.#tickMs;
    this.#tickedMs = nowMs;
    const { pingIntervalMs, silenceMs } = this.#options;
    if (lateMs > silenceMs / 2) {
      this.#heardMs = nowMs;
      this.#pingedMs = nowMs;
      this.#watched.ping();
      return;
    }
    const quietMs = nowMs - this.#heardMs;
    if (quietMs >= silenceMs) {
      this.stop();
      this.#watched.silent();
    } else if (quietMs >= pingIntervalMs && nowMs - this.#pingedMs >= pingIntervalMs) {
      this.#pingedMs = nowMs;
      this.#watched.ping();
    }
  }
}

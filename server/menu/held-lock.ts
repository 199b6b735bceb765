import type { EngineClock } from "../group/engine-construction.ts";

interface Claim {
  readonly name: string;
  readonly leaseMs: number;
  readonly token: number;
  /** On the monotonic clock: its lease began no earlier. */
  readonly sinceMs: number;
}

interface HeldLockParts {
  readonly clock: Pick<EngineClock, "now" | "setTimer">;
  /** False: it is held no more. */
  readonly renew: () => Promise<boolean>;
  readonly release: () => Promise<boolean>;
}

/** A lock that this node holds, and renews until it is released. */
export class HeldLock {
  readonly name: string;
  /** Larger than that of any holder before: whoever is told of a larger one refuses what comes with this one. */
  readonly token: number;
  readonly #parts: HeldLockParts;
  readonly #leaseMs: number;
  readonly #lost = new AbortController();
  #surelyUntilMs: number;
  #cancel: () => void = () => {};
  #isReleased = false;

  constructor({ name, leaseMs, token, sinceMs }: Claim, parts: HeldLockParts) {
    this.name = name;
    this.token = token;
    this.#leaseMs = leaseMs;
    this.#parts = parts;
    this.#surelyUntilMs = sinceMs + leaseMs;
    this.#wait();
  }

  /** Aborted as soon as it is not certain that it is held: its lease could not be renewed in time. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** @returns false: it was not held any more */
  async release(): Promise<boolean> {
    this.abandon();
    return await this.#parts.release();
  }

  /** It is not renewed any more, nor released: as if its process had died. */
  abandon(): void {
    this.#isReleased = true;
    this.#cancel();
  }

  #wait(): void {
    const leftMs = this.#surelyUntilMs - this.#parts.clock.now().monotonicMs;
    this.#cancel = this.#parts.clock.setTimer(
      () => void this.#renew(),
      Math.max(0, Math.min(leftMs, this.#leaseMs / 3)),
    );
  }

  async #renew(): Promise<void> {
    const { clock, renew } = this.#parts;
    const beganMs = clock.now().monotonicMs;
    if (beganMs >= this.#surelyUntilMs) return this.#lose();
    const leftMs = this.#surelyUntilMs - beganMs;
    const cancelEnd = clock.setTimer(() => this.#lose(), leftMs);
    const isRenewed = await renew().catch(() => null);
    cancelEnd();
    if (this.#isReleased || this.lost.aborted) return;
    if (isRenewed === false) return this.#lose();
    if (isRenewed) this.#surelyUntilMs = beganMs + this.#leaseMs;
    this.#wait();
  }

  #lose(): void {
    this.#cancel();
    if (!this.#isReleased)
      this.#lost.abort(new Error(`the lock "${this.name}" is not certain to be held any more`));
  }
}

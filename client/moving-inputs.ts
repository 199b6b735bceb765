import type { InputHandle } from "@colyseus/sdk";

type Handle = Pick<InputHandle, "send" | "reset" | "pendingCount">;

/** So long is waited for acknowledgements: a room that stands still gives none. */
const acknowledgedMsMax = 500;
/** A node that is slow to take the seat must not keep a player from playing on at the present one. */
const pauseMsMax = 1_500;
const lookMs = 5;

/**
 * One room's inputs while it moves. An input is of its moment: none is kept for later, so between two nodes `send()` says by 0
 * that it has sent nothing, and the prediction waits; what is staged goes with the next one. After a move the SDK begins anew,
 * as with the server.
 */
export class MovingInputs {
  readonly #isJoined: () => boolean;
  #handle: Handle | null = null;
  #pausedUntilMs = 0;

  /** @param isJoined the present connection takes inputs */
  constructor(isJoined: () => boolean) {
    this.#isJoined = isJoined;
  }

  take(handle: Handle): void {
    this.#handle = handle;
    if (Object.hasOwn(handle, "send")) return;
    const { send } = handle;
    handle.send = () => (this.#isJoined() && !this.#isPaused ? send.call(handle) : 0);
  }

  get #isPaused(): boolean {
    return performance.now() < this.#pausedUntilMs;
  }

  /**
   * From now on none is sent: what comes by the old connection once the seat is attached elsewhere is lost. Resolves when all
   * that were sent are acknowledged, or no longer waited for.
   */
  async pause(): Promise<void> {
    const sinceMs = performance.now();
    if (this.#handle !== null) this.#pausedUntilMs = sinceMs + pauseMsMax;
    while (this.#isAwaited && performance.now() - sinceMs < acknowledgedMsMax)
      await new Promise((resolve) => setTimeout(resolve, lookMs));
  }

  get #isAwaited(): boolean {
    return this.#handle !== null && this.#handle.pendingCount > 0 && this.#isJoined();
  }

  resume(): void {
    this.#pausedUntilMs = 0;
  }

  /** As the SDK does when it reconnects by itself: the room takes the inputs of a new attachment from 1 on. */
  reset(): void {
    this.#handle?.reset();
    this.resume();
  }
}

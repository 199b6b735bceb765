import type { Impairment } from "./links-options.ts";

/** Imitates a longer and worse line: every frame leaves late, some never, none overtakes another. */
export class FrameDelay {
  readonly #impairment: Impairment;
  readonly #tools: FrameDelayTools;
  readonly #queue: { readonly dueMs: number; readonly frame: Uint8Array }[] = [];
  #bytes = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(impairment: Impairment, tools: FrameDelayTools) {
    this.#impairment = impairment;
    this.#tools = tools;
  }

  /** Bytes under way, bounded by the link that feeds this. */
  get bytes(): number {
    return this.#bytes;
  }

  push(frame: Uint8Array): void {
    const { delayMs, jitterMs, loss } = this.#impairment;
    if (loss > 0 && this.#tools.random() < loss) return;
    if (delayMs + jitterMs === 0) {
      this.#tools.send(frame);
      return;
    }
    // A frame that is due waits for those before it: only the first one's time is ever looked at.
    const dueMs = this.#tools.monotonicMs() + delayMs + jitterMs * this.#tools.random();
    this.#queue.push({ dueMs, frame });
    this.#bytes += frame.length;
    this.#arm();
  }

  /** Drops what is under way. */
  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#queue.length = 0;
    this.#bytes = 0;
  }

  #arm(): void {
    const next = this.#queue[0];
    if (next === undefined || this.#timer !== null) return;
    this.#timer = setTimeout(() => this.#run(), Math.max(0, next.dueMs - this.#tools.monotonicMs()));
  }

  #run(): void {
    this.#timer = null;
    const nowMs = this.#tools.monotonicMs();
    let due = 0;
    while (due < this.#queue.length && (this.#queue[due]?.dueMs ?? 0) <= nowMs) due++;
    for (const { frame } of this.#queue.splice(0, due)) {
      this.#bytes -= frame.length;
      this.#tools.send(frame);
    }
    this.#arm();
  }
}

export interface FrameDelayTools {
  send(frame: Uint8Array): void;
  monotonicMs(): number;
  /** 0 ≤ x < 1 */
  random(): number;
}

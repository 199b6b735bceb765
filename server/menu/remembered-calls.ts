import { pack } from "msgpackr";
import { keeperLimits } from "./keeper-limits.ts";
import type { KeeperResult } from "./keeper-result.ts";

export type RememberedCall = [once: string, outcome: KeeperResult, atMs: number, bytes: number];

/** What the newest calls with keys of their own gave, so that whoever asks again does nothing twice. */
export class RememberedCalls {
  /** The oldest first. */
  readonly #calls: Map<string, RememberedCall>;
  #bytes = 0;

  constructor(state: readonly RememberedCall[] = []) {
    this.#calls = new Map(state.map((call) => [call[0], call]));
    for (const [, , , bytes] of state) this.#bytes += bytes;
  }

  get state(): readonly RememberedCall[] {
    return [...this.#calls.values()];
  }

  of(once: string): KeeperResult | undefined {
    return this.#calls.get(once)?.[1];
  }

  remember(once: string, outcome: KeeperResult, atMs: number): void {
    const bytes = Buffer.byteLength(once) + pack(outcome).length;
    this.#calls.set(once, [once, outcome, atMs, bytes]);
    this.#bytes += bytes;
  }

  /** Before each command. */
  trim(logTimeMs: number): void {
    const { callsKeptMax, callsKeptBytesMax, callsKeptMs } = keeperLimits;
    for (const [once, , atMs, bytes] of this.#calls.values()) {
      const isOver = this.#calls.size > callsKeptMax || this.#bytes > callsKeptBytesMax;
      if (!isOver && logTimeMs - atMs <= callsKeptMs) return;
      this.#calls.delete(once);
      this.#bytes -= bytes;
    }
  }
}

import type { RaftMessage } from "../raft/message.ts";
import type { EngineOptions } from "./engine-options.ts";

interface Parked {
  readonly from: string;
  readonly message: RaftMessage;
  /** Of its entries' data. */
  readonly bytes: number;
}

type AppendGateOptions = Pick<
  EngineOptions,
  "applyBacklogMax" | "applyBacklogBytesMax" | "parkedAppendsMax" | "parkedAppendsBytesMax"
>;

/**
 * Holds appends back while too much is committed and not applied (design 4.1), so that the backlog is bounded: the
 * leader's own window then bounds what waits here. All appends wait, the empty ones too, or they would overtake.
 */
export class AppendGate {
  readonly #options: AppendGateOptions;
  #parked: Parked[] = [];
  #parkedBytes = 0;

  constructor(options: AppendGateOptions) {
    this.#options = options;
  }

  get parked(): number {
    return this.#parked.length;
  }

  isPast(backlog: { readonly length: number; readonly bytes: number }): boolean {
    return (
      backlog.length > this.#options.applyBacklogMax || backlog.bytes > this.#options.applyBacklogBytesMax
    );
  }

  /** True if the message has to wait (or, past the limit, is dropped: its sender will send it again). */
  holds(
    from: string,
    message: RaftMessage,
    backlog: { readonly length: number; readonly bytes: number },
  ): boolean {
    if (message.type !== "appendEntries") return false;
    if (this.#parked.length === 0 && !this.isPast(backlog)) return false;
    const { parkedAppendsMax, parkedAppendsBytesMax } = this.#options;
    const bytes = message.entries.reduce((sum, { data }) => sum + data.length, 0);
    if (this.#parked.length < parkedAppendsMax && this.#parkedBytes + bytes <= parkedAppendsBytesMax) {
      this.#parked.push({ from, message, bytes });
      this.#parkedBytes += bytes;
    }
    return true;
  }

  /** What may go on, once the backlog is below its limit. */
  release(backlog: { readonly length: number; readonly bytes: number }): readonly Parked[] {
    if (this.#parked.length === 0 || this.isPast(backlog)) return [];
    this.#parkedBytes = 0;
    return this.#parked.splice(0);
  }

  linkDown(nodeId: string): void {
    this.#parked = this.#parked.filter((parked) => parked.from !== nodeId);
    this.#parkedBytes = this.#parked.reduce((sum, { bytes }) => sum + bytes, 0);
  }
}

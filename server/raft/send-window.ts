import type { Progress } from "./progress.ts";
import type { RaftOptions } from "./raft-options.ts";

/** What may be sent: at least one entry, and else no more than this. */
interface Allowance {
  readonly entriesMax: number;
  readonly bytesMax: number;
}

type WindowOptions = Pick<
  RaftOptions,
  | "inFlightEntriesMax"
  | "inFlightBytesMax"
  | "totalInFlightEntriesMax"
  | "totalInFlightBytesMax"
  | "unsavedEntriesMax"
  | "unsavedBytesMax"
>;

/**
 * How much a leader sends ahead of the answers: to each follower, and to all of them together. Everybody has the same
 * share of what is allowed in all, so that one that answers slowly takes nothing from the others.
 */
export class SendWindow {
  readonly #options: WindowOptions;

  constructor(options: WindowOptions) {
    this.#options = options;
  }

  /** For one of the followers that are sent entries ahead; null: it has to answer first. */
  allowanceFor(progress: Progress, replicating: readonly Progress[]): Allowance | null {
    const options = this.#options;
    const { inFlightEntries, inFlightBytes, unsavedEntries, unsavedBytes } = progress;
    // What waits there for the disk is in that node's memory, however fast it takes more.
    if (unsavedEntries >= options.unsavedEntriesMax || unsavedBytes >= options.unsavedBytesMax) return null;
    const share = (total: number) => Math.floor(total / replicating.length);
    const sum = (of: (one: Progress) => number) => replicating.reduce((all, one) => all + of(one), 0);
    const entriesMax = Math.min(
      Math.min(options.inFlightEntriesMax, share(options.totalInFlightEntriesMax)) - inFlightEntries,
      options.totalInFlightEntriesMax - sum((one) => one.inFlightEntries),
      options.unsavedEntriesMax - unsavedEntries,
    );
    const bytesMax = Math.min(
      Math.min(options.inFlightBytesMax, share(options.totalInFlightBytesMax)) - inFlightBytes,
      options.totalInFlightBytesMax - sum((one) => one.inFlightBytes),
      options.unsavedBytesMax - unsavedBytes,
    );
    // Whoever has nothing on its way gets something, however small its share and however large the next entry.
    if (inFlightEntries === 0)
      return { entriesMax: Math.max(1, entriesMax), bytesMax: Math.max(0, bytesMax) };
    return entriesMax > 0 && bytesMax > 0 ? { entriesMax, bytesMax } : null;
  }
}

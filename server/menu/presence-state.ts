import { Journal, type JournalItem, type JournalState } from "./journal.ts";
import { keeperLimits } from "./keeper-limits.ts";
import { resultOf, unlessRefused } from "./keeper-result.ts";
import type { CommandContext } from "./menu.ts";
import { presenceChanges, presenceReads } from "./presence-methods.ts";
import { PresenceTable, type TableState } from "./presence-table.ts";
import { type RememberedCall, RememberedCalls } from "./remembered-calls.ts";

/** `topic` is its channel, its index its position. */
export interface PresenceMessage extends JournalItem {
  /** JSON. */
  readonly text: string;
}

export interface PresenceCall {
  readonly method: PresenceMethod;
  readonly args: readonly string[];
  readonly once: string | null;
}

interface SavedPresence {
  readonly table: TableState;
  readonly messages: JournalState<PresenceMessage>;
  readonly calls: readonly RememberedCall[];
}

const { messagesKeptMax, messagesKeptBytesMax, messagesKeptMs } = keeperLimits;
const journalLimits = {
  ...{ itemsMax: messagesKeptMax, bytesMax: messagesKeptBytesMax, ageMsMax: messagesKeptMs },
  droppedBytesMax: keeperLimits.droppedBytesMax,
};

export type ReadMethod = keyof typeof presenceReads;
type ChangeMethod = keyof typeof presenceChanges;
export type WriteMethod = ChangeMethod | "publish";
export type PresenceMethod = ReadMethod | WriteMethod;

const readMethods = Object.keys(presenceReads) as ReadMethod[];
export const presenceMethods = [
  ...readMethods,
  ...(Object.keys(presenceChanges) as ChangeMethod[]),
  "publish",
] as const;

/** What keeps strings, sets, hashes, lists and the newest messages, as of the last applied command. */
export class PresenceState {
  readonly #table: PresenceTable;
  readonly #calls: RememberedCalls;
  readonly journal: Journal<PresenceMessage>;

  constructor(saved?: unknown) {
    const { table, messages, calls } = (saved ?? {}) as Partial<SavedPresence>;
    this.#table = new PresenceTable(table);
    this.journal = new Journal(journalLimits, messages);
    this.#calls = new RememberedCalls(calls);
  }

  /** Plain data. */
  save(): SavedPresence {
    return { table: this.#table.state, messages: this.journal.state, calls: this.#calls.state };
  }

  get bytes(): number {
    return this.#table.bytes;
  }

  nextExpiryMs(): number | null {
    return this.#table.nextExpiryMs();
  }

  expire({ logTimeMs }: CommandContext): void {
    this.journal.trim(logTimeMs);
    this.#calls.trim(logTimeMs);
    this.#table.expire(logTimeMs);
  }

  /** @throws KeeperError WRONG_TYPE */
  read(method: ReadMethod, args: readonly string[]): unknown {
    return presenceReads[method](this.#table, args);
  }

  /** @throws KeeperError WRONG_TYPE, NOT_A_NUMBER, FULL: nothing was changed */
  call(call: PresenceCall, context: CommandContext): unknown {
    const { once } = call;
    if (once === null) return this.#carryOut(call, context);
    let outcome = this.#calls.of(once);
    if (outcome === undefined) {
      outcome = resultOf(() => this.#carryOut(call, context));
      this.#calls.remember(once, outcome, context.logTimeMs);
    }
    return unlessRefused(outcome);
  }

  #carryOut({ method, args }: PresenceCall, { index, logTimeMs }: CommandContext): unknown {
    if (isRead(method)) return this.read(method, args);
    if (method !== "publish") return presenceChanges[method](this.#table, args, logTimeMs);
    const [topic = "", text = ""] = args;
    const bytes = keeperLimits.elementBytes + Buffer.byteLength(topic) + Buffer.byteLength(text);
    this.journal.push({ index, logTimeMs, topic, text, bytes });
    return index;
  }
}

function isRead(method: PresenceMethod): method is ReadMethod {
  return Object.hasOwn(presenceReads, method);
}

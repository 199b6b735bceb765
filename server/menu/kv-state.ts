import { Journal, type JournalItem, type JournalState } from "./journal.ts";
import { KeeperError } from "./keeper-error.ts";
import { keeperLimits } from "./keeper-limits.ts";
import type { KvCondition, KvFence, KvOperation, KvTransaction } from "./kv-transaction.ts";
import type { CommandContext } from "./menu.ts";
import { SortedList } from "./sorted-list.ts";
import { decodeValue, encodeValue } from "./value-codec.ts";

export interface KvStored {
  readonly key: string;
  /** As encoded by `encodeValue`. */
  readonly value: Uint8Array;
  /** The index at which it was last written. */
  readonly version: number;
  /** In log time; null: never. */
  readonly expiresAtMs: number | null;
}

/** What has become of a key, told to watches. */
export interface KvChange extends JournalItem {
  readonly type: "put" | "deleted" | "expired" | "evicted";
  /** Null unless it was put. */
  readonly value: Uint8Array | null;
}

/** Of one operation. `version`: of what is there now; of a `delete`, of what was there before. 0: nothing. */
export interface KvResult {
  readonly value: Uint8Array | number | null;
  readonly version: number;
}

export interface KvOutcome {
  /** All conditions held, and `do` was carried out, not `else`. */
  readonly succeeded: boolean;
  readonly index: number;
  readonly results: readonly KvResult[];
}

export interface KvRange {
  /** From this one on; all that come behind it if there is no `prefix`. */
  readonly from: string;
  readonly prefix: string;
  /** Not this one, nor what is behind it; null: to the end. */
  readonly to: string | null;
  readonly keysMax: number;
}

interface KvStateParts {
  readonly bytesMax?: number;
  readonly holdsLock?: (name: string, token: number) => boolean;
}

/** Column by column, which takes a fraction of the time. */
interface SavedKv {
  readonly keys: readonly string[];
  readonly versions: readonly number[];
  readonly expiries: readonly (number | null)[];
  readonly lengths: readonly number[];
  /** One after the other. */
  readonly values: Uint8Array;
  readonly journal: JournalState<KvChange>;
}

const { entryBytes, changesKeptMax, changesKeptBytesMax, droppedBytesMax, rangeBytesMax } = keeperLimits;
const journalLimits = { itemsMax: changesKeptMax, bytesMax: changesKeptBytesMax, droppedBytesMax };

const compareStrings = (one: string, other: string) => (one < other ? -1 : one > other ? 1 : 0);
const byKey = (one: KvStored, other: KvStored) => compareStrings(one.key, other.key);
/** Who comes first is to go first. */
const byExpiry = (one: KvStored, other: KvStored) =>
  (one.expiresAtMs ?? 0) - (other.expiresAtMs ?? 0) || compareStrings(one.key, other.key);

/** The keys and values that all nodes share, as of the last applied command. Deterministic in its commands. */
export class KvState {
  readonly #bytesMax: number;
  readonly #byKey = new Map<string, KvStored>();
  readonly #sorted: SortedList<KvStored>;
  /** Those that expire. */
  readonly #expiring: SortedList<KvStored>;
  readonly journal: Journal<KvChange>;
  #bytes = 0;

  readonly #holdsLock: (name: string, token: number) => boolean;

  /**
   * @param bytesMax the same on every node
   * @param holdsLock whether the lock is held with this token, as of the command that is carried out
   */
  constructor(
    saved?: unknown,
    { bytesMax = keeperLimits.bytesMax, holdsLock = () => false }: KvStateParts = {},
  ) {
    const stored = saved === undefined ? [] : storedOf(saved as SavedKv);
    this.#bytesMax = bytesMax;
    this.#holdsLock = holdsLock;
    for (const one of stored) {
      this.#byKey.set(one.key, one);
      this.#bytes += bytesOf(one);
    }
    this.#sorted = new SortedList(byKey, stored);
    const expiring = stored.filter(({ expiresAtMs }) => expiresAtMs !== null);
    this.#expiring = new SortedList(byExpiry, expiring.sort(byExpiry));
    this.journal = new Journal(journalLimits, (saved as SavedKv | undefined)?.journal);
  }

  /** Plain data, in the order of the keys. */
  save(): SavedKv {
    const all = [...this.#sorted];
    return {
      keys: all.map(({ key }) => key),
      versions: all.map(({ version }) => version),
      expiries: all.map(({ expiresAtMs }) => expiresAtMs),
      lengths: all.map(({ value }) => value.length),
      values: Buffer.concat(all.map(({ value }) => value)),
      journal: this.journal.state,
    };
  }

  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#byKey.size;
  }

  get(key: string): KvStored | null {
    return this.#byKey.get(key) ?? null;
  }

  /** As many as fit into one answer, in order; `cursor`: where the rest begins, null: there is none. */
  range({ from, prefix, to, keysMax }: KvRange): { entries: KvStored[]; cursor: string | null } {
    const entries: KvStored[] = [];
    let bytes = 0;
    const start = { key: from < prefix ? prefix : from } as KvStored;
    for (const one of this.#sorted.from(start)) {
      if (!one.key.startsWith(prefix) || (to !== null && one.key >= to)) break;
      bytes += bytesOf(one);
      const isOver = entries.length >= keysMax || (bytes > rangeBytesMax && entries.length > 0);
      if (isOver) return { entries, cursor: one.key };
      entries.push(one);
    }
    return { entries, cursor: null };
  }

  // ---- expiry, in log time ------------------------------------------------------------------------------------------

  nextExpiryMs(): number | null {
    return this.#expiring.first?.expiresAtMs ?? null;
  }

  /** Before each command: what is due by then is gone. */
  expire({ index, logTimeMs }: CommandContext): void {
    this.journal.trim(logTimeMs);
    for (;;) {
      const { first } = this.#expiring;
      if (first === undefined || (first.expiresAtMs as number) > logTimeMs) return;
      this.#remove(first, "expired", { index, logTimeMs });
    }
  }

  // ---- commands -----------------------------------------------------------------------------------------------------

  /** @throws KeeperError FENCED, NOT_A_NUMBER, FULL: nothing was changed */
  transact(transaction: KvTransaction, context: CommandContext): KvOutcome {
    const { fence } = transaction;
    if (fence !== undefined && !this.#holdsLock(fence.name, fence.token)) throw fenced(fence);
    const succeeded = transaction.conditions.every((condition) => this.#holds(condition));
    const draft = new Map<string, KvStored | null>();
    const results = transaction[succeeded ? "do" : "else"].map((each) => this.#draw(each, draft, context));
    const evicted = this.#makeRoom(draft);
    for (const one of evicted) this.#remove(one, "evicted", context);
    for (const [key, stored] of draft) {
      if (stored === null) this.#remove(this.#byKey.get(key), "deleted", context);
      else this.#put(stored, context);
    }
    return { succeeded, index: context.index, results };
  }

  #holds(condition: KvCondition): boolean {
    const stored = this.#byKey.get(condition.key);
    if (condition.type === "version") return (stored?.version ?? 0) === condition.version;
    return stored !== undefined && Buffer.compare(stored.value, condition.value) === 0;
  }

  /** One operation on top of those before it; nothing is changed yet. */
  #draw(operation: KvOperation, draft: Map<string, KvStored | null>, context: CommandContext): KvResult {
    const { key } = operation;
    const drawn = draft.get(key);
    const stored = drawn === undefined ? (this.#byKey.get(key) ?? null) : drawn;
    const version = context.index;
    switch (operation.type) {
      case "get":
        return { value: stored?.value ?? null, version: stored?.version ?? 0 };
      case "put": {
        const { expiresInMs } = operation;
        // Not a view of the entry, which would stay in memory with it.
        const value = new Uint8Array(operation.value);
        const expiresAtMs = expiresInMs === null ? null : context.logTimeMs + expiresInMs;
        draft.set(key, { key, value, version, expiresAtMs });
        return { value: null, version };
      }
      case "delete":
        draft.set(key, null);
        return { value: null, version: stored?.version ?? 0 };
      case "increment": {
        const value = counted(key, stored, operation.by);
        draft.set(key, { key, value: encodeValue(value), version, expiresAtMs: stored?.expiresAtMs ?? null });
        return { value, version };
      }
    }
  }

  /** Who has to go for it: of those that expire anyway the next ones. @throws KeeperError FULL */
  #makeRoom(draft: ReadonlyMap<string, KvStored | null>): KvStored[] {
    let bytes = this.#bytes;
    let grows = false;
    for (const [key, stored] of draft) {
      const more = (stored === null ? 0 : bytesOf(stored)) - bytesOf(this.#byKey.get(key));
      grows ||= more > 0;
      bytes += more;
    }
    const evicted: KvStored[] = [];
    if (!grows) return evicted;
    for (const one of this.#expiring) {
      if (bytes <= this.#bytesMax) break;
      if (draft.has(one.key)) continue;
      evicted.push(one);
      bytes -= bytesOf(one);
    }
    if (bytes <= this.#bytesMax) return evicted;
    throw new KeeperError(
      "FULL",
      `all keys and values together would take ${bytes} bytes, ${this.#bytesMax} are allowed, and nothing else of it expires: delete keys, or put with expiresInMs what may be evicted`,
    );
  }

  #put(stored: KvStored, { index, logTimeMs }: CommandContext): void {
    const before = this.#byKey.get(stored.key);
    this.#bytes += bytesOf(stored) - bytesOf(before);
    if (before?.expiresAtMs != null) this.#expiring.delete(before);
    if (stored.expiresAtMs !== null) this.#expiring.add(stored);
    this.#byKey.set(stored.key, stored);
    this.#sorted.add(stored);
    const { key: topic, value } = stored;
    this.journal.push({ index, logTimeMs, topic, bytes: bytesOf(stored), type: "put", value });
  }

  #remove(
    stored: KvStored | undefined,
    type: "deleted" | "expired" | "evicted",
    { index, logTimeMs }: Pick<CommandContext, "index" | "logTimeMs">,
  ): void {
    if (stored === undefined) return;
    const { key: topic } = stored;
    this.#bytes -= bytesOf(stored);
    if (stored.expiresAtMs !== null) this.#expiring.delete(stored);
    this.#byKey.delete(topic);
    this.#sorted.delete(stored);
    this.journal.push({
      index,
      logTimeMs,
      topic,
      bytes: entryBytes + Buffer.byteLength(topic),
      type,
      value: null,
    });
  }
}

function storedOf({ keys, versions, expiries, lengths, values }: SavedKv): KvStored[] {
  let at = 0;
  return keys.map((key, row) => {
    const begin = at;
    at += lengths[row] as number;
    // A copy: a view would keep the whole checkpoint in memory.
    const value = new Uint8Array(values.subarray(begin, at));
    return { key, value, version: versions[row] as number, expiresAtMs: expiries[row] ?? null };
  });
}

function bytesOf(stored: KvStored | undefined): number {
  return stored === undefined ? 0 : entryBytes + Buffer.byteLength(stored.key) + stored.value.length;
}

function fenced({ name, token }: KvFence): KeeperError {
  return new KeeperError(
    "FENCED",
    `the lock "${name}" is not held with the token ${token} any more: whoever held it must stop, or acquire it again`,
  );
}

/** @throws KeeperError NOT_A_NUMBER */
function counted(key: string, stored: KvStored | null, by: number): number {
  const found: unknown = stored === null ? 0 : decodeValue(stored.value);
  const sum = typeof found === "number" ? found + by : Number.NaN;
  if (Number.isSafeInteger(found) && Number.isSafeInteger(sum)) return sum;
  const what =
    typeof found === "number" ? String(found) : `a ${Array.isArray(found) ? "list" : typeof found}`;
  throw new KeeperError(
    "NOT_A_NUMBER",
    `"${key}" holds ${what}, which ${by} cannot be added to: whole numbers up to ${Number.MAX_SAFE_INTEGER} are counted`,
  );
}

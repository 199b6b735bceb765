import type { ReadPoint } from "../group/reads.ts";
import { checkFields, checkFunction, kindOf } from "./given-arguments.ts";
import { KeeperError } from "./keeper-error.ts";
import type { AgreedReading, KeeperLine, Waiting } from "./keeper-group.ts";
import { keeperLimits } from "./keeper-limits.ts";
import { kvMenu } from "./kv-menu.ts";
import type { KvChange, KvOutcome, KvResult, KvState, KvStored } from "./kv-state.ts";
import type { KvCondition, KvFence, KvOperation } from "./kv-transaction.ts";
import type { MenuKeep } from "./menu-keep.ts";
import { checkExpiry, checkKey, decodeValue, encodeValue } from "./value-codec.ts";

/** What there is under a key. */
export interface KvFound {
  /** Plain data; undefined: there is no such key. */
  readonly value: unknown;
  /** The index of the log at which it was last written: larger for every later write. 0: there is no such key. */
  readonly version: number;
}

/** As of what moment of this node's replica: `ageMs` is 0 but for `local` reads. */
export type KvRead = KvFound & ReadPoint;

/** `version` 0: there is no such key. `value`: what is there is equal to it; objects are, if their keys are in the same order. */
export type KvIf =
  | { readonly key: string; readonly version: number }
  | { readonly key: string; readonly value: unknown };

export type KvDo =
  | { readonly type: "get"; readonly key: string }
  /** `expiresInMs`: it is gone after so long in log time, and may be evicted before if everything is full. */
  | { readonly type: "put"; readonly key: string; readonly value: unknown; readonly expiresInMs?: number }
  | { readonly type: "delete"; readonly key: string }
  /** A whole number; what is not there counts as 0. When it expires stays as it is. */
  | { readonly type: "increment"; readonly key: string; readonly by: number };

export interface KvChanged {
  readonly key: string;
  readonly type: "put" | "deleted" | "expired" | "evicted";
  /** Undefined unless it was put. */
  readonly value: unknown;
  /** The index of the log: to go on from with `after`. Changes of one transaction have the same. */
  readonly version: number;
}

/**
 * A write may be bound to a lock: it is done only if the lock is held with this token at the write's own place in the log,
 * whatever its writer still believes. A HeldLock, or its name and token, wherever they come from.
 */
export interface KvWriting extends Waiting {
  readonly fence?: { readonly name: string; readonly token: number };
}

interface KvWatch {
  /** Of the keys that begin with it; "" means all. */
  readonly prefix?: string;
  readonly key?: string;
  /** Go on behind this version, or index; by default from now on. */
  readonly after?: number;
  /** Called in order, each change once, in a macrotask of its own. */
  readonly changed: (change: KvChanged) => void;
  /** It has ended: this node was behind for so long that it does not know all changes (WATCH_TOO_OLD). */
  readonly lost: (error: KeeperError) => void;
}

/** Keys in order, with values, that all nodes of the cluster share: what was acknowledged survives as rooms do. */
export class Kv {
  readonly #keep: MenuKeep<KvState, KvChange>;
  readonly #line: KeeperLine;

  constructor(keep: MenuKeep<KvState, KvChange>, line: KeeperLine) {
    this.#keep = keep;
    this.#line = line;
  }

  /** @throws ARGUMENT, and TIMEOUT, OVERLOADED, STOPPED or REPLICAS_MISSING if it could not be read */
  async get(key: string, how: AgreedReading = {}): Promise<KvRead> {
    checkKey(key);
    checkFields(how, "how to read", readExample);
    return await this.#line.readAgreed("kv", how, () => found(this.#keep.state.get(key)));
  }

  /**
   * @param expiresInMs 1 to a year, in log time, which stands still while there is no leader
   * @returns the new version
   * @throws ARGUMENT, VALUE_TOO_BIG (48 KiB), FULL (2 MiB in all), FENCED; TIMEOUT, OVERLOADED, STOPPED
   */
  async put(
    key: string,
    value: unknown,
    how: KvWriting & { readonly expiresInMs?: number } = {},
  ): Promise<number> {
    checkFields(how, "how to write", writeExample);
    const { expiresInMs } = how;
    const put: KvDo =
      expiresInMs === undefined ? { type: "put", key, value } : { type: "put", key, value, expiresInMs };
    const { version } = await this.transact({ do: [put] }, how);
    return version;
  }

  /** @returns false: there was no such key */
  async delete(key: string, how?: KvWriting): Promise<boolean> {
    const { results } = await this.transact({ do: [{ type: "delete", key }] }, how);
    return results[0]?.version !== 0;
  }

  /**
   * Puts `value` if what is there is what is expected.
   * @param expected its version (0: no such key), or its value
   * @returns whether it was, and what is there now
   */
  async compareAndSet(
    key: string,
    expected: { readonly version: number } | { readonly value: unknown },
    value: unknown,
    how?: KvWriting,
  ): Promise<KvFound & { readonly swapped: boolean }> {
    const get: KvDo = { type: "get", key };
    checkFields(expected, "what is expected", "{ version: 0 } or { value: 1 }");
    if (!("version" in expected || "value" in expected))
      throw new KeeperError("ARGUMENT", "what is expected has neither a version nor a value: give one");
    const condition: KvIf = { key, ...expected };
    const outcome = await this.transact(
      { if: [condition], do: [{ type: "put", key, value }, get], else: [get] },
      how,
    );
    return { swapped: outcome.succeeded, ...(outcome.results.at(-1) as KvFound) };
  }

  /** @returns the new number @throws NOT_A_NUMBER */
  async increment(key: string, by = 1, how?: KvWriting): Promise<number> {
    const { results } = await this.transact({ do: [{ type: "increment", key, by }] }, how);
    return results[0]?.value as number;
  }

  /**
   * If all conditions hold, everything in `do` is done, in order and at once, else everything in `else`.
   * @param transaction at most 64 different keys, and 64 KiB in all
   * @returns what each operation gave: of a `get` what is there, of an `increment` the new number; of a `delete` the version
   * that there was. `version` is that of everything put.
   * @throws ARGUMENT, VALUE_TOO_BIG, TOO_MANY_KEYS, MENU_TOO_LONG; FENCED, FULL, NOT_A_NUMBER: then nothing of it was done
   */
  async transact(
    transaction: {
      readonly if?: readonly KvIf[];
      readonly do: readonly KvDo[];
      readonly else?: readonly KvDo[];
    },
    how: KvWriting = {},
  ): Promise<{
    readonly succeeded: boolean;
    readonly version: number;
    readonly results: readonly KvFound[];
  }> {
    checkFields(transaction, "the transaction", '{ do: [{ type: "get", key: "a" }] }');
    checkFields(how, "how to write", writeExample);
    const { if: conditions = [], do: steps, else: otherwise = [] } = transaction;
    for (const [name, list] of Object.entries({ if: conditions, do: steps, else: otherwise }))
      if (!Array.isArray(list))
        throw new KeeperError(
          "ARGUMENT",
          `\`${name}\` of a transaction is ${kindOf(list)}: an array is expected`,
        );
    checkKeys([...conditions, ...steps, ...otherwise]);
    const argument = {
      conditions: conditions.map(conditionOf),
      do: steps.map(operationOf),
      else: otherwise.map(operationOf),
      ...fenceOf(how.fence),
    };
    const command = kvMenu.encode("transact", argument, this.#line.level);
    const { succeeded, index, results } = (await this.#line.propose("kv", command, how)) as KvOutcome;
    return { succeeded, version: index, results: results.map(resultOf) };
  }

  /**
   * Keys in order: those that begin with `prefix`, from `from` on, before `to`.
   * @param limit 1 to 1,000, the default; an answer has at most 1 MiB
   * @returns `cursor`: to be given as `from` for the rest; null: there is none
   */
  async range(
    wanted: {
      readonly prefix?: string;
      readonly from?: string;
      readonly to?: string;
      readonly limit?: number;
    },
    how: AgreedReading = {},
  ): Promise<
    ReadPoint & {
      readonly entries: readonly (KvFound & { readonly key: string })[];
      readonly cursor: string | null;
    }
  > {
    checkFields(wanted, "the range", '{ prefix: "rank/" }');
    checkFields(how, "how to read", readExample);
    const { rangeKeysMax } = keeperLimits;
    const { prefix = "", from = "", to = null, limit = rangeKeysMax } = wanted;
    for (const [name, text] of Object.entries({ prefix, from, to }))
      if (text !== null && text !== "") checkKey(text, name);
    if (!Number.isInteger(limit) || limit < 1 || limit > rangeKeysMax)
      throw new KeeperError("ARGUMENT", `limit is ${limit}: 1 to ${rangeKeysMax} keys are given at once`);
    return await this.#line.readAgreed("kv", how, () => {
      const { entries, cursor } = this.#keep.state.range({ prefix, from, to, keysMax: limit });
      return { entries: entries.map((one) => ({ key: one.key, ...found(one) })), cursor };
    });
  }

  /**
   * Calls back for every change of a key, or of all keys with a prefix, as it is applied on this node.
   * @returns ends it
   * @throws ARGUMENT, TOO_MANY_WATCHES (1,024 on a node), WATCH_TOO_OLD if what changed behind `after` is not all known: the
   * newest 1,024 changes, and 1 MiB, are
   */
  async watch(wanted: KvWatch, how?: Waiting): Promise<() => void> {
    checkFields(wanted, "the watch", "{ key, changed, lost }");
    const { prefix, key, after, changed, lost } = wanted;
    checkFunction(changed, "`changed` of a watch");
    checkFunction(lost, "`lost` of a watch");
    if ((key === undefined) === (prefix === undefined))
      throw new KeeperError("ARGUMENT", "a watch takes either a key or a prefix");
    if (key !== undefined) checkKey(key);
    else if (prefix !== "") checkKey(prefix, "prefix");
    if (after !== undefined && (!Number.isSafeInteger(after) || after < 0))
      throw new KeeperError(
        "ARGUMENT",
        `after is ${after}: a version is expected, as a change or a read gave it`,
      );
    // What was acknowledged anywhere before is no news.
    const { index } = await this.#line.read("kv", how);
    const tell = (change: KvChange) => {
      const value = change.value === null ? undefined : decodeValue(change.value);
      changed({ key: change.topic, type: change.type, value, version: change.index });
    };
    const all = key === undefined;
    return this.#keep.feed.listen({ topic: key ?? prefix ?? "", all, tell, lost }, after ?? index);
  }
}

const readExample = '{ consistency: "lease" }';
const writeExample = "{ timeoutMs: 1000 }";

function found(stored: KvStored | null): KvFound {
  return stored === null
    ? { value: undefined, version: 0 }
    : { value: decodeValue(stored.value), version: stored.version };
}

function resultOf({ value, version }: KvResult): KvFound {
  if (value === null) return { value: undefined, version };
  return { value: typeof value === "number" ? value : decodeValue(value), version };
}

function checkKeys(parts: readonly { readonly key: string }[]): void {
  const { transactionKeysMax } = keeperLimits;
  const keys = new Set<string>();
  for (const { key } of parts) {
    checkKey(key);
    keys.add(key);
  }
  if (keys.size > transactionKeysMax || parts.length > transactionKeysMax * 2)
    throw new KeeperError(
      "TOO_MANY_KEYS",
      `a transaction of ${keys.size} keys and ${parts.length} steps: ${transactionKeysMax} keys and ${transactionKeysMax * 2} steps are allowed`,
    );
}

function fenceOf(fence: KvWriting["fence"]): { fence?: KvFence } {
  if (fence === undefined) return {};
  checkFields(fence, "the fence", "{ name: lock.name, token: lock.token }");
  const { name, token } = fence;
  checkKey(name, "fence's lock");
  if (Number.isSafeInteger(token) && token > 0) return { fence: { name, token } };
  throw new KeeperError("ARGUMENT", `the fence's token is ${String(token)}: a held lock's is expected`);
}

function conditionOf(condition: KvIf): KvCondition {
  const { key } = condition;
  if (!("version" in condition)) return { type: "value", key, value: encodeValue(condition.value) };
  const { version } = condition;
  if (!Number.isSafeInteger(version) || version < 0)
    throw new KeeperError(
      "ARGUMENT",
      `the expected version of "${key}" is ${version}: a whole number is expected, 0 for no such key`,
    );
  return { type: "version", key, version };
}

function operationOf(operation: KvDo): KvOperation {
  const { type, key } = operation;
  switch (type) {
    case "put": {
      const { value, expiresInMs } = operation;
      if (expiresInMs !== undefined) checkExpiry(expiresInMs);
      return { type, key, value: encodeValue(value), expiresInMs: expiresInMs ?? null };
    }
    case "increment": {
      const { by } = operation;
      if (!Number.isSafeInteger(by))
        throw new KeeperError(
          "ARGUMENT",
          `"${key}" is to be incremented by ${by}: a whole number is expected`,
        );
      return { type, key, by };
    }
    case "get":
    case "delete":
      return { type, key };
    default:
      throw new KeeperError("ARGUMENT", `"${String(type)}" is no operation: get, put, delete, increment`);
  }
}

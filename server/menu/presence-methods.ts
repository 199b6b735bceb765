import { KeeperError } from "./keeper-error.ts";
import { elementSize, type PresenceTable } from "./presence-table.ts";

type Texts = readonly string[];

/** What is read of keys; changes nothing. What they give is what RedisPresence gives. */
export const presenceReads = {
  get: (table, [key = ""]) => table.at(key, "string") ?? null,
  exists: (table, [key = ""]) => table.has(key),
  smembers: (table, [key = ""]) => [...(table.at(key, "set") ?? [])],
  sismember: (table, [key = "", member = ""]) => (table.at(key, "set")?.has(member) ? 1 : 0),
  scard: (table, [key = ""]) => table.at(key, "set")?.size ?? 0,
  sinter: (table, keys) => {
    const [first, ...others] = keys.map((key) => table.at(key, "set"));
    return [...(first ?? [])].filter((member) => others.every((set) => set?.has(member)));
  },
  hget: (table, [key = "", field = ""]) => table.at(key, "hash")?.get(field) ?? null,
  hgetall: (table, [key = ""]) => Object.fromEntries(table.at(key, "hash") ?? []),
  hlen: (table, [key = ""]) => table.at(key, "hash")?.size ?? 0,
  llen: (table, [key = ""]) => table.at(key, "list")?.length ?? 0,
} as const satisfies Record<string, (table: PresenceTable, args: Texts) => unknown>;

/** Milliseconds stand where RedisPresence takes seconds. @throws KeeperError WRONG_TYPE, NOT_A_NUMBER, FULL: nothing was changed */
export const presenceChanges = {
  set: (table, [key = "", value = ""]) => {
    table.setString(key, value, null);
    return null;
  },
  setex: (table, [key = "", value = "", ms], nowMs) => {
    table.setString(key, value, nowMs + Number(ms));
    return null;
  },
  expire: (table, [key = "", ms], nowMs) => {
    const isDone = Number(ms) > 0 ? table.expireAt(key, nowMs + Number(ms)) : table.delete(key);
    return isDone ? 1 : 0;
  },
  del: (table, [key = ""]) => (table.delete(key) ? 1 : 0),
  sadd: (table, [key = "", ...members]) => {
    const before = table.at(key, "set");
    const added = [...new Set(members)].filter((member) => !before?.has(member));
    const by = (set: Set<string>) => {
      for (const member of added) set.add(member);
    };
    if (added.length > 0) table.change(key, "set", { bytes: sizeOf(added), by });
    return added.length;
  },
  srem: (table, [key = "", ...members]) => {
    const before = table.at(key, "set");
    const removed = [...new Set(members)].filter((member) => before?.has(member));
    const by = (set: Set<string>) => {
      for (const member of removed) set.delete(member);
    };
    if (removed.length > 0) table.change(key, "set", { bytes: -sizeOf(removed), by });
    return removed.length;
  },
  hset: (table, [key = "", field = "", value = ""]) => putField(table, key, field, value) === undefined,
  hdel: (table, [key = "", field = ""]) => {
    const before = table.at(key, "hash")?.get(field);
    if (before === undefined) return false;
    table.change(key, "hash", { bytes: -elementSize(field, before), by: (hash) => hash.delete(field) });
    return true;
  },
  hincrby: (table, [key = "", field = "", by = ""]) => incrementField(table, key, field, by),
  hincrbyex: (table, [key = "", field = "", by = "", ms], nowMs) => {
    const sum = incrementField(table, key, field, by);
    table.expireAt(key, nowMs + Number(ms));
    return sum;
  },
  incr: (table, [key = ""]) => increment(table, key, "1"),
  decr: (table, [key = ""]) => increment(table, key, "-1"),
  rpush: (table, [key = "", ...values]) => {
    table.change(key, "list", { bytes: sizeOf(values), by: (list) => list.push(...values) });
    return table.at(key, "list")?.length;
  },
  lpush: (table, [key = "", ...values]) => {
    table.change(key, "list", { bytes: sizeOf(values), by: (list) => list.unshift(...values.toReversed()) });
    return table.at(key, "list")?.length;
  },
  rpop: (table, [key = ""]) => pop(table, key, "last"),
  lpop: (table, [key = ""]) => pop(table, key, "first"),
  /** Of the first list that has any: what brpop waits for. */
  rpopFirst: (table, keys) => {
    const key = keys.find((each) => table.at(each, "list") !== undefined);
    return key === undefined ? null : [key, pop(table, key, "last")];
  },
} as const satisfies Record<string, (table: PresenceTable, args: Texts, nowMs: number) => unknown>;

function sizeOf(elements: Texts): number {
  return elements.reduce((sum, element) => sum + elementSize(element), 0);
}

/** @returns what was there */
function putField(table: PresenceTable, key: string, field: string, value: string): string | undefined {
  const before = table.at(key, "hash")?.get(field);
  const bytes = elementSize(field, value) - (before === undefined ? 0 : elementSize(field, before));
  table.change(key, "hash", { bytes, by: (hash) => hash.set(field, value) });
  return before;
}

function incrementField(table: PresenceTable, key: string, field: string, by: string): number {
  const sum = counted(`field "${field}" of "${key}"`, table.at(key, "hash")?.get(field), by);
  putField(table, key, field, sum);
  return Number(sum);
}

function increment(table: PresenceTable, key: string, by: string): number {
  const sum = counted(`"${key}"`, table.at(key, "string"), by);
  table.setString(key, sum);
  return Number(sum);
}

function pop(table: PresenceTable, key: string, end: "first" | "last"): string | null {
  const list = table.at(key, "list");
  const value = list?.at(end === "first" ? 0 : -1);
  if (value === undefined) return null;
  const by = (all: string[]) => (end === "first" ? all.shift() : all.pop());
  table.change(key, "list", { bytes: -elementSize(value), by });
  return value;
}

const int64Min = -(2n ** 63n);
const int64Max = 2n ** 63n - 1n;
const isInt64 = (number: bigint) => number >= int64Min && number <= int64Max;

/** As Redis counts: whole numbers of 64 bits, kept as text. @throws KeeperError NOT_A_NUMBER */
function counted(what: string, found: string | undefined, by: string): string {
  const isNumber = found === undefined || (/^(0|-?[1-9]\d{0,18})$/.test(found) && isInt64(BigInt(found)));
  const sum = isNumber ? BigInt(found ?? "0") + BigInt(by) : null;
  if (sum !== null && isInt64(sum)) return String(sum);
  throw new KeeperError(
    "NOT_A_NUMBER",
    `${what} holds "${found?.slice(0, 64)}", which ${by} cannot be added to: whole numbers of 64 bits are counted`,
  );
}

import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { KeeperError } from "../../server/menu/keeper-error.ts";
import { keeperLimits } from "../../server/menu/keeper-limits.ts";
import type { CommandContext } from "../../server/menu/menu.ts";
import { type PresenceMethod, PresenceState } from "../../server/menu/presence-state.ts";
import { PresenceTable } from "../../server/menu/presence-table.ts";

const at = (index: number, logTimeMs = index) => ({ index, logTimeMs, wallTimeMs: 0, level: 1 });

type Plain = { value: string | Set<string> | Map<string, string> | string[]; dueMs: number | null };

/** What it is compared with: plain values, looked through from end to end. */
class PlainKeys {
  readonly keys = new Map<string, Plain>();

  expire(nowMs: number): void {
    for (const [key, { dueMs }] of [...this.keys])
      if (dueMs !== null && dueMs <= nowMs) this.keys.delete(key);
  }

  of<T extends Plain["value"]>(key: string, fresh: T): T {
    const known = this.keys.get(key);
    if (known === undefined) return fresh;
    const isSame =
      typeof fresh === "string"
        ? typeof known.value === "string"
        : known.value.constructor === fresh.constructor;
    if (!isSame) throw new Error("WRONG_TYPE");
    return known.value as T;
  }

  put(key: string, value: Plain["value"]): void {
    const isEmpty = typeof value !== "string" && (Array.isArray(value) ? value.length : value.size) === 0;
    if (isEmpty) this.keys.delete(key);
    else this.keys.set(key, { value, dueMs: this.keys.get(key)?.dueMs ?? null });
  }

  call(method: PresenceMethod, [key = "", one = "", two = ""]: string[], nowMs: number): unknown {
    switch (method) {
      case "set":
        this.keys.set(key, { value: one, dueMs: null });
        return null;
      case "expire": {
        const known = this.keys.get(key);
        if (known !== undefined) known.dueMs = nowMs + Number(one);
        return known === undefined ? 0 : 1;
      }
      case "del":
        return this.keys.delete(key) ? 1 : 0;
      case "incr": {
        const found = this.of(key, "0");
        if (!/^\d+$/.test(found)) throw new Error("NOT_A_NUMBER");
        this.put(key, String(Number(found) + 1));
        return Number(found) + 1;
      }
      case "sadd": {
        const set = this.of(key, new Set<string>());
        const size = set.size;
        this.put(key, set.add(one));
        return set.size - size;
      }
      case "srem": {
        const set = this.of(key, new Set<string>());
        const isGone = set.delete(one);
        this.put(key, set);
        return isGone ? 1 : 0;
      }
      case "hset": {
        const hash = this.of(key, new Map<string, string>());
        const isNew = !hash.has(one);
        this.put(key, hash.set(one, two));
        return isNew;
      }
      case "hdel": {
        const hash = this.of(key, new Map<string, string>());
        const isGone = hash.delete(one);
        this.put(key, hash);
        return isGone;
      }
      case "rpush":
      case "lpush": {
        const list = this.of(key, [] as string[]);
        this.put(key, method === "rpush" ? [...list, one, two] : [two, one, ...list]);
        return list.length + 2;
      }
      case "lpop":
      case "rpop": {
        const list = [...this.of(key, [] as string[])];
        const value = method === "lpop" ? list.shift() : list.pop();
        this.put(key, list);
        return value ?? null;
      }
      default:
        throw new Error(`the plain model has no ${method}`);
    }
  }

  bytes(): number {
    const { entryBytes, elementBytes } = keeperLimits;
    const size = (texts: Iterable<string>) =>
      [...texts].reduce((sum, text) => sum + Buffer.byteLength(text), 0);
    let bytes = 0;
    for (const [key, { value }] of this.keys) {
      bytes += entryBytes + Buffer.byteLength(key);
      if (typeof value === "string") bytes += Buffer.byteLength(value);
      else if (value instanceof Map) bytes += value.size * elementBytes + size([...value].flat());
      else bytes += [...value].length * elementBytes + size(value);
    }
    return bytes;
  }
}

const step = fc.record({
  method: fc.constantFrom(
    ...([
      "set",
      "expire",
      "del",
      "incr",
      "sadd",
      "srem",
      "hset",
      "hdel",
      "rpush",
      "lpush",
      "lpop",
      "rpop",
    ] as const),
  ),
  key: fc.constantFrom("a", "b", "é"),
  one: fc.constantFrom("1", "2", "long".repeat(9), "ü"),
  two: fc.constantFrom("1", "x"),
});

function outcome(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    return error instanceof KeeperError ? error.code : (error as Error).message;
  }
}

test("[T16] random calls do what they do to a plain model; its bytes are those of what there is; saved and restored it is the same", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      let state = new PresenceState();
      const plain = new PlainKeys();
      for (const [number, { method, key, one, two }] of steps.entries()) {
        const nowMs = number + 1;
        state.expire(at(nowMs));
        plain.expire(nowMs);
        const args =
          method === "expire" ? [key, String(one.length)] : [key, one, two].slice(0, argsOf(method));
        const given = outcome(() => state.call({ method, args, once: null }, at(nowMs)));
        assert.equal(
          given,
          outcome(() =>
            plain.call(
              method,
              [key, one, two].map((each, place) => args[place] ?? each),
              nowMs,
            ),
          ),
        );
        if (number % 5 === 0) state = new PresenceState(structuredClone(state.save()));
        assert.is(state.bytes, plain.bytes());
        const due = [...plain.keys.values()].flatMap(({ dueMs }) => dueMs ?? []);
        assert.is(state.nextExpiryMs(), due.length === 0 ? null : Math.min(...due));
        for (const each of ["a", "b", "é"]) assert.is(state.read("exists", [each]), plain.keys.has(each));
      }
    }),
    { numRuns: 300 },
  );
});

function argsOf(method: PresenceMethod): number {
  if (["del", "incr", "lpop", "rpop"].includes(method)) return 1;
  return ["hset", "rpush", "lpush"].includes(method) ? 3 : 2;
}

test("[T16] what would be too much is refused, and nothing is changed; what makes it less never is", () => {
  const table = new PresenceTable([], 1_000);
  table.setString("a", "x".repeat(400));
  table.change("set", "set", { bytes: 70, by: (set) => set.add("member") });
  const before = structuredClone(table.state);
  for (const act of [
    () => table.setString("b", "x".repeat(100)),
    () => table.setString("set", "x".repeat(200)),
    () => table.change("set", "set", { bytes: 100, by: (set) => set.add("another") }),
  ])
    assert.is(outcome(act), "FULL");
  assert.equal(table.state, before);
  table.setString("a", "x".repeat(300));
  table.change("set", "set", { bytes: -70, by: (set) => set.delete("member") });
  assert.is(table.has("set"), false);
});

test("[T16] messages are remembered for so long, calls with keys of their own for so long and so many", () => {
  const state = new PresenceState();
  const { callsKeptMax, callsKeptMs, messagesKeptMs } = keeperLimits;
  const call = (once: string | null, context: CommandContext) => {
    state.expire(context);
    return state.call({ method: "incr", args: ["n"], once }, context);
  };
  assert.is(call("first", at(1, 0)), 1);
  state.call({ method: "publish", args: ["c", "1"], once: null }, at(2, 10));
  assert.is(call("first", at(3, callsKeptMs)), 1);
  assert.is(state.journal.from, 2);
  assert.ok(messagesKeptMs < callsKeptMs);
  assert.is(call("first", at(4, callsKeptMs + 1)), 2);
  for (let number = 0; number < callsKeptMax; number++)
    call(`other ${number}`, at(5 + number, callsKeptMs + 2));
  const index = 5 + callsKeptMax;
  assert.is(call("other 0", at(index, callsKeptMs + 2)), 3);
  assert.is(call(null, at(index + 1, callsKeptMs + 2)), callsKeptMax + 3);
  assert.is(call("first", at(index + 2, callsKeptMs + 2)), callsKeptMax + 4);
});

test.run();

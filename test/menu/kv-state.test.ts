import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { KeeperError } from "../../server/menu/keeper-error.ts";
import { keeperLimits } from "../../server/menu/keeper-limits.ts";
import { KvState } from "../../server/menu/kv-state.ts";
import type { KvOperation, KvTransaction } from "../../server/menu/kv-transaction.ts";
import { decodeValue, encodeValue } from "../../server/menu/value-codec.ts";

const at = (index: number, logTimeMs = index) => ({ index, logTimeMs, wallTimeMs: 0, level: 1 });
const put = (key: string, value: unknown, expiresInMs: number | null = null): KvOperation => ({
  type: "put",
  key,
  value: encodeValue(value),
  expiresInMs,
});
const doing = (...operations: KvOperation[]): KvTransaction => ({ conditions: [], do: operations, else: [] });
const valueAt = (state: KvState, key: string) => {
  const stored = state.get(key);
  return stored === null ? undefined : decodeValue(stored.value);
};
const keysOf = (state: KvState) =>
  state.range({ from: "", prefix: "", to: null, keysMax: 1_000 }).entries.map(({ key }) => key);

function refusalOf(act: () => unknown): KeeperError {
  try {
    act();
  } catch (error) {
    assert.instance(error, KeeperError);
    return error as KeeperError;
  }
  throw new Error("nothing was thrown");
}

/** What it is compared with: a plain map, looked through from end to end. */
class PlainKv {
  readonly entries = new Map<string, { value: unknown; version: number; dueMs: number | null }>();

  expire(nowMs: number): void {
    for (const [key, { dueMs }] of [...this.entries])
      if (dueMs !== null && dueMs <= nowMs) this.entries.delete(key);
  }

  sorted(): string[] {
    return [...this.entries.keys()].sort((one, other) => (one < other ? -1 : 1));
  }
}

const step = fc.record({
  type: fc.constantFrom("put", "delete", "increment", "cas", "wait"),
  key: fc.constantFrom("a", "b", "ba", "bb", "c", "é", "😀"),
  number: fc.integer({ min: -3, max: 9 }),
  expiresInMs: fc.option(fc.integer({ min: 1, max: 30 })),
});

test("[T1] random commands do what they do to a plain map; after each, a state that was saved and restored is the same", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let state = new KvState();
      const plain = new PlainKv();
      let nowMs = 0;
      for (const [number, { type, key, number: value, expiresInMs }] of steps.entries()) {
        const index = number + 1;
        nowMs += type === "wait" ? Math.abs(value) * 3 : 1;
        const context = at(index, nowMs);
        state.expire(context);
        plain.expire(nowMs);
        const known = plain.entries.get(key);
        if (type === "put") {
          state.transact(doing(put(key, value, expiresInMs)), context);
          plain.entries.set(key, {
            value,
            version: index,
            dueMs: expiresInMs === null ? null : nowMs + expiresInMs,
          });
        } else if (type === "delete") {
          const { results } = state.transact(doing({ type: "delete", key }), context);
          assert.is(results[0]?.version, known?.version ?? 0);
          plain.entries.delete(key);
        } else if (type === "increment") {
          const { results } = state.transact(doing({ type: "increment", key, by: value }), context);
          const sum = ((known?.value as number | undefined) ?? 0) + value;
          assert.is(results[0]?.value, sum);
          plain.entries.set(key, { value: sum, version: index, dueMs: known?.dueMs ?? null });
        } else if (type === "cas") {
          const condition = { type: "value" as const, key, value: encodeValue(value) };
          const outcome = state.transact({ conditions: [condition], do: [put(key, 7)], else: [] }, context);
          assert.is(outcome.succeeded, known?.value === value);
          if (outcome.succeeded) plain.entries.set(key, { value: 7, version: index, dueMs: null });
        }
        if (number % 7 === 0) state = new KvState(structuredClone(state.save()));
        assert.equal(keysOf(state), plain.sorted());
        for (const [each, { value: expected, version }] of plain.entries) {
          assert.is(valueAt(state, each), expected);
          assert.is(state.get(each)?.version, version);
        }
        const due = [...plain.entries.values()].flatMap(({ dueMs }) => dueMs ?? []);
        assert.is(state.nextExpiryMs(), due.length === 0 ? null : Math.min(...due));
        const bytes = plain
          .sorted()
          .reduce((sum, each) => sum + Buffer.byteLength(each) + keeperLimits.entryBytes, 0);
        const values = [...plain.entries.values()].reduce(
          (sum, each) => sum + encodeValue(each.value).length,
          0,
        );
        assert.is(state.bytes, bytes + values);
      }
    }),
    { numRuns: 300 },
  );
});

test("[T1] a range is in order, between its bounds, and goes on at its cursor", () => {
  const state = new KvState();
  for (const [number, key] of ["b/2", "a", "b/1", "c", "b/3"].entries())
    state.transact(doing(put(key, key)), at(number + 1));
  const range = (wanted: object) => {
    const { entries, cursor } = state.range({ from: "", prefix: "", to: null, keysMax: 1_000, ...wanted });
    return [entries.map(({ key }) => key).join(), cursor];
  };
  assert.equal(range({}), ["a,b/1,b/2,b/3,c", null]);
  assert.equal(range({ prefix: "b/" }), ["b/1,b/2,b/3", null]);
  assert.equal(range({ prefix: "b/", keysMax: 2 }), ["b/1,b/2", "b/3"]);
  assert.equal(range({ prefix: "b/", from: "b/3" }), ["b/3", null]);
  assert.equal(range({ from: "b", to: "b/3" }), ["b/1,b/2", null]);
  assert.equal(range({ prefix: "d" }), ["", null]);
});

test("[T7] an answer has at most 1 MiB, and one key in any case", () => {
  const state = new KvState();
  const value = "x".repeat(40_000);
  for (let index = 1; index <= 50; index++) state.transact(doing(put(`k${100 + index}`, value)), at(index));
  const { entries, cursor } = state.range({ from: "", prefix: "", to: null, keysMax: 1_000 });
  assert.is(
    entries.length,
    Math.floor(keeperLimits.rangeBytesMax / (40_000 + 3 + 4 + keeperLimits.entryBytes)),
  );
  assert.is(cursor, `k${101 + entries.length}`);
});

test("[T2] a transaction is carried out in order and as a whole, and by its conditions", () => {
  const state = new KvState();
  const { results } = state.transact(
    doing(
      put("a", 1),
      { type: "increment", key: "a", by: 4 },
      { type: "get", key: "a" },
      { type: "delete", key: "b" },
    ),
    at(1),
  );
  assert.equal(
    results.map(({ value, version }) => [value instanceof Uint8Array ? decodeValue(value) : value, version]),
    [
      [null, 1],
      [5, 1],
      [5, 1],
      [null, 0],
    ],
  );
  const conditions = [
    { type: "version" as const, key: "a", version: 1 },
    { type: "version" as const, key: "b", version: 0 },
    { type: "value" as const, key: "a", value: encodeValue(5) },
  ];
  const transaction = { conditions, do: [put("b", 1)], else: [put("c", 1)] };
  assert.is(state.transact(transaction, at(2)).succeeded, true);
  assert.is(state.transact(transaction, at(3)).succeeded, false);
  assert.equal(keysOf(state), ["a", "b", "c"]);
});

test("[T2] what cannot be done is refused with words, and nothing of it is done", () => {
  const state = new KvState();
  state.transact(doing(put("word", "hello"), put("many", Number.MAX_SAFE_INTEGER)), at(1));
  const before = state.save();
  for (const key of ["word", "many"]) {
    const refusal = refusalOf(() =>
      state.transact(doing(put("other", 1), { type: "increment", key, by: 1 }), at(2)),
    );
    assert.is(refusal.code, "NOT_A_NUMBER");
    assert.match(refusal.message, `"${key}" holds`);
  }
  assert.equal(state.save(), before);
});

test("[T3] a key is there until its log time has come, and gone at the first command from then on", () => {
  const state = new KvState();
  state.transact(doing(put("a", 1, 50), put("b", 1, 20), put("c", 1)), at(1, 100));
  assert.is(state.nextExpiryMs(), 120);
  state.expire(at(2, 119));
  assert.equal(keysOf(state), ["a", "b", "c"]);
  state.expire(at(3, 120));
  assert.equal(keysOf(state), ["a", "c"]);
  // Written anew it does not expire; counted up it does as before.
  state.transact(doing(put("a", 2), put("d", 1, 30)), at(4, 130));
  state.transact(doing({ type: "increment", key: "d", by: 1 }), at(5, 150));
  state.expire(at(6, 155));
  assert.equal(keysOf(state), ["a", "c", "d"]);
  state.expire(at(7, 160));
  assert.equal(keysOf(state), ["a", "c"]);
  assert.is(state.nextExpiryMs(), null);
});

test("[T4] when everything is full, what expires goes first, the soonest before others; else nothing is put", () => {
  const one = keeperLimits.entryBytes + 1 + 101;
  const state = new KvState(undefined, { bytesMax: 4 * one });
  const value = "x".repeat(99);
  state.transact(
    doing(put("a", value), put("b", value, 900), put("c", value, 500), put("d", value, 700)),
    at(1, 0),
  );
  state.transact(doing(put("e", value)), at(2, 1));
  assert.equal(keysOf(state), ["a", "b", "d", "e"]);
  state.transact(doing(put("f", value, 5_000), put("d", 1)), at(3, 2));
  // Not one that is written just now, although it would be next; its new value took less, which was not enough.
  assert.equal(keysOf(state), ["a", "d", "e", "f"]);
  state.transact(doing(put("g", value)), at(4, 3));
  assert.equal(keysOf(state), ["a", "d", "e", "g"]);
  const before = state.save();
  const refusal = refusalOf(() => state.transact(doing(put("h", value)), at(5, 4)));
  assert.is(refusal.code, "FULL");
  assert.match(
    refusal.message,
    /would take \d+ bytes, \d+ are allowed, .*delete keys, or put with expiresInMs/,
  );
  assert.equal(state.save(), before);
  // What takes less than there was is done even so.
  state.transact(doing(put("a", 1)), at(6, 5));
  const types = state.journal.after(1)?.map(({ type, topic, index }) => `${index} ${type} ${topic}`);
  assert.equal(types, [
    "2 evicted c",
    "2 put e",
    "3 evicted b",
    "3 put f",
    "3 put d",
    "4 evicted f",
    "4 put g",
    "6 put a",
  ]);
});

test.run();

import { test } from "uvu";
import * as assert from "uvu/assert";
import { KeeperError } from "../../server/menu/keeper-error.ts";
import { keeperLimits } from "../../server/menu/keeper-limits.ts";
import { KvState } from "../../server/menu/kv-state.ts";
import { LockState } from "../../server/menu/lock-state.ts";
import { PresenceState } from "../../server/menu/presence-state.ts";
import { RememberedCalls } from "../../server/menu/remembered-calls.ts";
import { RememberedResults } from "../../server/menu/remembered-results.ts";

/** Each limit in bytes at its own edge: what just fits stays, one byte more lets the oldest go. */
const { entryBytes, elementBytes, changesKeptBytesMax, messagesKeptBytesMax, callsKeptBytesMax } =
  keeperLimits;
const { resultsKeptBytesMax, claimsBytesMax } = keeperLimits;

const at = (index: number) => ({ index, logTimeMs: 0, wallTimeMs: 0, level: 1 });

/** `count` sizes that are `total` in all. */
function sizes(total: number, count: number): number[] {
  const each = Math.floor(total / count);
  return Array.from({ length: count }, (_, number) => (number === 0 ? total - each * (count - 1) : each));
}

test("[T37] changes: so many bytes of them are known, and not one more", () => {
  for (const more of [0, 1]) {
    const state = new KvState();
    const all = sizes(changesKeptBytesMax + more, 32);
    for (const [number, size] of all.entries()) {
      // The same key each time: what is kept of it is only the last.
      const value = new Uint8Array(size - entryBytes - 1);
      state.expire(at(number + 1));
      const put = { type: "put", key: "k", value, expiresInMs: null } as const;
      state.transact({ conditions: [], do: [put], else: [] }, at(number + 1));
    }
    state.expire(at(100));
    assert.is(state.journal.from, more);
    assert.is(state.journal.after(more)?.length, 32 - more);
    const again = new KvState(structuredClone(state.save()));
    again.expire(at(101));
    assert.equal(again.save(), state.save());
  }
});

test("[T37] messages: so many bytes of them are known, and not one more", () => {
  for (const more of [0, 1]) {
    const state = new PresenceState();
    for (const [number, size] of sizes(messagesKeptBytesMax + more, 32).entries()) {
      const args = ["c", "m".repeat(size - elementBytes - 1)];
      state.expire(at(number + 1));
      state.call({ method: "publish", args, once: null }, at(number + 1));
    }
    state.expire(at(100));
    assert.is(state.journal.from, more);
    assert.is(state.journal.after(more)?.length, 32 - more);
    const again = new PresenceState(structuredClone(state.save()));
    again.expire(at(101));
    assert.equal(again.save(), state.save());
  }
});

test("[T37] calls: the outcomes of so many bytes are known, and not one more", () => {
  const done = { type: "done", value: null } as const;
  const probe = new RememberedCalls();
  probe.remember("", done, 0);
  const outcomeBytes = probe.state[0]?.[3] as number;
  for (const more of [0, 1]) {
    let calls = new RememberedCalls();
    const all = sizes(callsKeptBytesMax + more, 256);
    const nameOf = (number: number) => `${number} `.padEnd((all[number] as number) - outcomeBytes, "x");
    for (const number of all.keys()) calls.remember(nameOf(number), done, 0);
    calls = new RememberedCalls(structuredClone(calls.state));
    calls.trim(0);
    assert.is(calls.of(nameOf(0)) === undefined, more === 1);
    assert.equal(calls.of(nameOf(1)), done);
    assert.is(calls.state.length, 256 - more);
  }
});

test("[T37] results: of so many bytes of them they are known, and not one more; one that is a quarter of it is not kept", () => {
  const packedBytes = (value: unknown) => {
    const probe = new RememberedResults();
    probe.remember({ nodeId: "A", bootCount: 1, sequence: 1 }, value);
    return probe.state.results[0]?.[2].length ?? null;
  };
  const headBytes = (packedBytes("x".repeat(4_000)) as number) - 4_000;
  for (const more of [0, 1]) {
    let results = new RememberedResults();
    for (const [number, size] of sizes(resultsKeptBytesMax + more, 64).entries()) {
      const sequence = number + 1;
      results.remember({ nodeId: "A", bootCount: 1, sequence }, "x".repeat(size - headBytes));
      results = new RememberedResults(structuredClone(results.state));
    }
    const of = (sequence: number) => results.resultOf({ nodeId: "A", bootCount: 1, sequence });
    assert.is(of(1) === undefined, more === 1);
    assert.ok(of(2) !== undefined && of(64) !== undefined);
  }
  assert.is(packedBytes("x".repeat(resultsKeptBytesMax / 4)), null);
  assert.ok(packedBytes("x".repeat(resultsKeptBytesMax / 4 - headBytes)) !== null);
});

test("[T37] claims: so many bytes of them may be, one more is refused with words, and whoever goes makes place", () => {
  const claimant = "c".repeat(36);
  const all = sizes(claimsBytesMax, 200);
  const nameOf = (number: number, more = 0) =>
    `${number} `.padEnd((all[number] as number) - elementBytes - claimant.length + more, "x");
  const acquire = (state: LockState, name: string, index: number) =>
    state.acquire({ name, claimant, leaseMs: 100, waitMs: null }, at(index));
  for (const more of [0, 1]) {
    let state = new LockState();
    for (let number = 0; number < 199; number++) acquire(state, nameOf(number), number + 1);
    state = new LockState(structuredClone(state.save()));
    let code = "";
    try {
      acquire(state, nameOf(199, more), 200);
    } catch (error) {
      assert.instance(error, KeeperError);
      code = (error as KeeperError).code;
      assert.match((error as KeeperError).message, /would take 196609 bytes .* 196608 are allowed/);
    }
    assert.is(code, more === 0 ? "" : "FULL");
    state.release({ name: nameOf(0), claimant }, at(201));
    assert.is(acquire(state, nameOf(0), 202), 202);
  }
});

test.run();

import { test } from "uvu";
import * as assert from "uvu/assert";
import { EmbeddedKeeper } from "../../server/cluster/embedded-keeper.ts";
import { Election } from "../../server/menu/election.ts";
import { refusalOf } from "./refusal-of.ts";

const embedded = new EmbeddedKeeper();
const { kv, locks } = embedded.keeper;
/** An embedded keeper does not keep its process alive. */
const stay = setInterval(() => {}, 1_000);

// biome-ignore lint/suspicious/noExplicitAny: what no TypeScript would let through
const wrong = (value: unknown): any => value;
const none = { changed: () => {}, lost: () => {} };

test("[T56] kv: what has a wrong type is refused with what it is and what is allowed, and what was there stays", async () => {
  await kv.put("a", 1);
  for (const [act, words] of [
    [
      () => kv.put("a", 2, wrong(null)),
      /how to write is null: an object is expected, as \{ timeoutMs: 1000 \}/,
    ],
    [
      () => kv.put("a", 2, { fence: wrong("pen") }),
      /the fence is a string: an object is expected, as \{ name: lock/,
    ],
    [() => kv.put("a", 2, { fence: wrong(null) }), /the fence is null/],
    [
      () => kv.get("a", wrong(null)),
      /how to read is null: an object is expected, as \{ consistency: "lease" \}/,
    ],
    [
      () => kv.get("a", { consistency: wrong("soon") }),
      /consistency is "soon": "local", "lease", "linearizable" are allowed/,
    ],
    [() => kv.delete(wrong(7)), /the key is a number: a string is expected/],
    [() => kv.transact(wrong(null)), /the transaction is null: an object is expected, as \{ do: \[/],
    [() => kv.transact(wrong({})), /`do` of a transaction is undefined: an array is expected/],
    [() => kv.transact({ do: [], if: wrong("x") }), /`if` of a transaction is a string: an array/],
    [
      () => kv.compareAndSet("a", wrong(null), 2),
      /what is expected is null: .* \{ version: 0 \} or \{ value: 1 \}/,
    ],
    [() => kv.compareAndSet("a", wrong({}), 2), /neither a version nor a value: give one/],
    [() => kv.range(wrong(null)), /the range is null: an object is expected, as \{ prefix: "rank\/" \}/],
    [() => kv.watch(wrong(undefined)), /the watch is undefined: .* \{ key, changed, lost \}/],
    [
      () => kv.watch({ ...none, key: "a", changed: wrong("x") }),
      /`changed` of a watch is a string: a function/,
    ],
    [
      () => kv.watch({ ...none, key: "a", lost: wrong(undefined) }),
      /`lost` of a watch is undefined: a function/,
    ],
  ] as const)
    assert.match(await refusalOf(act), new RegExp(`^ARGUMENT: .*${words.source}|^ARGUMENT: ${words.source}`));
  const { value, version } = await kv.get("a");
  assert.equal([value, version], [1, (await kv.range({})).entries[0]?.version]);
});

test("[T56] locks and elections: likewise, and nobody holds anything for it", async () => {
  const election = new Election("baron", { kv, locks });
  for (const [act, words] of [
    [() => locks.acquire(wrong(7)), /the lock's name is a number: a string is expected/],
    [
      () => locks.acquire("l".repeat(1_025)),
      /the lock's name takes 1025 bytes in UTF-8: 1 to 1024 are allowed/,
    ],
    [
      () => locks.acquire("l", wrong(null)),
      /the wish for a lock is null: .* \{ leaseMs: 10000, waitMs: 0 \}/,
    ],
    [
      () => locks.acquire("l", { leaseMs: wrong("1s") }),
      /leaseMs is 1s: whole milliseconds from 100 to 300000/,
    ],
    [() => locks.isHeld("l", wrong("1")), /the token is a string: a whole number is expected/],
    [
      () => election.observe(wrong(7)),
      /the observer is a number: an object is expected, as \{ changed, lost \}/,
    ],
    [
      () => election.observe({ ...none, changed: wrong(null) }),
      /`changed` of an observer is null: a function/,
    ],
    [() => election.campaign("me", wrong(null)), /the wish for a lock is null/],
  ] as const)
    assert.match(await refusalOf(act), words);
  for (const name of ["l", "election/baron"]) {
    const lock = await locks.acquire(name, { waitMs: 0 });
    assert.ok(lock !== null, `${name} is free`);
    await lock?.release();
  }
});

test("[T56] a lock that is over: its old token is refused with words, and what the next holder has written stays", async () => {
  const old = await locks.acquire("pen", { leaseMs: 100 });
  const fence = { name: "pen", token: old?.token ?? 0 };
  await kv.put("page", "old", { fence });
  await old?.release();
  const next = await locks.acquire("pen");
  await kv.put("page", "next", { fence: { name: "pen", token: next?.token ?? 0 } });
  for (const act of [
    () => kv.put("page", "late", { fence }),
    () => kv.delete("page", { fence }),
    () => kv.transact({ do: [{ type: "put", key: "other", value: 1 }] }, { fence }),
    () => kv.compareAndSet("page", { value: "next" }, "late", { fence }),
  ])
    assert.match(
      await refusalOf(act),
      new RegExp(`^FENCED: the lock "pen" is not held with the token ${fence.token}`),
    );
  assert.equal([(await kv.get("page")).value, (await kv.get("other")).version], ["next", 0]);
  assert.is(await locks.isHeld("pen", next?.token ?? 0), true);
  await next?.release();
});

test.after(async () => {
  clearInterval(stay);
  await embedded.stop();
});

test.run();

import { test } from "uvu";
import * as assert from "uvu/assert";
import { realClock } from "../../server/cluster/clock.ts";
import { EmbeddedKeeper } from "../../server/cluster/embedded-keeper.ts";
import { Keeper } from "../../server/menu/keeper.ts";
import { keeperLimits } from "../../server/menu/keeper-limits.ts";
import type { KvChanged, KvIf } from "../../server/menu/kv.ts";

const embedded = new EmbeddedKeeper();
const { kv } = embedded.keeper;

async function refusalOf(asked: Promise<unknown>): Promise<{ code: string; message: string }> {
  try {
    await asked;
  } catch (error) {
    return error as { code: string; message: string };
  }
  throw new Error("nothing was thrown");
}

async function expectRefusal(asked: Promise<unknown>, code: string, words: RegExp): Promise<void> {
  const refusal = await refusalOf(asked);
  assert.is(refusal.code, code, refusal.message);
  assert.match(refusal.message, words);
}

test("[T1] values are plain data, and come back as they were put; nobody's copy is the kept one", async () => {
  const value = {
    name: "Ann",
    marks: [1, null, -0.5, 2n ** 40n],
    at: new Date(5),
    bytes: Uint8Array.of(1, 2),
    none: undefined,
  };
  const version = await kv.put("value", value);
  const read = await kv.get("value");
  assert.equal(read.value, value);
  assert.is(read.version, version);
  assert.is(read.ageMs, 0);
  assert.ok(read.index >= version);
  (read.value as typeof value).bytes[0] = 9;
  assert.equal((await kv.get("value")).value, value);
  assert.equal(await kv.get("nothing").then(({ value, version }) => [value, version]), [undefined, 0]);
  assert.is(await kv.delete("value"), true);
  assert.is(await kv.delete("value"), false);
});

test("[T1] each way to read gives what was put before", async () => {
  await kv.put("way", 1);
  for (const consistency of ["local", "lease", "linearizable"] as const)
    assert.is((await kv.get("way", { consistency })).value, 1);
});

test("[T2] compare-and-set goes by value or by version, and says what there is now", async () => {
  assert.equal(
    await kv.compareAndSet("cas", { version: 0 }, { a: 1 }).then(({ swapped, value }) => [swapped, value]),
    [true, { a: 1 }],
  );
  assert.equal(
    await kv.compareAndSet("cas", { version: 0 }, 2).then(({ swapped, value }) => [swapped, value]),
    [false, { a: 1 }],
  );
  const swap = await kv.compareAndSet("cas", { value: { a: 1 } }, 3);
  assert.equal([swap.swapped, swap.value], [true, 3]);
  assert.is((await kv.compareAndSet("cas", { version: swap.version }, 4)).swapped, true);
  assert.is((await kv.compareAndSet("cas", { value: 3 }, 5)).swapped, false);
});

test("[T2] a hundred increments at once are a hundred", async () => {
  const given = await Promise.all(Array.from({ length: 100 }, () => kv.increment("count")));
  assert.equal(
    given.sort((one, other) => one - other),
    Array.from({ length: 100 }, (_, at) => at + 1),
  );
  assert.is(await kv.increment("count", -40), 60);
});

test("[T2] a transaction moves something only if it is there", async () => {
  await kv.put("purse/a", 5);
  const move = () =>
    kv.transact({
      if: [{ key: "purse/a", value: 5 }],
      do: [
        { type: "increment", key: "purse/a", by: -5 },
        { type: "increment", key: "purse/b", by: 5 },
      ],
      else: [{ type: "get", key: "purse/a" }],
    });
  const [one, other] = await Promise.all([move(), move()]);
  assert.equal([one.succeeded, one.results.map(({ value }) => value)], [true, [0, 5]]);
  assert.equal([other.succeeded, other.results.map(({ value }) => value)], [false, [0]]);
});

test("[T3] what expires is gone by itself, though nobody asks for anything", async () => {
  const told = new Promise<KvChanged>((resolve) => {
    const changed = (change: KvChanged) => {
      if (change.type === "expired") resolve(change);
    };
    void kv.watch({ key: "passing", changed, lost: () => {} });
  });
  await kv.put("passing", 1, { expiresInMs: 30 });
  assert.is((await kv.get("passing")).value, 1);
  const stay = setInterval(() => {}, 1_000);
  assert.is((await told).key, "passing");
  clearInterval(stay);
  assert.is((await kv.get("passing")).value, undefined);
});

test("[T6] a watch begins with what comes after it, or behind a version, and ends when it is told to", async () => {
  const first = await kv.put("watched/a", 1);
  const told: string[] = [];
  const seen =
    (name: string) =>
    ({ key, type, value }: KvChanged) =>
      told.push(`${name} ${type} ${key} ${value}`);
  const lost = () => told.push("lost");
  const end = await kv.watch({ prefix: "watched/", changed: seen("now"), lost });
  await kv.watch({ key: "watched/a", after: first - 1, changed: seen("since"), lost });
  await kv.transact({
    do: [
      { type: "put", key: "watched/b", value: 2 },
      { type: "delete", key: "watched/a" },
    ],
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
  end();
  await kv.put("watched/b", 3);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(told, [
    "since put watched/a 1",
    "now put watched/b 2",
    "since deleted watched/a undefined",
    "now deleted watched/a undefined",
  ]);
});

test("[T7] what is wrong is said before anything is asked of anybody", async () => {
  const { keyBytesMax, valueBytesMax, transactionKeysMax, rangeKeysMax } = keeperLimits;
  const none = { changed: () => {}, lost: () => {} };
  await expectRefusal(kv.get(5 as never), "ARGUMENT", /the key is a number: a string is expected/);
  await expectRefusal(kv.put("", 1), "ARGUMENT", /takes 0 bytes in UTF-8: 1 to 1024 are allowed/);
  await expectRefusal(kv.put("é".repeat(513), 1), "ARGUMENT", /takes 1026 bytes/);
  await expectRefusal(kv.get("\ud800"), "ARGUMENT", /half of a surrogate pair/);
  await expectRefusal(kv.put("k", undefined), "ARGUMENT", /undefined: delete the key/);
  await expectRefusal(kv.put("k", { on: () => 1 }), "ARGUMENT", /value\.on is a function: only plain data/);
  await expectRefusal(kv.put("k", 2n ** 80n), "ARGUMENT", /cannot be encoded/);
  await expectRefusal(
    kv.put("k", "x".repeat(valueBytesMax)),
    "VALUE_TOO_BIG",
    /takes 49155 bytes, 49152 are allowed: split/,
  );
  await expectRefusal(
    kv.put("k", 1, { expiresInMs: 0.5 }),
    "ARGUMENT",
    /expiresInMs is 0\.5: whole milliseconds from 1/,
  );
  await expectRefusal(kv.increment("k", Number.NaN), "ARGUMENT", /incremented by NaN: a whole number/);
  await expectRefusal(kv.range({ limit: rangeKeysMax + 1 }), "ARGUMENT", /limit is 1001: 1 to 1000 keys/);
  await expectRefusal(kv.range({ prefix: 3 as never }), "ARGUMENT", /the prefix is a number/);
  await expectRefusal(kv.watch({ ...none }), "ARGUMENT", /either a key or a prefix/);
  await expectRefusal(kv.watch({ ...none, key: "k", after: -1 }), "ARGUMENT", /after is -1/);
  const conditions = Array.from(
    { length: transactionKeysMax + 1 },
    (_, at): KvIf => ({ key: `k${at}`, version: 0 }),
  );
  await expectRefusal(
    kv.transact({ if: conditions, do: [] }),
    "TOO_MANY_KEYS",
    /65 keys and 65 steps: 64 keys/,
  );
  await expectRefusal(
    kv.compareAndSet("k", { version: 1.5 }, 1),
    "ARGUMENT",
    /expected version of "k" is 1\.5/,
  );
  await expectRefusal(
    kv.transact({ do: [{ type: "rename", key: "k" } as never] }),
    "ARGUMENT",
    /"rename" is no operation/,
  );
  const big = "x".repeat(valueBytesMax - 10);
  const two = [
    { type: "put", key: "a", value: big } as const,
    { type: "put", key: "b", value: big } as const,
  ];
  await expectRefusal(kv.transact({ do: two }), "MENU_TOO_LONG", /at most 65536 bytes/);
  await kv.put("k".repeat(keyBytesMax), big);
});

test("[T7] before its groups run a node says so, and inside of a room nothing is asked", async () => {
  const guard = () => {
    throw new Error("not in here");
  };
  const parts = { clock: realClock, newId: () => "id", failed: () => {} };
  await expectRefusal(
    new Keeper({ ...parts, guard: () => {} }).kv.get("k"),
    "KEEPER_NOT_RUNNING",
    /do not run yet/,
  );
  assert.is((await refusalOf(new Keeper({ ...parts, guard }).kv.put("k", 1))).message, "not in here");
});

test("[T9] whoever still waits when it stops is told so", async () => {
  await embedded.stop();
  await expectRefusal(kv.put("k", 1), "STOPPED", /stopped/);
});

test.run();

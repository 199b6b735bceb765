import { test } from "uvu";
import * as assert from "uvu/assert";
import { EmbeddedKeeper } from "../../server/cluster/embedded-keeper.ts";
import type { HeldLock } from "../../server/menu/held-lock.ts";

const embedded = new EmbeddedKeeper();
const { locks, kv } = embedded.keeper;
/** An embedded keeper does not keep its process alive. */
const stay = setInterval(() => {}, 1_000);
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function held(asked: Promise<HeldLock | null>): Promise<HeldLock> {
  const lock = await asked;
  assert.ok(lock !== null);
  return lock as HeldLock;
}

async function refusalOf(asked: Promise<unknown>): Promise<string> {
  try {
    await asked;
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return `${code}: ${message}`;
  }
  return "nothing was thrown";
}

test("[T17] whoever comes first has it first, and one at a time", async () => {
  const order: number[] = [];
  let inside = 0;
  const use = async (number: number) => {
    const lock = await held(locks.acquire("one"));
    assert.is(++inside, 1);
    order.push(number);
    await sleep(5);
    assert.is(await locks.isHeld("one", lock.token), true);
    inside -= 1;
    assert.is(await lock.release(), true);
    assert.is(await locks.isHeld("one", lock.token), false);
    return lock.token;
  };
  const tokens = await Promise.all([1, 2, 3, 4, 5].map(use));
  assert.equal(order, [1, 2, 3, 4, 5]);
  assert.equal(
    tokens,
    [...tokens].sort((one, other) => one - other),
  );
  assert.is(new Set(tokens).size, 5);
});

test("[T18] now or never, or not for longer than this", async () => {
  const lock = await held(locks.acquire("busy"));
  assert.is(await locks.acquire("busy", { waitMs: 0 }), null);
  assert.is(await locks.acquire("busy", { waitMs: 60 }), null);
  const waiting = held(locks.acquire("busy", { waitMs: 5_000 }));
  await sleep(30);
  await lock.release();
  const next = await waiting;
  assert.ok(next.token > lock.token);
  assert.is(await lock.release(), false);
  await next.release();
});

test("[T18] a holder that lives keeps it for longer than its lease; one that is lost holds it up for its lease, and its token is refused then", async () => {
  const lock = await held(locks.acquire("kept", { leaseMs: 300 }));
  await sleep(700);
  assert.is(await locks.isHeld("kept", lock.token), true);
  assert.is(lock.lost.aborted, false);
  await lock.release();
  // A holder whose process has died: nobody renews.
  const other = await held(locks.acquire("kept", { leaseMs: 300 }));
  const dead = other.token;
  other.abandon();
  const next = await held(locks.acquire("kept"));
  assert.ok(next.token > dead);
  assert.is(await locks.isHeld("kept", dead), false);
  await next.release();
});

test("[T36] a write that is bound to a lock is done while it is held with that token, and never after", async () => {
  const lock = await held(locks.acquire("pen", { leaseMs: 300 }));
  await kv.put("page", 1, { fence: lock });
  assert.is(await kv.increment("page", 1, { fence: { name: "pen", token: lock.token } }), 2);
  // As if its process stood still: nobody renews.
  lock.abandon();
  const next = await held(locks.acquire("pen"));
  const refused = /^FENCED: the lock "pen" is not held with the token \d+ any more/;
  // The next holder has written nothing yet.
  assert.match(await refusalOf(kv.put("page", 3, { fence: lock })), refused);
  assert.match(await refusalOf(kv.delete("page", { fence: lock })), refused);
  assert.match(await refusalOf(kv.compareAndSet("page", { value: 2 }, 3, { fence: lock })), refused);
  assert.is((await kv.get("page")).value, 2);
  assert.is((await kv.compareAndSet("page", { value: 2 }, 3, { fence: next })).swapped, true);
  await next.release();
  assert.match(await refusalOf(kv.put("page", 4, { fence: next })), refused);
  const other = await held(locks.acquire("brush"));
  assert.match(await refusalOf(kv.put("page", 4, { fence: { name: "pen", token: other.token } })), refused);
  await other.release();
  assert.is((await kv.get("page")).value, 3);
  assert.match(
    await refusalOf(kv.put("page", 1, { fence: { name: "", token: 1 } })),
    /^ARGUMENT: the fence's lock takes 0 bytes/,
  );
  assert.match(
    await refusalOf(kv.put("page", 1, { fence: { name: "pen", token: 0 } })),
    /^ARGUMENT: the fence's token is 0: a held lock's is expected/,
  );
});

test("[T18] a holder that cannot renew is told in time that it is not certain to hold it", async () => {
  const lock = await held(locks.acquire("stolen", { leaseMs: 300 }));
  const told = new Promise<unknown>((resolve) =>
    lock.lost.addEventListener("abort", () => resolve(lock.lost.reason)),
  );
  await embedded.stop();
  assert.match(String(await told), /the lock "stolen" is not certain to be held any more/);
});

test("[T17] what is wrong is said with words", async () => {
  assert.match(await refusalOf(locks.acquire("")), /^ARGUMENT: the lock's name takes 0 bytes/);
  assert.match(
    await refusalOf(locks.acquire("l", { leaseMs: 5 })),
    /^ARGUMENT: leaseMs is 5: whole milliseconds from 100 to 300000/,
  );
  assert.match(await refusalOf(locks.acquire("l", { waitMs: -1 })), /^ARGUMENT: waitMs is -1/);
  assert.match(await refusalOf(locks.acquire("l")), /^STOPPED/);
});

test.after(() => clearInterval(stay));

test.run();

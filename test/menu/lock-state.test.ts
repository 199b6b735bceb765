import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { KeeperError } from "../../server/menu/keeper-error.ts";
import { keeperLimits } from "../../server/menu/keeper-limits.ts";
import { LockState } from "../../server/menu/lock-state.ts";

const at = (index: number, logTimeMs: number) => ({ index, logTimeMs, wallTimeMs: 0, level: 1 });

test("[T17] one at a time holds a lock, in the order of their coming; each token is larger than those before", () => {
  const state = new LockState();
  const acquire = (claimant: string, index: number, waitMs: number | null = null) =>
    state.acquire({ name: "l", claimant, leaseMs: 100, waitMs }, at(index, index));
  assert.is(acquire("a", 1), 1);
  assert.is(acquire("b", 2), 0);
  assert.is(acquire("c", 3), 0);
  assert.is(acquire("now or never", 4, 0), 0);
  assert.is(acquire("a", 5), 1);
  assert.is(state.release({ name: "l", claimant: "b" }, at(6, 6)), true);
  assert.is(state.release({ name: "l", claimant: "a" }, at(7, 7)), true);
  assert.is(state.release({ name: "l", claimant: "a" }, at(8, 8)), false);
  assert.equal([state.holder("l")?.claimant, state.holder("l")?.token], ["c", 7]);
  assert.is(state.release({ name: "l", claimant: "c" }, at(9, 9)), true);
  assert.is(state.holder("l"), null);
  assert.equal(
    state.journal.after(0)?.map(({ index, claimant }) => `${index} ${claimant}`),
    ["1 a", "7 c"],
  );
});

test("[T18] a lease ends in log time unless it is renewed, and who waits for longer than it wanted is gone", () => {
  const state = new LockState();
  const acquire = (claimant: string, index: number, waitMs: number | null) =>
    state.acquire({ name: "l", claimant, leaseMs: 100, waitMs }, at(index, index * 10));
  acquire("a", 1, null);
  acquire("impatient", 2, 50);
  acquire("c", 3, null);
  assert.is(state.nextExpiryMs(), 70);
  state.expire(at(7, 70));
  assert.is(state.renew({ name: "l", claimant: "a" }, at(8, 100)), true);
  state.expire(at(9, 110));
  assert.is(state.holder("l")?.claimant, "a");
  state.expire(at(10, 200));
  assert.equal([state.holder("l")?.claimant, state.holder("l")?.token, state.nextExpiryMs()], ["c", 10, 300]);
  assert.is(state.renew({ name: "l", claimant: "a" }, at(11, 210)), false);
  const again = new LockState(structuredClone(state.save()));
  assert.equal(again.save(), state.save());
  again.expire(at(12, 300));
  assert.is(again.holder("l"), null);
  assert.is(again.nextExpiryMs(), null);
});

test("[T17] whatever is asked for, there is one holder while anybody waits, and tokens only grow; also after it was restored", () => {
  const step = fc.record({
    type: fc.constantFrom("acquire", "release", "renew", "wait"),
    claimant: fc.constantFrom("a", "b", "c", "d"),
    waitMs: fc.option(fc.integer({ min: 0, max: 60 })),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let state = new LockState();
      let [nowMs, lastToken] = [0, 0];
      for (const [number, { type, claimant, waitMs }] of steps.entries()) {
        nowMs += type === "wait" ? 40 : 1;
        const context = at(number + 1, nowMs);
        state.expire(context);
        if (type === "acquire") state.acquire({ name: "l", claimant, leaseMs: 100, waitMs }, context);
        if (type === "release") state.release({ name: "l", claimant }, context);
        if (type === "renew") state.renew({ name: "l", claimant }, context);
        if (number % 5 === 0) state = new LockState(structuredClone(state.save()));
        const [[, claims] = ["", []]] = state.save().locks;
        assert.ok(claims.every(({ token }, place) => token > 0 === (place === 0)));
        assert.ok(claims.every(({ untilMs }) => untilMs === null || untilMs > nowMs));
        const token = state.holder("l")?.token ?? lastToken;
        assert.ok(token >= lastToken);
        lastToken = token;
      }
    }),
    { numRuns: 300 },
  );
});

test("[T17] so many claims are held or wait, in all; one more is refused with words", () => {
  const state = new LockState();
  const { claimsMax } = keeperLimits;
  const acquire = (name: string, index: number) =>
    state.acquire({ name, claimant: `c${index}`, leaseMs: 100, waitMs: null }, at(index, 0));
  for (let index = 1; index <= claimsMax; index++) acquire(`l${index % 10}`, index);
  try {
    acquire("more", claimsMax + 1);
    assert.unreachable();
  } catch (error) {
    assert.instance(error, KeeperError);
    assert.is((error as KeeperError).code, "FULL");
  }
  state.release({ name: "l1", claimant: "c1" }, at(claimsMax + 2, 0));
  assert.is(acquire("more", claimsMax + 3), claimsMax + 3);
});

test.run();

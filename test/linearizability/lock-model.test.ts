import { test } from "uvu";
import * as assert from "uvu/assert";
import { findViolation } from "./checker.ts";
import { History } from "./history.ts";
import { type LockInput, type LockOutput, lockModel } from "./lock-model.ts";

/** One after the other, each with what it was answered. */
function isExplained(...steps: readonly (readonly [LockInput, LockOutput])[]): boolean {
  const history = new History<LockInput, LockOutput>();
  for (const [input, output] of steps) history.ok(history.begin("c", "k", input, 0), output, 0);
  return findViolation(history.operations, lockModel) === null;
}

const done = { done: true, value: null };
const refused = { done: false, value: null };
const acquire = (token: number) => [{ type: "acquire", token }, done] as const;
const write = (token: number, value: number) =>
  [{ type: "write", token, value, refused: false }, done] as const;
const late = (token: number, value: number) =>
  [{ type: "write", token, value, refused: true }, refused] as const;
const get = (value: number) => [{ type: "get" }, { done: true, value }] as const;

test("[T39] the judge of locks finds a token that does not grow, and whatever an old or lost token still does", () => {
  assert.ok(isExplained(acquire(3), write(3, 1), get(1), acquire(5), late(3, 2), write(5, 3), get(3)));
  assert.ok(isExplained(acquire(3), late(3, 1), acquire(4), write(4, 2)));
  assert.not(isExplained(acquire(5), acquire(3)));
  assert.not(isExplained(acquire(3), acquire(5), write(3, 2)));
  assert.not(isExplained(acquire(3), late(3, 1), write(3, 2)));
  assert.not(isExplained(acquire(3), late(3, 1), get(1)));
  assert.not(
    isExplained(acquire(3), [{ type: "release", token: 3, value: 0, refused: false }, done], write(3, 2)),
  );
});

test.run();

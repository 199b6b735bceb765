import { test } from "uvu";
import * as assert from "uvu/assert";
import { checkPlainData } from "../../server/session/plain-data.ts";
import { SessionError } from "../../server/session/session-error.ts";

class Card {
  n = 1;
}

test("[Y30] plain data passes", () => {
  const shared = { n: 1 };
  for (const value of [
    ...[undefined, null, true, 0, -0, Number.NaN, 10n, "", new Date(0), new Uint8Array(2), Buffer.from("a")],
    { a: [1, { b: [shared, shared] }], c: undefined },
    Object.assign(Object.create(null) as object, { a: 1 }),
    [[[]]],
  ])
    checkPlainData(value, "value");
});

test("[Y30] anything else is refused, with the path", () => {
  const knot: Record<string, unknown> = {};
  knot["self"] = knot;
  for (const [value, words] of [
    [() => 1, "value is a function"],
    [Symbol("s"), "value is a symbol"],
    [{ a: [1, () => 1] }, "value.a[1] is a function"],
    [[{ deck: new Card() }], "value[0].deck is a Card"],
    [new Map(), "value is a Map"],
    [{ a: new Set() }, "value.a is a Set"],
    [{ a: new Float64Array(1) }, "value.a is a Float64Array"],
    [new (class extends Array {})(), null],
    [Object.create(Object.create(null) as object), "value is a thing of no class"],
    [knot, "more than 100 levels deep, or refers to itself"],
  ] as const) {
    if (words === null) {
      // As JSON has it too: an array.
      checkPlainData(value, "value");
      continue;
    }
    try {
      checkPlainData(value, "value");
      assert.unreachable();
    } catch (error) {
      assert.instance(error, SessionError);
      assert.is((error as SessionError).code, "NOT_PLAIN_DATA");
      assert.match((error as Error).message, words);
    }
  }
});

test.run();

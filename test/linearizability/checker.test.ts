import { test } from "uvu";
import * as assert from "uvu/assert";
import { findViolation } from "./checker.ts";
import { drawn } from "./diagram.ts";
import { History } from "./history.ts";
import { type RegisterInput, type RegisterOutput, registerModel } from "./register-model.ts";
import { Undecided } from "./search.ts";
import { violationPicture } from "./violation-picture.ts";
import { violationText } from "./violation-text.ts";

const violationOf = (diagram: string) => findViolation(drawn(diagram), registerModel);

/** Each is linearizable, or is not, for one reason that the literature knows. */
const good: readonly (readonly [why: string, diagram: string])[] = [
  ["nothing happened", ""],
  [
    "one after the other",
    `
    c1: [put a] [get a]         [cas a b yes]
    c2:                 [get a]               [get b] [delete was b] [get -]`,
  ],
  [
    "a read beside a write gives the old value",
    `
    c1: [  put a  ]
    c2:    [get -]`,
  ],
  [
    "a read beside a write gives the new value",
    `
    c1: [  put a  ]
    c2:    [get a]`,
  ],
  [
    "two reads beside a write: first the old value, then the new one",
    `
    c1: [        put a        ]
    c2:   [get -]
    c3:            [get a]`,
  ],
  [
    "two writes at once, in the order that the readers saw (Herlihy and Wing, figure 1)",
    `
    c1: [  put a  ]            [get a]
    c2:   [  put b  ]  [get a]`,
  ],
  [
    "of two swaps at once one wins",
    `
    c0: [put a]
    c1:          [cas a b yes ]
    c2:            [cas a c no b]`,
  ],
  [
    "a swap that is refused beside the one that wins",
    `
    c1: [   cas - a yes   ]
    c2:  [cas a b yes]  [get b]`,
  ],
  [
    "keys are apart",
    `
    c1: [x: put a] [y: put b]
    c2:                       [x: get a] [y: get b]`,
  ],
  [
    "an outcome that nobody knows: it took effect much later",
    `
    c1: [put a?
    c2:         [put b] [get b] [get a] [get a]`,
  ],
  [
    "an outcome that nobody knows: it never took effect",
    `
    c1: [put a?
    c2:         [put b] [get b] [get b]`,
  ],
  [
    "an outcome that nobody knows, needed in the middle of two others",
    `
    c1: [cas a b?
    c2:   [cas b c?
    c3:             [put a] [get c]`,
  ],
  [
    "a swap of unknown outcome explains a refusal",
    `
    c1: [put a] [cas a b?
    c2:                   [cas a c no b] [get b]`,
  ],
  [
    "an unknown swap that finds what it expects only later",
    `
    c1: [cas a b?
    c2:           [put c] [put a] [get b]`,
  ],
  [
    "an old value comes back, written again",
    `
    c1: [put a] [put b] [put a]
    c2:                          [get a]`,
  ],
];

const bad: readonly (readonly [why: string, diagram: string])[] = [
  [
    "a stale read",
    `
    c1: [put a] [put b]
    c2:                 [get a]`,
  ],
  [
    "a value that nobody wrote",
    `
    c1: [put a]
    c2:   [get b]`,
  ],
  [
    "the read of a value that is written only afterwards",
    `
    c1:         [put a]
    c2: [get a]`,
  ],
  [
    "new, then old: two reads one after the other beside a write",
    `
    c1: [        put a        ]
    c2:   [get a]
    c3:            [get -]`,
  ],
  [
    "readers disagree about the order of two writes",
    `
    c1: [ put a ]
    c2: [ put b ]
    c3:           [get a] [get b]
    c4:           [get b] [get a]`,
  ],
  [
    "a lost update: two swaps from one value",
    `
    c0: [put a]
    c1:          [cas a b yes ]
    c2:            [cas a c yes]`,
  ],
  [
    "a lost update: a write that was acknowledged is gone",
    `
    c1: [put a] [get a]
    c2:                  [get -]`,
  ],
  [
    "two leaders: both take writes, each reads its own",
    `
    c1: [put a] [get a]         [get a]
    c2:                 [put b]         [get b]`,
  ],
  [
    "a write that is applied twice",
    `
    c1: [put a]
    c2:         [put b]
    c3:                  [get a]`,
  ],
  [
    "a swap is refused though it found what it expected",
    `
    c1: [put a]
    c2:         [cas a b no -]`,
  ],
  [
    "a swap that found nothing of the kind",
    `
    c1: [put a] [put b]
    c2:                  [cas a c yes]`,
  ],
  [
    "an unknown write takes effect, and is undone again",
    `
    c1: [put a?
    c2:         [put b] [get a] [get b]`,
  ],
  [
    "an unknown write takes effect twice",
    `
    c1: [put a?
    c2:         [get a] [delete was a] [get a]`,
  ],
  [
    "an unknown write takes effect before it was made",
    `
    c1:          [put a?
    c2: [get a]`,
  ],
  [
    "a write finds what was overwritten long before",
    `
    c1: [put a] [put b]
    c2:                  [put c was a]`,
  ],
  [
    "one of two keys, and only that one",
    `
    c1: [y: put a] [x: put a] [x: put b]
    c2:                                  [y: get a] [x: get a]`,
  ],
];

for (const [why, diagram] of good) {
  test(`[L2] good: ${why}`, () => {
    const violation = violationOf(diagram);
    assert.is(violation === null ? "" : violationText(violation, registerModel), "");
  });
}

for (const [why, diagram] of bad) {
  test(`[L2] bad: ${why}`, () => {
    assert.is(violationOf(diagram)?.key, "x");
  });
}

test("[L3] what failed never took effect; what was applied did, before its end", () => {
  const history = () => new History<RegisterInput, RegisterOutput>();
  const get = (value: string | null, { of }: { of: History<RegisterInput, RegisterOutput> }) =>
    of.ok(of.begin("reader", "x", { type: "get" }, 5), { value }, 6);
  const put = { type: "put", value: "a" } as const;
  const verdict = ({ operations }: History<RegisterInput, RegisterOutput>) =>
    findViolation(operations, registerModel) === null ? "good" : "bad";

  for (const [ending, nothing, value] of [
    ["failed", "good", "bad"],
    ["applied", "bad", "good"],
    ["unknown", "good", "good"],
  ] as const) {
    for (const [seen, expected] of [
      [null, nothing],
      ["a", value],
    ] as const) {
      const written = history();
      written[ending](written.begin("writer", "x", put, 1), 2);
      get(seen, { of: written });
      assert.is(verdict(written), expected, `${ending}, then ${seen}`);
    }
  }
  const open = history();
  open.begin("writer", "x", put, 1);
  get("a", { of: open });
  assert.is(verdict(open), "good", "what has not ended is unknown");
});

test("[L4] a key's history has nothing to do with another's", () => {
  const stale = violationOf(`
    c1: [y: put a was -] [x: put b]
    c2:                             [x: get b] [y: get -]`);
  assert.is(stale?.key, "y");
  assert.equal(stale?.states, ["a"]);
  assert.equal(stale?.found, ["a"]);
  assert.is(stale?.operations.length, 1);
});

test("[L5] what is told is only what matters, and what was possible instead", () => {
  const violation = violationOf(`
    c1: [put a] [get a] [put b] [get b]          [put c] [   put d   ]
    c2:                         [get b]          [get b]   [get c]     [get c] [get d]
    c3: [put z?                        [get b]                   [cas q r no d]`);
  assert.ok(violation !== null);
  assert.is(
    violationText(violation, registerModel).trim(),
    `
key "x" is not linearizable
  at first it holds "c"
  c1  57.00 to 69.00 ms  put "d", applied, answer forgotten
  c2  71.00 to 77.00 ms  get gives "c"   ← no order explains this
  c2 may have found "z" or "d"
  1 more of unknown outcome were tried, too, and explain nothing`.trim(),
  );
  assert.is.not(findViolation(violation.operations, { ...registerModel, initial: "c" }), null);
});

test("[L5] a picture of it shows each operation, on its process's line", () => {
  const violation = violationOf(`
    c1: [put a<b was -] [put e]
    c2:       [    put c was z    ]
    c3:                     [  get -  ]
    c4:     [put z?`);
  assert.ok(violation !== null);
  const picture = violationPicture(violation, registerModel);
  assert.equal(
    [...picture.matchAll(/<g class="(\w+)">/g)].map(([, kind]) => kind),
    ["known", "unknown", "known", "known", "culprit"],
  );
  assert.match(picture, /put &quot;a&lt;b&quot;, was nothing/);
  assert.not.match(picture, /NaN|undefined|a<b/);
});

test("[L6] more ways than the limit allows are no verdict", () => {
  const history = new History<RegisterInput, RegisterOutput>();
  const begun = Array.from({ length: 14 }, (_, at) =>
    history.begin(`c${at}`, "x", { type: "put", value: String(at) }, at),
  );
  for (const operation of begun) history.applied(operation, 20);
  const check = (configurationsMax: number) =>
    findViolation(history.operations, registerModel, { configurationsMax });
  assert.throws(
    () => check(1_000),
    (error: unknown) => error instanceof Undecided && /more than 1000 ways/.test(error.message),
  );
  assert.is(check(200_000), null);
});

test("[L6] unknown outcomes do not multiply the ways", () => {
  const history = new History<RegisterInput, RegisterOutput>();
  for (let round = 0; round < 60; round++) {
    history.begin("lost", "x", { type: "put", value: `lost ${round}` }, round);
    history.applied(history.begin("c", "x", { type: "put", value: `${round}` }, round), round);
    history.ok(history.begin("c", "x", { type: "get" }, round), { value: `${round}` }, round);
  }
  assert.is(findViolation(history.operations, registerModel, { configurationsMax: 4_000 }), null);
  history.ok(history.begin("c", "x", { type: "get" }, 99), { value: "58" }, 99);
  assert.is.not(findViolation(history.operations, registerModel, { configurationsMax: 4_000 }), null);
});

test("[L7] an operation ends once, and only if it began", () => {
  const history = new History<RegisterInput, RegisterOutput>();
  assert.throws(() => history.unknown(0, 1), /there is no operation 0/);
  const operation = history.begin("c", "x", { type: "get" }, 1);
  history.ok(operation, { value: null }, 2);
  assert.throws(() => history.failed(operation, 3), /operation 0 has ended before/);
});

test.run();

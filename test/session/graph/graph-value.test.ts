import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  checkGraph,
  decodeGraph,
  encodeGraph,
  hashGraph,
  hashSaved,
} from "../../../server/session/graph/graph.ts";
import { GraphError } from "../../../server/session/graph/graph-error.ts";
import type { ClassLike, GraphOptions } from "../../../server/session/graph/graph-options.ts";

const named = { the: "room" };
function handler(): void {}
const references = new Map<object, string>([
  [named, "room"],
  [handler, "timer:0"],
]);

function optionsWith(classes: readonly ClassLike[]): GraphOptions {
  const resolve = (name: string) => [...references].find(([, known]) => known === name)?.[0];
  return { classes, stateClasses: [], references, resolve };
}

const plain = optionsWith([]);

/** There and back: the same graph, by its hash, and the first bytes again. */
function round<T>(value: T, options = plain): T {
  const bytes = encodeGraph({ value }, options);
  const root = decodeGraph(bytes, options);
  assert.is(hashGraph(root, options), hashGraph({ value }, options));
  assert.is(hashSaved(bytes), hashGraph({ value }, options));
  assert.equal(encodeGraph(root, options), bytes);
  return root["value"] as T;
}

const primitives: unknown[] = [
  undefined,
  null,
  true,
  false,
  0,
  -0,
  1,
  -1,
  127,
  128,
  -128,
  2 ** 30 - 1,
  2 ** 30,
  -(2 ** 30),
  2 ** 53,
  0.1,
  -1e300,
  5e-324,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  0n,
  1n,
  -1n,
  2n ** 200n,
  -(2n ** 64n) + 1n,
  "",
  "a",
  "ä",
  "€",
  "\u0000",
  "\ud800 alone",
  "x".repeat(64),
  "x".repeat(65),
  "€".repeat(10_000),
  "y".repeat(100_000),
  Symbol.for("name"),
  Symbol.for(""),
];

test("primitives come back as they were", () => {
  for (const value of primitives) assert.ok(Object.is(round(value), value), String(value).slice(0, 40));
  assert.equal(round([...primitives, ...primitives]), [...primitives, ...primitives]);
});

test("primitives of other types or values have other hashes", () => {
  const hashes = new Set(
    [...primitives, "1", "null", [], {}, [[]]].map((value) => hashGraph({ value }, plain)),
  );
  assert.is(hashes.size, primitives.length + 5);
});

test("the order of keys, and of Map and Set entries, is kept and hashed", () => {
  const object = { b: 1, a: 2, 7: 3, __proto__x: 4 };
  assert.equal(Object.keys(round(object)), Object.keys(object));
  assert.is.not(hashGraph({ v: { a: 1, b: 2 } }, plain), hashGraph({ v: { b: 2, a: 1 } }, plain));
  const map = new Map<unknown, unknown>([
    ["z", 1],
    [Number.NaN, 2],
    [-1, 3],
    [{}, 4],
  ]);
  assert.equal([...round(map)], [...map]);
  assert.is.not(hashGraph({ v: new Set([1, 2]) }, plain), hashGraph({ v: new Set([2, 1]) }, plain));
  assert.is.not(hashGraph({ v: new Set([1]) }, plain), hashGraph({ v: [1] }, plain));
});

test("a key __proto__ stays a key", () => {
  const value = JSON.parse('{"__proto__": {"bad": 1}, "a": 2}') as object;
  const back = round(value);
  assert.is(Object.getPrototypeOf(back), Object.prototype);
  assert.equal(Object.keys(back), ["__proto__", "a"]);
});

test("objects without a prototype, gaps in arrays, and properties of arrays are kept", () => {
  const bare = Object.assign(Object.create(null) as object, { a: 1 });
  assert.is(Object.getPrototypeOf(round(bare)), null);
  // biome-ignore lint/suspicious/noSparseArray: what is tested
  const gaps = [1, , undefined, , ,];
  const back = round(gaps);
  assert.is(back.length, 5);
  assert.equal(
    [0, 1, 2, 3, 4].map((index) => index in back),
    [true, false, true, false, false],
  );
  const far: number[] = [];
  far[4_000_000_000] = 7;
  assert.is(round(far).length, 4_000_000_001);
  const match = /b(?<rest>.*)/.exec("abc") as RegExpExecArray;
  assert.is(round(match).index, 1);
  assert.equal({ ...round(match).groups }, { rest: "c" });
});

test("identity, aliases and cycles are kept over the whole graph", () => {
  const shared = { n: 1 };
  const cycle: Record<string, unknown> = { shared };
  cycle["self"] = cycle;
  const value = {
    a: shared,
    list: [shared, cycle],
    map: new Map<unknown, unknown>([[shared, cycle]]),
    set: new Set([cycle]),
  };
  const back = round(value);
  assert.is(back.a, back.list[0]);
  assert.is([...back.map.keys()][0], back.a);
  const again = back.list[1] as Record<string, unknown>;
  assert.is(again["self"], again);
  assert.is(again["shared"], back.a);
  assert.ok(back.set.has(again));
  assert.is.not(hashGraph({ a: shared, b: shared }, plain), hashGraph({ a: shared, b: { n: 1 } }, plain));
});

test("a list of 900 links is no problem", () => {
  let list: { next: unknown } | null = null;
  for (let i = 0; i < 900; i++) list = { next: list };
  round(list);
});

test("dates, regular expressions and errors are kept", () => {
  assert.is(round(new Date(123)).getTime(), 123);
  assert.ok(Number.isNaN(round(new Date(Number.NaN)).getTime()));
  const sticky = /a\/[/]b/giy;
  sticky.lastIndex = 3;
  const again = round(sticky);
  assert.equal([again.source, again.flags, again.lastIndex], [sticky.source, "giy", 3]);
  const cause = { why: 1 };
  const error = Object.assign(new TypeError("no", { cause }), { code: "E_NO" });
  const back = round({ error, cause });
  assert.instance(back.error, TypeError);
  assert.equal([back.error.message, back.error.code, back.error.stack], ["no", "E_NO", "TypeError: no"]);
  assert.is(back.error.cause, back.cause);
  assert.equal(Object.keys(back.error), ["code"]);
  assert.is(round(new AggregateError([error], "many")).errors.length, 1);
});

test("an error's stack is not hashed", () => {
  const make = () => new Error("same");
  const deeper = () => make();
  assert.is(hashGraph({ v: make() }, plain), hashGraph({ v: deeper() }, plain));
});

test("typed arrays over one buffer stay over one buffer", () => {
  const buffer = new ArrayBuffer(32);
  const bytes = new Uint8Array(buffer);
  const floats = new Float32Array(buffer, 8, 4);
  bytes.fill(7);
  const back = round({
    floats,
    bytes,
    view: new DataView(buffer, 4),
    buffer,
    small: new Float16Array([1.5]),
  });
  assert.is(back.floats.buffer, back.buffer);
  assert.is(back.bytes.buffer, back.buffer);
  assert.equal([back.floats.byteOffset, back.floats.length, back.view.byteOffset], [8, 4, 4]);
  back.bytes.fill(0);
  assert.is(back.floats[0], 0);
  assert.is(back.small[0], 1.5);
});

test("of Node's pool, only what Buffers cover is saved, and those that overlap still do", () => {
  const one = Buffer.from("hello");
  const other = Buffer.from("world");
  assert.ok(encodeGraph({ one, other }, plain).length < 120);
  const whole = Buffer.alloc(64, 1);
  const back = round({
    one,
    part: one.subarray(1, 3),
    end: one.subarray(2),
    other,
    whole,
    piece: whole.subarray(8, 16),
  });
  assert.is(back.one.toString(), "hello");
  back.one[2] = 0x21;
  assert.equal([back.part.toString(), back.end.toString()], ["e!", "!lo"]);
  back.whole[8] = 9;
  assert.is(back.piece[0], 9);
  assert.ok(Buffer.isBuffer(back.one));
  // Where in the pool they happen to be makes no difference.
  Buffer.from("something between");
  assert.is(hashGraph({ v: Buffer.from("hello") }, plain), hashGraph({ v: one }, plain));
});

test("locks are kept", () => {
  const back = round({
    frozen: Object.freeze({ a: 1 }),
    sealed: Object.seal({ a: 1 }),
    closed: Object.preventExtensions({ a: 1 }),
    list: Object.freeze([1, 2]),
  });
  assert.ok(Object.isFrozen(back.frozen) && Object.isFrozen(back.list));
  assert.ok(Object.isSealed(back.sealed) && !Object.isFrozen(back.sealed));
  assert.ok(!Object.isExtensible(back.closed) && !Object.isSealed(back.closed));
  assert.is.not(hashGraph({ v: Object.freeze({ a: 1 }) }, plain), hashGraph({ v: { a: 1 } }, plain));
});

class Deck {
  cards: number[] = [1, 2, 3];
  _top = 0;
  get top(): number {
    return this._top;
  }
  set top(value: number) {
    this._top = value + 1;
  }
}
class Counted extends Map<string, number> {
  total = 3;
}
class Refused extends Error {
  code = "E_REFUSED";
}
class Hand extends Array<number> {
  owner = "p1";
}

test("instances of listed classes come back with their class, and no constructor runs", () => {
  const options = optionsWith([Deck, Counted, Refused, Hand]);
  const deck = new Deck();
  deck.top = 4;
  const back = round(
    { deck, counted: new Counted([["a", 1]]), refused: new Refused("x"), hand: Hand.of(3, 4) as Hand, Deck },
    options,
  );
  assert.instance(back.deck, Deck);
  assert.equal([back.deck.top, back.deck.cards], [5, [1, 2, 3]]);
  assert.instance(back.counted, Counted);
  assert.equal([back.counted.get("a"), back.counted.total], [1, 3]);
  assert.equal(
    [back.refused instanceof Refused, back.refused.message, back.refused.code],
    [true, "x", "E_REFUSED"],
  );
  assert.equal([back.hand instanceof Hand, back.hand.length, back.hand.owner], [true, 2, "p1"]);
  assert.is(back.Deck, Deck);
});

test("an own property stays one where the class has an accessor of that name", () => {
  const deck = Object.defineProperty(new Deck(), "top", {
    value: 9,
    enumerable: true,
    writable: true,
    configurable: true,
  });
  assert.equal(Object.getOwnPropertyDescriptor(round(deck, optionsWith([Deck])), "top")?.value, 9);
});

test("references are named, as values and as keys", () => {
  const back = round({ room: named, onTick: handler, scores: new Map([[named, 1]]) });
  assert.is(back.room, named);
  assert.is(back.onTick, handler);
  assert.is(back.scores.get(named), 1);
});

test("what a name stands for must exist", () => {
  const bytes = encodeGraph({ value: named }, plain);
  const code = codeOf(() => decodeGraph(bytes, { ...plain, resolve: () => undefined }));
  assert.is(code, "GRAPH_REFERENCE_UNKNOWN");
});

test("a class that is not listed where it is restored is named", () => {
  const bytes = encodeGraph({ value: new Deck() }, optionsWith([Deck]));
  assert.is(
    codeOf(() => decodeGraph(bytes, plain)),
    "GRAPH_CLASS_UNKNOWN",
  );
});

test("two classes of one name are refused", () => {
  const other = { Deck: class Deck {} }.Deck;
  assert.is(
    codeOf(() => checkGraph({}, optionsWith([Deck, other]))),
    "GRAPH_CLASS_NAME",
  );
  assert.is(
    codeOf(() => checkGraph({}, optionsWith([class {}]))),
    "GRAPH_CLASS_NAME",
  );
});

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof GraphError) return error.code;
    throw error;
  }
  return "nothing was thrown";
}

test.run();

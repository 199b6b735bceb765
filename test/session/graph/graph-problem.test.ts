import { EventEmitter } from "node:events";
import { Decoder, Encoder, type Schema, StateView, schema, t } from "@colyseus/schema";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { checkGraph, encodeGraph, hashGraph } from "../../../server/session/graph/graph.ts";
import { GraphError } from "../../../server/session/graph/graph-error.ts";
import type { ClassLike, GraphOptions } from "../../../server/session/graph/graph-options.ts";

const Item = schema({ n: t.number() }, "Item");
const State = schema({ x: t.number(), list: t.array(Item) }, "State");

function optionsWith(classes: readonly ClassLike[] = [], limits: GraphOptions["limits"] = {}): GraphOptions {
  return { classes, stateClasses: [State], references: new Map(), resolve: () => undefined, limits };
}

class Foo {
  n = 1;
}
class Secret {
  #pin = 1;
  see(): number {
    return this.#pin;
  }
}
class Below extends Secret {}
class Colour {
  value = "#fff";
}
class Bus extends EventEmitter {}
class Job extends Promise<void> {}

function decoded(): Schema {
  const state = new State();
  const client = new State();
  state.list.push(new Item() as never);
  new Decoder(client).decode(new Encoder(state).encodeAll({ offset: 0 }).slice());
  return client.list[0] as unknown as Schema;
}

class OwnView extends StateView {}

function boundView(): StateView {
  const other = new State();
  new Encoder(other);
  const view = new StateView();
  view.add(other);
  return view;
}

const cases: readonly [name: string, root: () => object, path: string, what: RegExp, remedy: RegExp][] = [
  [
    "an unlisted class",
    () => ({ deck: { cards: [0, 1, 2, new Foo()] } }),
    "room.deck.cards[3]",
    /an instance of Foo, which is not listed/,
    /classes: \[Foo\]/,
  ],
  [
    "a private field",
    () => ({ a: new Secret() }),
    "room.a",
    /Secret, whose #pin cannot be seen/,
    /onCacheRoom and onRestoreRoom/,
  ],
  ["an inherited private field", () => ({ a: new Below() }), "room.a", /Below, whose #pin/, /onCacheRoom/],
  ["a function", () => ({ a: [() => {}] }), "room.a[0]", /a function/, /a method/],
  ["a class as a value", () => ({ a: class Bar {} }), "room.a", /the class Bar/, /classes: \[Bar\]/],
  ["a symbol", () => ({ a: Symbol("here") }), "room.a", /Symbol\(here\)/, /Symbol\.for\("here"\)/],
  ["a symbol key", () => ({ a: { [Symbol("k")]: 1 } }), 'room.a["Symbol(k)"]', /under Symbol\(k\)/, /name/],
  [
    "a getter",
    () => ({
      a: {
        get now() {
          throw new Error("must not run");
        },
      },
    }),
    "room.a.now",
    /getter/,
    /class/,
  ],
  [
    "a hidden property",
    () => ({ a: Object.defineProperty({}, "x", { value: 1 }) }),
    "room.a.x",
    /not enumerable/,
    /plain/,
  ],
  [
    "a property locked by itself",
    () => ({ a: Object.defineProperty({}, "x", { value: 1, enumerable: true }) }),
    "room.a.x",
    /locked/,
    /plain/,
  ],
  [
    "an element that is a getter",
    () => ({ a: Object.defineProperty([1], 0, { get: () => 2, enumerable: true }) }),
    "room.a[0]",
    /no plain value/,
    /plain/,
  ],
  ["a promise", () => ({ a: Promise.resolve() }), "room.a", /a Promise/, /await/],
  [
    "a subclass of Promise",
    () => ({ a: Job.resolve() }),
    "room.a",
    /Job, which extends Promise/,
    /onCacheRoom/,
  ],
  ["a WeakMap", () => ({ a: new WeakMap() }), "room.a", /a WeakMap/, /plain data/],
  ["a WeakRef", () => ({ a: new WeakRef({}) }), "room.a", /a WeakRef/, /plain data/],
  ["a URL", () => ({ a: new URL("http://a.b") }), "room.a", /a URL/, /plain data/],
  ["a boxed number", () => ({ a: Object(1) as object }), "room.a", /a Number/, /plain data/],
  ["a generator", () => ({ a: (function* () {})() }), "room.a", /./, /./],
  [
    "arguments",
    () => ({
      a: (function () {
        // biome-ignore lint/complexity/noArguments: what is tested
        return arguments;
      })(),
    }),
    "room.a.length",
    /not enumerable/,
    /plain/,
  ],
  ["a proxy", () => ({ a: new Proxy({}, {}) }), "room.a", /a Proxy/, /behind/],
  [
    "an object that inherits from another",
    () => ({ a: Object.create({ b: 1 }) as object }),
    "room.a",
    /prototype is another object/,
    /class/,
  ],
  [
    "an object that only looks like a Map",
    () => ({ a: Object.create(Map.prototype) as object }),
    "room.a",
    /inherits from a Map/,
    /real/,
  ],
  ["listeners", () => ({ a: new Bus() }), 'room.a["Symbol(kCapture)"]', /under Symbol/, /transient/],
  [
    "a shared buffer",
    () => ({ a: new Uint8Array(new SharedArrayBuffer(8)) }),
    "room.a",
    /SharedArrayBuffer/,
    /fixed/,
  ],
  [
    "a resizable buffer",
    () => ({ a: new ArrayBuffer(8, { maxByteLength: 16 }) }),
    "room.a",
    /resizable/,
    /fixed/,
  ],
  [
    "a property on a Date",
    () => ({ a: Object.assign(new Date(), { zone: "x" }) }),
    "room.a.zone",
    /one's own on a date/,
    /Map/,
  ],
  ["a map's value", () => ({ a: new Map([["p 1", new Foo()]]) }), 'room.a.get("p 1")', /Foo/, /classes/],
  [
    "a map's key",
    () => ({
      a: new Map([
        [1, 1],
        [new Foo(), 1],
      ] as [unknown, number][]),
    }),
    "room.a.keys[1]",
    /Foo/,
    /classes/,
  ],
  ["a set's value", () => ({ a: new Set([1, new Foo()]) }), "room.a.values[1]", /Foo/, /classes/],
  ["a key with a blank", () => ({ "a b": { "9c": new Foo() } }), 'room["a b"]["9c"]', /Foo/, /classes/],
  [
    "a StateView of another state",
    () => ({ a: boundView() }),
    "room.a",
    /another state than the room's/,
    /new StateView/,
  ],
  [
    "a class that extends StateView",
    () => ({ a: new OwnView() }),
    "room.a",
    /OwnView, which extends StateView/,
    /plain StateView/,
  ],
  [
    "a schema class of no state",
    () => ({ a: new (schema({ y: t.number() }, "Other"))() }),
    "room.a",
    /schema class Other/,
    /classes: \[Other\]/,
  ],
  ["a client's schema instance", () => ({ a: decoded() }), "room.a", /a decoder made/, /new/],
  [
    "a property on a collection",
    () => ({ a: Object.assign(new State().list, { mine: 1 }) }),
    "room.a.mine",
    /one's own on a arraySchema/,
    /Map/,
  ],
  [
    "an unlisted class in a state",
    () => ({ state: Object.assign(new State(), { extra: new Foo() }) }),
    "room.state.extra",
    /Foo/,
    /classes/,
  ],
];

for (const [name, root, path, what, remedy] of cases) {
  test(`${name} is told with its path and a remedy`, () => {
    const listed = optionsWith([Secret, Below, Bus, Job]);
    const problems = checkGraph(root() as Record<string, unknown>, listed);
    const problem = problems.find((found) => found.path === path);
    assert.ok(problem, JSON.stringify(problems));
    assert.match(problem.what, what);
    assert.match(problem.remedy, remedy);
  });
}

test("a # in a string, a comment or a regular expression is no private field", () => {
  assert.equal(checkGraph({ a: new Colour() }, optionsWith([Colour])), []);
});

test("all problems are told at once, up to problemsMax", () => {
  const root = { a: new Foo(), b: [new Foo(), 1, () => {}], c: Promise.resolve() };
  assert.equal(
    checkGraph(root, optionsWith()).map(({ path }) => path),
    ["room.a", "room.c", "room.b[0]", "room.b[2]"],
  );
  assert.is(checkGraph(root, optionsWith([], { problemsMax: 2 })).length, 2);
});

test("a graph with a problem is neither saved nor hashed", () => {
  for (const act of [encodeGraph, hashGraph]) {
    try {
      act({ a: { b: new Foo() } }, optionsWith());
      assert.unreachable();
    } catch (error) {
      assert.instance(error, GraphError);
      assert.is((error as GraphError).code, "GRAPH_UNSAVABLE");
      assert.is((error as GraphError).data.problems?.[0]?.path, "room.a.b");
      assert.match((error as GraphError).message, /room\.a\.b is an instance of Foo/);
    }
  }
});

test("a graph that is too big names what weighs most", () => {
  const root = {
    small: [1, 2, 3],
    world: { tiles: Array.from({ length: 3_000 }, (_, i) => i * 1_000), name: "z".repeat(9_000) },
    raw: new Uint8Array(40_000),
  };
  try {
    encodeGraph(root, optionsWith([], { checkpointBytesMax: 10_000 }));
    assert.unreachable();
  } catch (error) {
    assert.is((error as GraphError).code, "CHECKPOINT_TOO_BIG");
    const paths = (error as GraphError).data.biggest?.map(({ path }) => path);
    assert.equal(paths, ["room.raw", "room.world", "room.world.tiles", "room.world.name", "room.small"]);
    assert.match((error as GraphError).message, /bigger than 10000 bytes \(checkpointBytesMax\): room\.raw/);
  }
  const code = (bytes: number) => {
    try {
      return encodeGraph({ a: new Uint8Array(bytes) }, optionsWith()).length;
    } catch (error) {
      return (error as GraphError).code;
    }
  };
  assert.type(code(4 * 1024 * 1024 - 100), "number");
  assert.is(code(4 * 1024 * 1024), "CHECKPOINT_TOO_BIG");
});

test("a path of more than depthMax steps is refused", () => {
  const listOf = (length: number) => {
    let list: { next: unknown } | null = null;
    for (let i = 0; i < length; i++) list = { next: list };
    return { list };
  };
  encodeGraph(listOf(1_000), optionsWith());
  for (const act of [encodeGraph, hashGraph, checkGraph]) {
    try {
      act(listOf(1_001), optionsWith());
      assert.unreachable();
    } catch (error) {
      assert.is((error as GraphError).code, "GRAPH_TOO_DEEP");
      assert.match((error as GraphError).message, /^room\.list\.next.* … .*more than 1000 steps from room/);
    }
  }
});

test("a limit that is no whole number is refused", () => {
  assert.throws(() => hashGraph({}, optionsWith([], { depthMax: 0 })), /limits\.depthMax is 0/);
});

test.run();

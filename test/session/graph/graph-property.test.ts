import { Encoder, schema, t } from "@colyseus/schema";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  decodeGraph,
  encodeGraph,
  hashGraph,
  hashSaved,
  openGraph,
} from "../../../server/session/graph/graph.ts";
import { diffGraphs } from "../../../server/session/graph/graph-diff.ts";
import { GraphError } from "../../../server/session/graph/graph-error.ts";
import type { GraphOptions } from "../../../server/session/graph/graph-options.ts";

const Player = schema({ x: t.number() }, "Player");
const State = schema({ players: t.map(Player), grid: t.array("number"), ids: t.set("string") }, "State");

class Thing {
  [key: string]: unknown;
}

const options: GraphOptions = {
  classes: [Thing],
  stateClasses: [State],
  references: new Map(),
  resolve: () => undefined,
};

const leaf = fc.oneof(
  fc.integer(),
  fc.double(),
  fc.string({ unit: "binary" }),
  fc.bigInt(),
  fc.boolean(),
  fc.constantFrom(undefined, null, -0, Number.NaN, Symbol.for("s")),
  fc.date({ noInvalidDate: false }),
  fc.uint8Array({ maxLength: 9 }),
);

const containers = ["object", "bare", "array", "map", "set", "thing"] as const;

/** A plan of a graph: nodes, and edges from any to any, so that aliases and cycles come by themselves. */
const plans = fc.record({
  nodes: fc.array(fc.constantFrom(...containers), { minLength: 1, maxLength: 12 }),
  edges: fc.array(
    fc.record({
      from: fc.nat(),
      key: fc.string({ unit: "grapheme", maxLength: 4 }),
      to: fc.oneof({ weight: 2, arbitrary: fc.record({ node: fc.nat() }) }, fc.record({ leaf })),
    }),
    { maxLength: 40 },
  ),
});

type Plan = typeof plans extends fc.Arbitrary<infer T> ? T : never;

function empty(container: (typeof containers)[number]): object {
  switch (container) {
    case "object":
      return {};
    case "bare":
      return Object.create(null) as object;
    case "array":
      return [];
    case "map":
      return new Map();
    case "set":
      return new Set();
    case "thing":
      return new Thing();
  }
}

function make({ nodes, edges }: Plan): Record<string, unknown> {
  const objects = nodes.map(empty);
  for (const { from, key, to } of edges) {
    const object = objects[from % objects.length] as object;
    const value = "node" in to ? objects[to.node % objects.length] : to.leaf;
    // Every fifth or so leaves a gap.
    if (Array.isArray(object)) object[object.length + (key.length === 4 ? 1 : 0)] = value;
    else if (object instanceof Set) object.add(value);
    else if (object instanceof Map) object.set("node" in to && key === "" ? value : key, value);
    else Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
  }
  return { first: objects[0], all: objects };
}

test("any graph comes back equal, and its bytes and hash are always the same", () => {
  fc.assert(
    fc.property(plans, (plan) => {
      const graph = make(plan);
      const bytes = encodeGraph(graph, options);
      const back = decodeGraph(bytes, options);
      assert.equal(encodeGraph(graph, options), bytes);
      assert.equal(encodeGraph(make(plan), options), bytes);
      assert.equal(encodeGraph(back, options), bytes);
      assert.is(hashGraph(back, options), hashGraph(graph, options));
      assert.is(hashSaved(bytes), hashGraph(graph, options));
      assert.is(diffGraphs(bytes, encodeGraph(back, options)), null);
    }),
    { numRuns: 300 },
  );
});

test("some fields of a graph come back as they do with the whole", () => {
  fc.assert(
    fc.property(plans, plans, fc.nat(), (one, other, node) => {
      const { first, all } = make(one);
      const graph = { first, other: make(other), some: (all as unknown[])[node % (all as unknown[]).length] };
      const back = openGraph(encodeGraph(graph, options)).makeFields(["first", "some"], options);
      assert.equal(encodeGraph(back, options), encodeGraph({ first, some: graph.some }, options));
    }),
    { numRuns: 200 },
  );
});

test("what comes back is the same to the language's own comparison too", () => {
  const { isDeepStrictEqual } = process.getBuiltinModule("node:util");
  fc.assert(
    fc.property(plans, (plan) => {
      const graph = make(plan);
      assert.ok(isDeepStrictEqual(decodeGraph(encodeGraph(graph, options), options), graph));
    }),
    { numRuns: 200 },
  );
});

test("graphs that differ have other hashes, and a difference that is told", () => {
  fc.assert(
    fc.property(plans, plans, (one, other) => {
      const [a, b] = [encodeGraph(make(one), options), encodeGraph(make(other), options)];
      const equal = Buffer.from(a).equals(b);
      assert.is(hashSaved(a) === hashSaved(b), equal);
      assert.is(diffGraphs(a, b) === null, equal);
    }),
    { numRuns: 300 },
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

function sampleState(): InstanceType<typeof State> {
  const state = new State();
  state.players.set("a", Object.assign(new Player(), { x: 1 }));
  state.grid.push(1, 2);
  state.ids.add("i");
  new Encoder(state);
  return state;
}

const sample = encodeGraph(
  {
    state: sampleState(),
    date: new Date(1),
    error: new TypeError("x"),
    thing: new Thing(),
    pattern: /a/g,
    map: new Map<unknown, unknown>([
      ["a", { n: 1.5 }],
      // biome-ignore lint/suspicious/noSparseArray: what is tested
      [2, [1, , 3]],
    ]),
    bytes: new Uint8Array([1, 2]),
    big: 7n,
  },
  options,
);

test("every flipped bit and every cut is GRAPH_CORRUPT", () => {
  for (let at = 0; at < sample.length; at++) {
    for (const bit of [0, 3, 7]) {
      const flipped = sample.slice();
      flipped[at] = (flipped[at] as number) ^ (1 << bit);
      assert.is(
        codeOf(() => decodeGraph(flipped, options)),
        "GRAPH_CORRUPT",
        `byte ${at}, bit ${bit}`,
      );
    }
    assert.is(
      codeOf(() => decodeGraph(sample.subarray(0, at), options)),
      "GRAPH_CORRUPT",
      `cut to ${at}`,
    );
  }
  assert.is(
    codeOf(() => decodeGraph(Buffer.concat([sample, sample]), options)),
    "GRAPH_CORRUPT",
  );
});

test("bytes that are wrong under a right checksum are a told failure or a graph, never anything else", () => {
  const { crc32 } = process.getBuiltinModule("node:zlib");
  const told = new Set<string>();
  for (let at = 0; at < sample.length - 4; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const flipped = sample.slice();
      flipped[at] = (flipped[at] as number) ^ (1 << bit);
      new DataView(flipped.buffer).setUint32(flipped.length - 4, crc32(flipped.subarray(0, -4)), true);
      told.add(codeOf(() => decodeGraph(flipped, options)));
    }
  }
  const expected = [
    "GRAPH_CLASS_UNKNOWN",
    "GRAPH_CORRUPT",
    "GRAPH_FIELD_UNKNOWN",
    "GRAPH_REFERENCE_UNKNOWN",
    "GRAPH_VERSION",
    "nothing was thrown",
  ];
  for (const code of told) assert.ok(expected.includes(code), code);
  assert.ok(told.has("GRAPH_CORRUPT") && told.has("GRAPH_VERSION"));
});

test.run();

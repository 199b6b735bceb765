import { Encoder, type Root, StateView, schema, t } from "@colyseus/schema";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { encodeGraph } from "../../../server/session/graph/graph.ts";
import { diffGraphs } from "../../../server/session/graph/graph-diff.ts";
import type { GraphOptions } from "../../../server/session/graph/graph-options.ts";

const Player = schema({ x: t.number() }, "Player");
const State = schema({ players: t.map(Player), grid: t.array("number"), ids: t.set("string") }, "State");

class Deck {
  cards: unknown[] = [];
}

const room = { the: "room" };
const options: GraphOptions = {
  classes: [Deck],
  stateClasses: [State],
  references: new Map([[room, "room"]]),
  resolve: () => room,
};

function state(x: number, grid: number[] = [1]): object {
  const made = new State();
  new Encoder(made);
  made.players.set("p1", Object.assign(new Player(), { x }));
  for (const cell of grid) made.grid.push(cell);
  made.ids.add("a");
  return made;
}

const shared = { n: 1 };
const deck = (cards: unknown[]) => Object.assign(new Deck(), { cards });

const cases: [a: object, b: object, difference: string | null][] = [
  [{ a: 1 }, { a: 1 }, null],
  [{ a: 1 }, { a: 2 }, "room.a: 1 against 2"],
  [{ a: 0 }, { a: -0 }, "room.a: 0 against -0"],
  [{ a: 1 }, { b: 1 }, "room.a: 1 against nothing"],
  [{}, { b: "x" }, 'room.b: nothing against "x"'],
  [{ a: 1, b: 2 }, { b: 2, a: 1 }, "room.a: in another order"],
  [{ deck: deck([1, 2, { n: 3 }]) }, { deck: deck([1, 2, { n: 4 }]) }, "room.deck.cards[2].n: 3 against 4"],
  [{ a: [1, 2] }, { a: [1] }, "room.a[1]: 2 against nothing"],
  [{ a: [] }, { a: {} }, "room.a: array against object"],
  [{ a: new Map([["k", 1]]) }, { a: new Map([["k", 2]]) }, 'room.a.get("k"): 1 against 2'],
  [{ a: new Set([1]) }, { a: new Set([2]) }, "room.a.values[0]: 1 against 2"],
  [{ a: Object.freeze({}) }, { a: {} }, "room.a: frozen against open"],
  [{ a: room }, { a: 1 }, 'room.a: the reference "room" against 1'],
  [
    { a: shared, b: shared },
    { a: shared, b: { n: 1 } },
    "room.b: the object at room.a against the object at room.b",
  ],
  [{ a: new Date(1) }, { a: new Date(2) }, "room.a (its time): 1 against 2"],
  [{ a: Uint8Array.of(1, 2) }, { a: Uint8Array.of(1, 3) }, "room.a: byte 1: 2 against 3"],
  [{ a: new Error("x") }, { a: new Error("y") }, 'room.a.message: "x" against "y"'],
  [{ state: state(3) }, { state: state(4) }, 'room.state.players.get("p1").x: 3 against 4'],
  [{ state: state(3, [1]) }, { state: state(3, [2]) }, "room.state.grid[0]: 1 against 2"],
  [{ state: state(3) }, { state: state(3) }, null],
];

for (const [a, b, difference] of cases) {
  test(`the difference is told: ${difference}`, () => {
    const [first, second] = [a, b].map((root) => encodeGraph(root as Record<string, unknown>, options));
    assert.is(diffGraphs(first as Uint8Array, second as Uint8Array), difference);
  });
}

test("the difference is told: what views see", () => {
  const Seen = schema({ secret: t.string().view(), label: t.string() }, "Seen");
  const Board = schema({ a: t.ref(Seen), b: t.ref(Seen) }, "Board");
  let schemaRoot: Root | undefined;
  const saved = (...sees: [at: "a" | "b", tag?: number][]) => {
    const board = new Board();
    board.a = new Seen() as never;
    board.b = new Seen() as never;
    schemaRoot = new Encoder(board).root;
    const views = [new StateView(), new StateView()];
    for (const [at, tag] of sees) views[1]?.add(board[at] as never, tag);
    return encodeGraph({ board, views }, { ...options, stateClasses: [Board], schemaRoot });
  };
  assert.is(diffGraphs(saved(["a"]), saved(["a"])), null);
  assert.is(diffGraphs(saved(["a"]), saved()), "room.views[1] (its use): true against false");
  assert.is(diffGraphs(saved(["a"]), saved(["b"])), "room.board.a: views 1 see it against no view sees it");
  assert.is(
    diffGraphs(saved(["b"]), saved(["b", 4])),
    "room.board.b: views 1 see it against views 1 see it, 1 with tag 4",
  );
});

test.run();

import { test } from "uvu";
import * as assert from "uvu/assert";
import { createMachine } from "xstate";
import { readArchitecture, withDrawings } from "./drawings.ts";
import { drawMachine } from "./machine-drawing.ts";

test("ARCHITECTURE.md draws the role machine and the node's life as they are (npm run drawings)", () => {
  const text = readArchitecture();
  assert.is(withDrawings(text), text);
});

test("a drawing has every arrow of its machine", () => {
  const machine = createMachine({
    initial: "a",
    on: { reset: ".a" },
    states: { a: { on: { go: "b", jump: "b" } }, b: { on: { end: "c" } }, c: { type: "final" } },
  });
  assert.equal(drawMachine(machine).split("\n"), [
    "stateDiagram-v2",
    "  [*] --> a",
    "  a --> b: go, jump",
    "  b --> c: end",
    "  b --> a: reset",
    "  c --> [*]",
  ]);
});

test("a place for a drawing that is missing is told", () => {
  assert.throws(() => withDrawings("nothing"), /no place for the drawing "role"/);
});

test.run();

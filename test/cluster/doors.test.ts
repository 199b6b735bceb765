import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Doors } from "../../server/cluster/doors.ts";

const test = suite("doors in a deploy");

/** The doors of n1, whose own code comes first; null: that node has no link. */
function doors(...codes: readonly (string | null)[]): Doors {
  const nodes = codes.map((_, at) => `n${at + 1}`);
  const codeAt = (nodeId: string) => codes[nodes.indexOf(nodeId)] ?? null;
  return new Doors({
    self: "n1",
    gossip: {
      of: (nodeId) => ({ code: codeAt(nodeId) ?? "v0" }) as never,
      set: () => {},
      endpoints: () => nodes.map((node) => ({ node, region: "", url: "" })),
    },
    isMember: (nodeId) => nodeId !== "n9",
    isLinked: (nodeId) => codeAt(nodeId) !== null,
  });
}

test("[U9] the first node with new code takes no clients while more of the linked ones have another", () => {
  assert.ok(doors("v2", "v1", "v1").isOfFew);
  assert.ok(doors("v3", "v1", "v1", "v2").isOfFew);
  assert.not(doors("v2", "v1", null).isOfFew, "as many");
  assert.not(doors("v2", "v2", "v1").isOfFew);
  assert.not(doors("v2", "v1", "v3").isOfFew, "each has its own");
  assert.not(doors("v2").isOfFew);
});

test("[U10] a node knows that it is the last one with its code", () => {
  assert.ok(doors("v1", "v2", "v2").isLastOfItsCode);
  assert.ok(doors("v1", "v2", null).isLastOfItsCode);
  assert.not(doors("v1", "v2", "v1").isLastOfItsCode);
  assert.not(doors("v1").isLastOfItsCode, "alone it waits for nobody");
});

test.run();

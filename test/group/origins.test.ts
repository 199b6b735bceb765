import { test } from "uvu";
import * as assert from "uvu/assert";
import { Origins } from "../../server/group/origins.ts";

const from = (nodeId: string, bootCount: number, sequence: number) => ({ nodeId, bootCount, sequence });

test("[D6] only the next number of a node's start is new; earlier ones are duplicates, later ones a gap", () => {
  const origins = new Origins();
  assert.is(origins.take(from("A", 1, 2)), "gap");
  assert.is(origins.take(from("A", 1, 1)), "new");
  assert.is(origins.take(from("A", 1, 1)), "duplicate");
  assert.is(origins.take(from("A", 1, 3)), "gap");
  assert.is(origins.take(from("A", 1, 2)), "new");
  assert.is(origins.take(from("B", 4, 1)), "new");
});

test("[D6] a later start of a node ends the earlier one's stream, and counts from 1 again", () => {
  const origins = new Origins();
  for (const sequence of [1, 2, 3]) origins.take(from("A", 1, sequence));
  assert.is(origins.take(from("A", 2, 4)), "gap");
  assert.is(origins.take(from("A", 1, 4)), "new", "a gap of the new start does not end the old one");
  assert.is(origins.take(from("A", 2, 1)), "new");
  assert.is(origins.take(from("A", 1, 5)), "expired");
  assert.is(origins.take(from("A", 1, 1)), "expired");
  assert.is(origins.take(from("A", 2, 2)), "new");
});

test("[D6] what is saved judges like what was saved", () => {
  const origins = new Origins();
  origins.take(from("A", 3, 1));
  origins.take(from("B", 1, 1));
  origins.take(from("B", 1, 2));
  const restored = new Origins(JSON.parse(JSON.stringify(origins.state)));
  for (const origin of [
    from("A", 3, 1),
    from("A", 2, 1),
    from("B", 1, 3),
    from("B", 1, 5),
    from("C", 1, 1),
  ]) {
    assert.is(restored.take(origin), origins.take(origin));
  }
});

test.run();

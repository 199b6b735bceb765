// test-run: seconds=300 computes
import { readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { changesOf, mutate, pathOf } from "./mutant.ts";
import { hunt } from "./mutant-hunt.ts";
import { mutants } from "./mutants.ts";

/** A few of all, of the kind that is found at once: the rest is for `npm run simulate -- --mutants`. */
const sample = [
  "vote-before-its-save",
  "acknowledged-before-the-sync",
  "applied-before-commit",
  "messages-not-held-for-the-save",
  "floor-off-by-one",
  "checkpoint-index-one-too-high",
  "key-expires-early",
];
const sampleSeedsMax = 60;

test("[X20] every planted bug has a name of its own, and still fits the code that it is meant for", () => {
  assert.ok(mutants.length >= 25);
  assert.is(new Set(mutants.map(({ name }) => name)).size, mutants.length);
  const changes = mutants.flatMap((mutant) => changesOf(mutant).map((change) => ({ mutant, change })));
  const problems = changes.flatMap(({ mutant: { name }, change }) => {
    try {
      stripTypeScriptTypes(mutate(name, readFileSync(pathOf(change), "utf8"), change));
      return [];
    } catch (error) {
      return [`${name}: ${(error as Error).message}`];
    }
  });
  assert.equal(problems, []);
});

test("[X20] a planted bug that no longer fits is an error that names it", () => {
  const change = { file: "server/raft/log.ts", find: "twice", replace: "" };
  assert.throws(() => mutate("gone", "once", change), /the mutant "gone" no longer fits: .* occurs 0 times/);
  assert.throws(() => mutate("gone", "twice twice", change), /occurs 2 times in server\/raft\/log\.ts/);
  assert.is(mutate("gone", "only twice.", change), "only .");
});

for (const name of sample) {
  test(`[X20] the laws find "${name}"`, async () => {
    const mutant = mutants.find((each) => each.name === name);
    assert.ok(mutant);
    const fate = await hunt(mutant, { first: 1, seedsMax: sampleSeedsMax });
    assert.is(fate.type, "found", JSON.stringify(fate));
  });
}

test.run();

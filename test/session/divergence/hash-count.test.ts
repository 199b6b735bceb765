import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Configuration, emptyConfiguration } from "../../../server/raft/configuration.ts";
import { countHashes, type HashCount, type HashVote } from "../../../server/session/divergence/hash-count.ts";
import { HashTally } from "../../../server/session/divergence/hash-tally.ts";

function configuration(voters: string, votersOutgoing = ""): Configuration {
  const members = (ids: string) => [...ids].map((nodeId) => ({ nodeId, storeId: nodeId }));
  return {
    ...emptyConfiguration,
    voters: members(voters),
    votersOutgoing: members(votersOutgoing),
    learners: members("z"),
  };
}

/** `A:x B:y(A) C:-`: A has hash x, B has y, which is A's word, C is silent. */
function count(who: Configuration, said: string): string {
  const votes = new Map<string, HashVote>();
  for (const [, node = "", hash = "", , source = node] of said.matchAll(/(\w):(\w)(\((\w)\))?/g))
    votes.set(node, { hash, source });
  return describe(countHashes(who, ({ nodeId }) => votes.get(nodeId) ?? null));
}

function describe(result: HashCount): string {
  if (result.type === "split") return "split";
  const contested = result.isContested ? ", contested" : "";
  return result.type === "majority" ? `${result.hash}${contested}` : `open${contested}`;
}

const cases: readonly (readonly [string, Configuration, string, string])[] = [
  ["all agree", configuration("ABC"), "A:x B:x C:x", "x"],
  ["two of three agree, one is silent", configuration("ABC"), "A:x B:x", "x"],
  ["two against one", configuration("ABC"), "A:x B:y C:x", "x, contested"],
  ["one has spoken", configuration("ABC"), "A:x", "open"],
  ["one against one, the third is silent", configuration("ABC"), "A:x B:y", "open, contested"],
  ["one against one against one", configuration("ABC"), "A:x B:y C:w", "split"],
  ["a copy is no second witness", configuration("ABC"), "A:x B:x(A) C:y", "split"],
  ["a copy and its source", configuration("ABC"), "A:x B:x(A)", "open"],
  ["a copy beside another witness", configuration("ABC"), "A:y B:x(A) C:x", "x, contested"],
  ["copies of one source, all alike", configuration("ABC"), "A:x B:x(A) C:x(A)", "x"],
  ["copies of one that is gone, all alike", configuration("ABC"), "A:x(E) B:x(E) C:x(E)", "x"],
  ["copies of one that is gone", configuration("ABC"), "A:x(E) B:x(E)", "open"],
  ["three of five", configuration("ABCDE"), "A:x B:x C:x D:y E:w", "x, contested"],
  ["two, two and one", configuration("ABCDE"), "A:x B:x C:y D:y E:w", "split"],
  ["two, two and a silent one", configuration("ABCDE"), "A:x B:x C:y D:y", "open, contested"],
  ["two, one, one and a silent one", configuration("ABCDE"), "A:x B:x C:y D:w", "open, contested"],
  ["one each and a silent one", configuration("ABCDE"), "A:x B:y C:w D:v", "split"],
  ["two voters", configuration("AB"), "A:x B:y", "split"],
  ["one voter", configuration("A"), "A:x", "x"],
  ["a learner does not count", configuration("ABC"), "A:x z:x", "open"],
  ["a majority in both halves", configuration("ABD", "ABC"), "A:x B:x D:y", "x, contested"],
  ["a majority in the new half only", configuration("ADE", "ABC"), "A:x D:x E:x", "open"],
  ["another majority in the old half", configuration("ADE", "ABC"), "A:x D:x B:y C:y", "split"],
];

for (const [what, who, said, expected] of cases) {
  test(`[V6] counting hashes: ${what}`, () => assert.is(count(who, said), expected));
}

const voteOf = fc.option(
  fc.record({ hash: fc.constantFrom("x", "y", "w"), source: fc.constantFrom("A", "B", "C", "D", "E") }),
);
const electorate = fc.constantFrom("A", "AB", "ABC", "ABCD", "ABCDE");

test("[V6] whatever those who are silent say later: a majority stays the only one, a split stays a split", () => {
  const scenario = fc.record({
    voters: electorate,
    votersOutgoing: fc.oneof(fc.constant(""), electorate),
    votes: fc.array(voteOf, { minLength: 5, maxLength: 5 }),
    later: fc.array(voteOf, { minLength: 5, maxLength: 5 }),
  });
  fc.assert(
    fc.property(scenario, ({ voters, votersOutgoing, votes, later }) => {
      const who = configuration(voters, votersOutgoing);
      // A source's word stands for itself: what it says of itself is its own.
      const said = (all: readonly (HashVote | null)[], id: string) => all["ABCDE".indexOf(id)] ?? null;
      const now = countHashes(who, ({ nodeId }) => said(votes, nodeId));
      const then = countHashes(who, ({ nodeId }) => said(votes, nodeId) ?? said(later, nodeId));
      if (now.type === "split") assert.is(then.type, "split");
      if (now.type !== "majority") return;
      const isUnanimousOnly = then.type !== "majority";
      if (isUnanimousOnly) assert.unreachable(`${describe(now)} became ${describe(then)}`);
      assert.is(then.type === "majority" && then.hash, now.hash);
    }),
    { numRuns: 2_000, seed: 1 },
  );
});

test("[Y176] what was said of rooms that are gone is forgotten, also where nobody ever counts it", () => {
  const tally = new HashTally();
  for (const roomId of ["gone", "here"])
    tally.hear("A", { roomId, source: "A", since: 0, points: [{ index: 1, hash: "x" }] });
  tally.keepOnly((roomId) => roomId === "here");
  assert.equal(tally.takeChanged(), ["here"]);
  assert.is(tally.conclude("gone", configuration("A")).type, "none");
});

test.run();

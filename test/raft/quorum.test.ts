import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Configuration, Member } from "../../server/raft/configuration.ts";
import {
  isQuorum,
  isVoter,
  majority,
  members,
  quorumIndex,
  sameMember,
  voteResult,
} from "../../server/raft/quorum.ts";

const member = (nodeId: string): Member => ({ nodeId, storeId: `${nodeId}-disk` });
const of = (voters: string[], votersOutgoing: string[] = [], learners: string[] = []): Configuration => ({
  voters: voters.map(member),
  votersOutgoing: votersOutgoing.map(member),
  learners: learners.map(member),
  nextVoters: [],
  addresses: [],
  level: 1,
});

const configurations = fc
  .tuple(
    fc.subarray(["a", "b", "c", "d", "e"], { minLength: 1 }),
    fc.subarray(["b", "c", "d", "e", "f", "g"]),
  )
  .map(([voters, outgoing]) => of(voters, outgoing));

test("[R45] a majority is more than half", () => {
  assert.equal([1, 2, 3, 4, 5, 6, 7].map(majority), [1, 2, 2, 3, 3, 4, 4]);
});

test("[R45] a joint configuration needs both majorities (§6)", () => {
  const joint = of(["a", "b", "c"], ["c", "d", "e"], ["l"]);
  const counts = (...ids: string[]) => isQuorum(joint, ({ nodeId }) => ids.includes(nodeId));
  assert.not(counts("a", "b", "c"));
  assert.not(counts("c", "d", "e", "l"));
  assert.ok(counts("a", "c", "d"));
  assert.equal(
    members(joint).map(({ nodeId }) => nodeId),
    ["a", "b", "c", "d", "e", "l"],
  );
  assert.not(isVoter(joint, member("l")));
  assert.not(isVoter(joint, { nodeId: "a", storeId: "other" }));
});

test("[R45] a vote is lost once no quorum can be reached any more", () => {
  const votes = (answers: Record<string, boolean>) =>
    voteResult(of(["a", "b", "c"]), ({ nodeId }) => answers[nodeId] ?? null);
  assert.is(votes({ a: true }), "pending");
  assert.is(votes({ a: true, b: false }), "pending");
  assert.is(votes({ a: true, b: true }), "won");
  assert.is(votes({ a: true, b: false, c: false }), "lost");
});

test("[R45] any two quorums of a configuration, or of it and a joint one of it, share a voter", () => {
  fc.assert(
    fc.property(configurations, fc.func(fc.boolean()), (configuration, side) => {
      // Whatever half wins, the other half does not.
      const isLeft = isQuorum(configuration, ({ nodeId }) => side(nodeId));
      const isRight = isQuorum(configuration, ({ nodeId }) => !side(nodeId));
      assert.not(isLeft && isRight);
    }),
    { seed: 1, numRuns: 300 },
  );
});

test("[R45] the quorum's index is the highest that a quorum has", () => {
  fc.assert(
    fc.property(
      configurations,
      fc.array(fc.nat(9), { minLength: 7, maxLength: 7 }),
      (configuration, indexes) => {
        const indexOf = ({ nodeId }: Member) => indexes["abcdefg".indexOf(nodeId)] ?? 0;
        const index = quorumIndex(configuration, indexOf);
        assert.ok(isQuorum(configuration, (voter) => indexOf(voter) >= index));
        assert.not(isQuorum(configuration, (voter) => indexOf(voter) > index));
      },
    ),
    { seed: 1, numRuns: 300 },
  );
});

test("[R45] a member is a node with a disk: another node, or another disk, is another member", () => {
  const member = { nodeId: "n1", storeId: "s1" };
  assert.is(sameMember(member, { ...member }), true);
  assert.is(sameMember(member, { ...member, nodeId: "n2" }), false);
  assert.is(sameMember(member, { ...member, storeId: "s2" }), false);
});

test.run();

import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Configuration } from "../../server/raft/configuration.ts";
import { decodeConfiguration } from "../../server/raft/configuration-codec.ts";
import { isQuorum, quorumIndex, sameMember, voteResult } from "../../server/raft/quorum.ts";
import { led, of, shape } from "./configurations.ts";
import type { RaftCluster } from "./raft-cluster.ts";

const all = [..."abcdef"];

const subsets: readonly (readonly string[])[] = Array.from({ length: 2 ** all.length }, (_, bits) =>
  all.filter((_, at) => (bits & (1 << at)) !== 0),
);

/** More than half, counted by hand, of each set of voters. */
function decides(configuration: Configuration, ids: readonly string[]): boolean {
  const { voters, votersOutgoing } = configuration;
  const sets = votersOutgoing.length === 0 ? [voters] : [voters, votersOutgoing];
  return sets.every((set) => set.filter(({ nodeId }) => ids.includes(nodeId)).length * 2 > set.length);
}

const electorate = fc.subarray(all, { minLength: 1 });
const configuration = fc.record({ voters: electorate, outgoing: fc.option(electorate) }).map(
  ({ voters, outgoing }): Configuration => ({
    ...of(...voters),
    votersOutgoing: outgoing === null ? [] : of(...outgoing).voters,
  }),
);

test("[R45] quorums, votes and commit indexes are what counting by hand gives", () => {
  const answers = fc.dictionary(fc.constantFrom(...all), fc.boolean());
  const indexes = fc.array(fc.nat(5), { minLength: all.length, maxLength: all.length });
  fc.assert(
    fc.property(configuration, answers, indexes, (one, answered, matched) => {
      for (const ids of subsets) {
        const expected = decides(one, ids);
        assert.is(
          isQuorum(one, ({ nodeId }) => ids.includes(nodeId)),
          expected,
        );
      }
      const granted = all.filter((id) => answered[id] === true);
      const open = all.filter((id) => answered[id] === undefined);
      const best = decides(one, [...granted, ...open]);
      const result = decides(one, granted) ? "won" : best ? "pending" : "lost";
      assert.is(
        voteResult(one, ({ nodeId }) => answered[nodeId] ?? null),
        result,
      );
      const index = [5, 4, 3, 2, 1, 0].find((least) =>
        decides(
          one,
          all.filter((_, at) => (matched[at] as number) >= least),
        ),
      );
      assert.is(
        quorumIndex(one, ({ nodeId }) => matched[all.indexOf(nodeId)] as number),
        index,
      );
    }),
    { numRuns: 400 },
  );
});

/** No quorum of one is without a voter of each quorum of the other. */
function meet(one: Configuration, other: Configuration): boolean {
  const quorums = subsets.filter((ids) => decides(one, ids));
  return quorums.every(
    (ids) =>
      !decides(
        other,
        all.filter((id) => !ids.includes(id)),
      ),
  );
}

/** The configurations of a log, from the first one on. */
function configurationsOf(cluster: RaftCluster, id: string): Configuration[] {
  const entries = cluster.node(id).applied.filter(({ type }) => type === "configuration");
  return [cluster.configuration, ...entries.map(({ data }) => decodeConfiguration(data))];
}

function leaderOf(cluster: RaftCluster): string | null {
  const leaders = cluster.leaders().toSorted((a, b) => b.up.term - a.up.term);
  return leaders[0]?.id ?? null;
}

const wish = fc.record({
  voters: electorate,
  learners: fc.subarray(all),
  /** The leader falls so many ms after it was asked; null: it does not. */
  leaderFallsMs: fc.option(fc.nat(40)),
});

test("[R131] whatever is wished for, and whoever falls: of two configurations that follow each other any two quorums meet, and in the end it is as wished", () => {
  const seen = { changes: 0, joint: 0, falls: 0 };
  fc.assert(
    fc.property(fc.array(wish, { minLength: 1, maxLength: 3 }), (wishes) => {
      const cluster = led({ newcomers: ["d", "e", "f"] });
      let expected = shape(cluster.configuration);
      for (const { voters, learners, leaderFallsMs } of wishes) {
        const leader = cluster.elect();
        const extra = learners.filter((id) => !voters.includes(id));
        const result = cluster.changeMembers(leader, voters, extra);
        if (result.type !== "appended") {
          assert.is(result.type, "unchanged", JSON.stringify(result));
          continue;
        }
        seen.changes++;
        expected = shape({ ...of(...voters), learners: of(...extra).voters });
        if (leaderFallsMs !== null) {
          seen.falls++;
          cluster.run(leaderFallsMs);
          // Before its wish was on a majority it may be forgotten with it.
          const latest = leaderOf(cluster);
          if (latest !== null) {
            cluster.crash(latest);
            cluster.run(600);
            cluster.start(latest);
          }
        }
        cluster.run(1_500);
        const settled = leaderOf(cluster);
        assert.ok(settled !== null, "nobody leads");
        const now = shape(cluster.raft(settled).configuration);
        if (leaderFallsMs !== null && now !== expected) {
          const forgotten = configurationsOf(cluster, settled).at(-1);
          assert.is(now, shape(forgotten ?? cluster.configuration));
          assert.is(forgotten?.votersOutgoing.length, 0, "it stops half-way");
          expected = now;
        }
        const sorted = (text: string) =>
          text
            .split(",")
            .map((part) => [...part].toSorted().join(""))
            .join();
        assert.is(sorted(now), sorted(expected));
      }
      const chain = configurationsOf(cluster, leaderOf(cluster) as string);
      for (const [at, one] of chain.entries()) {
        const next = chain[at + 1];
        if (one.votersOutgoing.length > 0) seen.joint++;
        if (next !== undefined) assert.ok(meet(one, next), `${shape(one)} and ${shape(next)} do not meet`);
        // Nobody votes before being a learner: who is new in the voters was sent the log before.
        const earlier = chain[at - 1];
        if (earlier === undefined) continue;
        const known = [...earlier.voters, ...earlier.votersOutgoing, ...earlier.learners];
        for (const voter of one.voters)
          assert.ok(
            known.some((each) => sameMember(each, voter)),
            shape(one),
          );
      }
    }),
    { numRuns: 60 },
  );
  assert.ok(seen.changes > 40 && seen.joint > 25 && seen.falls > 10, JSON.stringify(seen));
});

test("[R131] configurations that differ by more than one step would not meet: the joint one is needed", () => {
  assert.not(meet(of("a", "b", "c"), of("a", "d", "e")));
  const joint = { ...of("a", "d", "e"), votersOutgoing: of("a", "b", "c").voters };
  assert.ok(meet(of("a", "b", "c"), joint) && meet(joint, of("a", "d", "e")));
});

test.run();

// test-run: computes
import assert from "node:assert";
import { test } from "uvu";
import { RaftCluster } from "./raft-cluster.ts";
import {
  actions,
  actionsWithMissing,
  actionsWithReads,
  actionsWithRefusals,
  calm,
  comeTogether,
  smallLimits,
  storm,
} from "./schedule.ts";

function runSchedule(seed: number, { reads, missing = false }: { reads: boolean; missing?: boolean }) {
  const voters = seed % 3 === 0 ? ["a", "b", "c", "d", "e"] : ["a", "b", "c"];
  const learners = seed % 5 === 0 ? ["l"] : [];
  const fastFailover = !reads || seed % 2 === 0;
  const cluster = new RaftCluster({ ...smallLimits, voters, learners, seed, fastFailover });
  const ids = [...voters, ...learners];
  // As far apart as leases allow.
  if (!fastFailover) for (const id of ids) cluster.clockRates.set(id, 0.95 + 0.1 * cluster.random());
  storm(cluster, missing ? actionsWithMissing : reads ? actionsWithReads : actions);
  calm(cluster);
  comeTogether(cluster, ids);
  cluster.missing.check((index) => cluster.laws.committedTermAt(index));
  return cluster;
}

const schedules = 300;

test(`[R40, R84] figure 3 holds in ${schedules} random schedules of loss, delay, duplication, crashes and compaction, and every read is linearizable`, () => {
  let committed = 0;
  let installs = 0;
  let terms = 0;
  let reads = 0;
  let leaseReads = 0;
  for (let seed = 1; seed <= schedules; seed += 1) {
    try {
      const cluster = runSchedule(seed, { reads: true });
      reads += cluster.laws.readsAnswered;
      leaseReads += cluster.laws.leaseReadsAnswered;
      committed += cluster.laws.committedIndex;
      terms += cluster.raft("a").term;
      for (const node of cluster.nodes.values()) installs += node.installs;
    } catch (error) {
      throw new Error(`schedule of seed ${seed}: ${error instanceof Error ? error.stack : error}`);
    }
  }
  assert(terms > schedules * 4, `only ${terms} terms`);
  // The schedules would prove little if they never got anywhere.
  assert(committed > schedules * 20, `only ${committed} entries were committed`);
  assert(reads > schedules * 10, `only ${reads} reads were answered`);
  assert(leaseReads > schedules, `only ${leaseReads} reads were answered by a lease`);
  assert(installs > schedules / 10, `only ${installs} snapshots were installed`);
});

const schedulesWithMissing = 150;

test(`[R133, R134] in ${schedulesWithMissing} random schedules nobody applies more than its leader would name, nor anything behind that without the leader's word`, () => {
  let held = 0;
  for (let seed = 1; seed <= schedulesWithMissing; seed += 1) {
    try {
      held += runSchedule(seed, { reads: false, missing: true }).missing.held;
    } catch (error) {
      throw new Error(`schedule of seed ${seed}: ${error instanceof Error ? error.stack : error}`);
    }
  }
  assert(held > schedulesWithMissing * 4, `only ${held} times somebody heard late that it was missing`);
});

const schedulesWithRefusals = 50;

test(`[R138] in ${schedulesWithRefusals} random schedules in which nodes refuse leads figure 3 holds, leads are refused and moved, and all come together`, () => {
  const times = { refused: 0, moved: 0 };
  for (let seed = 1; seed <= schedulesWithRefusals; seed += 1) {
    try {
      const cluster = new RaftCluster({ ...smallLimits, voters: ["a", "b", "c"], seed });
      storm(cluster, actionsWithRefusals);
      for (const { readys } of cluster.nodes.values())
        for (const { transfersRefused, messagesAfterSave } of readys) {
          times.refused += transfersRefused.filter(({ code }) => code === "REFUSED").length;
          const isCampaign = messagesAfterSave.some(
            ({ message }) => message.type === "requestVote" && message.cause === "transfer",
          );
          if (isCampaign) times.moved += 1;
        }
      calm(cluster);
      comeTogether(cluster, ["a", "b", "c"]);
    } catch (error) {
      throw new Error(`schedule of seed ${seed}: ${error instanceof Error ? error.stack : error}`);
    }
  }
  assert(times.refused > schedulesWithRefusals, `only ${times.refused} leads were refused`);
  assert(times.moved > schedulesWithRefusals, `only ${times.moved} leads were moved`);
});

/** They failed once, and each says what was wrong. */
const formerFailures: readonly (readonly [seed: number, what: string])[] = [
  [
    2312,
    "a candidate that asked over a new link did not wait for the save of its own vote, and led a term that it forgot",
  ],
  [4117, "an older cut took the place of a newer one that was put off"],
];

for (const [seed, what] of formerFailures) {
  test(`[R40] schedule ${seed}: ${what}`, () => {
    runSchedule(seed, { reads: false });
  });
}

test.run();

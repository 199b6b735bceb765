import { test } from "uvu";
import * as assert from "uvu/assert";
import { emptyConfiguration } from "../../server/raft/configuration.ts";
import { encodeConfiguration } from "../../server/raft/configuration-codec.ts";
import type { Entry } from "../../server/raft/entry.ts";
import { LevelError } from "../../server/raft/level.ts";
import { RaftLog } from "../../server/raft/log.ts";
import { led, shapeOf } from "./configurations.ts";
import type { RaftCluster } from "./raft-cluster.ts";

/** a leads b and c; these start again with a build that knows one level more. */
function upgrade(cluster: RaftCluster, ...ids: readonly string[]): void {
  for (const id of ids) {
    cluster.levelMax.set(id, 2);
    cluster.crash(id);
    cluster.run(300);
    cluster.start(id);
    cluster.run(300);
  }
}

const levelsOf = (cluster: RaftCluster) =>
  [...cluster.nodes.values()].map(({ up }) => up.configuration.level).join(" ");
const heldBack = (cluster: RaftCluster, id: string) =>
  cluster.raft(id).levelHeldBackBy.map(({ nodeId, levelMax }) => `${nodeId} ${levelMax}`);

test("[V21] nodes are replaced one by one: the level rises, in the log, once the last of them knows it", () => {
  const cluster = led();
  upgrade(cluster, "b", "c");
  assert.is(levelsOf(cluster), "1 1 1");
  assert.equal(heldBack(cluster, "b"), ["a 1"], "every replica sees who");
  assert.equal(heldBack(cluster, "a"), [], "who knows no more misses nothing");
  upgrade(cluster, "a");
  assert.is(levelsOf(cluster), "2 2 2");
  assert.equal(heldBack(cluster, "b"), []);
  const leader = cluster.elect();
  assert.is(shapeOf(cluster, leader), "abc", "and the members are the same");
  cluster.propose(leader, "more");
  cluster.run(100);
  for (const id of ["a", "b", "c"]) cluster.crash(id);
  for (const id of ["a", "b", "c"]) cluster.start(id);
  cluster.run(1_000);
  cluster.elect();
  assert.is(levelsOf(cluster), "2 2 2", "for good");
});

test("[V21] a snapshot has it, and a change of the members leaves it", () => {
  const cluster = led({ newcomers: ["d"] });
  upgrade(cluster, "b", "c", "d", "a");
  const leader = cluster.elect();
  cluster.compact(leader);
  cluster.run(50);
  assert.is(cluster.raft(leader).base.configuration.level, 2);
  assert.is(cluster.changeMembers(leader, ["a", "b", "c", "d"]).type, "appended");
  cluster.run(500);
  assert.is(cluster.node("d").installs, 1);
  assert.is(levelsOf(cluster), "2 2 2 2");
});

test("[V22] a learner holds it back as a voter does", () => {
  const cluster = led({ newcomers: ["d"] });
  cluster.changeMembers("a", ["a", "b", "c"], ["d"]);
  cluster.run(200);
  upgrade(cluster, "b", "c", "a");
  const leader = cluster.elect();
  cluster.run(500);
  assert.equal([levelsOf(cluster), heldBack(cluster, leader)], ["1 1 1 1", ["d 1"]]);
  upgrade(cluster, "d");
  assert.is(levelsOf(cluster), "2 2 2 2");
});

test("[V22] who is only away may come back as what it was before: it is waited for, until it is no member", () => {
  const cluster = led();
  upgrade(cluster, "b", "c");
  cluster.levelMax.set("a", 2);
  // It has said what it knows; then it goes.
  cluster.crash("c");
  cluster.crash("a");
  cluster.start("a");
  cluster.run(1_000);
  const leader = cluster.elect();
  assert.equal([cluster.raft(leader).configuration.level, heldBack(cluster, leader)], [1, ["c null"]]);
  cluster.changeMembers(leader, ["a", "b"]);
  cluster.run(500);
  assert.is(cluster.raft(leader).configuration.level, 2);
});

test("[V22] only the disk that counts may speak for a member", () => {
  const cluster = led();
  upgrade(cluster, "a", "b");
  cluster.levelMax.set("c", 2);
  cluster.crash("c");
  cluster.add("c", "another-disk");
  cluster.run(1_000);
  const leader = cluster.elect();
  assert.equal([cluster.raft(leader).configuration.level, heldBack(cluster, leader)], [1, ["c null"]]);
});

test("[V22] not in the middle of a change, but at its end", () => {
  const cluster = led({ newcomers: ["d"] });
  for (const id of ["b", "c", "d"]) upgrade(cluster, id);
  cluster.levelMax.set("a", 2);
  cluster.crash("a");
  cluster.run(300);
  const leader = cluster.elect();
  // d cannot catch up: nothing gets there.
  cluster.cut(leader, "d");
  assert.is(cluster.changeMembers(leader, ["a", "b", "c", "d"]).type, "appended");
  cluster.run(100);
  cluster.start("a");
  cluster.run(300);
  assert.is(cluster.raft(leader).configuration.level, 1);
  cluster.heal();
  cluster.run(500);
  assert.equal([levelsOf(cluster), shapeOf(cluster, leader)], ["2 2 2 2", "abcd"]);
});

test("[V22] who leaves is still sent the log, and must not meet there what it does not know", () => {
  const cluster = led();
  upgrade(cluster, "b");
  cluster.levelMax.set("a", 2);
  cluster.crash("a");
  cluster.run(300);
  cluster.start("a");
  const leader = cluster.elect("a");
  assert.is(cluster.changeMembers(leader, ["a", "b"]).type, "appended");
  // An older node that took it in would end with an error here.
  cluster.run(1_000);
  assert.is(shapeOf(cluster, "c"), "ab", "it has been told that it is out");
  assert.is(cluster.raft("c").configuration.level, 1);
  assert.equal([cluster.raft("a").configuration.level, cluster.raft("b").configuration.level], [2, 2]);
});

test("[V23] an entry or a base of a level that a build does not know is not taken in", () => {
  const configuration = { ...emptyConfiguration, voters: [{ nodeId: "a", storeId: "s" }], level: 2 };
  const base = { index: 4, term: 1, logTimeMs: 0, wallTimeMs: 0, configuration };
  const entry = { index: 1, term: 1, type: "configuration", logTimeMs: 0, wallTimeMs: 0 } as const;
  const raised: Entry = { ...entry, data: encodeConfiguration(configuration) };
  const empty = { ...base, index: 0, configuration: { ...configuration, level: 1 } };
  const old = { min: 1, max: 1 };
  const words = /needs level 2, this version of Testudo knows 1 to 1: start a newer version/;
  assert.throws(() => new RaftLog(base, [], old), words);
  assert.throws(() => new RaftLog(empty, [raised], old), words);
  assert.throws(() => new RaftLog(empty, [], old).append([raised]), words);
  assert.throws(() => new RaftLog(empty, [], old).reset(base), words);
  assert.is(new RaftLog(empty, [raised], { min: 1, max: 2 }).membership.latest.configuration.level, 2);
  // And the other way round: of what is too old there must be nothing left.
  const late = { min: 2, max: 3 };
  assert.throws(
    () => new RaftLog(empty, [{ ...raised, type: "noop" }], late),
    /too new for it: start the version before/,
  );
  assert.is(new RaftLog(base, [], late).lastIndex, 4);
});

test("[V23] a node that went back ends, before it has answered, appended or staged anything", () => {
  const cluster = led();
  upgrade(cluster, "b", "c");
  const leader = cluster.elect();
  const [other] = ["b", "c"].filter((id) => id !== leader);
  assert.ok(other !== undefined);
  // It is linked, and nothing gets there.
  cluster.isolate(other);
  upgrade(cluster, "a");
  assert.equal([cluster.raft(leader).configuration.level, cluster.raft(other).configuration.level], [2, 1]);
  // Nothing on its own disk hinders it from going back.
  cluster.crash(other);
  cluster.levelMax.set(other, 1);
  cluster.start(other);
  const { persisted } = cluster.node(other);
  cluster.heal();
  assert.throws(
    () => cluster.run(2_000),
    (error: unknown) => error instanceof LevelError,
  );
  assert.equal(
    cluster.node(other).writes.flatMap(({ entries }) => entries),
    [],
  );
  assert.equal(cluster.node(other).persisted.entries, persisted.entries);
});

test("[V28] who runs an older version than the members have agreed on cannot become one", () => {
  const cluster = led({ newcomers: ["d"] });
  upgrade(cluster, "b", "c", "a");
  const leader = cluster.elect();
  const refused = cluster.changeMembers(leader, ["a", "b", "c", "d"]);
  assert.is(refused.type === "refused" && refused.reason, "LEVEL_TOO_LOW");
  assert.match(
    refused.type === "refused" ? refused.message : "",
    "agreed on level 2, and the version of Testudo on d knows only 1",
  );
  cluster.levelMax.set("d", 2);
  cluster.crash("d");
  cluster.start("d");
  assert.is(cluster.changeMembers(leader, ["a", "b", "c", "d"]).type, "appended");
  cluster.run(300);
  assert.is(levelsOf(cluster), "2 2 2 2");
});

test.run();

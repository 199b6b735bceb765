import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Configuration, changePhase } from "../../server/raft/configuration.ts";
import { Membership } from "../../server/raft/membership.ts";
import { append, entry } from "./appends.ts";
import { configurationEntry, led, of, shape, shapeOf, shapesIn } from "./configurations.ts";
import { RaftCluster } from "./raft-cluster.ts";

test("[R50] the latest configuration of the log counts; what is truncated is taken back, what is compacted stays", () => {
  const at = (index: number, configuration: Configuration) => ({
    index,
    term: 1,
    logTimeMs: 0,
    wallTimeMs: 0,
    configuration,
  });
  const membership = new Membership(at(3, of("a")));
  membership.appended(entry(4, 1));
  membership.appended(configurationEntry(5, 1, of("a", "b")));
  membership.appended(configurationEntry(7, 1, of("b")));
  assert.is(shape(membership.latest.configuration), "b");
  assert.is(membership.latest.index, 7);
  assert.equal(
    [3, 4, 5, 6, 7, 99].map((index) => shape(membership.at(index))),
    ["a", "a", "ab", "ab", "b", "b"],
  );
  assert.throws(() => membership.at(2), "the configuration as of 2 is forgotten");
  membership.truncatedFrom(7);
  assert.is(shape(membership.latest.configuration), "ab");
  membership.compacted(at(6, membership.at(6)));
  assert.is(shape(membership.latest.configuration), "ab");
  assert.throws(() => membership.at(5), "is forgotten");
  membership.truncatedFrom(7);
  assert.is(shape(membership.latest.configuration), "ab");
  membership.reset(at(20, of("c")));
  assert.is(shape(membership.latest.configuration), "c");
});

test("[R50] what is compacted below a configuration keeps it, and those that may still count are the committed one and all later", () => {
  const base = { index: 3, term: 1, logTimeMs: 0, wallTimeMs: 0, configuration: of("a") };
  const membership = new Membership(base);
  membership.appended(configurationEntry(5, 1, of("a", "b")));
  membership.appended(configurationEntry(7, 1, of("b")));
  const from = (commitIndex: number) => membership.from(commitIndex).map(shape);
  assert.equal([from(4), from(5), from(6), from(7)], [["a", "ab", "b"], ["ab", "b"], ["ab", "b"], ["b"]]);
  membership.compacted({ ...base, index: 6, configuration: membership.at(6) });
  assert.equal(from(6), ["ab", "b"]);
  membership.truncatedFrom(7);
  assert.equal(from(6), ["ab"]);
});

test("[R50] who was a member is told by what is committed, as far as the log has it", () => {
  const base = { index: 3, term: 1, logTimeMs: 0, wallTimeMs: 0, configuration: of("a", "b") };
  const membership = new Membership(base);
  membership.appended(configurationEntry(5, 1, of("a", "c")));
  const has = (nodeId: string, commitIndex: number, storeId = `${nodeId}-disk`) =>
    membership.hasCounted({ nodeId, storeId }, commitIndex);
  assert.equal([has("b", 5), has("c", 4), has("c", 5)], [true, false, true]);
  assert.is(has("b", 5, "another"), false, "another disk of it");
  membership.compacted({ ...base, index: 5, configuration: of("a", "c") });
  assert.is(has("b", 5), false, "the log has forgotten");
});

test("[R50] a follower takes a configuration with the append, and gives it back with the truncation (§6)", () => {
  const cluster = new RaftCluster();
  append(cluster, "a", "b", { term: 2, entries: [entry(1, 2), configurationEntry(2, 2, of("b", "c"))] });
  assert.is(shapeOf(cluster, "a"), "bc");
  append(cluster, "a", "c", { term: 3, prevLogIndex: 1, prevLogTerm: 2, entries: [entry(2, 3)] });
  assert.is(shapeOf(cluster, "a"), "abc");
  append(cluster, "a", "c", {
    term: 3,
    prevLogIndex: 2,
    prevLogTerm: 3,
    entries: [configurationEntry(3, 3, of("b", "c"))],
    commitIndex: 3,
  });
  assert.is(cluster.raft("a").role, "learner");
});

test("[R50] a restart and a snapshot bring the configuration as of their index", () => {
  const cluster = led({ newcomers: ["d", "e"], catchUpBytesMax: 0 });
  cluster.changeMembers("a", ["a", "b", "d"], ["e"]);
  cluster.run(200);
  cluster.crash("b");
  cluster.start("b");
  assert.is(shapeOf(cluster, "b"), "abd,e");
  cluster.run(50);
  for (const id of ["a", "b", "d"]) cluster.compact(id);
  cluster.run(50);
  assert.is(shape(cluster.node("b").disk.base.configuration), "abd,e");
  cluster.crash("b");
  cluster.start("b");
  assert.is(shapeOf(cluster, "b"), "abd,e");
  cluster.add("f");
  cluster.changeMembers("a", ["a", "b", "d"], ["f"]);
  cluster.run(500);
  assert.is(cluster.node("f").installs, 1, "its log cannot begin at the first entry any more");
  assert.is(shapeOf(cluster, "f"), "abd,f");
});

test("[R50] a snapshot in the middle of a change carries the configuration as of its base, not the latest", () => {
  const cluster = led({ newcomers: ["d"] });
  const { lastIndex } = cluster.raft("a");
  cluster.cut("a", "d");
  cluster.changeMembers("a", ["a", "b", "d"]);
  cluster.run(30);
  assert.is(shapeOf(cluster, "a"), "abc,d→abd");
  assert.is(shape(cluster.raft("a").configurationAt(lastIndex)), "abc");
  assert.is(shape(cluster.baseAt(cluster.node("a"), lastIndex).configuration), "abc");
});

test("[R51] three voters become five in one step, and both majorities count meanwhile (§6)", () => {
  const cluster = led({ newcomers: ["d", "e"] });
  assert.is(cluster.changeMembers("a", ["a", "b", "c", "d", "e"]).type, "appended");
  cluster.run(100);
  assert.equal(shapesIn(cluster, "a"), ["abc,de→abcde", "abcde+abc", "abcde"]);
  cluster.propose("a", "three");
  cluster.run(50);
  for (const id of ["a", "b", "c", "d", "e"])
    assert.equal(cluster.commandsApplied(id), ["one", "two", "three"]);
  cluster.crash("a");
  cluster.crash("b");
  const leader = cluster.elect();
  cluster.propose(leader, "four");
  cluster.run(50);
  assert.equal(cluster.commandsApplied("e"), ["one", "two", "three", "four"]);
});

test("[R51] two of three are replaced at once, and all three", () => {
  const cluster = led({ newcomers: ["d", "e", "f"] });
  cluster.changeMembers("a", ["a", "d", "e"]);
  cluster.run(100);
  assert.equal(shapesIn(cluster, "a"), ["abc,de→ade", "ade+abc", "ade"]);
  cluster.elect("a");
  cluster.changeMembers("a", ["f", "b", "c"]);
  cluster.run(600);
  const [leader] = cluster.leaders();
  assert.ok(leader !== undefined && "bcf".includes(leader.id), `${leader?.id} leads`);
  assert.is(shapeOf(cluster, leader.id), "fbc");
  cluster.propose(leader.id, "three");
  cluster.run(50);
  assert.equal(cluster.commandsApplied("f"), ["one", "two", "three"]);
});

test("[R51] in the joint configuration one majority alone neither commits nor elects", () => {
  for (const [cutOff, what] of [
    [["d", "e"], "the old majority"],
    [["b", "c"], "the new majority"],
  ] as const) {
    const cluster = led({ newcomers: ["d", "e"] });
    cluster.changeMembers("a", ["a", "d", "e"]);
    cluster.settle({ writes: false });
    // Of the joint configuration nobody hears who is cut off.
    for (let round = 0; round < 100 && shapeOf(cluster, "a") !== "ade+abc"; round += 1) {
      for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
      for (const id of cluster.nodes.keys()) cluster.completeWrite(id);
      if (shapeOf(cluster, "a") !== "ade+abc" && round % 10 === 9) cluster.tickFor("a", 10);
    }
    assert.is(shapeOf(cluster, "a"), "ade+abc");
    for (const id of cutOff)
      for (const other of cluster.nodes.keys()) if (id !== other) cluster.cut(id, other);
    const { commitIndex } = cluster.raft("a");
    cluster.run(150);
    assert.is(cluster.raft("a").commitIndex, commitIndex, `${what} is missing`);
    cluster.run(1_000);
    assert.is(cluster.leaders().length, 0, `without ${what} nobody leads`);
    cluster.heal();
    cluster.run(1_500);
    const leader = cluster.elect();
    assert.is(shapeOf(cluster, leader), "ade", "and then the change goes on");
  }
});

test("[R52] a new voter is a learner until no more entries than the limit separate it from its leader", () => {
  const cluster = led({
    newcomers: ["d"],
    learnerLagEntriesMax: 3,
    appendEntriesMax: 1,
    inFlightEntriesMax: 1,
  });
  cluster.cut("a", "d");
  cluster.changeMembers("a", ["a", "b", "c", "d"]);
  cluster.run(50);
  for (let count = 0; count < 20; count += 1) cluster.propose("a", `x${count}`);
  cluster.run(50);
  cluster.heal();
  const lagged: number[] = [];
  while (shapeOf(cluster, "a") === "abc,d→abcd") {
    const { lastIndex, followers } = cluster.raft("a").status();
    lagged.push(lastIndex - (followers.find(({ nodeId }) => nodeId === "d")?.matchIndex ?? 0));
    for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
    for (const id of cluster.nodes.keys()) cluster.completeWrite(id);
    cluster.nowMs += 1;
    cluster.step("a", { type: "tick" });
  }
  assert.is(Math.min(...lagged), 4, "with 3 it is promoted");
  cluster.run(100);
  assert.is(shapeOf(cluster, "a"), "abcd");
});

test("[R52] a new voter that is not there holds nothing up, and is not promoted", () => {
  const cluster = led({ newcomers: ["d", "e"] });
  cluster.crash("e");
  cluster.changeMembers("a", ["a", "b", "c", "d", "e"]);
  cluster.run(500);
  assert.is(shapeOf(cluster, "a"), "abc,de→abcde", "all of them come together");
  cluster.propose("a", "three");
  cluster.run(50);
  assert.equal(cluster.commandsApplied("b"), ["one", "two", "three"]);
  cluster.start("e");
  cluster.run(500);
  assert.is(shapeOf(cluster, "a"), "abcde");
});

test("[R52] while new voters catch up the wish may be replaced, or taken back", () => {
  const cluster = led({ newcomers: ["d", "e"] });
  cluster.crash("e");
  cluster.changeMembers("a", ["a", "b", "e"]);
  cluster.run(100);
  assert.is(shapeOf(cluster, "a"), "abc,e→abe");
  assert.is(cluster.changeMembers("a", ["a", "b", "c"]).type, "appended");
  cluster.run(100);
  assert.is(shapeOf(cluster, "a"), "abc");
  cluster.changeMembers("a", ["a", "b", "e"]);
  cluster.run(100);
  assert.is(cluster.changeMembers("a", ["a", "b", "d"]).type, "appended");
  cluster.run(100);
  assert.is(shapeOf(cluster, "a"), "abd");
});

test("[R53] one change at a time: while one is not committed, or joint, another is refused", () => {
  const cluster = led({ newcomers: ["d", "e"] });
  cluster.changeMembers("a", ["a", "b", "c", "d"]);
  const again = cluster.changeMembers("a", ["a", "b", "c", "e"]);
  assert.is(again.type === "refused" && again.reason, "CHANGE_UNDER_WAY");
  assert.is(
    cluster.changeMembers("a", ["a", "b", "c", "d"]).type,
    "unchanged",
    "the very same one is no other",
  );
  cluster.run(100);
  assert.is(cluster.changeMembers("a", ["a", "b", "c", "e"]).type, "appended");
  const isJoint = () => changePhase(cluster.raft("a").configuration) === "joint";
  while (!isJoint()) {
    for (const packet of cluster.packets.splice(0)) {
      cluster.deliver(packet);
      if (isJoint()) break;
    }
    if (!isJoint()) for (const id of cluster.nodes.keys()) cluster.completeWrite(id);
  }
  const third = cluster.changeMembers("a", ["a", "b"]);
  assert.is(third.type === "refused" && third.reason, "CHANGE_UNDER_WAY");
});

test("[R53] nothing is changed before the leader's own no-op is committed, nor during a transfer", () => {
  const cluster = led({ newcomers: ["d"] });
  cluster.step("a", { type: "transferLeader", to: "b" });
  const during = cluster.changeMembers("a", ["a", "b", "c", "d"]);
  assert.is(during.type === "refused" && during.reason, "NOT_YET");
  while (cluster.raft("b").role !== "leader") {
    for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
    for (const id of cluster.nodes.keys()) cluster.completeWrite(id);
  }
  assert.is(cluster.changeMembers("a", ["a", "b", "c", "d"]).type, "notLeader");
  const early = cluster.changeMembers("b", ["a", "b", "c", "d"]);
  assert.is(early.type === "refused" && early.reason, "NOT_YET");
  cluster.run(50);
  assert.is(cluster.changeMembers("b", ["a", "b", "c", "d"]).type, "appended");
});

test("[R54] a wish without voters, with a node twice, or with too many members is refused", () => {
  const cluster = led({ newcomers: ["d"] });
  const reasonOf = (...args: Parameters<RaftCluster["changeMembers"]>) => {
    const result = cluster.changeMembers(...args);
    return result.type === "refused" ? result.reason : result.type;
  };
  assert.is(reasonOf("a", []), "NO_VOTERS");
  assert.is(reasonOf("a", ["a", "b", "b"]), "MEMBER_DUPLICATE");
  assert.is(reasonOf("a", ["a", "b"], ["b"]), "MEMBER_DUPLICATE");
  for (let count = 1; count <= 14; count += 1) cluster.add(`m${count}`);
  const many = Array.from({ length: 14 }, (_, at) => `m${at + 1}`);
  assert.is(reasonOf("a", ["a", "b", "c"], many), "MEMBERS_TOO_MANY");
  assert.is(reasonOf("a", ["a", "b"], many), "appended", "16 are allowed");
});

test("[R54] a change that would lose the quorum is refused, and says who is missing", () => {
  const cluster = led({ newcomers: ["d", "e"] });
  cluster.crash("c");
  cluster.run(300);
  const lost = cluster.changeMembers("a", ["a", "c"]);
  assert.equal(lost, {
    type: "refused",
    reason: "QUORUM_LOST",
    message: "of the wished voters a, c at least 2 must be there, but c is not",
  });
  cluster.crash("d");
  assert.is(cluster.changeMembers("a", ["a", "b", "d"]).type, "appended", "a learner may come later");
  cluster.run(500);
  assert.is(shapeOf(cluster, "a"), "abc,d→abd");
  const waiting = cluster.changeMembers("a", ["a", "c", "d"]);
  assert.is(waiting.type, "appended", "who is new is waited for, whoever else is missing");
  cluster.start("d");
  cluster.run(500);
  assert.is(shapeOf(cluster, "a"), "acd", "and then there are enough");
});

test("[R54] nor when the present voters have no quorum", () => {
  const cluster = led({ newcomers: ["d"] });
  cluster.crash("b");
  cluster.crash("c");
  const result = cluster.changeMembers("a", ["a", "d"]);
  assert.match(result.type === "refused" ? result.message : "", /of the present voters a, b, c at least 2/);
});

test("[R54] a dry run says the same and appends nothing", () => {
  const cluster = led({ newcomers: ["d"] });
  const { lastIndex } = cluster.raft("a");
  const wish = (...voters: string[]) => ({
    voters: voters.map((id) => cluster.node(id).self),
    learners: [],
    addresses: [],
  });
  const dry = (...voters: string[]) =>
    cluster.raft("a").changeMembers(wish(...voters), cluster.now, { dryRun: true });
  assert.is(dry("a", "b", "d").type, "possible");
  assert.is(dry("a", "b", "c").type, "unchanged");
  assert.is(dry().type, "refused");
  assert.is(cluster.raft("a").lastIndex, lastIndex);
  assert.is(cluster.raft("b").changeMembers(wish("a"), cluster.now, { dryRun: true }).type, "notLeader");
});

test("[R63] addresses are changed by one entry, and those of nobody are forgotten", () => {
  const cluster = led({ newcomers: ["d"] });
  const { voters } = cluster.raft("a").configuration;
  const wish = { voters, learners: [], addresses: [{ nodeId: "a", url: "ws://a:1" }] };
  assert.is(cluster.raft("a").changeMembers(wish, cluster.now).type, "appended");
  cluster.run(50);
  assert.equal(cluster.raft("b").configuration.addresses, [{ nodeId: "a", url: "ws://a:1" }]);
  assert.is(cluster.raft("a").changeMembers(wish, cluster.now).type, "unchanged");
  const stranger = { ...wish, addresses: [{ nodeId: "z", url: "ws://z:1" }] };
  assert.is(cluster.raft("a").changeMembers(stranger, cluster.now).type, "appended");
  cluster.run(50);
  assert.equal(cluster.raft("b").configuration.addresses, [{ nodeId: "a", url: "ws://a:1" }]);
  cluster.changeMembers("a", ["b", "c"]);
  cluster.run(200);
  assert.equal(cluster.raft("b").configuration.addresses, []);
});

test.run();

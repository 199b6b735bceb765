/**
 * What the papers demand and no other file of this folder tests by name. The table in test/rules.md ("What the papers
 * demand") says for each demand which rules hold it.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { RaftMessage } from "../../server/raft/message.ts";
import { answersOf, append, appendsTo, entry } from "./appends.ts";
import { led } from "./configurations.ts";
import { RaftCluster } from "./raft-cluster.ts";

const request = { type: "requestVote", lastLogIndex: 0, lastLogTerm: 0, cause: "timeout" } as const;
const asks = (id: string, term: number) => ({ ...request, term, storeId: `${id}-disk` });
const votes = (id: string, term: number, granted = true) =>
  ({ type: "requestVoteResponse", term, storeId: `${id}-disk`, granted }) as const;
const encourages = (id: string, term: number) =>
  ({ type: "preVoteResponse", term, storeId: `${id}-disk`, granted: true }) as const;

/** `a` is a candidate of term 1, its own vote on its disk, and nothing is under way. */
function candidate(voters = ["a", "b", "c"]): RaftCluster {
  const cluster = new RaftCluster({ voters });
  cluster.tickFor("a", 250);
  for (const id of voters.slice(1)) cluster.receive("a", id, encourages(id, 1));
  while (cluster.completeWrite("a"));
  assert.is(cluster.raft("a").role, "candidate");
  cluster.packets = [];
  return cluster;
}

test("[R111] a follower commits no further than the leader did, nor than the append vouches for (figure 2, AppendEntries 5)", () => {
  const cluster = new RaftCluster();
  append(cluster, "a", "b", { term: 1, entries: [entry(1, 1), entry(2, 1), entry(3, 1)], commitIndex: 1 });
  assert.is(cluster.raft("a").commitIndex, 1, "the leader's");
  // Another leader, whose log may differ from here on: it vouches for its second entry only.
  append(cluster, "a", "c", {
    term: 2,
    prevLogIndex: 1,
    prevLogTerm: 1,
    entries: [entry(2, 1)],
    commitIndex: 3,
  });
  assert.is(cluster.raft("a").commitIndex, 2, "the last new entry's");
  append(cluster, "a", "c", { term: 2, prevLogIndex: 2, prevLogTerm: 1, commitIndex: 3 });
  assert.is(cluster.raft("a").commitIndex, 2, "an empty append vouches for what it follows");
});

test("[R112] the commit index and what was applied never go back while a replica runs (figure 2: increases monotonically)", () => {
  const cluster = new RaftCluster();
  append(cluster, "a", "b", { term: 1, entries: [entry(1, 1), entry(2, 1)], commitIndex: 2 });
  while (cluster.completeWrite("a"));
  const applied = cluster.node("a").applied.length;
  append(cluster, "a", "b", {
    term: 1,
    prevLogIndex: 1,
    prevLogTerm: 1,
    entries: [entry(2, 1)],
    commitIndex: 1,
  });
  append(cluster, "a", "c", { term: 2, commitIndex: 0 });
  cluster.receive("a", "b", asks("b", 9));
  while (cluster.completeWrite("a"));
  assert.is(cluster.raft("a").commitIndex, 2);
  assert.is(cluster.node("a").applied.length, applied, "nothing is handed out again");
});

test("[R113] for each follower a leader begins behind its own last entry, and knows of nothing that matches (figure 2, nextIndex and matchIndex)", () => {
  const cluster = led();
  for (const id of ["b", "a"]) {
    cluster.step(cluster.leaders()[0]?.id ?? "", { type: "transferLeader", to: id });
    while (cluster.raft(id).role !== "leader") {
      for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
      for (const node of cluster.nodes.keys()) cluster.completeWrite(node);
    }
    const { followers, lastIndex } = cluster.raft(id).status();
    // The no-op is the one entry that it has appended since.
    for (const { state, nextIndex, matchIndex } of followers) {
      assert.equal(
        { state, nextIndex, matchIndex },
        { state: "probing", nextIndex: lastIndex, matchIndex: 0 },
      );
    }
    cluster.run(50);
  }
});

test("[R114] the timer is put off by the present leader, and by a vote that is given; by nothing else (figure 2, followers)", () => {
  const timesOut = (disturb: (cluster: RaftCluster) => void): boolean => {
    const cluster = new RaftCluster({ seed: 3 });
    append(cluster, "a", "b", { term: 2, entries: [entry(1, 2)] });
    // Nearly all of the longest timeout passes, bit by bit, each time with the same disturbance.
    for (let bit = 0; bit < 30 && cluster.raft("a").role === "follower"; bit += 1) {
      disturb(cluster);
      cluster.tickFor("a", 20);
    }
    return cluster.raft("a").role !== "follower";
  };
  assert.not(timesOut((cluster) => append(cluster, "a", "b", { term: 2, prevLogIndex: 1, prevLogTerm: 2 })));
  assert.not(timesOut((cluster) => cluster.step("a", { type: "leaderAlive", nodeId: "b", term: 2 })));
  assert.ok(
    timesOut(() => undefined),
    "silence",
  );
  assert.ok(
    timesOut((cluster) => append(cluster, "a", "c", { term: 1 })),
    "a leader of an older term",
  );
  assert.ok(
    timesOut((cluster) => cluster.receive("a", "c", asks("c", 3))),
    "a vote that is refused",
  );
  assert.ok(
    timesOut((cluster) => cluster.step("a", { type: "leaderAlive", nodeId: "b", term: 1 })),
    "a heartbeat of an older term",
  );
  // A vote that is given: then it waits for that candidate as long as for a leader.
  const cluster = new RaftCluster({ seed: 3 });
  cluster.tickFor("a", 90);
  cluster.receive("a", "c", asks("c", 1));
  cluster.tickFor("a", 90);
  assert.equal([cluster.raft("a").role, cluster.raft("a").status().votedFor?.nodeId], ["follower", "c"]);
});

test("[R115] a candidate counts each voter once, and votes of its own term only; a majority makes it the leader at once (figure 2, candidates)", () => {
  const cluster = candidate(["a", "b", "c", "d", "e"]);
  cluster.receive("a", "b", votes("b", 1));
  cluster.receive("a", "b", votes("b", 1));
  cluster.receive("a", "c", votes("c", 0));
  cluster.receive("a", "c", { ...votes("c", 1), storeId: "emptied" });
  cluster.receive("a", "d", encourages("d", 1));
  assert.is(cluster.raft("a").role, "candidate");
  cluster.receive("a", "d", votes("d", 1, false));
  cluster.receive("a", "d", votes("d", 1));
  assert.is(cluster.raft("a").role, "candidate", "who has refused has refused");
  cluster.receive("a", "e", votes("e", 1));
  assert.is(cluster.raft("a").role, "leader");
});

test("[R115] one that hears a leader of its own term follows it; one that nobody answers begins anew (figure 2, candidates)", () => {
  const follows = candidate();
  append(follows, "a", "b", { term: 1, entries: [entry(1, 1)] });
  assert.equal(
    [follows.raft("a").role, follows.raft("a").leaderId, follows.raft("a").term],
    ["follower", "b", 1],
  );
  const alone = candidate();
  alone.tickFor("a", 700);
  assert.ok(alone.sent("preVote").some(({ message }) => message.term === 2));
});

test("[R116] a new leader tells everybody at once, without waiting for a tick (figure 2, leaders: upon election)", () => {
  const cluster = candidate();
  cluster.receive("a", "b", votes("b", 1));
  for (const id of ["b", "c"]) assert.is(appendsTo(cluster, id).length, 1);
});

/** What a follower has been told, as the one who tells it may tell it again. */
const told: readonly (readonly [what: string, from: string, message: RaftMessage])[] = [
  ["an append", "b", appendOf(1, [1, 2], 0)],
  ["an append that overlaps", "b", appendOf(2, [2, 3], 1)],
  ["a commit index", "b", appendOf(3, [], 2)],
  ["a candidate's request", "c", { ...asks("c", 2), lastLogIndex: 3, lastLogTerm: 1 }],
];

function appendOf(from: number, indexes: readonly number[], commitIndex: number): RaftMessage {
  const entries = indexes.map((index) => entry(index, 1));
  const prev = { prevLogIndex: from - 1, prevLogTerm: from === 1 ? 0 : 1 };
  if (indexes.length === 0) prev.prevLogIndex = from;
  if (indexes.length === 0) prev.prevLogTerm = 1;
  return { type: "appendEntries", term: 1, storeId: "b-disk", ...prev, commitIndex, entries };
}

const standing = (cluster: RaftCluster) => {
  const { role, term, votedFor, commitIndex, lastIndex } = cluster.raft("a").status();
  const log = cluster.node("a").disk.entries.map((one) => `${one.index}.${one.term}`);
  return JSON.stringify({
    role,
    term,
    votedFor,
    commitIndex,
    lastIndex,
    log,
    applied: cluster.node("a").applied.length,
  });
};

test("[R117] what comes again, or late, changes nothing (§5.5)", () => {
  const cluster = new RaftCluster();
  for (const [at, [what, from, message]] of told.entries()) {
    cluster.receive("a", from, message);
    while (cluster.completeWrite("a"));
    const before = standing(cluster);
    for (const [, sender, earlier] of told.slice(0, at + 1)) {
      cluster.receive("a", sender, earlier);
      while (cluster.completeWrite("a"));
    }
    assert.is(standing(cluster), before, what);
  }
});

test("[R118] a snapshot of an older term is refused, and its leader is told (figure 13, 1)", () => {
  const cluster = new RaftCluster();
  append(cluster, "a", "c", { term: 5 });
  while (cluster.completeWrite("a"));
  cluster.packets = [];
  const base = { index: 9, term: 4, logTimeMs: 0, wallTimeMs: 0, configuration: cluster.configuration };
  const chunk = { type: "installSnapshot", snapshotId: 1, base, bytes: new Uint8Array(1) } as const;
  cluster.receive("a", "b", { ...chunk, term: 4, storeId: "b-disk", chunk: 0, last: true });
  assert.equal([cluster.raft("a").leaderId, cluster.raft("a").base.index], ["c", 0]);
  const [answer] = cluster.sent("installSnapshotResponse");
  assert.is(answer?.message.term, 5);
  assert.ok(answer?.message.type === "installSnapshotResponse" && answer.message.status === "refused");
});

test("[R118] chunks are taken in their order, and the first one begins anew (figure 13, 2 to 4)", () => {
  const cluster = new RaftCluster();
  const base = { index: 9, term: 1, logTimeMs: 0, wallTimeMs: 0, configuration: cluster.configuration };
  const send = (snapshotId: number, chunk: number) => {
    cluster.packets = [];
    const bytes = new Uint8Array([snapshotId, chunk]);
    const message = {
      type: "installSnapshot",
      term: 1,
      storeId: "b-disk",
      snapshotId,
      base,
      chunk,
      bytes,
    } as const;
    cluster.receive("a", "b", { ...message, last: false });
    while (cluster.completeWrite("a"));
    const answer = cluster.sent("installSnapshotResponse")[0]?.message;
    return answer?.type === "installSnapshotResponse" ? answer.status : null;
  };
  const staged = () => cluster.node("a").staged.map((bytes) => `${bytes[0]}.${bytes[1]}`);
  assert.is(send(1, 1), "refused", "there is nothing that it would follow");
  assert.is(send(1, 0), "received");
  assert.is(send(1, 2), "refused", "one is missing");
  assert.is(send(1, 1), "received");
  assert.is(send(1, 1), "received", "again");
  assert.equal(staged(), ["1.0", "1.1"]);
  assert.is(send(2, 0), "received", "another one: what was staged is dropped");
  assert.equal(staged(), ["2.0"]);
  assert.is(send(1, 2), "refused");
});

test("[R119] whose log is more up to date: the later last term, then the greater length; equal logs are up to date for each other (§5.4.1)", () => {
  const log = fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 4 }).map((terms) => terms.toSorted());
  fc.assert(
    fc.property(log, log, (own, other) => {
      const cluster = new RaftCluster();
      const entries = own.map((term, at) => entry(at + 1, term));
      append(cluster, "a", "b", { term: 3, entries });
      while (cluster.completeWrite("a"));
      cluster.packets = [];
      const [lastLogTerm, lastLogIndex] = [other.at(-1) ?? 0, other.length];
      cluster.receive("a", "c", { ...asks("c", 4), cause: "transfer", lastLogIndex, lastLogTerm });
      while (cluster.completeWrite("a"));
      const answer = cluster.sent("requestVoteResponse")[0]?.message;
      const ownTerm = own.at(-1) ?? 0;
      const expected = lastLogTerm > ownTerm || (lastLogTerm === ownTerm && lastLogIndex >= own.length);
      assert.is(answer?.type === "requestVoteResponse" && answer.granted, expected);
    }),
  );
});

test("[R120] in the joint configuration a server of either one may lead (§6)", () => {
  for (const heir of ["b", "d"]) {
    const cluster = led({ newcomers: ["d", "e"] });
    cluster.changeMembers("a", ["a", "d", "e"]);
    // Until everybody has the joint configuration, and nobody the last one.
    const joint = (id: string) => cluster.raft(id).configuration.votersOutgoing.length > 0;
    while (![..."abcde"].every(joint)) {
      for (const packet of cluster.packets.splice(0)) {
        const isAnswer = packet.message.type === "appendEntriesResponse";
        if (isAnswer && joint(packet.from) && joint("a")) continue;
        cluster.deliver(packet);
      }
      for (const id of cluster.nodes.keys()) cluster.completeWrite(id);
      cluster.tickFor("a", 10);
    }
    cluster.crash("a");
    cluster.packets = [];
    cluster.tickFor(heir, 300);
    while (cluster.raft(heir).role !== "leader") {
      assert.ok(cluster.packets.length > 0, `${heir} is not elected`);
      for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
      for (const id of cluster.nodes.keys()) cluster.completeWrite(id);
    }
    assert.ok(joint(heir));
  }
});

test("[R121] a follower answers only once what it answers for is on its disk: the term, too (figure 2, persistent state)", () => {
  const cluster = new RaftCluster();
  append(cluster, "a", "b", { term: 7 });
  assert.equal(answersOf(cluster, "a"), [], "the term is not saved yet");
  while (cluster.completeWrite("a"));
  assert.is(answersOf(cluster, "a")[0]?.term, 7);
  assert.is(cluster.node("a").disk.hardState.term, 7);
  cluster.receive("a", "c", { type: "preVoteResponse", term: 9, storeId: "c-disk", granted: false });
  cluster.crash("a", { silent: true });
  cluster.start("a");
  assert.is(cluster.raft("a").term, 7, "a term that nobody was told of may be forgotten");
});

test("[R122] each demand of the papers names rules that there are", () => {
  const rules = readFileSync(join(import.meta.dirname, "../rules.md"), "utf8");
  const table = rules.slice(rules.indexOf("### What the papers demand"));
  const rows = table.split("\n").filter((line) => line.startsWith("| ") && !line.startsWith("| demand"));
  assert.ok(rows.length >= 60, `${rows.length} rows`);
  for (const row of rows) {
    const named =
      row
        .split("|")
        .at(-2)
        ?.match(/\b[A-Z]{1,3}\d+\b/g) ?? [];
    assert.ok(named.length > 0 || row.includes("does not apply"), `no rule: ${row}`);
    for (const rule of named) {
      assert.ok(new RegExp(`^[\\s|*[-]*${rule}\\b`, "m").test(rules), `${rule} is no rule: ${row}`);
    }
  }
});

test.run();

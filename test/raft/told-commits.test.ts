import { test } from "uvu";
import * as assert from "uvu/assert";
import { ToldCommits } from "../../server/raft/told-commits.ts";
import { RaftCluster } from "./raft-cluster.ts";

function toldFrom(firstIndex: number): ToldCommits {
  const told = new ToldCommits();
  told.begin(firstIndex);
  return told;
}

test("[R133] what earlier leaders may have told lies before the term; of this one's word the highest counts, and of its snapshots", () => {
  const told = toldFrom(10);
  assert.is(told.atMost("n"), 9);
  told.tell("n", 12);
  told.tell("n", 11);
  assert.equal([told.atMost("n"), told.atMost("m")], [12, 9]);
  told.sendBase("n", 20);
  assert.is(told.atMost("n"), 20);
  told.begin(15);
  assert.is(told.atMost("n"), 14);
});

test("[R134] what came before the term is told at once, to who has all of it on its disk, once that is committed", () => {
  const told = toldFrom(10);
  assert.is(told.tellable("n", { matchIndex: 9, commitIndex: 12 }), 0);
  assert.is(told.tellable("n", { matchIndex: 12, commitIndex: 9 }), 0);
  assert.is(told.tellable("n", { matchIndex: 10, commitIndex: 12 }), 12);
});

test("[R134] a node that is held back is told what it was told before, until it has what it is let on with", () => {
  const told = toldFrom(10);
  told.tell("n", 12);
  told.holdBack("n");
  told.sendBase("n", 14);
  assert.is(told.tellable("n", { matchIndex: 30, commitIndex: 30 }), 12);
  assert.is(told.tellable("m", { matchIndex: 30, commitIndex: 30 }), 30);
  told.letOn("n", 20);
  assert.is(told.tellable("n", { matchIndex: 19, commitIndex: 30 }), 12);
  assert.is(told.tellable("n", { matchIndex: 20, commitIndex: 19 }), 12);
  assert.is(told.tellable("n", { matchIndex: 20, commitIndex: 20 }), 20);
  told.letOn("m", 99);
  assert.is(told.tellable("m", { matchIndex: 30, commitIndex: 30 }), 30, "nobody had held it back");
});

test("[R133, R134] a follower that cannot be reached has applied what its leader names at most; back again, it gets word of that first", () => {
  const cluster = new RaftCluster({ seed: 3 });
  const leader = cluster.elect();
  const [lost = ""] = cluster.followersOf(leader);
  cluster.propose(leader, "heard");
  cluster.run(50);
  const applied = cluster.node(lost).applied.length;
  cluster.linkDown(leader, lost);
  cluster.cut(leader, lost);
  assert.is(cluster.raft(leader).told.atMost(lost), applied);
  cluster.propose(leader, "unheard");
  cluster.sayMissing(leader, lost);
  cluster.run(50);
  cluster.propose(leader, "later");
  cluster.heal();
  cluster.linkUp(leader, lost);
  const before = cluster.node(lost).readys.length;
  cluster.run(100);
  const handedOut = cluster
    .node(lost)
    .readys.slice(before)
    .map(({ committed }) => committed.map(({ data }) => Buffer.from(data).toString()))
    .find((each) => each.length > 0);
  assert.equal(handedOut?.slice(0, 2), ["unheard", `${lost} is missing`]);
});

test("[R134] what is known to be committed can be read before it is durable, and so before it is applied", () => {
  const cluster = new RaftCluster({ seed: 3 });
  const leader = cluster.elect();
  const [slow = "", other = ""] = cluster.followersOf(leader);
  cluster.propose(leader, "unsaved");
  for (let round = 0; round < 10; round++) {
    for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
    for (const id of [leader, other]) cluster.completeWrite(id);
  }
  const textOf = (entries: readonly { readonly data: Uint8Array }[]) =>
    entries.map(({ data }) => Buffer.from(data).toString());
  assert.equal(textOf(cluster.raft(slow).committedAhead), ["unsaved"]);
  assert.is.not(textOf(cluster.node(slow).applied).at(-1), "unsaved");
  cluster.settle();
  assert.equal(cluster.raft(slow).committedAhead, []);
  assert.is(textOf(cluster.node(slow).applied).at(-1), "unsaved");
});

test.run();

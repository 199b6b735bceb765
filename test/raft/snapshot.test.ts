import { test } from "uvu";
import * as assert from "uvu/assert";
import type { RaftMessage } from "../../server/raft/message.ts";
import type { RaftEvent } from "../../server/raft/ready.ts";
import { type ClusterOptions, RaftCluster, textOf } from "./raft-cluster.ts";

type Chunk = Extract<RaftMessage, { type: "installSnapshot" }>;

/** A follower that missed more than the leader's log still has. */
function behind(options: ClusterOptions = {}): {
  cluster: RaftCluster;
  leader: string;
  late: string;
  other: string;
} {
  const cluster = new RaftCluster({ catchUpBytesMax: 0, ...options });
  const leader = cluster.elect();
  const [late, other] = cluster.followersOf(leader) as [string, string];
  cluster.cut(leader, late);
  cluster.cut(other, late);
  for (let count = 1; count <= 5; count += 1) {
    cluster.propose(leader, `command ${count}`);
    cluster.run(20);
  }
  cluster.compact(leader);
  cluster.run(300);
  return { cluster, leader, late, other };
}

const stateOf = (cluster: RaftCluster, leader: string, id: string) =>
  cluster
    .raft(leader)
    .status()
    .followers.find(({ nodeId }) => nodeId === id)?.state;

const chunks = (cluster: RaftCluster) =>
  cluster.packets.flatMap(({ message }) => (message.type === "installSnapshot" ? [message] : []));

/** Until the leader has sent a chunk. */
function untilChunk(cluster: RaftCluster): Chunk {
  for (let step = 0; step < 10_000; step += 1) {
    const [chunk] = chunks(cluster);
    if (chunk !== undefined) return chunk;
    const packet = cluster.packets.shift();
    if (packet !== undefined) cluster.deliver(packet);
    else {
      for (const id of cluster.nodes.keys()) while (cluster.completeWrite(id));
      cluster.nowMs += 10;
      cluster.heartbeats();
      for (const id of cluster.nodes.keys()) cluster.step(id, { type: "tick" });
    }
  }
  throw new Error("no chunk was ever sent");
}

test("[R36] a follower whose next entry is gone from the log is brought up by a snapshot in chunks, then by entries (§7)", () => {
  const { cluster, leader, late } = behind();
  cluster.heal();
  const seen = new Set<number>();
  for (let ms = 0; ms < 1_000; ms += 10) {
    for (const chunk of chunks(cluster)) seen.add(chunk.chunk);
    cluster.propose(leader, `during ${ms}`);
    cluster.run(10);
  }
  cluster.run(100);
  assert.is(cluster.node(late).installs, 1);
  assert.equal(cluster.commandsApplied(late), cluster.commandsApplied(leader));
  assert.is(stateOf(cluster, leader, late), "replicating");
  assert.is(cluster.node(leader).pinned.size, 0, "what the snapshot pinned is free");
});

test("[R132] what a follower lacks behind the snapshot that brought it up is kept until it has it, or is gone", () => {
  for (const comesBack of [true, false]) {
    const { cluster, leader, late, other } = behind();
    cluster.heal();
    const isTold = ({ message }: { message: RaftMessage }) =>
      message.type === "installSnapshotResponse" && message.status === "installed";
    while (!cluster.packets.some(isTold)) {
      untilChunk(cluster);
      cluster.propose(leader, "during it");
      for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
      for (const id of cluster.nodes.keys()) while (cluster.completeWrite(id));
    }
    for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
    cluster.packets = [];
    const isPinned = () => cluster.node(leader).pinned.size === 1;
    assert.ok(isPinned());
    assert.is(stateOf(cluster, leader, late), "replicating");
    cluster.cut(leader, late);
    cluster.cut(other, late);
    cluster.propose(leader, "behind it");
    cluster.run(20);
    assert.ok(isPinned());
    if (comesBack) cluster.heal();
    cluster.run(1_000);
    assert.not(isPinned());
    assert.is(cluster.node(late).installs, 1);
  }
});

test("[R36] no snapshot is read for a follower that is not there", () => {
  const { cluster, leader, late } = behind();
  cluster.node(leader).readys = [];
  cluster.run(1_000);
  assert.is(stateOf(cluster, leader, late), "probing");
  assert.ok(cluster.node(leader).readys.every(({ chunksWanted }) => chunksWanted.length === 0));
});

test("[R37] a chunk that is lost, or whose answer is lost, is sent again", () => {
  const { cluster, leader, late } = behind();
  cluster.heal();
  let lost = 0;
  for (let round = 0; round < 3; round += 1) {
    untilChunk(cluster);
    cluster.packets = cluster.packets.filter(({ message }) => message.type !== "installSnapshot");
    lost += 1;
  }
  untilChunk(cluster);
  for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
  cluster.packets = cluster.packets.filter(({ message }) => message.type !== "installSnapshotResponse");
  cluster.run(4_000);
  assert.is(lost, 3);
  assert.is(cluster.node(late).installs, 1);
  assert.equal(cluster.commandsApplied(late), cluster.commandsApplied(leader));
});

test("[R37] after so many tries the snapshot is given up, freed, and begun again after a pause", () => {
  const { cluster, leader, late } = behind({ snapshotChunkTriesMax: 3, snapshotAnswerTimeoutMs: 100 });
  cluster.heal();
  const ids: number[] = [];
  for (let round = 0; round < 4; round += 1) {
    ids.push(untilChunk(cluster).snapshotId);
    cluster.packets = cluster.packets.filter(({ message }) => message.type !== "installSnapshot");
  }
  assert.is(new Set(ids.slice(0, 3)).size, 1);
  assert.is.not(ids[3], ids[0]);
  assert.ok(cluster.node(leader).readys.some(({ snapshotsEnded }) => snapshotsEnded.includes(ids[0] ?? -1)));
  assert.is(cluster.node(leader).pinned.size, 1);
  cluster.run(1_500);
  assert.is(cluster.node(late).installs, 1);
});

test("[R37] a chunk that the group never hands over, or cannot, begins the snapshot again", () => {
  const { cluster, leader, late } = behind({ snapshotReadTimeoutMs: 50 });
  const raft = cluster.raft(leader);
  const storeId = `${late}-disk`;
  const { term } = raft;
  const refusal = {
    type: "appendEntriesResponse",
    term,
    storeId,
    success: false,
    conflictIndex: 0,
    conflictTerm: 0,
  } as const;
  raft.step(
    { type: "message", from: late, message: { ...refusal, rejectedIndex: raft.base.index } },
    cluster.now,
  );
  const wanted = raft.ready()?.chunksWanted;
  assert.is(wanted?.length, 1);
  cluster.nowMs += 60;
  raft.step({ type: "tick" }, cluster.now);
  assert.equal(raft.ready()?.snapshotsEnded, [wanted?.[0]?.snapshotId]);
  cluster.nowMs += 200;
  raft.step(
    { type: "message", from: late, message: { ...refusal, rejectedIndex: raft.base.index } },
    cluster.now,
  );
  const again = raft.ready()?.chunksWanted[0];
  assert.ok(again);
  assert.is.not(again.snapshotId, wanted?.[0]?.snapshotId);
  raft.step({ type: "snapshotFailed", to: late, snapshotId: again.snapshotId }, cluster.now);
  assert.equal(raft.ready()?.snapshotsEnded, [again.snapshotId]);
  assert.is(raft.status().followers.find(({ nodeId }) => nodeId === late)?.state, "probing");
});

test("[R38] a follower that restarts in the middle refuses the next chunk, and is sent all of it anew", () => {
  const { cluster, leader, late } = behind();
  cluster.heal();
  for (let chunk = untilChunk(cluster); chunk.chunk < 2; chunk = untilChunk(cluster)) {
    for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
  }
  cluster.crash(late);
  cluster.start(late);
  cluster.run(2_000);
  assert.is(cluster.node(late).installs, 1);
  assert.equal(cluster.commandsApplied(late), cluster.commandsApplied(leader));
});

test("[R38] a leader that dies in the middle is replaced, and its successor sends its own", () => {
  const { cluster, leader, late, other } = behind();
  cluster.compact(other);
  cluster.settle();
  cluster.heal();
  const { snapshotId } = untilChunk(cluster);
  for (const packet of cluster.packets.splice(0)) cluster.deliver(packet);
  cluster.crash(leader);
  cluster.run(2_000);
  assert.is(cluster.raft(other).role, "leader");
  assert.is(cluster.node(late).installs, 1);
  assert.ok(
    !cluster
      .node(other)
      .readys.some(({ chunksWanted }) => chunksWanted.some((one) => one.snapshotId === snapshotId)),
  );
  assert.equal(cluster.commandsApplied(late), cluster.commandsApplied(other));
});

/** The last chunk, of one, of a snapshot at (2, 50). */
function lastChunk(cluster: RaftCluster): Chunk {
  const base = { index: 50, term: 2, logTimeMs: 9, wallTimeMs: 9, configuration: cluster.configuration };
  const bytes = new TextEncoder().encode("[]");
  return {
    type: "installSnapshot",
    term: 2,
    storeId: "b-disk",
    snapshotId: 7,
    base,
    chunk: 0,
    bytes,
    last: true,
  };
}

const stored = (cluster: RaftCluster, status: "installed" | "refused"): RaftEvent => {
  const { base } = lastChunk(cluster);
  return { type: "chunkStored", from: "b", snapshotId: 7, chunk: 0, base, status, answer: new Uint8Array(0) };
};

/** A replica that is sent chunks of one snapshot, and what it says to each. */
function staging() {
  const cluster = new RaftCluster();
  const raft = cluster.raft("a");
  const { base } = lastChunk(cluster);
  const receive = (chunk: number, more: Partial<Chunk> = {}) => {
    const message = { ...lastChunk(cluster), chunk, last: false, ...more };
    raft.step({ type: "message", from: "b", message }, cluster.now);
    return raft.ready();
  };
  const store = (chunk: number, answer: string) => {
    const said = { status: "received", answer: new TextEncoder().encode(answer) } as const;
    raft.step({ type: "chunkStored", from: "b", snapshotId: 7, chunk, base, ...said }, cluster.now);
    return raft.ready();
  };
  return { receive, store };
}

const answersOf = (ready: ReturnType<ReturnType<typeof staging>["store"]>) =>
  (ready?.messagesAfterSave ?? []).flatMap(({ message }) =>
    message.type === "installSnapshotResponse"
      ? [`${message.status} ${message.chunk} ${textOf(message.answer)}`]
      : [],
  );

test("[R100] what a follower's group says to a chunk comes with its answer, again with one that is repeated, and with what is wanted next", () => {
  const { receive, store } = staging();
  assert.is(receive(0)?.chunksReceived.length, 1);
  assert.equal(answersOf(receive(0)), [], "while it is stored there is nothing to say");
  assert.equal(answersOf(store(0, "I lack b")), ["received 0 I lack b"]);
  assert.equal(answersOf(receive(0)), ["received 0 I lack b"]);
  receive(1);
  assert.equal(answersOf(store(1, "")), ["received 1 "]);
  // At the leader: the harness holds every chunk that is wanted against what was said to the one before.
  const { cluster, leader, late } = behind();
  cluster.heal();
  cluster.run(1_000);
  assert.is(cluster.node(late).installs, 1);
  const wanted = cluster.node(leader).readys.flatMap(({ chunksWanted }) => chunksWanted);
  assert.ok(wanted.length > 2);
  assert.equal(textOf(wanted.at(-1)?.answer ?? new Uint8Array(0)), `answer to chunk ${wanted.length - 2}`);
});

test("[R101] a chunk that comes late a second time changes nothing; one out of turn, or of another snapshot, is refused", () => {
  const { receive, store } = staging();
  receive(0);
  store(0, "");
  receive(1);
  store(1, "");
  for (const late of [0, 1]) {
    const ready = receive(late);
    assert.is(ready?.chunksReceived.length ?? 0, 0);
    assert.equal(answersOf(ready), late === 1 ? ["received 1 "] : []);
  }
  assert.is(receive(2)?.chunksReceived.length, 1, "it goes on where it was");
  store(2, "");
  assert.equal(answersOf(receive(4)), ["refused 4 "]);
  assert.equal(answersOf(receive(3, { snapshotId: 8 })), ["refused 3 "]);
  assert.is(receive(0, { snapshotId: 8 })?.chunksReceived.length, 1, "another one from its beginning");
});

test("[R39] while a snapshot is swapped in, the log takes nothing, and its node does not campaign", () => {
  const cluster = new RaftCluster();
  const raft = cluster.raft("a");
  const chunk = lastChunk(cluster);
  raft.step({ type: "message", from: "b", message: chunk }, cluster.now);
  assert.is(raft.ready()?.chunksReceived.length, 1);
  const data = new Uint8Array(0);
  const entries = [{ index: 1, term: 3, type: "noop", logTimeMs: 0, wallTimeMs: 0, data } as const];
  const append = {
    type: "appendEntries",
    term: 3,
    storeId: "c-disk",
    prevLogIndex: 0,
    prevLogTerm: 0,
    commitIndex: 1,
  } as const;
  raft.step({ type: "message", from: "c", message: { ...append, entries } }, cluster.now);
  assert.is(raft.lastIndex, 0);
  raft.step(
    { type: "message", from: "c", message: { type: "timeoutNow", term: 3, storeId: "c-disk" } },
    cluster.now,
  );
  raft.step(
    { type: "message", from: "c", message: { ...chunk, term: 3, snapshotId: 8, storeId: "c-disk" } },
    cluster.now,
  );
  for (let step = 0; step < 100; step += 1)
    raft.step({ type: "tick" }, { ...cluster.now, monotonicMs: step * 10 });
  assert.is(raft.role, "follower");
  assert.is(raft.ready()?.chunksReceived.length, 0);
  raft.step(stored(cluster, "installed"), cluster.now);
  assert.is(raft.base.index, 50);
  assert.is(raft.commitIndex, 50);
  assert.is(raft.durableIndex, 50);
  const [answer] = raft.ready()?.messagesAfterSave ?? [];
  assert.is(answer?.message.type === "installSnapshotResponse" && answer.message.matchIndex, 50);
  for (let step = 100; step < 200; step += 1)
    raft.step({ type: "tick" }, { ...cluster.now, monotonicMs: step * 10 });
  assert.is(raft.role, "preCandidate");
});

test("[R39] a swap that is refused in the end leaves the log as it was, and open", () => {
  const cluster = new RaftCluster();
  const raft = cluster.raft("a");
  raft.step({ type: "message", from: "b", message: lastChunk(cluster) }, cluster.now);
  raft.step(stored(cluster, "refused"), cluster.now);
  const [answer] = raft.ready()?.messagesAfterSave ?? [];
  assert.is(answer?.message.type === "installSnapshotResponse" && answer.message.status, "refused");
  assert.is(raft.base.index, 0);
  for (let step = 0; step < 100; step += 1)
    raft.step({ type: "tick" }, { ...cluster.now, monotonicMs: step * 10 });
  assert.is(raft.role, "preCandidate");
});

test("[R39] a snapshot is not swapped in while entries are on their way to the disk", () => {
  const cluster = new RaftCluster();
  const raft = cluster.raft("a");
  const data = new Uint8Array(0);
  const entries = [{ index: 1, term: 1, type: "noop", logTimeMs: 0, wallTimeMs: 0, data } as const];
  const append = {
    type: "appendEntries",
    term: 1,
    storeId: "b-disk",
    prevLogIndex: 0,
    prevLogTerm: 0,
    commitIndex: 0,
  } as const;
  raft.step({ type: "message", from: "b", message: { ...append, entries } }, cluster.now);
  raft.step({ type: "message", from: "b", message: lastChunk(cluster) }, cluster.now);
  assert.is(raft.ready()?.chunksReceived.length, 0);
  raft.step({ type: "saved", term: 1, index: 1 }, cluster.now);
  raft.step({ type: "message", from: "b", message: lastChunk(cluster) }, cluster.now);
  assert.is(raft.ready()?.chunksReceived.length, 1);
});

test("[R39] a snapshot that was swapped in unasked ends the process", () => {
  const cluster = new RaftCluster();
  assert.throws(() => cluster.raft("a").step(stored(cluster, "installed"), cluster.now), /unasked/);
});

test("[R42] a snapshot of what the log holds already is not installed: entries behind it are kept (§7)", () => {
  const cluster = new RaftCluster();
  const leader = cluster.elect();
  const [follower] = cluster.followersOf(leader) as [string];
  cluster.propose(leader, "x", "y");
  cluster.run(50);
  const { term, lastIndex } = cluster.raft(follower);
  const message = {
    ...lastChunk(cluster),
    term,
    storeId: `${leader}-disk`,
    base: cluster.baseAt(cluster.node(leader), lastIndex - 1),
  };
  cluster.packets = [];
  cluster.step(follower, { type: "message", from: leader, message });
  assert.is(cluster.raft(follower).lastIndex, lastIndex);
  const [packet] = cluster.packets;
  assert.is(packet?.message.type === "installSnapshotResponse" && packet.message.status, "installed");
  assert.is(packet?.message.type === "installSnapshotResponse" && packet.message.matchIndex, lastIndex);
});

test.run();

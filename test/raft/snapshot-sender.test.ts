import { test } from "uvu";
import * as assert from "uvu/assert";
import { Outbox } from "../../server/raft/outbox.ts";
import { Progress } from "../../server/raft/progress.ts";
import type { Replica } from "../../server/raft/replica.ts";
import { SnapshotSender } from "../../server/raft/snapshot-sender.ts";

const bytes = new Uint8Array([1, 2, 3]);
const answer = new Uint8Array([9]);
const base = { index: 10, term: 2, logTimeMs: 0, wallTimeMs: 0 };

/** A leader's sender, and a follower that has just been found to lack what the log has no more. */
function scene(random = 0.5) {
  const outbox = new Outbox();
  const now = { monotonicMs: 1_000, wallMs: 0 };
  const options = {
    random: () => random,
    self: { nodeId: "a", storeId: "a-disk" },
    snapshotReadTimeoutMs: 100,
    snapshotAnswerTimeoutMs: 50,
    snapshotChunkTriesMax: 2,
    snapshotPauseMs: 30,
  };
  const replica = { outbox, now, options, term: 3, commitIndex: 12 } as unknown as Replica;
  const sender = new SnapshotSender(replica);
  const progress = new Progress({ nodeId: "b", storeId: "b-disk" }, { nextIndex: 1, nowMs: 1_000 });
  sender.begin(progress);
  const { snapshotId } = progress.state as { snapshotId: number };
  const told = () => {
    const { messages, chunksWanted, snapshotsEnded } = outbox.take();
    return {
      sent: messages.map(({ message }) => (message as { chunk: number }).chunk),
      wanted: chunksWanted.map(({ chunk }) => chunk),
      ended: snapshotsEnded,
    };
  };
  const read = (chunk: number, of = snapshotId) =>
    sender.chunk(progress, {
      ...{ type: "snapshotChunk", to: "b", snapshotId: of, base: base as never, chunk, bytes, last: false },
    });
  const responds = (status: "received" | "refused" | "installed", chunk = 0, of = snapshotId) =>
    sender.response(progress, {
      ...{
        type: "installSnapshotResponse",
        term: 3,
        storeId: "b-disk",
        snapshotId: of,
        chunk,
        status,
        answer,
      },
      matchIndex: 0,
    });
  return { sender, progress, snapshotId, now, told, read, responds };
}

const nothing = { sent: [], wanted: [], ended: [] };

test("[R37] one chunk after the other: wanted, read, sent, answered", () => {
  const { told, read, responds, progress } = scene();
  assert.equal(told(), { ...nothing, wanted: [0] });
  read(0);
  assert.equal(told(), { ...nothing, sent: [0] });
  assert.not(responds("received"));
  assert.equal(told(), { ...nothing, wanted: [1] });
  assert.equal((progress.state as { answer: Uint8Array }).answer, answer);
  read(1);
  assert.ok(responds("installed", 1));
  assert.equal(told(), { ...nothing, sent: [1] });
});

test("[R37] a chunk that is read twice, or out of turn, or of another snapshot, is not sent", () => {
  const { told, read, snapshotId, progress, sender } = scene();
  told();
  read(1);
  read(0, snapshotId + 1);
  assert.equal(told(), nothing);
  read(0);
  read(0);
  assert.equal(told(), { ...nothing, sent: [0] });
  sender.end(progress);
  progress.probe({ nextIndex: 1, dueMs: 0 });
  read(0);
  assert.equal(told(), { ...nothing, ended: [snapshotId] });
});

test("[R37] an answer that comes twice, early, late, or to another snapshot, says nothing", () => {
  const { told, read, responds, snapshotId, progress, sender } = scene();
  told();
  responds("received");
  assert.equal(told(), nothing, "nothing was sent yet");
  read(0);
  responds("received", 1);
  responds("received", 0, snapshotId + 1);
  assert.not(responds("installed", 0, snapshotId + 1));
  responds("refused", 0, snapshotId + 1);
  assert.equal(told(), { ...nothing, sent: [0] });
  responds("received");
  responds("received");
  assert.equal(told(), { ...nothing, wanted: [1] });
  sender.end(progress);
  progress.probe({ nextIndex: 1, dueMs: 0 });
  assert.not(responds("installed"));
  assert.equal(told(), { ...nothing, ended: [snapshotId] });
});

test("[R37] what is not read, and what is not answered, has times of its own", () => {
  const { told, read, now, sender, progress, snapshotId } = scene();
  told();
  now.monotonicMs += 99;
  sender.tick(progress);
  assert.equal(told(), nothing, "the group may take its time to read");
  read(0);
  told();
  now.monotonicMs += 49;
  sender.tick(progress);
  assert.equal(told(), nothing);
  now.monotonicMs += 1;
  sender.tick(progress);
  assert.equal(told(), { ...nothing, wanted: [0] }, "asked for again");
  now.monotonicMs += 60;
  sender.tick(progress);
  assert.equal(told(), nothing, "it is being read, for which the other time counts");
  now.monotonicMs += 40;
  sender.tick(progress);
  assert.equal(told(), { ...nothing, ended: [snapshotId] });
  assert.equal(progress.state, { type: "probing", nextIndex: 1, dueMs: now.monotonicMs + 30 });
  sender.tick(progress);
  assert.equal(told(), nothing);
});

test("[R37] over a new link only what was sent is sent again, so often and no more", () => {
  const { told, read, sender, progress, snapshotId } = scene();
  told();
  sender.linkUp(progress);
  assert.equal(told(), nothing, "it is still being read");
  read(0);
  told();
  sender.linkUp(progress);
  assert.equal(told(), { ...nothing, wanted: [0] });
  read(0);
  told();
  sender.linkUp(progress);
  assert.equal(told(), { ...nothing, ended: [snapshotId] });
  sender.linkUp(progress);
  assert.equal(told(), nothing);
});

test("[R37] of a snapshot that has ended no chunk is wanted any more, of another one it is", () => {
  const { told, sender, progress, snapshotId } = scene();
  const other = new Progress({ nodeId: "c", storeId: "c-disk" }, { nextIndex: 1, nowMs: 1_000 });
  sender.begin(other);
  sender.end(progress);
  assert.equal(told(), { ...nothing, wanted: [0], ended: [snapshotId] });
});

test("[R37] ids go on, and over their end; a snapshot that begins frees what the last one kept", () => {
  const { told, read, responds, sender, progress, snapshotId } = scene(1 - 2 ** -33);
  assert.is(snapshotId, 0, "behind 4,294,967,295");
  told();
  read(0);
  responds("installed");
  assert.is(progress.catchingUpFrom, snapshotId);
  told();
  sender.begin(progress);
  assert.equal(told(), { ...nothing, wanted: [0], ended: [snapshotId] });
  assert.is((progress.state as { snapshotId: number }).snapshotId, snapshotId + 1);
});

test("[R132] who has caught up behind its snapshot needs it no more, and who has not does", () => {
  const { told, read, responds, sender, progress, snapshotId } = scene();
  read(0);
  responds("installed");
  told();
  progress.acknowledged({ matchIndex: 11, receivedIndex: 11, nowMs: 0 });
  sender.caughtUp(progress);
  assert.equal(told(), nothing);
  progress.acknowledged({ matchIndex: 12, receivedIndex: 12, nowMs: 0 });
  sender.caughtUp(progress);
  sender.caughtUp(progress);
  assert.equal(told(), { ...nothing, ended: [snapshotId] });
});

test.run();

import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { engineDefaults, engineOptions } from "../../server/group/engine-options.ts";
import { type ReceivedChunk, SnapshotReceiver } from "../../server/group/snapshot-receiver.ts";
import { SnapshotSender } from "../../server/group/snapshot-sender.ts";
import { SnapshotSource } from "../../server/group/snapshot-source.ts";
import {
  encodeRecord,
  type SnapshotRecord,
  SnapshotStreamReader,
} from "../../server/group/snapshot-stream.ts";
import { decodeWanted, encodeWanted } from "../../server/group/snapshot-wanted.ts";
import { StagedParts } from "../../server/group/staged-parts.ts";
import { emptyConfiguration } from "../../server/raft/configuration.ts";
import type { Base } from "../../server/raft/entry.ts";
import type { Checkpoint, CheckpointMark, CheckpointRead } from "../../server/storage/storage.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const baseAt = (index: number): Base => ({
  index,
  term: 1,
  logTimeMs: 0,
  wallTimeMs: 0,
  configuration: emptyConfiguration,
});
const nothing: Uint8Array = new Uint8Array(0);

type Disk = Map<string, Checkpoint>;

function diskOf(parts: { [key: string]: [index: number, text: string] }): Disk {
  return new Map(Object.entries(parts).map(([key, [index, text]]) => [key, { index, bytes: bytes(text) }]));
}

function marksOf(disk: Disk): Map<string, CheckpointMark> {
  return new Map([...disk].map(([key, { index, bytes: held }]) => [key, { index, sizeBytes: held.length }]));
}

/** As a storage reads. */
function readFrom(disk: Disk, { keys, bytesMax }: CheckpointRead): Map<string, Checkpoint | null> {
  const found = new Map<string, Checkpoint | null>();
  let sum = 0;
  for (const key of keys) {
    sum += disk.get(key)?.bytes.length ?? 0;
    if (found.size > 0 && sum > bytesMax) break;
    found.set(key, disk.get(key) ?? null);
  }
  return found;
}

/** A source over a disk that may change between two chunks. */
function sourceOf(disk: Disk, { chunkBytes = 40, throughIndex = 99 } = {}) {
  const reads: CheckpointRead[] = [];
  const source: SnapshotSource = new SnapshotSource({
    parts: marksOf(disk),
    chunkBytes,
    throughIndex: () => throughIndex,
    read: (read) => void reads.push(read),
  });
  const next = () => {
    for (;;) {
      const chunk = source.chunk();
      if (chunk !== null) return chunk;
      const read = reads.shift();
      assert.ok(read !== undefined, "a source that has no chunk has asked for more");
      source.arrived(readFrom(disk, read));
    }
  };
  const manifest = () => {
    const reader = new SnapshotStreamReader();
    const records: SnapshotRecord[] = [];
    while (!source.awaitsChoice) records.push(...reader.push(next().bytes));
    return records;
  };
  return { source, next, manifest };
}

test("[G17] a source gives its manifest, then what is chosen of it, then its end, in chunks", () => {
  const disk = diskOf({ "": [7, "own"], a: [5, "a".repeat(100)], b: [8, "b"], c: [9, "c"] });
  const { source, next, manifest } = sourceOf(disk);
  assert.equal(manifest(), [{ type: "manifest", parts: marksOf(disk) }]);
  source.choose(["", "a", "c"]);
  const reader = new SnapshotStreamReader();
  const records: SnapshotRecord[] = [];
  for (let isLast = false; !isLast; ) {
    const chunk = next();
    assert.ok(chunk.bytes.length <= 40 && chunk.bytes.length > 0);
    records.push(...reader.push(chunk.bytes));
    isLast = chunk.last;
  }
  const part = (key: string) => ({ type: "part", key, checkpoint: disk.get(key) }) as const;
  assert.equal(records, [part(""), part("a"), part("c"), { type: "end", throughIndex: 99 }]);
  assert.throws(() => source.chunk(), /nothing more/);
});

test("[G58] a part that was saved anew meanwhile goes out as it is now, and one that has gone is told to be gone", () => {
  const disk = diskOf({ "": [7, "own"], a: [5, "old"], b: [8, "b"] });
  const { source, next, manifest } = sourceOf(disk);
  manifest();
  disk.set("a", { index: 30, bytes: bytes("new") });
  disk.delete("b");
  source.choose(["", "a", "b"]);
  const reader = new SnapshotStreamReader();
  const records: SnapshotRecord[] = [];
  for (let isLast = false; !isLast; ) {
    const chunk = next();
    records.push(...reader.push(chunk.bytes));
    isLast = chunk.last;
  }
  assert.equal(records.slice(1, 3), [
    { type: "part", key: "a", checkpoint: { index: 30, bytes: bytes("new") } },
    { type: "gone", key: "b" },
  ]);
});

test("[G58] a source reads no further ahead than its next chunk", () => {
  const disk = diskOf(
    Object.fromEntries(Array.from({ length: 50 }, (_, at) => [`r${at}`, [at, "x".repeat(30)]])),
  );
  const reads: CheckpointRead[] = [];
  const source: SnapshotSource = new SnapshotSource({
    parts: marksOf(disk),
    chunkBytes: 100,
    throughIndex: () => 0,
    read: (read) => void reads.push(read),
  });
  while (!source.awaitsChoice) source.chunk();
  source.choose([...disk.keys()]);
  assert.is(source.chunk(), null);
  assert.is(source.chunk(), null);
  assert.is(reads.length, 1, "one question at a time");
  assert.is(reads[0]?.bytesMax, 100);
  source.arrived(readFrom(disk, reads[0] as CheckpointRead));
  assert.is(source.chunk()?.bytes.length, 100);
  assert.is(reads.length, 1, "what was read is sent first");
});

interface Happened {
  readonly steps: string[];
  readonly failures: string[];
}

function senderOf(
  disk: Disk,
  more: { chunkBytes?: number; sendingMax?: number; snapshotBytesMax?: number } = {},
) {
  const happened: Happened = { steps: [], failures: [] };
  const state = { buffered: 0, base: baseAt(5), isHeld: false };
  const waiting: (() => void)[] = [];
  const later = (answer: () => void) => (state.isHeld ? void waiting.push(answer) : answer());
  const chunks: Uint8Array[] = [];
  const sender: SnapshotSender = new SnapshotSender({
    ...engineDefaults,
    snapshotChunkBytes: more.chunkBytes ?? 40,
    snapshotsSendingMax: more.sendingMax ?? 4,
    snapshotBytesMax: more.snapshotBytesMax ?? 10_000,
    base: () => state.base,
    appliedIndex: () => 9,
    list: (id) => later(() => sender.listed(id, marksOf(disk))),
    read: (id, read) => later(() => sender.read(id, readFrom(disk, read))),
    bufferedBytes: () => state.buffered,
    step: (event) => {
      if (event.type === "snapshotChunk") chunks.push(event.bytes);
      const what =
        event.type === "snapshotChunk" ? `chunk ${event.chunk}${event.last ? " last" : ""}` : "failed";
      happened.steps.push(`${what} of ${event.snapshotId}`);
    },
    failed: (to, reason) => void happened.failures.push(`${to}: ${reason}`),
  });
  return { sender, state, chunks, release: () => waiting.splice(0).map((answer) => answer()), ...happened };
}

const ask = (snapshotId: number, chunk: number, answer = nothing) => ({ to: "b", snapshotId, chunk, answer });

test("[G17] a chunk waits while the link's buffer is full, and the log is pinned until the snapshot has ended", () => {
  const { sender, state, steps } = senderOf(diskOf({ k: [6, "x".repeat(20)] }), { sendingMax: 1 });
  assert.is(sender.pinnedIndex, Number.POSITIVE_INFINITY);
  state.buffered = 200_000;
  sender.want(ask(7, 0));
  assert.is(sender.pinnedIndex, 5);
  sender.want(ask(8, 0));
  assert.equal(steps.splice(0), ["failed of 8"], "one at a time here");
  assert.equal(steps, [], "the buffer is full");
  state.buffered = 0;
  sender.poll();
  sender.poll();
  assert.equal(steps.splice(0), ["chunk 0 of 7"]);
  state.base = baseAt(50);
  assert.is(sender.pinnedIndex, 5, "it goes on with the base that it began with");
  sender.want(ask(7, 1, encodeWanted(["k"], new Set(["k"]))));
  assert.equal(steps.splice(0), ["chunk 1 of 7"]);
  sender.want(ask(7, 2));
  assert.equal(steps.splice(0), ["chunk 2 last of 7"]);
  sender.ended([7]);
  assert.is(sender.pinnedIndex, Number.POSITIVE_INFINITY);
  sender.want(ask(7, 3));
  assert.equal(steps, ["failed of 7"], "not known any more");
});

test("[G17] a chunk that is asked for again is the same chunk, though the disk has changed", () => {
  const disk = diskOf({ k: [6, "x"] });
  const { sender, chunks, steps } = senderOf(disk, { chunkBytes: 400 });
  const answer = encodeWanted(["k"], new Set(["k"]));
  sender.want(ask(7, 0));
  sender.want(ask(7, 0));
  sender.want(ask(7, 1, answer));
  disk.set("k", { index: 8, bytes: bytes("another one") });
  sender.want(ask(7, 1, answer));
  assert.equal(steps, ["chunk 0 of 7", "chunk 0 of 7", "chunk 1 last of 7", "chunk 1 last of 7"]);
  assert.equal(chunks[2], chunks[3]);
});

test("[G17] a question that cannot be, an answer that cannot be read, and too large a group end a snapshot", () => {
  const { sender, steps, failures } = senderOf(diskOf({ k: [6, "x"] }), { chunkBytes: 400 });
  sender.want(ask(7, 0));
  sender.want(ask(7, 2));
  sender.want(ask(8, 0));
  sender.want(ask(8, 1, bytes("?")));
  assert.equal(steps, ["chunk 0 of 7", "failed of 7", "chunk 0 of 8", "failed of 8"]);
  assert.match(failures[0] ?? "", /b: chunk 2 is wanted after chunk 0/);
  assert.match(failures[1] ?? "", /b: what is wanted of it cannot be read/);
  const large = senderOf(diskOf({ k: [6, "x".repeat(30)], l: [6, "x"] }), { snapshotBytesMax: 30 });
  large.sender.want(ask(1, 0));
  assert.equal(large.steps, ["failed of 1"]);
  assert.match(large.failures[0] ?? "", /2 parts with 31 bytes; .* 30 bytes are allowed/);
  assert.is(large.sender.count, 0);
});

test("[G60] past the log's limit the snapshot that pins it longest is given up; what the disk answers then counts for nothing", () => {
  const { sender, state, steps, failures, release } = senderOf(diskOf({ k: [6, "x"] }));
  state.isHeld = true;
  sender.want(ask(7, 0));
  state.base = baseAt(8);
  sender.want(ask(8, 0));
  sender.giveUpOldest();
  assert.equal(steps.splice(0), ["failed of 7"]);
  assert.match(failures[0] ?? "", /the log has grown too long/);
  assert.is(sender.pinnedIndex, 8);
  release();
  assert.equal(steps, ["chunk 0 of 8"]);
});

test("[G60] limits under which no snapshot would ever end are refused", () => {
  assert.throws(
    () => engineOptions({ snapshotLogEntriesMax: 8191 }),
    /"snapshotLogEntriesMax" is 8191; it must be at least 8192/,
  );
  assert.throws(
    () => engineOptions({ snapshotLogBytesMax: 1 }),
    /"snapshotLogBytesMax" is 1; it must be at least 16777216/,
  );
  assert.throws(
    () => engineOptions({ snapshotChunkBytes: 31 }),
    /"snapshotChunkBytes" is 31; .* at least 32/,
  );
});

// ── the receiver ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** A snapshot's stream as chunks of one record each. */
const streamed = (records: readonly SnapshotRecord[], more: Partial<ReceivedChunk> = {}): ReceivedChunk[] =>
  records.map((record, chunk) => ({
    from: "a",
    snapshotId: 1,
    base: baseAt(50),
    chunk,
    bytes: Buffer.concat(encodeRecord(record)),
    last: chunk === records.length - 1,
    ...more,
  }));

const manifestOf = (parts: { [key: string]: number }): SnapshotRecord => ({
  type: "manifest",
  parts: new Map(Object.entries(parts).map(([key, index]) => [key, { index, sizeBytes: 3 }])),
});
const partOf = (key: string, index: number, text = "new"): SnapshotRecord => ({
  type: "part",
  key,
  checkpoint: { index, bytes: bytes(text) },
});
const end: SnapshotRecord = { type: "end", throughIndex: 60 };

const receiverOf = (staged: { [key: string]: number } = {}, snapshotBytesMax = 100) =>
  new SnapshotReceiver(
    { snapshotBytesMax },
    {
      commitIndex: 10,
      staged: new Map(Object.entries(staged).map(([key, index]) => [key, { index, sizeBytes: 3 }])),
    },
  );

test("[G18] parts are staged as they become whole, and all is swapped in at the end", () => {
  const receiver = receiverOf();
  const [manifest, own, room, gone, last] = streamed([
    manifestOf({ "": 55, r: 40, s: 52 }),
    partOf("", 55),
    partOf("r", 58),
    { type: "gone", key: "s" },
    end,
  ]) as [ReceivedChunk, ReceivedChunk, ReceivedChunk, ReceivedChunk, ReceivedChunk];
  const answered = receiver.receive(manifest);
  assert.ok(answered.type === "received");
  assert.equal(decodeWanted(["", "r", "s"], answered.answer), ["", "r", "s"]);
  assert.equal(receiver.status, { from: "a", parts: 3, missing: 3 });
  assert.equal([...receiver.receive(own).staged.keys()], [""]);
  assert.equal(receiver.receive(room).staged.get("r"), { index: 58, bytes: bytes("new") });
  assert.is(receiver.receive(gone).staged.size, 0);
  const complete = receiver.receive(last);
  assert.ok(complete.type === "complete");
  assert.is(complete.throughIndex, 60);
  assert.is(receiver.look(1000), null, "while it is swapped in nothing of it is dropped");
  assert.equal(
    [...receiver.swappedIn()],
    [
      ["", { index: 55, sizeBytes: 3 }],
      ["r", { index: 58, sizeBytes: 3 }],
    ],
  );
  assert.is(receiver.swappedIn().size, 0);
});

test("[G18] what does not fit is refused by name, and what is staged by then stays", () => {
  const refusals: readonly (readonly [RegExp, readonly SnapshotRecord[], Partial<ReceivedChunk>?])[] = [
    [/before its manifest/, [partOf("r", 60), end]],
    [/two manifests/, [manifestOf({ r: 60 }), manifestOf({ r: 60 }), end]],
    [/"s" is not the one that was to come next/, [manifestOf({ r: 60, s: 60 }), partOf("s", 60), end]],
    [/"s" is not the one/, [manifestOf({ r: 60 }), { type: "gone", key: "s" }, end]],
    [/"r" is of 59, and was named as of 60/, [manifestOf({ r: 60 }), partOf("r", 59), end]],
    [/it ends, but 1 parts have not come/, [manifestOf({ r: 60 }), end]],
    [/goes on behind its end/, [manifestOf({}), end, end]],
    [/it has no end/, [manifestOf({ r: 60 }), partOf("r", 60)]],
    [
      /102 bytes; 100 are allowed/,
      [manifestOf(Object.fromEntries(Array.from({ length: 34 }, (_, at) => [`${at}`, 1]))), end],
    ],
    [/more than 100 bytes/, [manifestOf({ r: 60 }), partOf("r", 60, "x".repeat(101)), end]],
  ];
  for (const [message, records, more] of refusals) {
    const receiver = receiverOf();
    const outcomes = streamed(records, more).map((chunk) => receiver.receive(chunk));
    const refused = outcomes.find(({ type }) => type === "refused");
    assert.ok(refused?.type === "refused", String(message));
    assert.match(refused.reason, message);
    assert.is(receiver.status, null);
  }
  const receiver = receiverOf();
  const chunks = streamed([manifestOf({ r: 60, s: 60 }), partOf("r", 60), partOf("s", 60), end]);
  assert.is(receiver.receive(chunks[1] as ReceivedChunk).type, "refused", "it was not begun here");
  receiver.receive(chunks[0] as ReceivedChunk);
  receiver.receive(chunks[1] as ReceivedChunk);
  const missed = receiver.receive(chunks[3] as ReceivedChunk);
  assert.ok(missed.type === "refused" && /chunk 2 is missing/.test(missed.reason));
  const anew = receiver.receive({ ...(chunks[0] as ReceivedChunk), snapshotId: 2, from: "c" });
  assert.ok(anew.type === "received");
  assert.equal(decodeWanted(["r", "s"], anew.answer), ["s"]);
  const foreign = receiver.receive({ ...(chunks[1] as ReceivedChunk), snapshotId: 3 });
  assert.ok(foreign.type === "refused" && /not begun here/.test(foreign.reason));
  const garbled = receiverOf();
  garbled.receive(chunks[0] as ReceivedChunk);
  const wrong = Uint8Array.from((chunks[1] as ReceivedChunk).bytes);
  wrong[12] = (wrong[12] as number) ^ 1;
  const outcome = garbled.receive({ ...(chunks[1] as ReceivedChunk), bytes: wrong });
  assert.ok(outcome.type === "refused" && /checksum/.test(outcome.reason));
});

test("[G59] what is staged already and as good is not wanted again, whoever sends; the rest of it is dropped", () => {
  const receiver = receiverOf({ "": 49, newer: 51, idle: 20, idler: 21, old: 45, unknown: 70 });
  const parts = { "": 55, newer: 56, idle: 20, idler: 19, old: 55, missing: 3 };
  const [manifest] = streamed([manifestOf(parts), end]) as [ReceivedChunk];
  const answered = receiver.receive(manifest);
  assert.ok(answered.type === "received");
  // The base is 50. An idle part's named checkpoint is older: one of that age, from anybody, holds all of its commands.
  assert.equal(decodeWanted(Object.keys(parts), answered.answer), ["", "old", "missing"]);
  assert.equal(
    [...answered.staged],
    [
      ["", null],
      ["old", null],
      ["unknown", null],
    ],
  );
});

test("[G59] what is kept is exactly what holds every command that the named part, or the base, holds", () => {
  const index = fc.integer({ min: 0, max: 8 });
  fc.assert(
    fc.property(index, index, index, (staged, named, base) => {
      const parts = new StagedParts(new Map([["r", { index: staged, sizeBytes: 5 }]]));
      const { wanted } = parts.plan(new Map([["r", { index: named, sizeBytes: 5 }]]), base);
      // Commands to the part: any up to the named index, none from there to the base, any behind both.
      const lost = Array.from({ length: 9 }, (_, at) => at).some(
        (command) => command > staged && command <= base && command <= named,
      );
      assert.is(wanted.has("r"), lost);
      assert.is(parts.bytes, lost ? 0 : 5);
    }),
  );
});

test("[G62] what is staged goes once the log goes on by itself, and not before", () => {
  const receiver = receiverOf({ a: 60, b: 70 });
  assert.is(receiver.look(10), null);
  assert.is(receiver.look(10), null, "a replica that waits commits nothing");
  assert.equal(
    [...(receiver.look(11) ?? [])],
    [
      ["a", null],
      ["b", null],
    ],
  );
  assert.is(receiver.look(12), null);
  const busy = receiverOf({ a: 60 });
  busy.receive(streamed([manifestOf({ a: 60, r: 60 }), end])[0] as ReceivedChunk);
  assert.is(busy.look(49), null, "the snapshot may still go on");
  assert.equal([...(busy.look(50) ?? [])], [["a", null]], "the log has come as far as its base: it is over");
  assert.is(busy.status, null);
});

/** What may happen to a snapshot on its way. */
type Fate = "arrives" | "receiver restarts" | "another leader" | "link is lost";

test("[G59] whatever happens on the way, the parts come together, and those that are staged and good come once", () => {
  const fates = fc.array(
    fc.constantFrom<Fate>("arrives", "arrives", "receiver restarts", "another leader", "link is lost"),
    {
      maxLength: 60,
    },
  );
  const sizes = fc.array(fc.integer({ min: 0, max: 90 }), { minLength: 1, maxLength: 7 });
  fc.assert(
    fc.property(sizes, fates, fc.integer({ min: 32, max: 120 }), (lengths, happens, chunkBytes) => {
      const disk: Disk = new Map(
        lengths.map((length, at) => [
          at === 0 ? "" : `r${at}`,
          { index: 60 + at, bytes: new Uint8Array(length).fill(at) },
        ]),
      );
      const durable: Disk = new Map();
      let receiver = receiverOf({}, 10_000);
      let from = "a";
      let snapshotId = 0;
      const sent = new Map<string, number>();
      for (let turn = 0; ; ) {
        snapshotId += 1;
        const { source, next } = sourceOf(disk, { chunkBytes });
        let isLost = false;
        for (let chunk = 0; !isLost; chunk++) {
          const one = next();
          const fate = happens[turn++] ?? "arrives";
          if (fate === "link is lost") {
            isLost = true;
            continue;
          }
          const outcome = receiver.receive({ from, snapshotId, base: baseAt(50), chunk, ...one });
          assert.is.not(outcome.type, "refused");
          for (const [key, checkpoint] of outcome.staged) {
            if (checkpoint === null) durable.delete(key);
            else {
              durable.set(key, checkpoint);
              sent.set(key, (sent.get(key) ?? 0) + 1);
            }
          }
          if (outcome.type === "complete") {
            assert.equal(new Map([...durable].sort()), new Map([...disk].sort()));
            assert.equal(new Map([...receiver.swappedIn()].sort()), new Map([...marksOf(disk)].sort()));
            assert.ok(
              [...sent.values()].every((times) => times === 1),
              "each came once",
            );
            return;
          }
          if (source.awaitsChoice && outcome.type === "received") {
            const keys = decodeWanted(source.parts, outcome.answer);
            assert.ok(keys !== null);
            assert.equal(
              keys,
              [...disk.keys()].filter((key) => !durable.has(key)),
            );
            source.choose(keys);
          }
          if (fate === "another leader") from = from === "a" ? "c" : "a";
          if (fate === "receiver restarts") {
            receiver = new SnapshotReceiver(
              { snapshotBytesMax: 10_000 },
              { staged: marksOf(durable), commitIndex: 10 },
            );
          }
          isLost = fate !== "arrives";
        }
      }
    }),
  );
});

test.run();

import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  encodeRecord,
  SnapshotGarbled,
  type SnapshotRecord,
  SnapshotStreamReader,
  snapshotStreamLimits,
} from "../../server/group/snapshot-stream.ts";
import { decodeWanted, encodeWanted } from "../../server/group/snapshot-wanted.ts";

const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record<T>(model, { noNullPrototype: true });
const uint = fc.oneof(fc.nat(300), fc.maxSafeNat());
const key = fc.oneof(fc.constant(""), fc.string({ unit: "binary", maxLength: 20 }));
const bytes = fc.uint8Array({ maxLength: 300 });
const parts = fc
  .array(fc.tuple(key, record({ index: uint, sizeBytes: fc.nat(4_194_304) })), { maxLength: 20 })
  .map((entries) => new Map(entries));
const anyRecord: fc.Arbitrary<SnapshotRecord> = fc.oneof(
  record({ type: fc.constant("manifest" as const), parts }),
  record({
    type: fc.constant("part" as const),
    key,
    checkpoint: record({ index: uint, bytes }),
  }),
  record({ type: fc.constant("gone" as const), key }),
  record({ type: fc.constant("end" as const), throughIndex: uint }),
);

const streamOf = (records: readonly SnapshotRecord[]) =>
  Buffer.concat(records.flatMap((one) => encodeRecord(one)));

/** Hands it over in pieces of these sizes, one size after the other. */
function readIn(stream: Uint8Array, sizes: readonly number[]): SnapshotRecord[] {
  const reader = new SnapshotStreamReader();
  const records: SnapshotRecord[] = [];
  let at = 0;
  for (let turn = 0; at < stream.length; turn++) {
    const end = at + (sizes[turn % sizes.length] ?? stream.length);
    // Each piece in memory of its own, gone afterwards: what was read must not lean on it.
    const piece = Uint8Array.from(stream.subarray(at, end));
    records.push(...reader.push(piece));
    at = end;
  }
  assert.is(reader.waitingBytes, 0);
  return records;
}

test("[G57] a snapshot's stream gives back what went in, wherever it is cut", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(fc.array(anyRecord, { maxLength: 8 }), sizes, (records, cuts) => {
      assert.equal(readIn(streamOf(records), cuts), records);
    }),
  );
});

test("[G57] a single wrong byte is noticed: no record comes of it that was not sent", () => {
  fc.assert(
    fc.property(anyRecord, fc.nat(), fc.integer({ min: 1, max: 255 }), (one, where, by) => {
      const stream = streamOf([one, { type: "end", throughIndex: 9 }]);
      const at = where % streamOf([one]).length;
      stream[at] = (stream[at] as number) ^ by;
      const reader = new SnapshotStreamReader();
      try {
        // A length that has grown makes it wait for more.
        assert.equal(reader.push(stream), []);
        assert.ok(reader.waitingBytes > 0);
      } catch (error) {
        assert.instance(error, SnapshotGarbled);
      }
    }),
  );
});

test("[G57] what no sender of this version writes is refused by name, before anything is kept of it", () => {
  const refusal = (stream: Uint8Array) => {
    try {
      new SnapshotStreamReader().push(stream);
    } catch (error) {
      assert.instance(error, SnapshotGarbled);
      return (error as Error).message;
    }
    return "taken";
  };
  const head = (type: number, bodyBytes: number) => {
    const bytesOfHead = Buffer.alloc(5);
    bytesOfHead.writeUInt8(type, 0);
    bytesOfHead.writeUInt32LE(bodyBytes, 1);
    return bytesOfHead;
  };
  assert.match(refusal(head(9, 0)), /no record of type 9/);
  const most = snapshotStreamLimits.bodyBytesMax;
  assert.match(refusal(head(0, most.manifest + 1)), /a manifest of 16777217 bytes; 16777216 are allowed/);
  assert.match(refusal(head(1, most.part + 1)), /a part of \d+ bytes/);
  assert.match(refusal(head(2, most.gone + 1)), /a gone of \d+ bytes/);
  assert.match(refusal(head(3, most.end + 1)), /an? end of 9 bytes/);
  const crowd = new Map(
    Array.from({ length: snapshotStreamLimits.partsMax + 1 }, (_, at) => [
      `${at}`,
      { index: 1, sizeBytes: 1 },
    ]),
  );
  assert.match(refusal(streamOf([{ type: "manifest", parts: crowd }])), /a manifest of 65537 parts/);
  const long = { type: "gone", key: "k".repeat(513) } as const;
  assert.match(refusal(streamOf([long])), /allowed/);
});

test("[G57] what is wanted of a manifest's parts comes back, in their order; another manifest's answer is none", () => {
  fc.assert(
    fc.property(fc.uniqueArray(key, { maxLength: 40 }), fc.func(fc.boolean()), (keys, isWanted) => {
      const wanted = keys.filter((one) => isWanted(one));
      const answer = encodeWanted(keys, new Set(wanted));
      assert.equal(decodeWanted(keys, answer), wanted);
      assert.is(decodeWanted([...keys, "one more"], answer), null);
      assert.is(decodeWanted(keys, answer.subarray(1)), null);
    }),
  );
  assert.is(decodeWanted(["a"], new Uint8Array(0)), null);
});

test.run();

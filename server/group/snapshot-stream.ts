import { crc32 } from "node:zlib";
import type { Checkpoint, CheckpointMark } from "../storage/storage.ts";
import { storageLimits } from "../storage/storage-limits.ts";

/**
 * A group's snapshot as a run of bytes: the manifest, then the parts that are asked for, then the end. A part may be newer
 * than the manifest named it, or be gone since: each says for itself what it is.
 */
export type SnapshotRecord =
  /** What the parts are, and what each was when the snapshot began. */
  | { readonly type: "manifest"; readonly parts: ReadonlyMap<string, CheckpointMark> }
  | { readonly type: "part"; readonly key: string; readonly checkpoint: Checkpoint }
  | { readonly type: "gone"; readonly key: string }
  /** No part is newer, and none had gone later, than the entry at this index. */
  | { readonly type: "end"; readonly throughIndex: number };

/*
 * Each record: `[u8 type][u32 LE bytes of body][body][u32 LE CRC-32 of everything before in this record]`.
 *   manifest  [u32 LE parts], each `[u16 LE bytes of key][key, UTF-8][float64 LE index][u32 LE bytes]`
 *   part      [u16 LE bytes of key][key][float64 LE index][bytes]
 *   gone      [u16 LE bytes of key][key]
 *   end       [float64 LE index]
 */
const types = ["manifest", "part", "gone", "end"] as const;
const headBytes = 5;
const crcBytes = 4;
const keyBytesMax = 2 + storageLimits.checkpointKeyBytesMax;

export const snapshotStreamLimits = Object.freeze({
  partsMax: 65_536,
  /** Of a record's body. */
  bodyBytesMax: Object.freeze({
    manifest: 16 << 20,
    part: keyBytesMax + 8 + storageLimits.checkpointBytesMax,
    gone: keyBytesMax,
    end: 8,
  }),
});

/** It is not what a sender of this version writes, or not all of it came through as it was written. */
export class SnapshotGarbled extends Error {
  override name = "SnapshotGarbled";
}

/** The record's bytes, in pieces: a part's own are not copied. */
export function encodeRecord(record: SnapshotRecord): readonly Uint8Array[] {
  const body = encodeBody(record);
  const head = Buffer.allocUnsafe(headBytes);
  head.writeUInt8(types.indexOf(record.type), 0);
  head.writeUInt32LE(
    body.reduce((sum, piece) => sum + piece.length, 0),
    1,
  );
  const crc = Buffer.allocUnsafe(crcBytes);
  crc.writeUInt32LE([head, ...body].reduce((sum, piece) => crc32(piece, sum), 0));
  return [head, ...body, crc];
}

function encodeBody(record: SnapshotRecord): readonly Uint8Array[] {
  switch (record.type) {
    case "manifest":
      return [encodeManifest(record.parts)];
    case "part": {
      const { key, checkpoint } = record;
      const head = Buffer.allocUnsafe(2 + Buffer.byteLength(key) + 8);
      head.writeDoubleLE(checkpoint.index, writeKey(head, key, 0));
      return [head, checkpoint.bytes];
    }
    case "gone": {
      const body = Buffer.allocUnsafe(2 + Buffer.byteLength(record.key));
      writeKey(body, record.key, 0);
      return [body];
    }
    case "end": {
      const body = Buffer.allocUnsafe(8);
      body.writeDoubleLE(record.throughIndex);
      return [body];
    }
  }
}

function encodeManifest(parts: ReadonlyMap<string, CheckpointMark>): Uint8Array {
  let bytes = 4;
  for (const key of parts.keys()) bytes += 2 + Buffer.byteLength(key) + 12;
  const body = Buffer.allocUnsafe(bytes);
  let at = body.writeUInt32LE(parts.size);
  for (const [key, { index, sizeBytes }] of parts) {
    at = body.writeDoubleLE(index, writeKey(body, key, at));
    at = body.writeUInt32LE(sizeBytes, at);
  }
  return body;
}

function writeKey(into: Buffer, key: string, at: number): number {
  const bytes = into.write(key, at + 2, "utf8");
  into.writeUInt16LE(bytes, at);
  return at + 2 + bytes;
}

/** Takes a snapshot's bytes as they come, cut anywhere, and gives its records as they become whole. */
export class SnapshotStreamReader {
  #pieces: Buffer[] = [];
  #bytes = 0;

  /** Bytes that wait for the rest of their record. */
  get waitingBytes(): number {
    return this.#bytes;
  }

  /** @throws {SnapshotGarbled} */
  push(bytes: Uint8Array): SnapshotRecord[] {
    this.#pieces.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
    this.#bytes += bytes.length;
    const records: SnapshotRecord[] = [];
    for (let record = this.#next(); record !== null; record = this.#next()) records.push(record);
    return records;
  }

  #next(): SnapshotRecord | null {
    if (this.#bytes < headBytes) return null;
    const head = this.#joined(headBytes);
    const type = types[head.readUInt8(0)];
    if (type === undefined) throw new SnapshotGarbled(`there is no record of type ${head.readUInt8(0)}`);
    const bodyBytes = head.readUInt32LE(1);
    const bodyBytesMax = snapshotStreamLimits.bodyBytesMax[type];
    if (bodyBytes > bodyBytesMax)
      throw new SnapshotGarbled(`a ${type} of ${bodyBytes} bytes; ${bodyBytesMax} are allowed`);
    const length = headBytes + bodyBytes + crcBytes;
    if (this.#bytes < length) return null;
    const record = this.#joined(length);
    this.#drop(length);
    const end = length - crcBytes;
    if (crc32(record.subarray(0, end)) !== record.readUInt32LE(end))
      throw new SnapshotGarbled(`the checksum of a ${type} is wrong`);
    return decodeBody(type, record.subarray(headBytes, end));
  }

  /** The first `length` bytes, in one. */
  #joined(length: number): Buffer {
    const first = this.#pieces[0] as Buffer;
    if (first.length >= length) return first.subarray(0, length);
    const all = Buffer.concat(this.#pieces);
    this.#pieces = [all];
    return all.subarray(0, length);
  }

  #drop(length: number): void {
    const first = this.#pieces.shift() as Buffer;
    if (first.length > length) this.#pieces.unshift(first.subarray(length));
    this.#bytes -= length;
  }
}

function decodeBody(type: SnapshotRecord["type"], body: Buffer): SnapshotRecord {
  const reader = new BodyReader(type, body);
  switch (type) {
    case "manifest": {
      const count = reader.uint32();
      if (count > snapshotStreamLimits.partsMax) {
        const most = snapshotStreamLimits.partsMax;
        throw new SnapshotGarbled(`a manifest of ${count} parts; ${most} are allowed`);
      }
      const parts = new Map<string, CheckpointMark>();
      for (let part = 0; part < count; part++)
        parts.set(reader.key(), { index: reader.index(), sizeBytes: reader.uint32() });
      if (parts.size !== count) throw new SnapshotGarbled("a manifest names a part twice");
      return reader.finish({ type, parts });
    }
    case "part": {
      const key = reader.key();
      const index = reader.index();
      // A copy: what lives on must not hold the whole chunk.
      return { type, key, checkpoint: { index, bytes: Uint8Array.from(reader.rest()) } };
    }
    case "gone":
      return reader.finish({ type, key: reader.key() });
    case "end":
      return reader.finish({ type, throughIndex: reader.index() });
  }
}

class BodyReader {
  readonly #type: string;
  readonly #body: Buffer;
  #at = 0;

  constructor(type: string, body: Buffer) {
    this.#type = type;
    this.#body = body;
  }

  #take(bytes: number): number {
    const at = this.#at;
    this.#at += bytes;
    if (this.#at > this.#body.length) throw new SnapshotGarbled(`a ${this.#type} is cut short`);
    return at;
  }

  uint32(): number {
    return this.#body.readUInt32LE(this.#take(4));
  }

  index(): number {
    const index = this.#body.readDoubleLE(this.#take(8));
    if (!Number.isSafeInteger(index) || index < 0) throw new SnapshotGarbled(`${index} is no index`);
    return index;
  }

  key(): string {
    const bytes = this.#body.readUInt16LE(this.#take(2));
    const at = this.#take(bytes);
    if (bytes > storageLimits.checkpointKeyBytesMax)
      throw new SnapshotGarbled(
        `a key of ${bytes} bytes; ${storageLimits.checkpointKeyBytesMax} are allowed`,
      );
    return this.#body.toString("utf8", at, this.#at);
  }

  rest(): Buffer {
    return this.#body.subarray(this.#take(this.#body.length - this.#at));
  }

  finish<T>(record: T): T {
    if (this.#at !== this.#body.length)
      throw new SnapshotGarbled(`${this.#body.length - this.#at} bytes follow the end of a ${this.#type}`);
    return record;
  }
}

import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { pack, unpack } from "msgpackr";
import { NodeError } from "../node-error.ts";
import type { BackupRecord } from "./backup-record.ts";

/*
 * A backup as bytes: `["TESTUDO BACKUP 2\n"]`, then frames `[u32 LE length][u32 LE CRC-32][MessagePack of a record]`, the
 * last of them `end`, then the SHA-256 of everything before it. What is cut off has no end, and no digest.
 */
const magic = Buffer.from("TESTUDO BACKUP 2\n", "latin1");
const headBytes = 8;
const digestBytes = 32;
/** A checkpoint has at most 4 MiB, and entries are bundled to fewer. */
export const frameBytesMax = 20 << 20;

export async function* encodeBackup(records: AsyncIterable<BackupRecord>): AsyncGenerator<Uint8Array> {
  const hash = createHash("sha256");
  const told = (bytes: Uint8Array) => {
    hash.update(bytes);
    return bytes;
  };
  yield told(magic);
  for await (const record of records) {
    const payload = pack(record);
    const frame = Buffer.allocUnsafe(headBytes + payload.length);
    frame.writeUInt32LE(payload.length, 0);
    frame.writeUInt32LE(crc32(payload), 4);
    frame.set(payload, headBytes);
    yield told(frame);
  }
  yield hash.digest();
}

/**
 * The records of a backup, each checked as it comes; the digest of all of it behind the last one.
 * @throws BACKUP_DAMAGED with the place, BACKUP_FOREIGN
 */
export async function* decodeBackup(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<BackupRecord> {
  const reader = new ChunkReader(chunks);
  const hash = createHash("sha256");
  const head = await reader.take(magic.length);
  if (head === null || !head.equals(magic))
    throw new NodeError("BACKUP_FOREIGN", "this is no backup of Testudo's, or one of another version");
  hash.update(head);
  for (;;) {
    const at = reader.position;
    const frameHead = (await reader.take(headBytes)) ?? cutShort(at);
    const length = frameHead.readUInt32LE(0);
    if (length > frameBytesMax) damaged(at, `a record of ${length} bytes`);
    const payload = (await reader.take(length)) ?? cutShort(at);
    if (crc32(payload) !== frameHead.readUInt32LE(4)) damaged(at, "a record's checksum is wrong");
    hash.update(frameHead).update(payload);
    const record = unpack(payload) as BackupRecord;
    yield record;
    if (record.type !== "end") continue;
    const digest = (await reader.take(digestBytes)) ?? cutShort(reader.position);
    if (!hash.digest().equals(digest)) damaged(reader.position, "its digest is wrong");
    if ((await reader.take(1)) !== null) damaged(reader.position, "there is something behind its end");
    return;
  }
}

function damaged(at: number, what: string): never {
  throw new NodeError("BACKUP_DAMAGED", `the backup is damaged at byte ${at}: ${what}`);
}

function cutShort(at: number): never {
  throw new NodeError(
    "BACKUP_DAMAGED",
    `the backup is cut short: it ends in the middle of what begins at byte ${at}`,
  );
}

/** So many bytes at a time, however they come. */
class ChunkReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Buffer = Buffer.alloc(0);
  position = 0;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** Null if there are not so many left. */
  async take(bytes: number): Promise<Buffer | null> {
    const pieces = [this.#rest];
    let there = this.#rest.length;
    while (there < bytes) {
      const next = await this.#chunks.next();
      if (next.done) break;
      pieces.push(Buffer.from(next.value.buffer, next.value.byteOffset, next.value.length));
      there += next.value.length;
    }
    const all = pieces.length === 1 ? this.#rest : Buffer.concat(pieces);
    if (there < bytes) {
      this.#rest = all;
      return null;
    }
    this.#rest = all.subarray(bytes);
    this.position += bytes;
    return all.subarray(0, bytes);
  }
}

import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { pack, unpack } from "msgpackr";

/*
 * A line that says what it is, then frames `[u32 LE length][u32 LE CRC-32][MessagePack of a record]`, the last of them of
 * type `end`, then the SHA-256 of everything before it. What is cut off has no end, and no digest.
 */
const headBytes = 8;
const digestBytes = 32;
/** A checkpoint has at most 4 MiB, and entries are bundled to fewer. */
export const frameBytesMax = 20 << 20;

interface Framed {
  readonly type: string;
}

export interface FramedFormat {
  /** Its first line. */
  readonly magic: Buffer;
  /** "the backup", in errors. */
  readonly noun: string;
  damaged(message: string): Error;
  /** It begins with something else: as many bytes, or fewer. */
  foreign(head: Buffer | null): Error;
}

export async function* encodeFrames(
  magic: Buffer,
  records: AsyncIterable<Framed>,
): AsyncGenerator<Uint8Array> {
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

/** The records, each checked as it comes; the digest of all of it behind the last one. @throws what the format says */
export async function* decodeFrames<Record extends Framed>(
  chunks: AsyncIterable<Uint8Array>,
  format: FramedFormat,
): AsyncGenerator<Record> {
  const damaged = (at: number, what: string) =>
    format.damaged(`${format.noun} is damaged at byte ${at}: ${what}`);
  const reader = new ChunkReader(chunks, (at) =>
    format.damaged(`${format.noun} is cut short: it ends in the middle of what begins at byte ${at}`),
  );
  const hash = createHash("sha256");
  const head = await reader.takeIfThere(format.magic.length);
  if (head === null || !head.equals(format.magic)) throw format.foreign(head);
  hash.update(head);
  for (;;) {
    const at = reader.position;
    const frameHead = await reader.take(headBytes, at);
    const length = frameHead.readUInt32LE(0);
    if (length > frameBytesMax) throw damaged(at, `a record of ${length} bytes`);
    const payload = await reader.take(length, at);
    if (crc32(payload) !== frameHead.readUInt32LE(4)) throw damaged(at, "a record's checksum is wrong");
    hash.update(frameHead).update(payload);
    const record = unpack(payload) as Record;
    yield record;
    if (record.type !== "end") continue;
    const digest = await reader.take(digestBytes, reader.position);
    if (!hash.digest().equals(digest)) throw damaged(reader.position, "its digest is wrong");
    if ((await reader.takeIfThere(1)) !== null)
      throw damaged(reader.position, "there is something behind its end");
    return;
  }
}

/** So many bytes at a time, however they come. */
class ChunkReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #cutShort: (at: number) => Error;
  #rest: Buffer = Buffer.alloc(0);
  position = 0;

  constructor(chunks: AsyncIterable<Uint8Array>, cutShort: (at: number) => Error) {
    this.#chunks = chunks[Symbol.asyncIterator]();
    this.#cutShort = cutShort;
  }

  /** @throws that the file is cut short, in what begins at `at` */
  async take(bytes: number, at: number): Promise<Buffer> {
    const taken = await this.takeIfThere(bytes);
    if (taken === null) throw this.#cutShort(at);
    return taken;
  }

  /** Null if there are not so many left. */
  async takeIfThere(bytes: number): Promise<Buffer | null> {
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

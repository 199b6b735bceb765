import { crc32cEnd, crc32cStart, crc32cStep, maskCrc } from "../../server/storage/crc32c.ts";

/** LevelDB's log format, as its writer writes it and its reader reads it (doc/log_format.md): blocks of fragments. */
const blockBytes = 32_768;
const headerBytes = 7;
const fragments = { full: 1, first: 2, middle: 3, last: 4 } as const;

function checksumOf(kind: number, bytes: Uint8Array): number {
  let running = crc32cStep(crc32cStart, kind);
  for (const byte of bytes) running = crc32cStep(running, byte);
  return maskCrc(crc32cEnd(running));
}

function kindOf({ isFirst, isLast }: { isFirst: boolean; isLast: boolean }): number {
  if (isFirst) return isLast ? fragments.full : fragments.first;
  return isLast ? fragments.last : fragments.middle;
}

/** What is appended to a file of `length` bytes, so that it ends with this record. */
export function frameRecord(length: number, payload: Uint8Array): Uint8Array {
  const pieces: Uint8Array[] = [];
  let at = length;
  let from = 0;
  for (let isFirst = true, isLast = false; !isLast; ) {
    const left = blockBytes - (at % blockBytes);
    if (left < headerBytes) {
      pieces.push(new Uint8Array(left));
      at += left;
      continue;
    }
    const part = payload.subarray(from, from + left - headerBytes);
    from += part.length;
    isLast = from === payload.length;
    const header = Buffer.alloc(headerBytes);
    header[6] = kindOf({ isFirst, isLast });
    header.writeUInt32LE(checksumOf(header[6], part), 0);
    header.writeUInt16LE(part.length, 4);
    pieces.push(header, part);
    at += headerBytes + part.length;
    isFirst = false;
  }
  return Buffer.concat(pieces);
}

/** LevelDB's own leniency: what is damaged is passed over without a word, to the end of its block. */
export function readRecords(file: Uint8Array): Uint8Array[] {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.length);
  const records: Uint8Array[] = [];
  let parts: Uint8Array[] | null = null;
  for (let at = 0; at + headerBytes <= bytes.length; ) {
    const blockLeft = blockBytes - (at % blockBytes);
    const length = blockLeft < headerBytes ? 0 : bytes.readUInt16LE(at + 4);
    const end = at + headerBytes + length;
    const kind = bytes[at + 6] as number;
    const part = bytes.subarray(at + headerBytes, end);
    const isGood =
      blockLeft >= headerBytes + length &&
      end <= bytes.length &&
      checksumOf(kind, part) === bytes.readUInt32LE(at);
    if (!isGood) {
      at += blockLeft;
      parts = null;
      continue;
    }
    at = end;
    if (kind === fragments.full || kind === fragments.first) parts = [];
    parts?.push(part);
    if (kind === fragments.full || kind === fragments.last) {
      if (parts !== null) records.push(Buffer.concat(parts));
      parts = null;
    }
  }
  return records;
}

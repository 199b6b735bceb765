import { crc32cEnd, crc32cStart, crc32cStep, unmaskCrc } from "./crc32c.ts";

/*
 * The file format that LevelDB uses for its write-ahead logs and its manifest: blocks of 32 KiB, filled with
 * fragments [masked CRC-32C of type and payload: uint32][length: uint16][type: uint8][payload], all little-endian.
 * A record is one `full` fragment, or `first`, any number of `middle`, `last`. Fewer than 7 bytes left in a block
 * are zeros. (LevelDB, doc/log_format.md.)
 *
 * What a crash can leave is a tail: the last append, not yet synced and so never acknowledged, cut short by the end
 * of the file, or (where the file system made the file longer before it wrote the bytes) zeros up to the end.
 * LevelDB itself also skips every other kind of damage without a word; here that is `lost`.
 *
 * The length is not covered by the checksum, so a flip in it may make a whole, synced record look cut short. But then
 * its payload is all there: some prefix of what follows the header has the very checksum that the header names, which
 * a record that was really cut short has not (but once in 2^32 for each prefix tried, and then the scan errs by
 * refusing). Nor does the writer ever make a fragment that leaves its block, or a `first` or `middle` that does not fill it.
 *
 * What cannot be told apart from the file alone, in theory: a synced tail that is gone exactly as an unsynced one would
 * be (the file cut at any byte, or zeros written over its end by a disk that lost a block), and a record with two
 * faults at once, a length that points past the end *and* a changed checksum or payload. Against these the save mark
 * (save-mark.ts) stands: it knows how many saves were acknowledged.
 */
const blockBytes = 32_768;
const headerBytes = 7;
const fragments = { full: 1, first: 2, middle: 3, last: 4 } as const;

export type LogScan =
  | { readonly type: "whole"; readonly records: number }
  /** The last append was cut short: everything before `offset` is good, and nothing after it was ever synced. */
  | { readonly type: "torn"; readonly records: number; readonly offset: number }
  /** Something that had been written whole is damaged. */
  | { readonly type: "lost"; readonly offset: number; readonly reason: string };

type Fragment =
  | { readonly type: "good"; readonly kind: number; readonly start: number; readonly end: number }
  | { readonly type: "torn" }
  | { readonly type: "lost"; readonly reason: string };

/** Checks a whole file. `record` is given each record's bytes, in order; a text that it returns makes the record lost. */
export function scanLogFile(file: Uint8Array, record: (bytes: Uint8Array) => string | null): LogScan {
  let records = 0;
  let at = 0;
  /** Where the record that is being put together began, and its parts. */
  let parts: { offset: number; pieces: Uint8Array[] } | null = null;
  while (at < file.length) {
    const blockEnd = Math.min(at - (at % blockBytes) + blockBytes, file.length);
    const blockLeft = blockBytes - (at % blockBytes);
    if (blockLeft < headerBytes) {
      if (!zeros(file, at, blockEnd))
        return { type: "lost", offset: at, reason: "a block's end is not zero" };
      at = blockEnd;
      continue;
    }
    const fragment = readFragment(file, at);
    if (fragment.type === "lost") return { type: "lost", offset: at, reason: fragment.reason };
    if (fragment.type === "torn") return { type: "torn", records, offset: parts?.offset ?? at };
    const begins = fragment.kind === fragments.full || fragment.kind === fragments.first;
    if (begins !== (parts === null)) {
      return {
        type: "lost",
        offset: at,
        reason: begins ? "a record has no end" : "a record has no beginning",
      };
    }
    parts ??= { offset: at, pieces: [] };
    parts.pieces.push(file.subarray(fragment.start, fragment.end));
    at = fragment.end;
    if (fragment.kind === fragments.full || fragment.kind === fragments.last) {
      const wrong = record(
        parts.pieces.length === 1 ? (parts.pieces[0] as Uint8Array) : Buffer.concat(parts.pieces),
      );
      if (wrong !== null) return { type: "lost", offset: parts.offset, reason: wrong };
      records++;
      parts = null;
    }
  }
  return parts === null ? { type: "whole", records } : { type: "torn", records, offset: parts.offset };
}

function readFragment(file: Uint8Array, at: number): Fragment {
  const left = file.length - at;
  if (left < headerBytes) return { type: "torn" };
  const view = new DataView(file.buffer, file.byteOffset + at, headerBytes);
  const checksum = unmaskCrc(view.getUint32(0, true));
  const length = view.getUint16(4, true);
  const kind = view.getUint8(6);
  if (length === 0 && kind === 0 && zeros(file, at, file.length)) return { type: "torn" };
  const blockLeft = blockBytes - (at % blockBytes) - headerBytes;
  if (length > blockLeft) return { type: "lost", reason: "a record's length leaves its block" };
  const fills = kind === fragments.first || kind === fragments.middle;
  const start = at + headerBytes;
  const end = start + length;
  if (end > file.length) {
    if (kind < fragments.full || kind > fragments.last)
      return { type: "lost", reason: `a record has type ${kind}` };
    if (fills && length !== blockLeft)
      return { type: "lost", reason: "a record's part does not fill its block" };
    const whole = wholeLength(file, { start, kind, checksum });
    if (whole === null) return { type: "torn" };
    return { type: "lost", reason: `a record of ${whole} bytes is whole, but its length says ${length}` };
  }
  if (checksumOf(file, { kind, start, end }) !== checksum)
    return { type: "lost", reason: "a record's checksum is wrong" };
  if (kind < fragments.full || kind > fragments.last)
    return { type: "lost", reason: `a record has type ${kind}` };
  if (fills && length !== blockLeft)
    return { type: "lost", reason: "a record's part does not fill its block" };
  return { type: "good", kind, start, end };
}

function checksumOf(
  file: Uint8Array,
  { kind, start, end }: { kind: number; start: number; end: number },
): number {
  let running = crc32cStep(crc32cStart, kind);
  for (let at = start; at < end; at++) running = crc32cStep(running, file[at] as number);
  return crc32cEnd(running);
}

/** The length at which the bytes up to the end of the file have the wanted checksum, or null. */
function wholeLength(
  file: Uint8Array,
  { start, kind, checksum }: { start: number; kind: number; checksum: number },
): number | null {
  let running = crc32cStep(crc32cStart, kind);
  for (let at = start; ; at++) {
    if (crc32cEnd(running) === checksum) return at - start;
    if (at === file.length) return null;
    running = crc32cStep(running, file[at] as number);
  }
}

function zeros(file: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (file[at] !== 0) return false;
  return true;
}

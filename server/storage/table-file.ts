import { crc32c, unmaskCrc } from "./crc32c.ts";
import { varintAt } from "./varint.ts";

/*
 * LevelDB's table files: data blocks, a filter block, the block that lists it, the index block that lists the
 * data blocks, a footer, back to back.
 * Each block has a trailer: its compression (0: none, the only one used here) and the masked CRC-32C of block and
 * compression. The footer has the places of the last two blocks, zeros, and a magic number. (LevelDB, doc/table_format.md.)
 *
 * LevelDB checks these checksums only when told to, and its binding has no option for that; reading a damaged block
 * it may end the process without a word about the folder. So they are checked before it sees them, byte by byte.
 */
const trailerBytes = 5;
const footerBytes = 48;
const magicBytes = Uint8Array.of(0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb);

interface Place {
  readonly offset: number;
  readonly size: number;
}

/** @returns what is wrong with the file, and where, or null if all of it is as it was written */
export function findTableDamage(file: Uint8Array): string | null {
  const footerAt = file.length - footerBytes;
  if (footerAt < 0) return "the table is cut short";
  const magicAt = file.length - magicBytes.length;
  if (magicBytes.some((byte, position) => file[magicAt + position] !== byte)) return "the table has no end";
  const places: Place[] = [];
  let at = footerAt;
  for (let count = 0; count < 2; count++) {
    const place = readPlace(file, { at, end: magicAt });
    if (place === null) return "the table's footer is damaged";
    places.push(place);
    at = place.next;
  }
  for (; at < magicAt; at++) if (file[at] !== 0) return "the table's footer is damaged";
  const [filters, index] = places as [Place, Place];
  // Before their places are believed, the lists are known to be what was written.
  for (const [list, end] of [
    [index, footerAt],
    [filters, index.offset],
  ] as const) {
    const damage = list.offset + list.size + trailerBytes === end ? blockDamage(file, list) : "is misplaced";
    if (damage !== null) return `the block at byte ${list.offset} ${damage}`;
  }
  const [data, filter] = [listedBlocks(file, index), listedBlocks(file, filters)];
  if (data === null || filter === null) return "a list of blocks is damaged";
  let next = 0;
  for (const block of [...data, ...filter]) {
    const damage = block.offset === next ? blockDamage(file, block) : "is misplaced";
    if (damage !== null) return `the block at byte ${block.offset} ${damage}`;
    next += block.size + trailerBytes;
  }
  return next === filters.offset ? null : `nothing lists the block at byte ${next}`;
}

function blockDamage(file: Uint8Array, { offset, size }: Place): string | null {
  const end = offset + size;
  if (end + trailerBytes > file.length) return "is cut short";
  const checksum = new DataView(file.buffer, file.byteOffset + end + 1, 4).getUint32(0, true);
  if (crc32c(file, offset, end + 1) !== unmaskCrc(checksum)) return "has a wrong checksum";
  return file[end] === 0 ? null : "is compressed, which this format is not";
}

/** A list's entries: lengths of the key's part shared with the one before, of its own part, of the value; both; the value is a place. */
function listedBlocks(file: Uint8Array, { offset, size }: Place): Place[] | null {
  const end = offset + size;
  // At its end: positions that LevelDB begins a search at, and how many they are.
  const restarts = size < 4 ? 0 : new DataView(file.buffer, file.byteOffset + end - 4, 4).getUint32(0, true);
  const entriesEnd = end - 4 - restarts * 4;
  const blocks: Place[] = [];
  for (let at = offset; at < entriesEnd; ) {
    const shared = varintAt(file, { at, end: entriesEnd });
    const own = shared && varintAt(file, { at: shared.next, end: entriesEnd });
    const length = own && varintAt(file, { at: own.next, end: entriesEnd });
    const place = length && readPlace(file, { at: length.next + own.value, end: entriesEnd });
    if (!place) return null;
    blocks.push(place);
    at = length.next + own.value + length.value;
  }
  return blocks;
}

function readPlace(
  file: Uint8Array,
  { at, end }: { at: number; end: number },
): (Place & { next: number }) | null {
  const offset = varintAt(file, { at, end });
  const size = offset && varintAt(file, { at: offset.next, end });
  return size && { offset: offset.value, size: size.value, next: size.next };
}

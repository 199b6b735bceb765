/*
 * What a follower wants of a manifest's parts, since it does not hold it already:
 * `[u32 LE parts][a bit for each, the first one in the lowest of the first byte: 1 is wanted]`.
 */
const countBytes = 4;

export function encodeWanted(parts: Iterable<string>, wanted: ReadonlySet<string>): Uint8Array {
  const bits: boolean[] = [];
  for (const key of parts) bits.push(wanted.has(key));
  const bytes = Buffer.alloc(countBytes + Math.ceil(bits.length / 8));
  bytes.writeUInt32LE(bits.length);
  for (const [position, isWanted] of bits.entries()) {
    const at = countBytes + (position >> 3);
    if (isWanted) bytes[at] = (bytes[at] as number) | (1 << (position & 7));
  }
  return bytes;
}

/** The wanted ones of `parts`, in their order; null if it is no answer to a manifest of these. */
export function decodeWanted(parts: readonly string[], bytes: Uint8Array): readonly string[] | null {
  if (bytes.length !== countBytes + Math.ceil(parts.length / 8)) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(0, true) !== parts.length) return null;
  return parts.filter(
    (_, position) => ((bytes[countBytes + (position >> 3)] as number) >> (position & 7)) & 1,
  );
}

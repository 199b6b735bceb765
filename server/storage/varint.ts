/** LevelDB's numbers of varying length: 7 bits a byte, the lowest first, the eighth bit set in all but the last. */
export function varintAt(
  bytes: Uint8Array,
  { at, end }: { at: number; end: number },
): { value: number; next: number } | null {
  let value = 0;
  for (let scale = 1; at < end; scale *= 128) {
    const byte = bytes[at++] as number;
    value += (byte & 127) * scale;
    if (byte < 128) return { value, next: at };
  }
  return null;
}

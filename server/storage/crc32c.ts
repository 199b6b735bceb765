/** CRC-32C (Castagnoli), as LevelDB puts it into its files. `node:zlib` has only the other CRC-32. */
const reversedPolynomial = 0x82f63b78;
const maskDelta = 0xa282ead8;

const table = new Int32Array(256);
for (let byte = 0; byte < 256; byte++) {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++) {
    remainder = (remainder & 1) === 1 ? (remainder >>> 1) ^ reversedPolynomial : remainder >>> 1;
  }
  table[byte] = remainder;
}

/** The running value before the first byte. */
export const crc32cStart = -1;

/** One byte into a running value. */
export function crc32cStep(running: number, byte: number): number {
  return (table[(running ^ byte) & 0xff] as number) ^ (running >>> 8);
}

/** The checksum, as an unsigned 32-bit number, of a running value. */
export function crc32cEnd(running: number): number {
  return ~running >>> 0;
}

/** Of `bytes` from `start` (included) to `end` (excluded). */
export function crc32c(bytes: Uint8Array, start = 0, end = bytes.length): number {
  let running = crc32cStart;
  for (let at = start; at < end; at++) running = crc32cStep(running, bytes[at] as number);
  return crc32cEnd(running);
}

/** LevelDB stores checksums rotated and shifted, so that a checksum over data with checksums in it keeps its strength. */
export function maskCrc(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + maskDelta) >>> 0;
}

export function unmaskCrc(masked: number): number {
  const rotated = (masked - maskDelta) >>> 0;
  return ((rotated >>> 17) | (rotated << 15)) >>> 0;
}

/** How many are drawn at once: every sign of life from a leader draws one, and a system call each would be felt. */
const drawnAtOnce = 256;
const bytesEach = 4;

/** A source of numbers, uniform in [0, 1), from unpredictable bytes. */
export function fractionSource(randomBytes: (count: number) => Uint8Array): () => number {
  let drawn: number[] = [];
  return () => {
    if (drawn.length === 0) {
      const bytes = randomBytes(bytesEach * drawnAtOnce);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      drawn = Array.from({ length: drawnAtOnce }, (_, at) => view.getUint32(bytesEach * at) / 2 ** 32);
    }
    return drawn.pop() as number;
  };
}

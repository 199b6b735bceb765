import { corrupt } from "./graph-error.ts";
import { firstInterned, internedLengthMax, newUtf16 } from "./record.ts";

/** The inverse of ByteWriter. Every read past the end, and every impossible number, is GRAPH_CORRUPT. */
export class ByteReader {
  /** One view of everything: a view for each string would cost more than the string. */
  readonly #bytes: Buffer;
  #offset = 0;
  readonly #strings: string[] = [];

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  #take(count: number): number {
    if (count > this.#bytes.length - this.#offset)
      throw corrupt(`it ends at byte ${this.#bytes.length}, in the middle of a value`);
    const at = this.#offset;
    this.#offset += count;
    return at;
  }

  byte(): number {
    return this.#bytes[this.#take(1)] as number;
  }

  varint(): number {
    let value = this.byte();
    if (value < 0x80) return value;
    value -= 0x80;
    let unit = 0x80;
    for (;;) {
      const byte = this.byte();
      value += (byte & 0x7f) * unit;
      if (value > Number.MAX_SAFE_INTEGER) throw corrupt("a number is too big");
      if (byte < 0x80) return value;
      unit *= 0x80;
    }
  }

  /** A number of things of which each takes at least one byte: bounds what is allocated for them. */
  count(): number {
    const count = this.varint();
    if (count > this.remaining)
      throw corrupt(`it promises ${count} values, but has ${this.remaining} bytes left`);
    return count;
  }

  float64(): number {
    return this.#bytes.readDoubleLE(this.#take(8));
  }

  /** A copy. */
  block(): Uint8Array<ArrayBuffer> {
    const length = this.varint();
    const at = this.#take(length);
    return new Uint8Array(this.#bytes.subarray(at, at + length));
  }

  string(): string {
    const head = this.varint();
    if (head >= firstInterned) {
      const known = this.#strings[head - firstInterned];
      if (known === undefined) throw corrupt("a string that was not saved before");
      return known;
    }
    const length = this.varint();
    const wide = head === newUtf16;
    const at = this.#take(wide ? length * 2 : length);
    const value = this.#bytes.toString(wide ? "utf16le" : "latin1", at, this.#offset);
    if (length <= internedLengthMax) this.#strings.push(value);
    return value;
  }
}

import assert from "node:assert";
import { firstInterned, internedLengthMax, newLatin1, newUtf16 } from "./record.ts";

/** Thrown past the limit; never leaves this folder. */
export class BytesExceeded extends Error {}

const keptBytesMax = 256 * 1024;
/** One writer's memory is kept for the next: hashes are taken several times a second for each room. */
let kept: Uint8Array<ArrayBuffer> | null = null;

/** A growing buffer of at most `bytesMax` bytes. With `discard`, it only counts: memory stays small. */
export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #offset = 0;
  #discarded = 0;
  readonly #bytesMax: number;
  readonly #discard: boolean;
  readonly #strings = new Map<string, number>();

  constructor({ bytesMax, discard }: { bytesMax: number; discard: boolean }) {
    this.#bytes = kept ?? new Uint8Array(16 * 1024);
    kept = null;
    this.#view = new DataView(this.#bytes.buffer);
    this.#bytesMax = bytesMax;
    this.#discard = discard;
  }

  /** Bytes written so far, discarded ones included. */
  get length(): number {
    return this.#discarded + this.#offset;
  }

  /** What was written, valid until `release`. */
  peek(): Uint8Array<ArrayBuffer> {
    assert(!this.#discard, "a writer that discards has nothing to show");
    return this.#bytes.subarray(0, this.#offset);
  }

  /** Hands the memory back: nothing may be written or read after it. */
  release(): void {
    if (this.#bytes.length <= keptBytesMax) kept = this.#bytes;
    this.#bytes = new Uint8Array(0);
  }

  #room(count: number): void {
    if (this.#offset + count <= this.#bytes.length) {
      if (this.length + count > this.#bytesMax) throw new BytesExceeded();
      return;
    }
    if (this.length + count > this.#bytesMax) throw new BytesExceeded();
    if (this.#discard) {
      this.#discarded += this.#offset;
      this.#offset = 0;
      if (count <= this.#bytes.length) return;
    }
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#offset + count));
    grown.set(this.#bytes.subarray(0, this.#offset));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }

  byte(value: number): void {
    this.#room(1);
    this.#bytes[this.#offset++] = value;
  }

  /** An unsigned integer up to 2^53 - 1. */
  varint(value: number): void {
    this.#room(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#offset++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#offset++] = rest;
  }

  float64(value: number): void {
    this.#room(8);
    this.#view.setFloat64(this.#offset, value, true);
    this.#offset += 8;
  }

  uint32(value: number): void {
    this.#room(4);
    this.#view.setUint32(this.#offset, value, true);
    this.#offset += 4;
  }

  /** A length and that many bytes. */
  block(block: Uint8Array): void {
    this.varint(block.length);
    if (this.#discard) {
      if (this.length + block.length > this.#bytesMax) throw new BytesExceeded();
      this.#discarded += block.length;
      return;
    }
    this.#room(block.length);
    this.#bytes.set(block, this.#offset);
    this.#offset += block.length;
  }

  /** Any string, lone surrogates included: UTF-8 would lose those. */
  string(value: string): void {
    const known = this.#strings.get(value);
    if (known !== undefined) {
      this.varint(known);
      return;
    }
    const { length } = value;
    if (length <= internedLengthMax) this.#strings.set(value, this.#strings.size + firstInterned);
    this.#room(length * 2 + 9);
    const start = this.#offset;
    this.#bytes[this.#offset++] = newLatin1;
    this.varint(length);
    for (let i = 0; i < length; i++) {
      const unit = value.charCodeAt(i);
      if (unit > 0xff) {
        this.#offset = start;
        this.#utf16(value);
        return;
      }
      this.#bytes[this.#offset++] = unit;
    }
  }

  #utf16(value: string): void {
    this.#bytes[this.#offset++] = newUtf16;
    this.varint(value.length);
    for (let i = 0; i < value.length; i++) {
      const unit = value.charCodeAt(i);
      this.#bytes[this.#offset++] = unit & 0xff;
      this.#bytes[this.#offset++] = unit >>> 8;
    }
  }
}

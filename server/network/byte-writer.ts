import assert from "node:assert";
import { FrameError } from "./frame-error.ts";

/** A safe integer from 0 takes at most 8 bytes of 7 bits. */
export const uintBytesMax = 8;

const initialBytes = 1024;
/** A buffer that grew past this for one big frame is given back afterwards. */
const keptBytesMax = 256 * 1024;
/** Below this a loop is faster than `TypedArray.set`. */
const loopBytesMax = 48;

const utf8 = new TextEncoder();

/** Writes fields one after the other into a buffer that grows up to a limit. */
export class ByteWriter {
  #bytes = new Uint8Array(initialBytes);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;
  readonly #bytesMax: number;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get length(): number {
    return this.#at;
  }

  /** Forgets everything from `length` on. */
  truncate(length: number): void {
    assert(length >= 0 && length <= this.#at, `truncate to ${length} of ${this.#at} bytes`);
    this.#at = length;
  }

  /** A copy of what was written; the writer is empty again. */
  take(): Uint8Array<ArrayBuffer> {
    const taken = this.#bytes.slice(0, this.#at);
    this.#at = 0;
    if (this.#bytes.length > keptBytesMax) {
      this.#bytes = new Uint8Array(initialBytes);
      this.#view = new DataView(this.#bytes.buffer);
    }
    return taken;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#at++] = value;
  }

  bool(value: boolean): void {
    this.byte(value ? 1 : 0);
  }

  /** 7 bits a byte, the lowest first. `value`: a safe integer from 0; anything else is the caller's mistake. */
  uint(value: number): void {
    this.#reserve(uintBytesMax);
    this.#at = putUint(this.#bytes, this.#at, value);
  }

  /** A byte and five integers: as by `byte` and `uint`, in half the time. */
  head(byte: number, first: number, second: number, third: number, fourth: number, fifth: number): void {
    this.#reserve(1 + 5 * uintBytesMax);
    const bytes = this.#bytes;
    bytes[this.#at] = byte;
    let at = putUint(bytes, this.#at + 1, first);
    at = putUint(bytes, at, second);
    at = putUint(bytes, at, third);
    at = putUint(bytes, at, fourth);
    this.#at = putUint(bytes, at, fifth);
  }

  /** Four bytes, so that it can be patched later. */
  uint32At(offset: number, value: number): void {
    assert(offset + 4 <= this.#at, `uint32 at ${offset} of ${this.#at} bytes`);
    this.#view.setUint32(offset, value, true);
  }

  uint32(value: number): void {
    this.#reserve(4);
    this.#at += 4;
    this.uint32At(this.#at - 4, value);
  }

  /** A finite number from 0. */
  float(value: number): void {
    assert(Number.isFinite(value) && value >= 0, `not a finite number from 0: ${value}`);
    this.#reserve(8);
    // -0 is 0 on the other side.
    this.#view.setFloat64(this.#at, value === 0 ? 0 : value, true);
    this.#at += 8;
  }

  /** Length, then UTF-8. `value` must be well-formed and at most `bytesMax` long. */
  string(value: string, bytesMax: number): void {
    const length = value.length;
    this.#reserve(uintBytesMax + length);
    const start = this.#at;
    if (length < 0x80) {
      this.#at++;
      let index = 0;
      for (; index < length; index++) {
        const unit = value.charCodeAt(index);
        if (unit >= 0x80) break;
        this.#bytes[this.#at++] = unit;
      }
      if (index === length) {
        this.#bytes[start] = length;
        return;
      }
      this.#at = start;
    }
    assert(value.isWellFormed(), "a string with half a surrogate pair cannot be sent");
    const encoded = utf8.encode(value);
    this.#limit(encoded.length, bytesMax, "string bytes");
    this.bytes(encoded);
  }

  /** Length, then the bytes. */
  bytes(value: Uint8Array): void {
    this.uint(value.length);
    this.raw(value);
  }

  raw(value: Uint8Array): void {
    const length = value.length;
    this.#reserve(length);
    if (length > loopBytesMax) {
      this.#bytes.set(value, this.#at);
    } else {
      for (let index = 0; index < length; index++) this.#bytes[this.#at + index] = value[index] as number;
    }
    this.#at += length;
  }

  /** The number of elements that follow. */
  count(length: number, max: number): void {
    this.#limit(length, max, "elements");
    this.uint(length);
  }

  #limit(length: number, max: number, what: string): void {
    if (length <= max) return;
    throw new FrameError("FRAME_TOO_LONG", {
      offset: this.#at,
      found: `${length} ${what}`,
      allowed: `at most ${max}`,
    });
  }

  #reserve(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#bytes.length) return;
    this.#grow(needed);
  }

  #grow(needed: number): void {
    // A field reserves its longest form, so the room for one is left above the limit; the frame checks its true length.
    this.#limit(needed - uintBytesMax, this.#bytesMax, "bytes");
    const grown = new Uint8Array(Math.max(needed, Math.min(this.#bytes.length * 2, this.#bytesMax)));
    grown.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

/** Returns where the next field begins. */
function putUint(bytes: Uint8Array, start: number, value: number): number {
  if (!(Number.isSafeInteger(value) && value >= 0)) assert.fail(`not a safe integer from 0: ${value}`);
  let at = start;
  let rest = value;
  // Above 28 bits the bitwise operators would cut: divide until they fit.
  while (rest >= 0x10000000) {
    bytes[at++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  while (rest >= 0x80) {
    bytes[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[at++] = rest;
  return at;
}

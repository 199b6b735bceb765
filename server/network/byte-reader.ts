import { FrameError, type FrameErrorCode } from "./frame-error.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Reads what `ByteWriter` wrote, out of bytes that may hold anything. Every read is checked first; nothing is
 * allocated for a length that the bytes left cannot hold. `what` names the field in the error.
 * Byte arrays that it returns are views on the bytes it was given.
 * @throws FrameError from every method
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get offset(): number {
    return this.#at;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  byte(what: string): number {
    if (this.#at >= this.#bytes.length) this.#short(what, 1);
    return this.#bytes[this.#at++] as number;
  }

  bool(what: string): boolean {
    const value = this.byte(what);
    if (value > 1) this.fail("FRAME_GARBLED", { back: 1, found: `${what} ${value}`, allowed: "0 or 1" });
    return value === 1;
  }

  /** What counts from 1: an integer up to 2^53 - 1, in its shortest form. */
  ordinal(what: string): number {
    const value = this.uint(what);
    if (value === 0) this.fail("FRAME_GARBLED", { back: 1, found: `${what} 0`, allowed: "1 to 2^53 - 1" });
    return value;
  }

  /** An integer from 0 to `max` (at most 2^53 - 1), in its shortest form. */
  uint(what: string, max: number = Number.MAX_SAFE_INTEGER): number {
    const start = this.#at;
    let byte = this.byte(what);
    let value = byte & 0x7f;
    let factor = 128;
    while (byte >= 0x80) {
      byte = this.byte(what);
      value += (byte & 0x7f) * factor;
      factor *= 128;
      if (value > Number.MAX_SAFE_INTEGER) {
        this.fail("FRAME_GARBLED", {
          back: this.#at - start,
          found: `${what} above 2^53 - 1`,
          allowed: `0 to ${max}`,
        });
      }
      // A last byte of 0 is an overlong form; refusing it also ends the loop after at most 9 bytes.
      if (byte === 0 || factor > 2 ** 56) {
        this.fail("FRAME_GARBLED", {
          back: this.#at - start,
          found: `${what} in an overlong form`,
          allowed: "the shortest",
        });
      }
    }
    if (value > max) {
      this.fail("FRAME_GARBLED", {
        back: this.#at - start,
        found: `${what} ${value}`,
        allowed: `0 to ${max}`,
      });
    }
    return value;
  }

  uint32(what: string): number {
    if (this.left < 4) this.#short(what, 4);
    this.#at += 4;
    return this.#view.getUint32(this.#at - 4, true);
  }

  /** A finite number from 0. */
  float(what: string): number {
    if (this.left < 8) this.#short(what, 8);
    this.#at += 8;
    const value = this.#view.getFloat64(this.#at - 8, true);
    if (!(value >= 0 && value < Number.POSITIVE_INFINITY) || Object.is(value, -0)) {
      this.fail("FRAME_GARBLED", { back: 8, found: `${what} ${value}`, allowed: "a finite number from 0" });
    }
    return value;
  }

  string(what: string, bytesMax: number): string {
    const length = this.#length(what, bytesMax, "bytes");
    const start = this.#at;
    this.#at += length;
    let text = "";
    for (let index = start; index < this.#at; index++) {
      const byte = this.#bytes[index] as number;
      if (byte >= 0x80) return this.#utf8(what, start);
      text += String.fromCharCode(byte);
    }
    return text;
  }

  /** A view on the bytes. */
  bytes(what: string): Uint8Array {
    return this.raw(what, this.#length(what, this.#bytes.length, "bytes"));
  }

  raw(what: string, length: number): Uint8Array {
    if (length > this.left) this.#short(what, length);
    this.#at += length;
    return new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + this.#at - length, length);
  }

  /** How many elements follow, each of at least `elementBytesMin` (from 1) bytes. */
  count(what: string, { max, elementBytesMin }: { max: number; elementBytesMin: number }): number {
    const start = this.#at;
    const count = this.uint(what);
    if (count > max) {
      this.fail("FRAME_TOO_LONG", {
        back: this.#at - start,
        found: `${count} ${what}`,
        allowed: `at most ${max}`,
      });
    }
    if (count * elementBytesMin > this.left) this.#short(what, count * elementBytesMin);
    return count;
  }

  /** @throws FRAME_GARBLED if anything is left */
  end(): void {
    if (this.left > 0) {
      this.fail("FRAME_GARBLED", { back: 0, found: `${this.left} more bytes`, allowed: "the end" });
    }
  }

  /** `back`: how many bytes before the present one the offending field began. */
  fail(
    code: FrameErrorCode,
    { back, found, allowed }: { back: number; found: string; allowed: string },
  ): never {
    throw new FrameError(code, { offset: this.#at - back, found, allowed });
  }

  #length(what: string, max: number, unit: string): number {
    const start = this.#at;
    const length = this.uint(what);
    if (length > this.left) this.#short(what, length);
    if (length > max) {
      this.fail("FRAME_TOO_LONG", {
        back: this.#at - start,
        found: `${what} of ${length} ${unit}`,
        allowed: `at most ${max}`,
      });
    }
    return length;
  }

  #utf8(what: string, start: number): string {
    try {
      return utf8.decode(this.#bytes.subarray(start, this.#at));
    } catch {
      this.fail("FRAME_GARBLED", {
        back: this.#at - start,
        found: `${what} of bytes that are no text`,
        allowed: "UTF-8",
      });
    }
  }

  #short(what: string, wanted: number): never {
    this.fail("FRAME_GARBLED", {
      back: 0,
      found: `${what} cut short: ${this.left} bytes left`,
      allowed: `at least ${wanted} more`,
    });
  }
}

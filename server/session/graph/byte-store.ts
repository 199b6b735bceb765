import type { ByteWriter } from "./byte-writer.ts";

export type View = ArrayBufferView<ArrayBuffer>;

interface Window {
  readonly record: number;
  readonly view: View;
}

/**
 * The memory behind typed arrays, Buffers and ArrayBuffers, saved once however many look into it.
 * A store is saved whole, except when only Buffers look into it, and none at all of it: Node cuts small Buffers out of
 * a pool that holds much else, so then just what they cover is saved, one store for each group that overlaps.
 */
export class ByteStores {
  readonly #windows = new Map<ArrayBuffer, Window[]>();
  readonly #buffers = new Map<ArrayBuffer, number>();

  addView(record: number, view: View): void {
    this.#windowsOf(view.buffer).push({ record, view });
  }

  addBuffer(record: number, buffer: ArrayBuffer): void {
    this.#windowsOf(buffer);
    this.#buffers.set(buffer, record);
  }

  /** The records that look into stores, with how many bytes of stores each brings. */
  write(out: ByteWriter, wrote: (record: number, bytes: number) => void): void {
    const stores = [...this.#windows].flatMap(([buffer, windows]) => this.#storesOf(buffer, windows));
    out.varint(stores.length);
    for (const { buffer, start, end, windows } of stores) {
      const before = out.length;
      const owner = start === 0 && end === buffer.byteLength ? this.#buffers.get(buffer) : undefined;
      out.varint(owner === undefined ? 0 : owner + 1);
      out.block(new Uint8Array(buffer, start, end - start));
      out.varint(windows.length);
      for (const { record, view } of windows) {
        out.varint(record);
        out.varint(view.byteOffset - start);
        out.varint(elementCount(view));
      }
      wrote(owner ?? (windows[0] as Window).record, out.length - before);
    }
  }

  #windowsOf(buffer: ArrayBuffer): Window[] {
    const known = this.#windows.get(buffer);
    if (known !== undefined) return known;
    const windows: Window[] = [];
    this.#windows.set(buffer, windows);
    return windows;
  }

  #storesOf(buffer: ArrayBuffer, windows: Window[]): Store[] {
    const { byteLength } = buffer;
    const whole =
      this.#buffers.has(buffer) ||
      windows.some(({ view }) => !Buffer.isBuffer(view) || view.byteLength === byteLength);
    if (whole) return [{ buffer, start: 0, end: byteLength, windows }];
    const stores: Store[] = [];
    for (const window of windows.toSorted((a, b) => a.view.byteOffset - b.view.byteOffset)) {
      const start = window.view.byteOffset;
      const end = start + window.view.byteLength;
      const last = stores.at(-1);
      if (last !== undefined && start < last.end) {
        last.end = Math.max(last.end, end);
        last.windows.push(window);
      } else stores.push({ buffer, start, end, windows: [window] });
    }
    // The order of records, not of places in a pool: those depend on what else was in there.
    for (const store of stores) store.windows.sort((a, b) => a.record - b.record);
    return stores.sort((a, b) => (a.windows[0] as Window).record - (b.windows[0] as Window).record);
  }
}

interface Store {
  readonly buffer: ArrayBuffer;
  readonly start: number;
  end: number;
  readonly windows: Window[];
}

function elementCount(view: View): number {
  return view instanceof DataView ? view.byteLength : (view as unknown as { length: number }).length;
}

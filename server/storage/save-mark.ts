import { writeSync } from "node:fs";
import { type FileHandle, open, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { crc32 } from "node:zlib";
import { syncFolder } from "./folder.ts";
import { corrupt } from "./storage-error.ts";

/*
 * The save mark: a small file beside the database with the number of the last acknowledged save. The database's own log
 * cannot tell a synced tail that has gone from an unsynced one that never came (log-file.ts); the mark can: a database
 * whose saves end before it has lost some.
 *
 * It is written after the database's sync and before the save is acknowledged, and is not synced itself: that would double
 * the price of a save. So it never leads, and it may lag only where the operating system itself goes down (by what
 * the kernel had not yet written back, usually 30 s at most); after the death of the process alone, kill -9
 * included, it is exact. A tail that goes missing in that same 30 s before a power failure is what stays undetected.
 *
 * Two slots, in different sectors and written in turn, so that a torn write leaves the other one.
 */
const slotBytes = 16;
const slotDistanceBytes = 512;
const magic = 0x5453_4d31;

/** What is written where. */
export function encodeMark(
  saveSequence: number,
  slot: number = saveSequence % 2,
): { readonly bytes: Uint8Array; readonly position: number } {
  const bytes = Buffer.alloc(slotBytes);
  bytes.writeUInt32BE(magic, 0);
  bytes.writeDoubleBE(saveSequence, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(8)), 4);
  return { bytes, position: slot * slotDistanceBytes };
}

/** @returns null if neither slot of the file can be read */
export function readMark(file: Uint8Array): number | null {
  const numbers: number[] = [];
  for (const position of [0, slotDistanceBytes]) {
    const slot = Buffer.from(file.subarray(position, position + slotBytes));
    if (slot.length < slotBytes || slot.readUInt32BE(0) !== magic) continue;
    if (crc32(slot.subarray(8)) === slot.readUInt32BE(4)) numbers.push(slot.readDoubleBE(8));
  }
  return numbers.length === 0 ? null : Math.max(...numbers);
}

export class SaveMark {
  readonly #file: FileHandle;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** @returns the mark's number, or null if there is no mark. @throws STORAGE_CORRUPT if neither slot can be read */
  static async read(path: string): Promise<number | null> {
    let file: FileHandle;
    try {
      file = await open(path, "r");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
      throw error;
    }
    try {
      const bytes = Buffer.alloc(slotDistanceBytes + slotBytes);
      await file.read(bytes, 0, bytes.length, 0);
      const number = readMark(bytes);
      if (number === null) throw corrupt(`the save mark ${path} cannot be read`);
      return number;
    } finally {
      await file.close();
    }
  }

  /** Makes the file, durably and all or nothing, at 0. */
  static async create(path: string): Promise<void> {
    const unfinished = `${path}.new`;
    const mark = new SaveMark(await open(unfinished, "w"));
    mark.write(0, 0);
    mark.write(0, 1);
    await mark.close();
    await rename(unfinished, path);
    await syncFolder(dirname(path));
  }

  static async open(path: string): Promise<SaveMark> {
    return new SaveMark(await open(path, "r+"));
  }

  /** Blocks for some microseconds: a few bytes into the page cache. */
  write(saveSequence: number, slot?: number): void {
    const { bytes, position } = encodeMark(saveSequence, slot);
    const written = writeSync(this.#file.fd, bytes, 0, slotBytes, position);
    if (written !== slotBytes)
      throw new Error(`only ${written} of ${slotBytes} bytes of the save mark were written`);
  }

  async close(): Promise<void> {
    await this.#file.sync();
    await this.#file.close();
  }
}

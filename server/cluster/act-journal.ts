import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { z } from "zod";
import type { RoomActing } from "../session/room-watch.ts";
import { actingShape } from "./acting-schema.ts";

/** A record has this many bytes, whatever it says: it is always written over the one before, and needs no new room. */
const recordBytes = 1024;

const recordSchema = z.discriminatedUnion("state", [
  /** A start runs, or has ended without closing. */
  z.strictObject({ state: z.literal("open") }),
  z.strictObject({ state: z.literal("closed") }),
  /** Room code runs, or has ended the process. */
  z.strictObject({ state: z.literal("acting"), ...actingShape }),
]);

type JournalRecord = z.infer<typeof recordSchema>;

/** How the start before this one ended. */
export type EarlierEnd =
  | { readonly type: "none" }
  | { readonly type: "clean" }
  | { readonly type: "unclean"; readonly during: RoomActing | null }
  | { readonly type: "unreadable" };

/**
 * One record on the disk of what a start is doing: what outlives a process that ends without a word (out of memory, a
 * crash in native code, kill -9). It is not synced: it is for processes that end, not for machines that do.
 */
export class ActJournal {
  readonly #path: string;
  readonly #bytes = Buffer.alloc(recordBytes, " ");
  #file: number | null = null;

  constructor(path: string) {
    this.#path = path;
  }

  /** How the earlier start ended; null while there was none. Before `open`. */
  read(): EarlierEnd {
    let text: string;
    try {
      text = readFileSync(this.#path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return { type: "none" };
      throw error;
    }
    const record = parse(text);
    if (record === null) return { type: "unreadable" };
    if (record.state === "closed") return { type: "clean" };
    if (record.state === "open") return { type: "unclean", during: null };
    const { group, roomId, act, index } = record;
    return { type: "unclean", during: { group, roomId, act, index } };
  }

  /** @param isFirst also writes that a start runs; the second thread opens what the first one has begun */
  open({ isFirst }: { readonly isFirst: boolean }): void {
    this.#file = openSync(this.#path, isFirst ? "w" : "r+");
    if (isFirst) this.ended();
  }

  acting({ group, roomId, act, index }: RoomActing): void {
    this.#write({ state: "acting", group, roomId, act, index });
  }

  ended(): void {
    this.#write({ state: "open" });
  }

  /** The start ends as it should. */
  close(): void {
    if (this.#file === null) return;
    this.#write({ state: "closed" });
    closeSync(this.#file);
    this.#file = null;
  }

  #write(record: JournalRecord): void {
    if (this.#file === null) throw new Error("the journal of room code is not open");
    this.#bytes.fill(" ");
    this.#bytes.write(JSON.stringify(record), "utf8");
    this.#bytes[recordBytes - 1] = newline;
    writeSync(this.#file, this.#bytes, 0, recordBytes, 0);
  }
}

const newline = 10;

function parse(text: string): JournalRecord | null {
  try {
    return recordSchema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}

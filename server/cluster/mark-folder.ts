import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { RoomMark } from "../session/room-mark.ts";
import { actingShape } from "./acting-schema.ts";
import { NodeError } from "./node-error.ts";

export const markLimits = Object.freeze({
  /** Each is one death of the node, and goes as soon as its room is closed. */
  marksMax: 64,
  markBytesMax: 4096,
});

const markSchema = z.strictObject({
  version: z.literal(1),
  ...actingShape,
  why: z.string().max(400),
  deaths: z.number().int().positive(),
  /** For people. */
  bootId: z.string().max(64),
  at: z.string().max(64),
});

const ending = ".mark.json";
const remedy =
  "look at the file; delete it, and this node will run that room's code again at its next start, and may end there once more";

/**
 * A node's marks, a file each: written durably by the thread that ends the process, read by the next start. All calls
 * wait for the disk: they are rare, and what follows depends on them.
 */
export class MarkFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /**
   * Makes the folder if it is not there, and reads what earlier starts have left.
   * @throws NodeError ROOM_MARK_GARBLED, ROOM_MARKS_TOO_MANY
   */
  open(): RoomMark[] {
    mkdirSync(this.path, { recursive: true });
    const names = readdirSync(this.path).sort();
    // Of a write that a crash cut short: it never counted.
    for (const name of names) if (name.endsWith(".tmp")) rmSync(join(this.path, name), { force: true });
    const found = names.filter((name) => name.endsWith(ending));
    if (found.length > markLimits.marksMax) {
      const what = `${found.length} marks in ${this.path}; at most ${markLimits.marksMax} are kept`;
      throw new NodeError("ROOM_MARKS_TOO_MANY", `${what}: ${remedy}`);
    }
    return found.map((name) => this.#read(join(this.path, name)));
  }

  #read(file: string): RoomMark {
    const { size } = statSync(file);
    const wrong = (what: string) => new NodeError("ROOM_MARK_GARBLED", `${file} ${what}: ${remedy}`);
    if (size > markLimits.markBytesMax)
      throw wrong(`has ${size} bytes, a mark has at most ${markLimits.markBytesMax}`);
    let json: unknown;
    try {
      json = JSON.parse(readFileSync(file, "utf8"));
    } catch {
      throw wrong("is no JSON");
    }
    const { success, data, error } = markSchema.safeParse(json);
    if (!success) throw wrong(`is no mark (${z.prettifyError(error).replace(/\s+/g, " ")})`);
    const { roomId, group, act, index, why, deaths } = data;
    return { roomId, group, act, index, why, deaths };
  }

  /** Durable once it returns. */
  add(mark: RoomMark, start: { readonly bootId: string; readonly at: string }): void {
    const file = this.#file(mark);
    const { roomId, group, act, index, why, deaths } = mark;
    const text = JSON.stringify({ version: 1, roomId, group, act, index, why, deaths, ...start }, null, 2);
    const written = openSync(`${file}.tmp`, "w");
    try {
      writeSync(written, `${text}\n`);
      fsyncSync(written);
    } finally {
      closeSync(written);
    }
    renameSync(`${file}.tmp`, file);
    const folder = openSync(this.path, "r");
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  }

  /** If a power cut brings it back, the next start finds that its room does not exist any more. */
  remove(mark: RoomMark): void {
    rmSync(this.#file(mark), { force: true });
  }

  /** One a room: what counts is in the file, not its name. */
  #file({ group, roomId }: RoomMark): string {
    return join(this.path, `${group}-${encodeURIComponent(roomId).slice(0, 200)}${ending}`);
  }
}

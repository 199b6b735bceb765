import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { z } from "zod";
import type { RoomActing } from "../session/room-watch.ts";
import { actingShape } from "./acting-schema.ts";

/** Two starts in a row that end in the same act did not end there by chance. */
export const deathsMax = 2;
const suspicionsMax = 8;

const suspicionSchema = z.strictObject({ ...actingShape, deaths: z.number().int().positive() });

type Suspicion = z.infer<typeof suspicionSchema>;

/**
 * What earlier starts were doing when they ended without a word. Once is nothing (whoever kills a process hits it in the
 * middle of something); whatever comes back is forgiven.
 */
export class Suspicions {
  readonly #path: string;
  #all: Suspicion[] = [];

  constructor(path: string) {
    this.#path = path;
  }

  get isEmpty(): boolean {
    return this.#all.length === 0;
  }

  /** False: there is something that cannot be read; nobody is suspected then. */
  open(): boolean {
    try {
      this.#all = z
        .array(suspicionSchema)
        .max(suspicionsMax)
        .parse(JSON.parse(readFileSync(this.#path, "utf8")));
    } catch (error) {
      this.#all = [];
      return (error as NodeJS.ErrnoException).code === "ENOENT";
    }
    return true;
  }

  /** A start has ended in this act. How many did so by now. */
  died(acting: RoomActing): number {
    const deaths = (this.#all.find((one) => isSame(one, acting))?.deaths ?? 0) + 1;
    this.#all = this.#all.filter((one) => !isSame(one, acting));
    const { group, roomId, act, index } = acting;
    if (deaths < deathsMax) this.#all.push({ group, roomId, act, index, deaths });
    if (this.#all.length > suspicionsMax) this.#all.shift();
    this.#save();
    return deaths;
  }

  /** It has come back. */
  passed(acting: RoomActing): void {
    if (!this.#all.some((one) => isSame(one, acting))) return;
    this.#all = this.#all.filter((one) => !isSame(one, acting));
    this.#save();
  }

  clear(): void {
    this.#all = [];
    rmSync(this.#path, { force: true });
  }

  #save(): void {
    if (this.#all.length === 0) return this.clear();
    writeFileSync(`${this.#path}.tmp`, JSON.stringify(this.#all));
    renameSync(`${this.#path}.tmp`, this.#path);
  }
}

/** As of whatever entry the room has come to. */
const anywhere: ReadonlySet<RoomActing["act"]> = new Set(["restore", "save", "upgrade"]);

function isSame(one: RoomActing, other: RoomActing): boolean {
  const isAnywhere = anywhere.has(one.act);
  return one.roomId === other.roomId && one.act === other.act && (isAnywhere || one.index === other.index);
}

import assert from "node:assert";
import type { Checkpoint, CheckpointMark, CheckpointRead } from "../storage/storage.ts";
import type { Machine } from "./machine.ts";

export interface RestorerOptions {
  readonly machine: Machine;
  /** At most so much is read ahead (but always one part). */
  readonly readBytes: number;
  /** The answer comes from the pipe. */
  readonly read: (
    read: CheckpointRead,
    done: (checkpoints: ReadonlyMap<string, Checkpoint | null>) => void,
  ) => void;
}

type Part = readonly [key: string, checkpoint: Checkpoint];

/** Brings a machine's parts back from the disk, a few per turn, so that a group of many rooms stalls nobody (design 5.5). */
export class Restorer {
  readonly #options: RestorerOptions;
  /** Not asked for yet, from the end on. */
  #unread: string[] = [];
  /** From the end on. */
  #read: Part[] = [];
  #isReading = false;
  #isDone = false;
  /** Answers to an earlier restore's questions count for nothing. 0: none was begun. */
  #era = 0;

  constructor(options: RestorerOptions) {
    this.#options = options;
  }

  /** Everything is back. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** `checkpoints`: all that the machine is to be made of, as they are on the disk. Nothing of it is applied before `run` says so. */
  begin(checkpoints: ReadonlyMap<string, CheckpointMark>): void {
    this.#era += 1;
    this.#isDone = false;
    this.#isReading = false;
    this.#read = [];
    // The group's own part comes first.
    this.#unread = [...checkpoints.keys()].filter((key) => key !== "").reverse();
    if (checkpoints.has("")) this.#unread.push("");
    this.#options.machine.beginRestore();
    this.#readAhead();
  }

  #readAhead(): void {
    const { read, readBytes } = this.#options;
    if (this.#isReading || this.#unread.length === 0 || this.#read.length > 0) return;
    this.#isReading = true;
    const keys = this.#unread.slice(-keysPerRead).reverse();
    const era = this.#era;
    read({ keys, bytesMax: readBytes }, (checkpoints) => {
      if (era === this.#era) this.#arrived(checkpoints);
    });
  }

  #arrived(checkpoints: ReadonlyMap<string, Checkpoint | null>): void {
    this.#isReading = false;
    for (const [key, checkpoint] of checkpoints) {
      assert.equal(this.#unread.pop(), key, "parts are read in the order in which they were asked for");
      assert(checkpoint !== null, `the part "${key}" has gone while it was to be restored`);
      this.#read.push([key, checkpoint]);
    }
    this.#read.reverse();
  }

  /** Nothing can be done before the disk has answered. */
  get isWaiting(): boolean {
    return this.#era === 0 || (this.#read.length === 0 && this.#unread.length > 0);
  }

  /** Goes on until everything is back (true), the disk must be waited for, or `isOver` says so; asked before each part. */
  run(isOver: () => boolean): boolean {
    const { machine } = this.#options;
    while (this.#read.length > 0) {
      if (isOver()) return false;
      const [key, checkpoint] = this.#read.pop() as Part;
      machine.restorePart(key, checkpoint);
      this.#readAhead();
    }
    if (this.isWaiting) return false;
    if (!this.#isDone) {
      this.#isDone = true;
      machine.endRestore();
    }
    return true;
  }
}

const keysPerRead = 256;

import type { Checkpoint, CheckpointMark } from "../storage/storage.ts";

export interface StagingPlan {
  /** What must still come. */
  readonly wanted: ReadonlySet<string>;
  /** What was staged and is of no use: to be deleted. */
  readonly dropped: ReadonlyMap<string, null>;
}

/** What the disk holds of a snapshot that has not been swapped in: kept over links, leaders and starts. */
export class StagedParts {
  #marks: Map<string, CheckpointMark>;
  #bytes = 0;

  constructor(marks: ReadonlyMap<string, CheckpointMark>) {
    this.#marks = new Map(marks);
    for (const { sizeBytes } of marks.values()) this.#bytes += sizeBytes;
  }

  get size(): number {
    return this.#marks.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /**
   * What of it is as good as what a snapshot names stays, whichever node it came from. A part that stands at an index holds
   * every command to it up to there. The named one is enough, although it may be older than the base: then none between
   * the two concerned it (design 5.2). So whatever is not older than the older of the two is enough, too.
   */
  plan(parts: ReadonlyMap<string, CheckpointMark>, baseIndex: number): StagingPlan {
    const wanted = new Set<string>();
    for (const [key, named] of parts) {
      const staged = this.#marks.get(key);
      if (staged === undefined || staged.index < Math.min(named.index, baseIndex)) wanted.add(key);
    }
    const dropped = new Map<string, null>();
    for (const key of this.#marks.keys()) if (wanted.has(key) || !parts.has(key)) dropped.set(key, null);
    for (const key of dropped.keys()) this.#forget(key);
    return { wanted, dropped };
  }

  add(key: string, { index, bytes }: Checkpoint): void {
    this.#forget(key);
    this.#marks.set(key, { index, sizeBytes: bytes.length });
    this.#bytes += bytes.length;
  }

  #forget(key: string): void {
    this.#bytes -= this.#marks.get(key)?.sizeBytes ?? 0;
    this.#marks.delete(key);
  }

  /** All of it, which is nothing afterwards. */
  take(): ReadonlyMap<string, CheckpointMark> {
    const marks = this.#marks;
    this.#marks = new Map();
    this.#bytes = 0;
    return marks;
  }
}

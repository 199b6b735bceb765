/** Puts and deletes that take effect together. Keys and values are copied as they are given. */
export interface DatabaseBatch {
  put(key: Uint8Array, value: Uint8Array): void;
  del(key: Uint8Array): void;
  /** All of it is durable when this resolves; after a crash before that, all of it or nothing is there. */
  write(): Promise<void>;
}

/** Keys and values in the order of the keys' bytes, on a disk: LevelDB's, or the one that a simulator hands in. */
export interface Database {
  /** For people: where it is. */
  readonly location: string;
  /**
   * Takes it for this process alone, makes it if there is none, and judges whether all that was ever durable is there.
   * @returns the last number that was acknowledged, 0 if none was
   * @throws STORAGE_CORRUPT, STORAGE_LOCKED, STORAGE_FAILED; then nothing is left open
   */
  open(): Promise<{ readonly acknowledged: number }>;
  /** Everything, a number of values at a time. */
  entries(): AsyncIterable<readonly (readonly [key: Uint8Array, value: Uint8Array])[]>;
  /** As of now; of a batch that is being written nothing. */
  get(key: Uint8Array): Uint8Array | undefined;
  getMany(keys: readonly Uint8Array[]): Promise<readonly (Uint8Array | undefined)[]>;
  batch(): DatabaseBatch;
  /** The save of this number is durable, and somebody may hear of it from now on. */
  acknowledge(saveSequence: number): void;
  close(): Promise<void>;
}

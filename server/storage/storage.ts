import type { Base, Entry, HardState } from "../raft/entry.ts";
import type { Founding } from "../raft/founding.ts";

export interface Identity {
  readonly nodeId: string;
  /** 16 hex digits, random, made when the folder was formatted. */
  readonly storeId: string;
  /** How often this folder was opened for a run, this one included: 1, 2, … */
  readonly bootCount: number;
  readonly founding: Founding | null;
  /** What a build must know to read the folder: the highest that was ever in what was saved. It may be more than is agreed on. */
  readonly level: number;
}

/** Another node's store, as it was when this node saw it last: an older state of it must never be taken for the present one. */
export interface StoreSeen {
  readonly nodeId: string;
  readonly storeId: string;
  readonly bootCount: number;
  /** How many saves its disk had acknowledged, at least. */
  readonly saves: number;
  /** Of that start; null: not known. */
  readonly bootId: string | null;
}

/** A saved state of a part of a group's machine (a room, or "" for the group's own), at a log index. At most 4 MiB. */
export interface Checkpoint {
  readonly index: number;
  readonly bytes: Uint8Array;
}

/** What is known of a stored checkpoint without reading it. */
export interface CheckpointMark {
  readonly index: number;
  readonly sizeBytes: number;
}

export interface GroupContents {
  readonly hardState: HardState;
  readonly base: Base;
  readonly entries: readonly Entry[];
  readonly checkpoints: ReadonlyMap<string, CheckpointMark>;
  /** What has come so far of a snapshot that was not swapped in. */
  readonly staged: ReadonlyMap<string, CheckpointMark>;
}

/** What one group saves in a batch. Order of effect: staged, reset, base, entries, the rest. */
export interface GroupSave {
  /** Parts of a snapshot, put aside until a `reset` swaps them in. By key; null deletes. */
  staged?: ReadonlyMap<string, Checkpoint | null>;
  /**
   * A snapshot is swapped in: all entries and checkpoints are forgotten, and what is staged takes the checkpoints' place,
   * without being written again. `base` must come with it.
   */
  reset?: true;
  hardState?: HardState;
  /** Forget entries up to and including `base.index`. */
  base?: Base;
  /** Contiguous; everything at and after the first one's index goes. */
  entries?: readonly Entry[];
  /** By key; null deletes. */
  checkpoints?: ReadonlyMap<string, Checkpoint | null>;
}

export interface SaveBatch {
  founding?: Founding;
  /** Takes the place of what was saved before. At most 256. */
  seen?: readonly StoreSeen[];
  groups: ReadonlyMap<number, GroupSave>;
}

export interface CheckpointRead {
  readonly keys: readonly string[];
  readonly bytesMax: number;
}

/** Everything that was saved. */
export interface StorageContents {
  readonly identity: Identity;
  readonly groups: ReadonlyMap<number, GroupContents>;
  readonly seen: readonly StoreSeen[];
}

/**
 * A node's durable memory. One batch is atomic and durable when its promise resolves; at most one is in flight
 * (the caller gathers the next one meanwhile). Any rejection means that the process must end (design 4.4).
 */
export interface Storage {
  /** @throws STORAGE_CORRUPT, STORAGE_FOREIGN (another node's folder), STORAGE_VERSION, STORAGE_LEVEL, STORAGE_LOCKED */
  open(): Promise<StorageContents>;
  /** Acknowledged since the folder was formatted: what a later start of this store has at least. */
  readonly saves: number;
  save(batch: SaveBatch): Promise<void>;
  /** What checkpoints a group has, in no particular order: as of one moment, no earlier than the last save that has resolved. */
  listCheckpoints(group: number): Promise<ReadonlyMap<string, CheckpointMark>>;
  /**
   * The checkpoints of the first of `keys`, in their order, as many as have `bytesMax` bytes together, but at least one;
   * null for one that there is not. As of one moment, no earlier than the last save that has resolved.
   */
  readCheckpoints(group: number, read: CheckpointRead): Promise<ReadonlyMap<string, Checkpoint | null>>;
  close(): Promise<void>;
}

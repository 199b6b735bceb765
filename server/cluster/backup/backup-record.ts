import type { Base, Entry } from "../../raft/entry.ts";

/**
 * What a backup is made of, in this order: `backup`, then group by group `group`, its `part`s and its `entries`, then
 * `end`. A `group` that comes again takes the place of what came of it before.
 */
export type BackupRecord =
  | {
      readonly type: "backup";
      readonly clusterId: string;
      /** Who was asked. */
      readonly nodeId: string;
      /** Of rooms: 1 to 64. */
      readonly groups: number;
      /** Wall clock, ms. */
      readonly takenAtMs: number;
      /** At which its groups began. */
      readonly foundingLevel: number;
      /** What a build must know to read it, as of its beginning; what is in it counts too. */
      readonly level: number;
    }
  | { readonly type: "group"; readonly group: number; readonly base: Base }
  /** A checkpoint of a part of the group's machine. Its index is at least the base's, and at most the last entry's. */
  | {
      readonly type: "part";
      readonly group: number;
      readonly key: string;
      readonly index: number;
      readonly bytes: Uint8Array;
    }
  /** Contiguous; the group's first ones begin behind its base. */
  | { readonly type: "entries"; readonly group: number; readonly entries: readonly Entry[] }
  | { readonly type: "end" };

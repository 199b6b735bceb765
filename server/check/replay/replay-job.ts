import type { ExportHeader } from "../../colyseus/room-export/export-record.ts";

/** What the process that replays is told, once. Paths are absolute. */
export interface ReplayJob {
  /** What `testudo rooms export` wrote. */
  readonly file: string;
  /** What defines the server's rooms. */
  readonly app: string;
  /** The last entry that is applied; null: all. */
  readonly to: number | null;
  /** A debugger is attached: it stops before `to`, or before the first entry. */
  readonly inspect: boolean;
  /** Tell what each entry has changed. */
  readonly withState: boolean;
  readonly otherEngine: boolean;
}

export interface ReplayedEntry {
  readonly index: number;
  readonly term: number;
  readonly logTimeMs: number;
  readonly wallTimeMs: number;
  /** The command's name: `message`, `tick`, `attach`, … */
  readonly kind: string;
  /** A player's session id, or the node that proposed it. */
  readonly who: string;
  readonly what: string;
  /** Lines that room code printed, and what it threw. */
  readonly printed: readonly string[];
  /** Only with `withState`. */
  readonly changes: readonly string[];
}

export interface Replayed {
  /** The last entry that was applied. */
  readonly index: number;
  /** Every hash that the file has up to there is the replay's, too. */
  readonly equal: boolean;
  /** How many hashes were compared. */
  readonly compared: number;
  readonly difference: string | null;
  readonly ended: boolean;
  readonly hash: string | null;
  readonly state: unknown;
}

/** What it says, message by message; `done` or `failed` is the last. */
export type ReplayNews =
  | { readonly type: "begins"; readonly header: ExportHeader; readonly warnings: readonly string[] }
  | { readonly type: "entry"; readonly entry: ReplayedEntry }
  | { readonly type: "done"; readonly replayed: Replayed }
  | { readonly type: "failed"; readonly code: string; readonly message: string };

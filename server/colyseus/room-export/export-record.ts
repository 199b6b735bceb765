import type { AppliedCommand } from "../../group/machine.ts";

/** What a room's export begins with. */
export interface ExportHeader {
  readonly type: "room";
  readonly roomId: string;
  readonly roomName: string;
  readonly clusterId: string;
  /** Who was asked. */
  readonly nodeId: string;
  readonly group: number;
  /** Wall clock, ms. */
  readonly takenAtMs: number;
  /** What the cluster computes with: see engineWords. */
  readonly engine: string;
  readonly testudo: string;
  /** The version of the game's code that the room ran under. */
  readonly code: string;
  /** `checkpoint`: the log no longer reaches back to the room's creation; it begins with the room as it was saved last. */
  readonly completeFrom: "creation" | "checkpoint";
  /** Of the room's creation, or behind its checkpoint. */
  readonly firstIndex: number;
  /** Everything of the room up to here is there. */
  readonly lastIndex: number;
  readonly entries: number;
  /** The room has ended by then. */
  readonly ended: boolean;
  /** Of the room at `lastIndex`; null: it has ended, or it held what cannot be compared. */
  readonly hash: string | null;
}

/** In this order: `room`, a `checkpoint` if it does not begin with the creation, `entries`, `end`. */
export type ExportRecord =
  | ExportHeader
  | { readonly type: "checkpoint"; readonly index: number; readonly bytes: Uint8Array }
  | { readonly type: "entries"; readonly entries: readonly AppliedCommand[] }
  | { readonly type: "end" };

import type { CheckScript } from "./check-script.ts";
import type { RoomVerdict } from "./room-verdict.ts";

/** What the process that checks is told, once. */
export interface CheckJob {
  /** An absolute path. */
  readonly file: string;
  /** By the room's name. */
  readonly scripts: Readonly<Record<string, CheckScript>>;
}

/** What it says, message by message; `done` or `failed` is the last. */
export type CheckNews =
  | { readonly type: "begins"; readonly room: string }
  | { readonly type: "judged"; readonly verdict: RoomVerdict }
  | { readonly type: "done" }
  | { readonly type: "failed"; readonly code: string; readonly message: string };

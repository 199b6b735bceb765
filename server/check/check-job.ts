import type { CheckScript } from "./check-script.ts";
import type { Trail } from "./first-run.ts";
import type { JudgedRoom } from "./room-verdict.ts";

/** What the process that checks is told, once. */
export interface CheckJob {
  /** An absolute path. */
  readonly file: string;
  /** By the room's name. */
  readonly scripts: Readonly<Record<string, CheckScript>>;
  /** Only these rooms, by name: what another process has come to. Null: all, by themselves. */
  readonly against: Readonly<Record<string, readonly Trail[]>> | null;
}

/** What it says, message by message; `done` or `failed` is the last. */
export type CheckNews =
  | { readonly type: "begins"; readonly room: string }
  | { readonly type: "judged"; readonly judged: JudgedRoom }
  | { readonly type: "done" }
  | { readonly type: "failed"; readonly code: string; readonly message: string };

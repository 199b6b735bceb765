/**
 * - `PRELOAD_MISSING`: Node was not started with `--import testudo/register`.
 * - `SCRIPT_MALFORMED`, `SCRIPT_TOO_LONG`, `SCRIPT_TOO_BIG`: the script, not the room, is at fault.
 */
export type CheckErrorCode = "PRELOAD_MISSING" | "SCRIPT_MALFORMED" | "SCRIPT_TOO_LONG" | "SCRIPT_TOO_BIG";

/** A check that could not be run. What it finds is no error, but its report. */
export class CheckError extends Error {
  readonly code: CheckErrorCode;

  constructor(code: CheckErrorCode, message: string) {
    super(message);
    this.name = "CheckError";
    this.code = code;
  }
}

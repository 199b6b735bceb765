export type ExportErrorCode =
  | "ROOM_NOT_FOUND"
  /** This node does not speak for the room just now. */
  | "ROOM_STANDS_STILL"
  /** What is still there of the room's log does not begin anywhere. */
  | "HISTORY_GONE"
  /** The log was cut again and again while it was read. */
  | "EXPORT_OUTRUN"
  | "EXPORT_FOREIGN"
  | "EXPORT_NEWER"
  | "EXPORT_DAMAGED";

/** Why a room cannot be exported, or an export not be read. `message` is one line, for the operator. */
export class ExportError extends Error {
  readonly code: ExportErrorCode;

  constructor(code: ExportErrorCode, message: string) {
    super(message);
    this.name = "ExportError";
    this.code = code;
  }
}

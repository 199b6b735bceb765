/** How a node's process ends. The starter starts a `failed` one again, the two before it never: it would not help. */
export const exitCodes = Object.freeze({
  stopped: 0,
  wrongOptions: 2,
  /** The data folder and the cluster do not fit together: an operator must look. */
  refused: 3,
  /** The node is no member of its cluster any more. */
  removed: 4,
  failed: 70,
});

export type NodeErrorCode =
  /** The cluster went on without this node, by an operator's wish. */
  | "REMOVED"
  /** --peers names other nodes than the cluster was founded with. */
  | "PEERS_DIFFER"
  /** An old image of the data folder: others have seen a newer state of it. */
  | "STORE_OLD"
  /** Two processes run on copies of one data folder. */
  | "STORE_TWICE"
  /** A backup's bytes are not what was written, or it is cut short; it is none; its log was cut while it was taken. */
  | "BACKUP_DAMAGED"
  | "BACKUP_FOREIGN"
  | "BACKUP_OUTRUN"
  /** A data folder that was never part of a cluster. */
  | "NODE_BLANK"
  | "PORT_IN_USE"
  /** Its stop came before it served. */
  | "NODE_STOPPED"
  /** A mark of a room that an earlier start could not get past cannot be read, or there are too many of them. */
  | "ROOM_MARK_GARBLED"
  | "ROOM_MARKS_TOO_MANY"
  /** The disk refused: nothing that depends on it may go on (design 4.4). */
  | "DISK"
  /** Anything that no part of the node expected. */
  | "UNEXPECTED";

/** Why a node ends. `message` is one line, for the operator. */
export class NodeError extends Error {
  readonly code: NodeErrorCode;

  constructor(code: NodeErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** What the process of a node that ends with this error exits with. */
export function exitCodeOf(error: unknown): number {
  const code = codeOf(error);
  if (code === "REMOVED") return exitCodes.removed;
  if (wrongOptionCodes.has(code)) return exitCodes.wrongOptions;
  if (refusedCodes.has(code)) return exitCodes.refused;
  return exitCodes.failed;
}

const wrongOptionCodes = new Set([
  "OPTION_WRONG",
  "OPTION_INVALID",
  "PORT_IN_USE",
  "LISTEN_FAILED",
  "PEERS_DIFFER",
]);
/** A LOCKED folder may be free soon, so it is not among these. */
const refusedCodes = new Set([
  "STORE_OLD",
  "STORE_TWICE",
  "STORAGE_CORRUPT",
  "STORAGE_FOREIGN",
  "STORAGE_VERSION",
  "STORAGE_LEVEL",
  "LEVEL_UNKNOWN",
  "ROOM_MARK_GARBLED",
  "ROOM_MARKS_TOO_MANY",
]);

export function codeOf(error: unknown): string {
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : "UNEXPECTED";
}

/** One line of an error, with its causes. */
export function describeError(error: unknown): string {
  const parts: string[] = [];
  let current = error;
  while (current !== undefined && parts.length < 5) {
    parts.push(current instanceof Error ? current.message : String(current));
    current = current instanceof Error ? current.cause : undefined;
  }
  return parts.join(": ").replace(/\s*[\r\n]+\s*/g, " | ");
}

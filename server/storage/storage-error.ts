import { LevelError, type Levels } from "../raft/level.ts";

/**
 * Why a store cannot be used. All of them end the process: none is to be retried.
 * - `STORAGE_CORRUPT`: something that was durable is missing or changed.
 * - `STORAGE_FOREIGN`: the folder belongs to another node.
 * - `STORAGE_VERSION`: the folder was written in a format that this release does not read.
 * - `STORAGE_LOCKED`: another process (or another storage of this one) has the folder open.
 * - `STORAGE_FAILED`: the disk or the database reported an error; `cause` has it.
 */
export type StorageErrorCode =
  | "STORAGE_CORRUPT"
  | "STORAGE_FOREIGN"
  | "STORAGE_VERSION"
  | "STORAGE_LEVEL"
  | "STORAGE_LOCKED"
  | "STORAGE_FAILED";

export class StorageError extends Error {
  readonly code: StorageErrorCode;

  constructor(code: StorageErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "StorageError";
    this.code = code;
  }
}

const lostAdvice =
  "This node must not vote or serve with what is left: move the folder away and start with an empty one, " +
  "so that the node comes back under a new storeId and is filled by the others.";

/** Something durable is missing or changed. `what` says where (file and offset, or group and index) and what is wrong. */
export function corrupt(what: string, cause?: unknown): StorageError {
  return new StorageError(
    "STORAGE_CORRUPT",
    `the data folder has lost or damaged data: ${what}. ${lostAdvice}`,
    cause,
  );
}

export function foreign({
  location,
  owner,
  nodeId,
}: {
  location: string;
  owner: string;
  nodeId: string;
}): StorageError {
  return new StorageError(
    "STORAGE_FOREIGN",
    `the data folder ${location} belongs to node "${owner}", not to this node "${nodeId}": ` +
      `start this node with a folder of its own, or with the node id "${owner}".`,
  );
}

export function otherVersion({ found, read }: { found: number; read: number }): StorageError {
  return new StorageError(
    "STORAGE_VERSION",
    `the data folder has format ${found}, this release reads format ${read}: ` +
      "start the release that wrote it, or give this node an empty folder.",
  );
}

/** Its cluster has gone on to what this version cannot read, or comes from before what it can. */
export function otherLevel(location: string, needs: number, known: Levels): StorageError {
  return new StorageError(
    "STORAGE_LEVEL",
    new LevelError(`the data folder ${location}`, needs, known).message,
  );
}

export function locked(location: string, cause?: unknown): StorageError {
  return new StorageError(
    "STORAGE_LOCKED",
    `the data folder ${location} is in use: another process has it open. Stop that one, or give this node a folder of its own.`,
    cause,
  );
}

export function failed(doing: string, cause: unknown): StorageError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new StorageError("STORAGE_FAILED", `the disk failed while ${doing}: ${reason}`, cause);
}

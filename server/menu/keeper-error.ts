/**
 * Why the keeper refused something; `code` is for programs, `message` for people.
 * - `KEEPER_NOT_RUNNING`: this node's groups do not run yet.
 * - `ARGUMENT`: a key, value, option or pattern is not what it may be; the words say which, and what is allowed.
 * - `VALUE_TOO_BIG`, `TOO_MANY_KEYS`, `TOO_MANY_WATCHES`: past a limit of `keeperLimits`.
 * - `FULL`: everything together would be past its limit in bytes. Nothing was changed.
 * - `FENCED`: the lock that it was bound to is not held with that token any more. Nothing was changed.
 * - `NOT_A_NUMBER`: what is there cannot be counted up or down. Nothing was changed.
 * - `WRONG_TYPE`: what is there is of another kind (a list, a set, …). Nothing was changed.
 * - `WATCH_TOO_OLD`: what has changed since is not known any more: read what there is now, and go on from there.
 * - `REPLICAS_MISSING`: not as many replicas as the read asked for have got so far in time.
 * - `APPLIED_RESULT_FORGOTTEN`: it was carried out, once, and what it gave is not known any more.
 */
export type KeeperErrorCode =
  | "KEEPER_NOT_RUNNING"
  | "ARGUMENT"
  | "VALUE_TOO_BIG"
  | "TOO_MANY_KEYS"
  | "TOO_MANY_WATCHES"
  | "FULL"
  | "FENCED"
  | "NOT_A_NUMBER"
  | "WRONG_TYPE"
  | "WATCH_TOO_OLD"
  | "REPLICAS_MISSING"
  | "APPLIED_RESULT_FORGOTTEN";

export class KeeperError extends Error {
  readonly code: KeeperErrorCode;

  constructor(code: KeeperErrorCode, message: string) {
    super(message);
    this.name = "KeeperError";
    this.code = code;
  }
}

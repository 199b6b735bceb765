import { plainDataFault } from "../menu/plain-data.ts";
import { SessionError } from "./session-error.ts";

/** @throws SessionError NOT_PLAIN_DATA, with the path: see `plainDataFault` */
export function checkPlainData(value: unknown, name: string): void {
  const fault = plainDataFault(value, name);
  if (fault !== null) throw new SessionError("NOT_PLAIN_DATA", fault);
}

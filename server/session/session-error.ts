import { failureCode, failureWords } from "./failure.ts";
import { currentWorld } from "./sandbox.ts";

/** Why a session refused something; `code` is for programs, `message` for people. */
export type SessionErrorCode =
  | "ROOM_NOT_FOUND"
  | "ROOM_FULL"
  | "ROOM_CREATE_FAILED"
  | "ROOM_QUARANTINED"
  | "ROOM_STANDS_STILL"
  | "ROOM_NOT_SERVED_HERE"
  | "ROOM_FROZEN"
  | "ROOM_NOT_FROZEN"
  | "ROOM_NOT_FOREIGN"
  | "HOLDER_UNKNOWN"
  | "HOLDER_ELSEWHERE"
  | "HOLDER_ENDED"
  | "SEAT_EXPIRED"
  | "TOKEN_REFUSED"
  | "EPOCH_PAST"
  | "SESSION_EXPIRED"
  | "APPLIED_RESULT_FORGOTTEN"
  | "SEATS_TOO_MANY"
  | "ROOMS_TOO_MANY"
  | "NO_LEADER"
  | "OVERLOADED"
  | "MUTATION_OUTSIDE_LOG"
  | "NOT_SUPPORTED"
  | "NOT_PLAIN_DATA"
  | "MESSAGE_INVALID"
  | "NOT_IN_ROOM"
  | "INSIDE_ROOM"
  | "ROOM_BUSY"
  | "RUN_PAST"
  | "EFFECT_UNKNOWN"
  | "EFFECT_IN_CREATE"
  | "EFFECTS_TOO_MANY"
  | "EFFECT_ARGUMENT_TOO_BIG"
  | "SUBSCRIPTIONS_TOO_MANY"
  | "APPLICATION";

export class SessionError extends Error {
  readonly code: SessionErrorCode;
  /** Colyseus's own code, where room code or the stock room gave one. */
  readonly colyseusCode: number | undefined;

  constructor(code: SessionErrorCode, message: string, colyseusCode?: number) {
    super(message);
    this.name = "SessionError";
    this.code = code;
    this.colyseusCode = colyseusCode;
  }
}

/** Something outside of a room's log tried to change it on this replica only. */
export function outsideLog(what: string): SessionError {
  const remedy =
    currentWorld()?.forbids ??
    'a change from outside must go through the log: await room.propose("method", ...data)';
  return new SessionError("MUTATION_OUTSIDE_LOG", `${what}; ${remedy}`);
}

/** @throws SessionError INSIDE_ROOM: what goes through a log is asked for by one node, and a room is on several */
export function refuseInside(name: string): void {
  const world = currentWorld();
  if (world === null) return;
  throw new SessionError(
    "INSIDE_ROOM",
    `"${name}" inside ${world.label}: every replica would ask for it once more; let an effect of the room do it`,
  );
}

export function foreignRoom(roomId: string): SessionError {
  return new SessionError("ROOM_NOT_FOUND", `"${roomId}" is not the id of a room of this cluster`);
}

const transient = new Set<unknown>([
  ...["NO_LEADER", "OVERLOADED", "APPLIED_RESULT_FORGOTTEN", "SESSION_EXPIRED", "ROOM_STANDS_STILL"],
  ...["ROOM_NOT_SERVED_HERE", "ROOM_FROZEN", "ROOM_BUSY"],
  // The groups' own: see ProposalError.
  ...["TIMEOUT", "STOPPED"],
]);

/** No refusal: nothing was decided, or nobody knows what. Another attempt, here or elsewhere, may well succeed. */
export function isTransient(error: unknown): boolean {
  return error instanceof Error && transient.has((error as { code?: unknown }).code);
}

const isRefused: unique symbol = Symbol("a refusal");

/** An error on its way through a result: plain data, so that it can be logged, remembered and compared. */
export interface Refusal {
  /** Room code's own results may look like anything. */
  readonly [isRefused]: true;
  readonly refused: SessionErrorCode;
  readonly message: string;
  readonly colyseusCode?: number;
}

export function refusal(code: SessionErrorCode, message: string, colyseusCode?: number): Refusal {
  const refused: Refusal = { [isRefused]: true, refused: code, message };
  return colyseusCode === undefined ? refused : { ...refused, colyseusCode };
}

/** A timer that fell due before the command has ended it, or it was never there. */
export function roomGone(roomId: string): Refusal {
  return refusal("ROOM_NOT_FOUND", `room "${roomId}" is not there, or no longer`);
}

export function roomFrozen(roomId: string): Refusal {
  return refusal("ROOM_FROZEN", `room "${roomId}" stands still: its replicas differ`);
}

/** What room code threw, as a refusal. */
export function failureRefusal(code: SessionErrorCode, failure: unknown): Refusal {
  return refusal(code, failureWords(failure), failureCode(failure));
}

export function isRefusal(value: unknown): value is Refusal {
  return typeof value === "object" && value !== null && isRefused in value;
}

/** @throws SessionError if the result of a command is a refusal. */
export function unlessRefused<T>(value: T | Refusal): T {
  if (isRefusal(value)) throw new SessionError(value.refused, value.message, value.colyseusCode);
  return value;
}

import { type AuthContext, type Client, CloseCode, ErrorCode, Room, ServerError } from "@colyseus/core";
import { type AuthOutcome, authFailed, unasked } from "../session/auth-outcome.ts";
import { failureCode, failureWords } from "../session/failure.ts";
import { checkPlainData } from "../session/plain-data.ts";
import { SessionError } from "../session/session-error.ts";
import { LoggedClient } from "./logged-client.ts";
import { partsOf } from "./room-parts.ts";
import { seamOfRoom } from "./seam.ts";

// biome-ignore lint/suspicious/noExplicitAny: the hook is replaced by name, whatever it takes
type Hook = (this: any, ...args: any[]) => any;

/** How many clients of this node may be with their room's onAuth at once. */
export const authsMax = 256;

/** The user's own onAuth: by the replicated class's prototype, or by the room that has it in a field. */
const hooks = new WeakMap<object, Hook>();

class CatchingRoom extends Room {
  override onUncaughtException(): void {}
}
/** A room with onUncaughtException gets a field of that name from the stock room, around the prototype's hook. */
const stockWrapper = String(new CatchingRoom().onAuth);

/** `onAuth` of an instance runs once, where the client is: on every replica it says what it said there. */
export function wrapAuth(prototype: Record<string, Hook>, stock: Record<string, Hook>): void {
  const hook = stock["onAuth"];
  if (hook === undefined || hook === Room.prototype.onAuth) return;
  hooks.set(prototype, hook);
  prototype["onAuth"] = said;
}

export function unwrapAuth(prototype: object): void {
  hooks.delete(prototype);
  Reflect.deleteProperty(prototype, "onAuth");
}

/** It may be an arrow function in a field. */
export function wrapOwnAuth(room: Room): void {
  const table = room as unknown as Record<string, Hook>;
  const hook = Object.hasOwn(room, "onAuth") ? table["onAuth"] : undefined;
  if (hook === undefined || String(hook) === stockWrapper) return;
  hooks.set(room, hook);
  table["onAuth"] = said;
}

function said(this: Room, client: unknown): unknown {
  if (!(client instanceof LoggedClient))
    throw new SessionError(
      "NOT_IN_ROOM",
      `${this.constructor.name}.onAuth() is called by the room, not by its code`,
    );
  const seam = seamOfRoom(this);
  if (seam !== undefined && seam.restoring !== null) return true;
  const outcome = client.takeAuthOutcome();
  switch (outcome.type) {
    case "passed":
      if (outcome.userData !== undefined) client.userData = outcome.userData;
      return outcome.auth;
    case "failed":
      throw new ServerError(outcome.code, outcome.message);
    case "unasked":
      throw new ServerError(ErrorCode.AUTH_FAILED, "onAuth was not asked");
  }
}

let asking = 0;

/**
 * Asks the room's own onAuth, outside of the log: it may wait for whatever it likes.
 * @param hasClosed the client's connection has ended meanwhile
 * @throws SessionError OVERLOADED
 */
export async function askAuth(
  room: Room,
  client: Client,
  context: AuthContext,
  hasClosed: () => boolean,
): Promise<AuthOutcome> {
  const hook = hooks.get(room) ?? hooks.get(Object.getPrototypeOf(room) as object);
  if (hook === undefined) return unasked;
  const [options, auth] = partsOf(room)._reservedSeats[client.sessionId] ?? [];
  // The stock room's order: who was authenticated by the class is not asked again.
  if (auth && (room.constructor as typeof Room).onAuth !== Room.onAuth) return unasked;
  if (asking >= authsMax)
    throw new SessionError(
      "OVERLOADED",
      `${authsMax} clients are being authenticated: try again in a moment`,
    );
  asking += 1;
  try {
    const result: unknown = await hook.call(room, client, options, context);
    if (hasClosed()) return authFailed(CloseCode.WITH_ERROR, "already disconnected");
    if (!result) return authFailed(ErrorCode.AUTH_FAILED, "onAuth failed");
    checkPlainData(result, "what onAuth returns");
    checkPlainData(client.userData, "client.userData");
    return { type: "passed", auth: result, userData: client.userData };
  } catch (error) {
    const code = failureCode(error);
    const isCode = code !== undefined && Number.isSafeInteger(code);
    return authFailed(isCode ? code : ErrorCode.APPLICATION_ERROR, failureWords(error));
  } finally {
    asking -= 1;
  }
}

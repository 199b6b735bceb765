import type { Room } from "@colyseus/core";
import { SessionError } from "../session/session-error.ts";
import { isThenable } from "./room-hooks.ts";
import { hearing, seamOfRoom } from "./seam.ts";

// biome-ignore lint/suspicious/noExplicitAny: whatever a handler takes
type Handler = (...args: any[]) => unknown;

interface Context {
  readonly id?: unknown;
  reject?(reason: unknown): unknown;
}

/**
 * A message handler as the stock room gets it: its promises are counted, so that a room is saved at rest only; one of an
 * eventual message must have none, and is asked for nothing.
 * @throws SessionError NOT_SUPPORTED for an asynchronous one
 */
export function messageHandler(room: Room, type: string | number, handler: Handler): Handler {
  const seam = seamOfRoom(room);
  const messages = seam?.options.messages ?? {};
  if (!Object.hasOwn(messages, type) || messages[type] !== "eventual")
    return (...args) => {
      const result = handler(...args);
      if (isThenable(result)) seam?.environment.track(result, `the handler of "${type}"`);
      return result;
    };
  if (Object.prototype.toString.call(handler) === "[object AsyncFunction]") throw asynchronous(room, type);
  return (client: unknown, message: unknown, context?: Context) => {
    if (hearing(room) === null) {
      const words = `"${type}" is an eventual message: it has no answer; send() it, or make it "strong"`;
      return context?.id === undefined
        ? undefined
        : context.reject?.({ code: "NOT_SUPPORTED", message: words });
    }
    const result = handler(client, message, context);
    if (!isThenable(result)) return undefined;
    result.then(undefined, () => {});
    throw asynchronous(room, type);
  };
}

function asynchronous(room: Room, type: string | number): SessionError {
  return new SessionError(
    "NOT_SUPPORTED",
    `messages: ${room.constructor.name} cannot be replicated with an asynchronous handler of "${type}", which is "eventual": what it goes on with would change one replica only. Let it end at once, or make it "strong".`,
  );
}

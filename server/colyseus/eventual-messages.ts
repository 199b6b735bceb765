import { ClientState, Protocol, type Room } from "@colyseus/core";
import { decode } from "@colyseus/schema";
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { unpack } from "msgpackr";
import { failureWords } from "../session/failure.ts";
import { drainMicrotasks } from "../session/sandbox.ts";
import { SessionError } from "../session/session-error.ts";
import { whileLent } from "./lent-fields.ts";
import type { LoggedClient } from "./logged-client.ts";
import type { Seam } from "./seam.ts";

type Handler = (client: unknown, message: unknown, context: object) => void;

/** What the stock room has registered; TypeScript calls it private. */
interface Registered {
  readonly onMessageEvents: { readonly events: Readonly<Record<string, readonly Handler[] | undefined>> };
  readonly onMessageValidators: Readonly<Record<string, StandardSchemaV1 | undefined>>;
}

const codeMask = 0x1f;
const noAnswer = Object.freeze({ id: undefined, reject: () => undefined, resolve: () => undefined });

/**
 * As the stock room dispatches a message, but for what it keeps of it: a frame that is in no log must leave nothing behind.
 * @throws SessionError MESSAGE_INVALID; else what a handler throws
 */
export function hearEventual(room: Room, seam: Seam, client: LoggedClient, frame: Uint8Array): void {
  if (client.state === ClientState.LEAVING) return;
  const { onMessageEvents, onMessageValidators } = room as unknown as Registered;
  whileLent(room, seam, () => {
    const { key, payload } = readMessage(frame, onMessageValidators);
    for (const handler of onMessageEvents.events[key] ?? []) handler(client, payload, noAnswer);
    // What it leaves behind must find the room read-only, too.
    drainMicrotasks();
  });
}

function readMessage(
  frame: Uint8Array,
  validators: Registered["onMessageValidators"],
): { readonly key: string; readonly payload: unknown } {
  const it = { offset: 1 };
  const type = decode.stringCheck(frame, it) ? decode.string(frame, it) : decode.number(frame, it);
  const isBytes = ((frame[0] ?? 0) & codeMask) === Protocol.ROOM_DATA_BYTES;
  const key = isBytes ? `_$b${type}` : String(type);
  try {
    const rest = Buffer.from(frame.subarray(it.offset));
    const given: unknown = isBytes ? rest : rest.length > 0 ? unpack(rest) : undefined;
    return { key, payload: validated(validators[key], given) };
  } catch (error) {
    throw new SessionError("MESSAGE_INVALID", `the message "${type}" is refused: ${failureWords(error)}`);
  }
}

function validated(schema: StandardSchemaV1 | undefined, given: unknown): unknown {
  if (schema === undefined) return given;
  const result = schema["~standard"].validate(given);
  if (result instanceof Promise) throw new Error("its schema must be synchronous");
  if (result.issues !== undefined) throw new Error(JSON.stringify(result.issues));
  return result.value;
}

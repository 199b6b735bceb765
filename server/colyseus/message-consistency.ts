import { Protocol, type Room } from "@colyseus/core";
import { decode } from "@colyseus/schema";
import { SessionError } from "../session/session-error.ts";

/**
 * How a message is agreed (design 5.7). `strong`: each one. `latest`: while one of a player's is on its way into the log,
 * only the newest of those that follow it waits; for what is out of date with the next one, a stick's position. `eventual`:
 * in no log; each node that has clients of the room runs it for them by itself, so its handler may look and speak only.
 */
export type MessageConsistency = "strong" | "latest" | "eventual";

/** By message type; those that are not named are strong. */
export type MessageConsistencies = Readonly<Record<string, MessageConsistency>>;

const consistencies: readonly unknown[] = ["strong", "latest", "eventual"] satisfies MessageConsistency[];
const codeMask = 0x1f;
const messageCodes: readonly number[] = [Protocol.ROOM_DATA, Protocol.ROOM_DATA_BYTES];
/** How the stock room names a type that takes bytes. */
const bytesPrefix = "_$b";

/** @throws SessionError NOT_SUPPORTED with the type, what it was given, and what is allowed */
export function checkConsistencies(roomName: string, messages: MessageConsistencies = {}): void {
  for (const [type, consistency] of Object.entries(messages)) {
    if (consistencies.includes(consistency)) continue;
    const given = JSON.stringify(consistency);
    throw new SessionError(
      "NOT_SUPPORTED",
      `${roomName} cannot be replicated: messages: "${type}" is ${given}. Allowed are "strong", "latest" and "eventual".`,
    );
  }
}

/**
 * To be called once the room is created: only then it is known what it listens to.
 * @throws SessionError NOT_SUPPORTED with the type that nobody listens to
 */
export function checkMessageTypes(room: Room, messages: MessageConsistencies = {}): void {
  const { events } = (room as unknown as { onMessageEvents: { events: Readonly<Record<string, unknown>> } })
    .onMessageEvents;
  const known = new Set(
    Object.keys(events).map((type) => (type.startsWith(bytesPrefix) ? type.slice(bytesPrefix.length) : type)),
  );
  for (const type of Object.keys(messages)) {
    if (known.has(type)) continue;
    const listens = [...known].map((each) => `"${each}"`).join(", ") || "nothing";
    throw new SessionError(
      "NOT_SUPPORTED",
      `messages: ${room.constructor.name} does not listen to "${type}"; it listens to ${listens}`,
    );
  }
}

/** The type of a client's frame if it is of this consistency; null: it is another frame. */
export function typeOf(
  frame: Uint8Array,
  messages: MessageConsistencies | undefined,
  consistency: MessageConsistency,
): string | null {
  if (messages === undefined || !messageCodes.includes((frame[0] ?? 0) & codeMask)) return null;
  try {
    const it = { offset: 1 };
    const type = decode.stringCheck(frame, it) ? decode.string(frame, it) : decode.number(frame, it);
    return Object.hasOwn(messages, type) && messages[type] === consistency ? String(type) : null;
  } catch {
    return null; // garbled: the room says what it says to such a frame
  }
}

import type { RaftMessage } from "../raft/message.ts";
import type { PeerMessage } from "./peer-message.ts";

type MessageType = PeerMessage["type"] | RaftMessage["type"];

/**
 * Messages that not every build knows, with the level that they came with (raft/level.ts). They go only to nodes that know
 * them; to others they are lost on the way, as any message may be. What a message has more than before is another message.
 */
export type MessageLevels = Partial<Record<MessageType, number>>;

export const messageLevels: MessageLevels = Object.freeze({});

export function messageLevel(message: PeerMessage, since: MessageLevels): number {
  const inner = message.type === "raft" ? (since[message.message.type] ?? 0) : 0;
  return Math.max(since[message.type] ?? 0, inner);
}

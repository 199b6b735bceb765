import { savedDifference } from "./divergence/room-difference.ts";
import { EventualWorld } from "./eventual-world.ts";
import { GraphError } from "./graph/graph-error.ts";
import type { Message } from "./message-codec.ts";
import type { RoomReplica } from "./room-replica.ts";
import { runInWorld } from "./sandbox.ts";
import { Seat, speaker } from "./seat.ts";
import { outsideLog, SessionError } from "./session-error.ts";

export interface EventualRun {
  readonly replica: RoomReplica;
  readonly message: Message;
  /** Another node prints what room code prints. */
  readonly isEcho: boolean;
  /** Looks whether the room is the same afterwards: it costs two pictures of the whole room. */
  readonly compares: boolean;
}

/**
 * Runs a message that is in no log on this replica, where it has the seat in that epoch: the room's handler may look and
 * speak. What it throws is the room's failure.
 * @returns why the room does not take the message, whichever node asks it; null: it ran, or is not for this replica
 */
export function runEventual({ replica, message, isEcho, compares }: EventualRun): SessionError | null {
  const { program, birth, world, witness, seats } = replica;
  const type = program.eventualType(message.frame);
  if (type === null)
    return new SessionError("MESSAGE_INVALID", `room "${birth.roomName}" has no such eventual message`);
  if (witness.frozen !== null || replica.disposed) return null;
  const seat = speaker(seats, message);
  if (!(seat instanceof Seat)) return null;
  const before = compares ? pictureOf(replica) : null;
  const eventual = new EventualWorld(world, birth, { type, message, isEcho });
  const where = `message "${type}"`;
  try {
    runInWorld(eventual, () => program.hearEventual(seat, message.frame));
  } catch (error) {
    if (error instanceof SessionError && error.code === "MESSAGE_INVALID") return error;
    replica.report(error, where);
  }
  const after = before === null ? null : pictureOf(replica);
  const difference = before === null || after === null ? null : savedDifference(after, before);
  if (difference !== null) {
    const what = `${difference} (before): the handler changed the room outside of its log`;
    replica.report(outsideLog(`${what}; ${eventual.forbids}`), where);
  }
  return null;
}

/** Null: the room holds what cannot be saved, which others tell of. */
function pictureOf(replica: RoomReplica): Uint8Array | null {
  try {
    return replica.picture();
  } catch (error) {
    if (error instanceof GraphError) return null;
    throw error;
  }
}

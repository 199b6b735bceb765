import { EventualWorld } from "./eventual-world.ts";
import { GraphError } from "./graph/graph-error.ts";
import type { Message } from "./message-codec.ts";
import type { RoomBirth, RoomProgram } from "./room-program.ts";
import { runInWorld, type World } from "./sandbox.ts";
import { Seat, speaker } from "./seat.ts";
import { SessionError } from "./session-error.ts";

/** What of a replica is needed here. */
interface Hearing {
  readonly birth: RoomBirth;
  readonly program: RoomProgram;
  readonly world: World;
  readonly seats: ReadonlyMap<string, Seat>;
  readonly witness: { readonly frozen: unknown };
  /** The last entry that is applied. */
  readonly index: number;
  readonly disposed: boolean;
  picture(): Uint8Array;
  report(error: unknown, where: string): void;
}

export interface EventualRun {
  readonly replica: Hearing;
  readonly message: Message;
  /** Where the room was when the node of its client ran it; null: this is that node. */
  readonly index: number | null;
  /** Another node prints what room code prints. */
  readonly isEcho: boolean;
  /** The first difference of two pictures of a room; undefined: nobody looks whether the room is the same afterwards. */
  readonly difference: ((own: Uint8Array, other: Uint8Array) => string | null) | undefined;
}

/**
 * Runs a message that is in no log on this replica, where it has the seat in that epoch: the room's handler may look and
 * speak. What it throws is the room's failure.
 * @returns why the room does not take the message, whichever node asks it; null: it ran, or is not for this replica
 */
export function runEventual({
  replica,
  message,
  index,
  isEcho,
  difference,
}: EventualRun): SessionError | null {
  const { program, birth, world, witness, seats } = replica;
  const type = program.eventualType(message.frame);
  if (type === null)
    return new SessionError("MESSAGE_INVALID", `room "${birth.roomName}" has no such eventual message`);
  if (witness.frozen !== null || replica.disposed) return null;
  const seat = speaker(seats, message);
  if (!(seat instanceof Seat)) return null;
  const before = difference === undefined ? null : pictureOf(replica);
  const eventual = new EventualWorld(world, birth, { type, message, isEcho, index: index ?? replica.index });
  const where = `message "${type}"`;
  try {
    runInWorld(eventual, () => program.hearEventual(seat, message.frame));
  } catch (error) {
    if (error instanceof SessionError && error.code === "MESSAGE_INVALID") return error;
    replica.report(error, where);
  }
  const after = before === null ? null : pictureOf(replica);
  const changed = before === null || after === null ? null : (difference?.(after, before) ?? null);
  if (changed !== null)
    replica.report(new SessionError("MUTATION_OUTSIDE_LOG", `${changed} before; ${eventual.forbids}`), where);
  return null;
}

/** Null: the room holds what cannot be saved, which others tell of. */
function pictureOf(replica: Hearing): Uint8Array | null {
  try {
    return replica.picture();
  } catch (error) {
    if (error instanceof GraphError) return null;
    throw error;
  }
}

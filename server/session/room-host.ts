import type { LiveSocket } from "./live-socket.ts";
import type { OpenEffect } from "./room-effects.ts";
import type { RoomPrograms } from "./room-program.ts";

/** What a replica needs from its node. */
export interface RoomHost {
  readonly nodeId: string;
  readonly bootCount: number;
  /** The version of the game's code that this node has: see RoomBirth. */
  readonly code: string;
  readonly programs: RoomPrograms;
  /** The command at hand is one of this node's own time as leader: never on replay, nor while a room is restored. */
  isPrimary(): boolean;
  /** This node was said to be missing when it had not applied the entry at `index`: it must not send what that says. */
  holdsBack(index: number): boolean;
  /** The socket that waits for this attachment, if it is this node's; handed out once. */
  takeSocket(attachId: number): LiveSocket | null;
  /** Room code waits for something from outside, and it is on this node to run it: see `isPrimary`. */
  effectOpened(roomId: string, effect: OpenEffect): void;
  /** This node's client had given up before its attach was applied. */
  orphaned(roomId: string, sessionId: string, epoch: number): void;
  /** The first difference of two pictures of a room: where it is worth its cost to look for one after each eventual message. */
  readonly pictureDifference?: ((own: Uint8Array, other: Uint8Array) => string | null) | undefined;
  log: { warn(fields: object, message: string): void; error(fields: object, message: string): void };
}

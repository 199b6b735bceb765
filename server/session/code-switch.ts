import { describeOtherCode, otherCode } from "./absence.ts";
import { mayTryReconnect } from "./live-socket.ts";
import type { MachineRooms } from "./machine-rooms.ts";
import { packRoom, unpackRoom } from "./saved-room.ts";
import { type Refusal, refusal, roomFrozen } from "./session-error.ts";
import type { SessionContext, SwitchCode } from "./session-menu.ts";

/** The newest ones are remembered. */
const leftMax = 8;

/** A checkpoint, for nodes that have another code than it was saved under. */
export function upgradable(checkpoint: Uint8Array, to: string): Uint8Array {
  const { birth, ...saved } = unpackRoom(checkpoint);
  const { code: from, left = [] } = birth;
  const leaving = { ...birth, code: to, left: [...left, from].slice(-leftMax) };
  return packRoom({ ...saved, birth: leaving, upgradeFrom: from });
}

/** The code that the room runs under, and those before. */
export function codesOf(checkpoint: Uint8Array): { readonly code: string; readonly left: readonly string[] } {
  const { code, left = [] } = unpackRoom(checkpoint).birth;
  return { code, left };
}

/**
 * Where the room runs it is left as it is now, for the nodes that have the other code to take over: each asks for it, as
 * one does whose replica differs (see Healing), and holds the commands that follow until it has it. Elsewhere nothing is
 * known of whether the room is at rest: a node knows that it is switched by being given the room.
 * @returns why it goes on as before; null: it does not, or is not run here
 */
export function switchRoom(
  rooms: MachineRooms,
  { roomId, to }: SwitchCode,
  context: SessionContext,
): Refusal | null {
  const { index } = context;
  const replica = rooms.all.get(roomId);
  const odd = rooms.odd.get(roomId);
  if (odd?.foreign?.own === to) odd.switchedHere(context);
  if (replica === undefined || odd !== undefined) return null;
  const foreign = otherCode(to, replica.birth.code);
  if (foreign === null) return null;
  if (replica.witness.frozen !== null) return roomFrozen(roomId);
  // Decided by what all replicas share: one that went on by itself would differ.
  if (replica.program.upgrade === undefined) {
    const why = "its code runs on its leader's node alone: it ends under its own code";
    return refusal("NOT_SUPPORTED", `room ${roomId} is not switched: ${why}`);
  }
  const bytes = rooms.copyOf(replica);
  if (bytes === null)
    return refusal(
      "ROOM_BUSY",
      `room ${roomId} is not at rest: ${replica.restlessBecause() ?? "no longer so"}`,
    );
  const saved = unpackRoom(bytes);
  const handover = { index, bytes: upgradable(bytes, to) };
  const because = replica.isPinned ? describeOtherCode(foreign) : null;
  replica.sockets.closeAll(mayTryReconnect, "the room goes on under new code: go on elsewhere");
  const { origins, witness } = saved;
  rooms.odd.absent(roomId, { because, foreign, origins, agreed: witness.agreed, handover }, index);
  rooms.remove(replica);
  return null;
}

import type { ApplyResult } from "../group/machine.ts";
import type { LedSide } from "./led-program.ts";
import type { MachineRooms } from "./machine-rooms.ts";
import type { RoomReplica } from "./room-replica.ts";
import { type Refusal, refusal, roomFrozen, roomGone } from "./session-error.ts";
import type { SessionContext } from "./session-menu.ts";

/** A command of a room's run. @param act what it is to the room's agreed side */
export function actOnRun(
  rooms: MachineRooms,
  { roomId }: { readonly roomId: string },
  context: SessionContext,
  act: (led: LedSide) => Refusal | null,
): ApplyResult {
  return rooms.withRoom({ roomId }, context, (replica) => ({
    type: "done",
    value: runOn(replica, context, act),
  }));
}

function runOn(
  replica: RoomReplica,
  context: SessionContext,
  act: (led: LedSide) => Refusal | null,
): Refusal | null {
  if (replica.witness.frozen !== null) return roomFrozen(replica.roomId);
  replica.tick(context);
  if (replica.disposed) return roomGone(replica.roomId);
  const { led } = replica.program;
  if (led === undefined)
    return refusal("RUN_PAST", `room ${replica.roomId} runs on every replica: it has no steps`);
  let refused: Refusal | null = null;
  replica.world.run(() => {
    refused = act(led);
  }, "step");
  replica.tick(context);
  return refused;
}

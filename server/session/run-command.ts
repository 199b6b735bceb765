import type { ApplyResult } from "../group/machine.ts";
import type { LedSide } from "./led-program.ts";
import type { RoomReplica } from "./room-replica.ts";
import { type Refusal, refusal, roomFrozen, roomGone } from "./session-error.ts";
import type { SessionContext } from "./session-menu.ts";

/** A command of the room's run. @param act what it is to the room's agreed side */
export function actOnRun(
  replica: RoomReplica,
  context: SessionContext,
  act: (led: LedSide) => Refusal | null,
): ApplyResult {
  const done = (value: unknown): ApplyResult => ({ type: "done", value });
  if (replica.witness.frozen !== null) return done(roomFrozen(replica.roomId));
  replica.tick(context);
  if (replica.disposed) return done(roomGone(replica.roomId));
  const { led } = replica.program;
  if (led === undefined)
    return done(refusal("RUN_PAST", `room ${replica.roomId} runs on every replica: it has no steps`));
  let refused: Refusal | null = null;
  replica.world.run(() => {
    refused = act(led);
  }, "step");
  replica.tick(context);
  return done(refused);
}

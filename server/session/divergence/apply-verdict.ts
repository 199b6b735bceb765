import type { MachineRooms, MachineRoomsHost } from "../machine-rooms.ts";
import type { RoomReplica } from "../room-replica.ts";
import type { SessionContext } from "../session-menu.ts";
import type { Verdict } from "./verdict.ts";

/** What was agreed about the hashes of one room's replicas, on this node's. */
export function applyVerdict(
  verdict: Verdict,
  context: SessionContext,
  rooms: MachineRooms,
  host: Pick<MachineRoomsHost, "noticed">,
): void {
  if (verdict.anew) {
    rooms.compareAnew(verdict.roomId, context);
    return;
  }
  rooms.judgeEnded(verdict, context);
  host.noticed({ type: "agreed", verdict });
  const act = (replica: RoomReplica) => {
    rooms.odd.judge(replica, verdict, context);
    return { type: "done", value: null } as const;
  };
  rooms.withRoom(verdict, context, act, { takesPoint: false });
}

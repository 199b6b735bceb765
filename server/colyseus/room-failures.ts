import type { QuarantinedRoom } from "../session/quarantine.ts";
import { describeStanding } from "../session/room-standing.ts";
import type { SessionMachine } from "../session/session-machine.ts";

/** Rooms whose code did not come back, for operators. */
export interface RoomFailures {
  /** Those that this node passes over until they are closed. */
  readonly standing: readonly { readonly roomId: string; readonly group: number; readonly why: string }[];
  /** Those that were closed everywhere, the newest ones of each group. */
  readonly quarantined: readonly (QuarantinedRoom & { readonly group: number })[];
  /** How many there have ever been. */
  readonly quarantines: number;
}

export function roomFailures(machines: readonly SessionMachine[]): RoomFailures {
  const groups = [...machines.entries()];
  return {
    standing: groups.flatMap(([group, { standings }]) =>
      [...standings].map(([roomId, standing]) => ({
        roomId,
        group,
        why: describeStanding(roomId, standing),
      })),
    ),
    quarantined: groups.flatMap(([group, { quarantined }]) =>
      quarantined.newest.map((room) => ({ group, ...room })),
    ),
    quarantines: groups.reduce((sum, [, { quarantined }]) => sum + quarantined.count, 0),
  };
}

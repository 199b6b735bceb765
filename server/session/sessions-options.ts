import type { EngineClock } from "../group/engine-construction.ts";
import type { RoomHost } from "./room-host.ts";
import type { RoomMarks } from "./room-mark.ts";
import type { RoomPrograms } from "./room-program.ts";
import type { RoomReplica } from "./room-replica.ts";
import type { RoomWatch } from "./room-watch.ts";

export interface SessionsOptions {
  readonly nodeId: string;
  readonly bootCount: number;
  /** The version of the game's code that this node has; by default "". */
  readonly code?: string;
  /** How many groups there are. */
  readonly groups: number;
  readonly programs: RoomPrograms;
  /** A node that has had no link with this one for `nodeLostMs`. */
  readonly isLost: (nodeId: string) => boolean;
  readonly log: Record<"info" | "warn" | "error", (fields: object, message: string) => void>;
  /** Looks on while room code runs; by default nobody does. */
  readonly watch?: RoomWatch;
  /** What earlier starts of this node could not get past. */
  readonly marks?: RoomMarks;
  /** Without a leader for this long, a room's clients are sent on to other nodes (design 4.3). */
  readonly leaderlessMsMax?: number;
  readonly random: (bytes: number) => Uint8Array;
  /** By default nobody looks at checkpoints. */
  readonly checkpointTaken?: ((replica: RoomReplica, bytes: Uint8Array) => void) | undefined;
  /** By default nobody looks whether an eventual message has left its room as it was. */
  readonly pictureDifference?: RoomHost["pictureDifference"];
  /** Is called a few times a second, once this node has begun. */
  readonly swept?: () => void;
  readonly clock: Pick<EngineClock, "setTimer" | "now">;
}

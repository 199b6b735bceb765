import type { OddReplica } from "../session/divergence/odd-replica.ts";
import type { RoomReplica } from "../session/room-replica.ts";
import type { RoomStanding } from "../session/room-standing.ts";
import type { SessionMachine } from "../session/session-machine.ts";

/** One room on this node, for operators. */
export interface RoomStatus {
  readonly roomId: string;
  readonly name: string;
  readonly group: number;
  /** Taken, attached or not. */
  readonly seats: number;
  readonly appliedIndex: number;
  /** Of the room's graph, taken at `hashIndex`: to be compared with another node's at the same index. */
  readonly stateHash: string | null;
  readonly hashIndex: number | null;
  readonly atRest: boolean;
  /** Why it is not at rest, with the place in the room's code. */
  readonly restlessBecause: string | null;
  /** It is on no disk of this node's: it ends with the last node that runs it, unless it comes to rest before. */
  readonly pinned: boolean;
  readonly lastError: string | null;
  /** Why this node does not speak for the room; null: it does. */
  readonly standing: RoomStanding | null;
  /** Why a room of older code has not come over to this node's by itself, as its class asks; null: it may, or need not. */
  readonly notUpgraded: string | null;
}

export function roomStatus(
  replica: RoomReplica,
  group: number,
  standing: RoomStanding | undefined,
): RoomStatus {
  const restlessBecause = replica.restlessBecause();
  return {
    roomId: replica.roomId,
    name: replica.birth.roomName,
    group,
    seats: replica.seats.size,
    appliedIndex: replica.index,
    stateHash: replica.witness.last?.hash ?? null,
    hashIndex: replica.witness.last?.index ?? null,
    atRest: restlessBecause === null,
    restlessBecause,
    pinned: replica.isPinned,
    lastError: replica.world.lastError,
    standing: standing ?? null,
    notUpgraded: null,
  };
}

/** Rooms of a group that are pinned to other nodes, or run under other code: of them this one knows little more than the name. */
export function absentRooms(
  machine: SessionMachine,
  group: number,
  notUpgraded: (odd: OddReplica) => string | null = () => null,
): RoomStatus[] {
  const absent = machine.odd.all().filter(({ isAbsent }) => isAbsent);
  return absent.map((odd) => ({
    ...absentRoom(machine, group, odd),
    notUpgraded: notUpgraded(odd),
  }));
}

function absentRoom(
  machine: SessionMachine,
  group: number,
  { divergence: { roomId }, index, pinnedBecause }: OddReplica,
): Omit<RoomStatus, "notUpgraded"> {
  return {
    roomId,
    name: machine.nameOf(roomId) ?? "",
    group,
    seats: 0,
    appliedIndex: index,
    stateHash: null,
    hashIndex: null,
    atRest: false,
    restlessBecause: pinnedBecause,
    pinned: pinnedBecause !== null,
    lastError: null,
    standing: machine.standing(roomId) ?? null,
  };
}

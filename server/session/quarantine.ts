import { z } from "zod";
import { describeAct, type RoomMark, roomActs } from "./room-mark.ts";

const name = z.string().min(1).max(128);

/** What a node says of a room whose code it could not get past, so that the room is closed everywhere (design 5.4). */
export const quarantineSchema = z.object({
  roomId: name,
  /** `pin`: it is its code's doing that no node has its state any more (see RoomStub). */
  act: z.enum([...roomActs, "pin"]),
  index: z.number().int().nonnegative(),
  why: z.string().max(400),
  deaths: z.number().int().nonnegative(),
});

export type Quarantine = z.infer<typeof quarantineSchema>;

/** A room that was closed everywhere, for operators. */
export interface QuarantinedRoom extends Quarantine {
  readonly roomName: string;
  /** Who said so. */
  readonly nodeId: string;
  /** The entry that closed it. */
  readonly closedAt: number;
}

export function quarantineOf({ roomId, act, index, why, deaths }: RoomMark): Quarantine {
  return { roomId, act, index, why, deaths };
}

/** CloseCode.WITH_ERROR: the SDK does not come back by itself. */
export const quarantinedCode = 4002;

/** What its players, and whoever asks for it later, are told. */
export function describeQuarantine({ roomId, act, index, why }: Quarantine): string {
  if (act === "pin") {
    const lost = "no node has its state any more: it was pinned, and every node that ran it has ended since";
    return `room ${roomId} was closed: ${lost}; it was not at rest: ${why}`;
  }
  return `room ${roomId} was closed: its code did not get past ${describeAct({ act, index })}: ${why}`;
}

export function tellOfQuarantine(
  quarantined: QuarantinedRoom,
  { group, log }: { readonly group: number; readonly log: { error(fields: object, message: string): void } },
): void {
  const facts = { event: "room-quarantined", group, ...quarantined };
  log.error(facts, `${describeQuarantine(quarantined)} (said ${quarantined.nodeId})`);
}

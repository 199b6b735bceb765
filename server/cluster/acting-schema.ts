import { z } from "zod";
import { roomActs } from "../session/room-mark.ts";

/** Room code at work, as files have it (see RoomActing). */
export const actingShape = {
  group: z.number().int().nonnegative(),
  roomId: z.string().min(1).max(128),
  act: z.enum(roomActs),
  index: z.number().int().nonnegative(),
};

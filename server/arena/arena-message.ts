import { z } from "zod";
import { playerNameLengthMax, steerAngleMax } from "../../shared/arena/messages.ts";

/** `steer`: `angle` in radians, `thrust` 0 to 1. NaN and the infinities are refused. */
export const steerSchema = z.object({
  angle: z.number().min(-steerAngleMax).max(steerAngleMax),
  thrust: z.number().min(0).max(1),
});

/** `fire`: nothing to say. */
export const fireSchema = z.object({}).nullish();

/** What a client may say when it joins. Without a name it plays as `Gladiator`. */
export const joinSchema = z.object({
  name: z.string().trim().min(1).max(playerNameLengthMax).default("Gladiator"),
});

import { z } from "zod";
import { keeperLimits } from "./keeper-limits.ts";
import { command, defineMenu } from "./menu.ts";
import { type PresenceState, presenceMethods } from "./presence-state.ts";

const call = z.object({
  /** What it does stands in the log by name: names are never used again for anything else. */
  method: z.enum(presenceMethods),
  args: z.array(z.string()).min(1),
  /** Asked for again with the same key it is not carried out again. */
  once: z.string().min(1).max(keeperLimits.keyBytesMax).nullable(),
});

/** Strings, sets, hashes, lists and channels, as Redis has them: each method one command. */
export const presenceMenu = defineMenu({
  name: "presence",
  commands: {
    call: command(call, (state: PresenceState, argument, context) => state.call(argument, context)),
  },
});

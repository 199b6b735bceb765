import { z } from "zod";
import { keeperLimits } from "./keeper-limits.ts";
import type { LockState } from "./lock-state.ts";
import { command, defineMenu } from "./menu.ts";

const { leaseMsMin, leaseMsMax, expiryMsMax } = keeperLimits;
const claim = { name: z.string().min(1), claimant: z.string().min(1).max(64) };
const acquire = z.object({
  ...claim,
  leaseMs: z.number().int().min(leaseMsMin).max(leaseMsMax),
  waitMs: z.number().int().min(0).max(expiryMsMax).nullable(),
});

/** Locks with fair queues, leases in log time, and fencing tokens. */
export const lockMenu = defineMenu({
  name: "lock",
  commands: {
    acquire: command(acquire, (state: LockState, argument, context) => state.acquire(argument, context)),
    release: command(z.object(claim), (state: LockState, argument, context) =>
      state.release(argument, context),
    ),
    renew: command(z.object(claim), (state: LockState, argument, context) => state.renew(argument, context)),
  },
});

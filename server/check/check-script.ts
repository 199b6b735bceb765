import { z } from "zod";
import { CheckError } from "./check-error.ts";

/** What a script may hold; past each an error names it. */
export const scriptLimits = Object.freeze({
  stepsMax: 2_000,
  /** Log time of one step. */
  tickMsMax: 600_000,
  /** Of all steps together. */
  logTimeMsMax: 3_600_000,
});

const client = z.string().min(1).max(64);
const step = z.discriminatedUnion("type", [
  /** A new player, named as one likes: the name is the session id. */
  z.strictObject({
    type: z.literal("join"),
    client,
    options: z.unknown().optional(),
    auth: z.unknown().optional(),
  }),
  /** `request`: as the client's `room.request()` says it, so that the handler's answer is compared, too. */
  z.strictObject({
    type: z.literal("message"),
    client,
    message: z.union([z.string(), z.number()]),
    payload: z.unknown().optional(),
    request: z.boolean().optional(),
  }),
  /** By itself; `consented: false`: its connection is lost. */
  z.strictObject({ type: z.literal("leave"), client, consented: z.boolean().optional() }),
  z.strictObject({ type: z.literal("reconnect"), client }),
  /** Log time passes, and the clocks are moved as a leader would. */
  z.strictObject({ type: z.literal("tick"), ms: z.number().int().min(1).max(scriptLimits.tickMsMax) }),
  /** `room.propose(method, ...data)`. */
  z.strictObject({
    type: z.literal("propose"),
    method: z.string().min(1),
    data: z.array(z.unknown()).max(16).optional(),
  }),
  /** Something is published on a channel of `this.presence`. */
  z.strictObject({ type: z.literal("news"), channel: z.string().min(1), message: z.unknown() }),
]);

const script = z.strictObject({
  /** What the room is created with. */
  options: z.record(z.string(), z.unknown()).optional(),
  /**
   * What the room's effects resolve with, by name; those that are not named time out. Calls of `this.presence` and
   * `matchMaker` are effects, too ("presence.get", "matchMaker.createRoom"), and answer by themselves if they are not named.
   */
  effects: z.record(z.string(), z.unknown()).optional(),
  steps: z.array(step).max(scriptLimits.stepsMax),
});

export type CheckStep = z.infer<typeof step>;
/** What happens to a room, as data: who joins, says what and leaves, and how much time passes. */
export type CheckScript = z.infer<typeof script>;

/** @throws CheckError SCRIPT_MALFORMED with the place, or SCRIPT_TOO_LONG */
export function readScript(value: unknown): CheckScript {
  const parsed = script.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const path = (issue?.path ?? []).map(String).join(".");
    throw new CheckError(
      "SCRIPT_MALFORMED",
      `the script is not one: ${path === "" ? "" : `${path}: `}${issue?.message}. A script is { options?, effects?, steps: [{ type: "join", client: "ann" }, { type: "message", client: "ann", message: "move", payload: … }, { type: "tick", ms: 100 }, …] }; types are join, message, leave, reconnect, tick, propose and news`,
    );
  }
  checkPlayers(parsed.data.steps);
  const logTimeMs = parsed.data.steps.reduce((sum, each) => sum + (each.type === "tick" ? each.ms : 0), 0);
  if (logTimeMs > scriptLimits.logTimeMsMax)
    throw new CheckError(
      "SCRIPT_TOO_LONG",
      `the script's ticks last ${logTimeMs} ms, allowed are ${scriptLimits.logTimeMsMax} ms`,
    );
  return parsed.data;
}

/** A slip of the pen would look like a player whom the room has sent away. */
function checkPlayers(steps: readonly CheckStep[]): void {
  const joined = new Set<string>();
  for (const [at, each] of steps.entries()) {
    if (!("client" in each)) continue;
    if (each.type === "join") joined.add(each.client);
    else if (!joined.has(each.client))
      throw new CheckError(
        "SCRIPT_MALFORMED",
        `steps.${at}: no step before it lets "${each.client}" join; joined have: ${[...joined].join(", ") || "nobody"}`,
      );
  }
}

/** A step in a few words. */
export function describeStep(each: CheckStep): string {
  switch (each.type) {
    case "join":
      return `${each.client} joins`;
    case "message":
      return `${each.client} ${each.request ? "requests" : "says"} ${JSON.stringify(each.message)}`;
    case "leave":
      return each.consented === false ? `${each.client}'s connection is lost` : `${each.client} leaves`;
    case "reconnect":
      return `${each.client} reconnects`;
    case "tick":
      return `${each.ms} ms pass`;
    case "propose":
      return `${each.method}() is proposed`;
    case "news":
      return `${JSON.stringify(each.channel)} has news`;
  }
}

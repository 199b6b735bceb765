import { z } from "zod";

const wordsMax = 1_000;

/** What a room's own onAuth said about a client, on the node that was asked, on its way through the log. */
export const authOutcome = z.discriminatedUnion("type", [
  /** It was not asked: there is none, or the client had been authenticated before. */
  z.object({ type: z.literal("unasked") }),
  z.object({ type: z.literal("passed"), auth: z.unknown(), userData: z.unknown() }),
  z.object({ type: z.literal("failed"), code: z.number().int(), message: z.string().max(wordsMax) }),
]);

export type AuthOutcome = z.infer<typeof authOutcome>;

export const unasked: AuthOutcome = { type: "unasked" };

/** @param code Colyseus's, or the application's own */
export function authFailed(code: number, message: string): AuthOutcome {
  return { type: "failed", code, message: message.slice(0, wordsMax) };
}

import { pack } from "msgpackr";
import { z } from "zod";
import { failureWords } from "./failure.ts";
import { sessionLimits } from "./limits.ts";
import { checkPlainData } from "./plain-data.ts";

const wordsMax = 1_000;
const codeMax = 64;

/** What became of an effect on the node that ran it, on its way through the log. */
const effectOutcomeSchema = z.discriminatedUnion("type", [
  z.object({ type: z.literal("result"), value: z.unknown() }),
  z.object({
    type: z.literal("failed"),
    code: z.union([z.number(), z.string().max(codeMax)]),
    message: z.string().max(wordsMax),
  }),
]);

/** The first outcome of an effect counts: several leaders may have run it. */
export const effectDoneSchema = z.object({
  /** The proposer's number within the room, as of every proposal. */
  sequence: z.number().int().positive(),
  roomId: z.string().min(1).max(128),
  number: z.number().int().positive(),
  outcome: effectOutcomeSchema,
});

export type EffectDone = z.infer<typeof effectDoneSchema>;
export type EffectOutcome = z.infer<typeof effectOutcomeSchema>;

/** Where no code of its own says more. */
export type EffectErrorCode =
  | "EFFECT_FAILED"
  | "EFFECT_TIMEOUT"
  | "EFFECT_CANCELLED"
  | "EFFECT_RESULT_NOT_PLAIN"
  | "EFFECT_RESULT_TOO_BIG";

/** What room code gets that awaits an effect, equal on every replica. */
export class EffectError extends Error {
  /** What the effect's own code threw has its own: Colyseus's, a database's or Node's. */
  readonly code: EffectErrorCode | (string & {}) | number;

  constructor(code: string | number, message: string) {
    super(message);
    this.name = "EffectError";
    this.code = code;
  }
}

/** Runs an effect's own code; whatever comes of that, comes out as something that can be agreed. Never rejects. */
export async function outcomeOf(name: string, run: () => unknown): Promise<EffectOutcome> {
  try {
    const value: unknown = await run();
    const what = `what effect "${name}" resolves with`;
    try {
      checkPlainData(value, what);
    } catch (error) {
      return effectFailed("EFFECT_RESULT_NOT_PLAIN", failureWords(error));
    }
    const { length } = pack(value);
    if (length <= sessionLimits.effectBytesMax) return { type: "result", value };
    const most = `at most ${sessionLimits.effectBytesMax}: resolve with less, or read it in pieces`;
    return effectFailed("EFFECT_RESULT_TOO_BIG", `${what} has ${length} bytes, ${most}`);
  } catch (error) {
    return failed(ownCode(error) ?? "EFFECT_FAILED", failureWords(error));
  }
}

export function effectFailed(code: EffectErrorCode, message: string): EffectOutcome {
  return failed(code, message);
}

function failed(code: string | number, message: string): EffectOutcome {
  return { type: "failed", code: cut(code, codeMax), message: cut(message, wordsMax) };
}

function cut<T>(value: T, lengthMax: number): T {
  return typeof value === "string" ? (value.slice(0, lengthMax) as T) : value;
}

function ownCode(error: unknown): string | number | null {
  try {
    const code = (error as { code?: unknown } | null | undefined)?.code;
    return typeof code === "string" || typeof code === "number" ? code : null;
  } catch {
    return null;
  }
}

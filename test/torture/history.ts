/** What the players' process writes, a JSON line each. Times are its monotonic clock, ms. */
export type Line =
  | {
      readonly type: "joined";
      readonly player: string;
      readonly kind: "stock" | "wrapper";
      readonly roomId: string;
      readonly sessionId: string;
    }
  | { readonly type: "moved"; readonly player: string; readonly atMs: number; readonly gapMs: number | null }
  /** The player has lost its seat for good. */
  | { readonly type: "left"; readonly player: string; readonly code: number; readonly reason: string }
  /** One request, written when its outcome is known: `unknown` may or may not have been applied. */
  | {
      readonly type: "request";
      readonly what: "add" | "get" | "put" | "cas";
      readonly player: string;
      /** From 1, the player's own. */
      readonly n: number;
      readonly key: string | null;
      readonly input: unknown;
      readonly output: unknown;
      readonly invokedMs: number;
      readonly endedMs: number;
      readonly outcome: "ok" | "unknown";
    };

export type Request = Extract<Line, { readonly type: "request" }>;

/** The last line may be half written. */
export function readHistory(text: string): Line[] {
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  return whole
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);
}

import { KeeperError, type KeeperErrorCode } from "./keeper-error.ts";

/** What came of a command: plain data, to be remembered, and the same on every replica. */
export type KeeperResult =
  | { readonly type: "done"; readonly value: unknown }
  | { readonly type: "refused"; readonly code: KeeperErrorCode; readonly message: string };

/** @param act throws KeeperErrors only where it has changed nothing */
export function resultOf(act: () => unknown): KeeperResult {
  try {
    return { type: "done", value: act() };
  } catch (error) {
    if (!(error instanceof KeeperError)) throw error;
    return { type: "refused", code: error.code, message: error.message };
  }
}

/** @throws KeeperError if it is a refusal */
export function unlessRefused(result: KeeperResult): unknown {
  if (result.type === "refused") throw new KeeperError(result.code, result.message);
  return result.value;
}

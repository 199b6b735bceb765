/**
 * Why a proposal or a read has no result.
 * - `OVERLOADED`: refused at once, nothing was sent; try again after `retryAfterMs`.
 * - `TIMEOUT`: the deadline passed; the command may still be applied, once.
 * - `COMMAND_TOO_LARGE`: refused at once.
 * - `STOPPED`: this node is stopping; the outcome is unknown.
 */
export type ProposalErrorCode = "OVERLOADED" | "TIMEOUT" | "COMMAND_TOO_LARGE" | "STOPPED";

export class ProposalError extends Error {
  readonly code: ProposalErrorCode;
  /** With `OVERLOADED` only. */
  readonly retryAfterMs: number | null;

  constructor(code: ProposalErrorCode, message: string, retryAfterMs: number | null = null) {
    super(message);
    this.name = "ProposalError";
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

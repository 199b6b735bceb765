import type { Endpoint } from "./endpoints.ts";

export interface Attempt {
  readonly endpoint: Endpoint;
  readonly error: unknown;
}

/** None of the nodes answered. `attempts` has each node's own error, in the order of asking. */
export class NoNodeAnsweredError extends Error {
  readonly code = "NO_NODE_ANSWERED";
  readonly attempts: readonly Attempt[];

  constructor(attempts: readonly Attempt[]) {
    const each = attempts.map(({ endpoint, error }) => `${endpoint.url}: ${messageOf(error)}`);
    super(`NO_NODE_ANSWERED: ${each.join("; ")}`);
    this.name = "NoNodeAnsweredError";
    this.attempts = attempts;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Why an operator's command was refused: told as JSON, `{ error: { code, message } }`. */
export class OperatorError extends Error {
  readonly code: string;
  /** The HTTP status. */
  readonly status: number;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.name = "OperatorError";
    this.status = status;
    this.code = code;
  }
}

export function notFounded(nodeId: string): OperatorError {
  return new OperatorError(
    503,
    "NOT_FOUNDED",
    `${nodeId} knows of no cluster yet: is it linked with the nodes that --peers names?`,
  );
}

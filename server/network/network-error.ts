/**
 * A network that cannot be had as asked: a wrong option, or a port that cannot be listened on.
 * The message is one line for an operator.
 */
export class NetworkError extends Error {
  readonly code: "OPTION_INVALID" | "PORT_IN_USE" | "LISTEN_FAILED";

  constructor(code: NetworkError["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "NetworkError";
    this.code = code;
  }
}

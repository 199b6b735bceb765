/** One client's connection, as the load generator uses it: as many commands in flight as are asked for. */
export interface Connection {
  /** Sends one command. `replied` gets the moment at which it was sent (performance.now()), once it is committed. */
  send(): void;
  replied: (sentMs: number) => void;
  /** A refusal, or the connection is gone. */
  failed: (reason: string) => void;
  close(): void;
}

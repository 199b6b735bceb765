/** A client's connection to this node, as far as the session layer needs it. */
export interface LiveSocket {
  /** Sends one frame, or closes a client that reads too slowly. It may wait for others, until the end of the turn at most. */
  send(frame: Uint8Array): void;
  /** Sends what waits now. */
  flush?(): void;
  close(code: number, reason: string): void;
  readonly isOpen: boolean;
}

/** Colyseus's close code that makes the stock SDK reconnect by itself (CloseCode.MAY_TRY_RECONNECT). */
export const mayTryReconnect = 4010;
/** CloseCode.ABNORMAL_CLOSURE: what a seat sees when its connection is simply gone. */
export const abnormalClosure = 1006;

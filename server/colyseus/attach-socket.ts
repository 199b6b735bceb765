import { type Client, ErrorCode, getMessageBytes, Protocol, ServerError } from "@colyseus/core";
import { encodeMoveOn } from "../../shared/wrapper-protocol.ts";
import { type AuthOutcome, unasked } from "../session/auth-outcome.ts";
import { sessionLimits } from "../session/limits.ts";
import { type LiveSocket, mayTryReconnect } from "../session/live-socket.ts";
import { isTransient, SessionError } from "../session/session-error.ts";
import type { Sessions } from "../session/sessions.ts";
import { fittingReason, noStatus } from "./close-frame.ts";
import { EarlyFrames } from "./early-frames.ts";
import { OpenRequests } from "./open-requests.ts";

/** The client of Colyseus's WebSocket transport, with the socket as `ref`. */
interface TransportClient extends Client {
  readonly readyState: number;
}

/** What of a `ws` socket is used beside the transport. */
interface SocketRef {
  readonly bufferedAmount: number;
  /** The TCP socket; null once it is gone. */
  readonly _socket: { cork(): void; uncork(): void } | null;
}

const readyStateOpen = 1;
const tooSlow = 4002;

const wrapped = new WeakMap<object, { readonly received: number | null }>();

/** This socket's client is the wrapper: its commands carry their own numbers, and it says what it has `received`. */
export function markWrapper(ref: object, received: number | null): void {
  wrapped.set(ref, { received });
}

/** The transport's client, as the session layer sends to it and closes it. */
class TransportSocket implements LiveSocket {
  readonly requests = new OpenRequests();
  readonly #client: TransportClient;
  #corked: SocketRef["_socket"] = null;

  constructor(client: TransportClient) {
    this.#client = client;
  }

  get isOpen(): boolean {
    return this.#client.readyState === readyStateOpen;
  }

  send(frame: Uint8Array): void {
    if (!this.isOpen) return;
    if (this.#ref.bufferedAmount > sessionLimits.socketBufferedBytesMax) {
      this.close(tooSlow, "this client reads too slowly");
      return;
    }
    this.#cork();
    this.requests.sent(frame);
    // The encoder uses its buffer again for the next patch, while the socket may still hold this one.
    this.#client.raw(Uint8Array.prototype.slice.call(frame));
  }

  flush(): void {
    const corked = this.#corked;
    this.#corked = null;
    corked?.uncork();
  }

  get #ref(): SocketRef {
    return this.#client.ref as unknown as SocketRef;
  }

  /** A system call a frame would be most of what a reply costs: what is sent in one turn leaves in one write. */
  #cork(): void {
    if (this.#corked !== null) return;
    this.#corked = this.#ref._socket;
    this.#corked?.cork();
    setImmediate(() => this.flush());
  }

  close(code: number, reason: string): void {
    this.flush();
    if (!this.isOpen) return;
    if (code === noStatus) this.#client.leave();
    else this.#client.leave(code, fittingReason(reason));
  }
}

const colyseusCodes: Partial<Record<SessionError["code"], number>> = {
  SEAT_EXPIRED: ErrorCode.MATCHMAKE_EXPIRED,
  TOKEN_REFUSED: ErrorCode.MATCHMAKE_EXPIRED,
  ROOM_NOT_FOUND: ErrorCode.MATCHMAKE_INVALID_ROOM_ID,
  ROOM_QUARANTINED: ErrorCode.MATCHMAKE_INVALID_ROOM_ID,
  ROOM_CREATE_FAILED: ErrorCode.MATCHMAKE_UNHANDLED,
};

/** HTTP's own "not now": another node may answer. */
export const unavailable = 503;

/** A refusal in the form that Colyseus sends to its clients. */
export function serverError(error: unknown): unknown {
  if (isTransient(error)) return new ServerError(unavailable, (error as Error).message);
  if (!(error instanceof SessionError)) return error;
  const code = error.colyseusCode ?? colyseusCodes[error.code] ?? ErrorCode.MATCHMAKE_UNHANDLED;
  return new ServerError(code, error.message);
}

/**
 * A client's socket on its way into a replicated room: attached through the log, then every frame goes the same way.
 * @param ask what the room's own onAuth says of a client that joins
 * @throws ServerError, which the transport tells the client before it closes
 */
export async function attachSocket(
  sessions: Sessions,
  roomId: string,
  client: Client,
  connection: { reconnectionToken?: string | null; skipHandshake?: boolean },
  ask: (hasClosed: () => boolean) => Promise<AuthOutcome>,
): Promise<void> {
  const socket = new TransportSocket(client as TransportClient);
  const presentedToken = connection.reconnectionToken ?? null;
  const early = new EarlyFrames();
  let attached: Awaited<ReturnType<Sessions["attach"]>> | null = null;
  let closeCode: number | null = null;
  client.ref.on("message", (data: Buffer) => {
    // Pings answer for this node, not for the room: they show that it is alive.
    if (data[0] === Protocol.PING) client.raw(getMessageBytes[Protocol.PING]());
    else if (attached !== null) {
      socket.requests.received(data);
      attached.receive(data);
    } else {
      const tooMuch = early.add(data);
      if (tooMuch !== null) socket.close(tooSlow, tooMuch);
    }
  });
  client.ref.once("close", (code: number) => {
    closeCode = code;
    attached?.closed(code);
  });
  try {
    attached = await sessions.attach(roomId, socket, {
      sessionId: client.sessionId,
      presentedToken,
      wrapper: wrapped.has(client.ref),
      received: wrapped.get(client.ref)?.received ?? null,
      skipHandshake: connection.skipHandshake === true,
      auth: presentedToken === null ? await ask(() => closeCode !== null) : unasked,
    });
  } catch (error) {
    // Before the transport ends it with a code for good: the seat is there, only the way to it is not.
    if (isTransient(error)) socket.close(mayTryReconnect, (error as Error).message);
    throw serverError(error);
  }
  if (closeCode !== null) attached.closed(closeCode);
  else {
    const here = attached;
    const gone = sessions.clients.add({
      movesItself: wrapped.has(client.ref),
      // Only a room object of the stock SDK that has shaken hands before asks for none.
      cameBack: presentedToken !== null && connection.skipHandshake === true,
      get isBusy() {
        return here.isBusy || socket.requests.size > 0;
      },
      ask: () => socket.send(encodeMoveOn()),
      close: (reason) => socket.close(mayTryReconnect, reason),
    });
    client.ref.once("close", gone);
  }
  for (const frame of early.all) {
    socket.requests.received(frame);
    attached.receive(frame);
  }
}

import { ClientState, ErrorCode, Protocol, type Room, ServerError } from "@colyseus/core";
import { checkPlainData } from "../../session/plain-data.ts";
import type { LoggedClient } from "../logged-client.ts";
import { partsOf, type RoomParts } from "../room-parts.ts";
import type { LedRoomData } from "./led-room-data.ts";
import { type Connection, type SeatEpoch, unpacked } from "./led-step.ts";
import { isKept, type LiveClients } from "./live-clients.ts";

const readyStateOpen = 1;
/** What a client asks of the room's own code. */
const said: ReadonlySet<number> = new Set([
  ...[Protocol.ROOM_DATA, Protocol.ROOM_DATA_BYTES, Protocol.ROOM_REQUEST],
]);
const joinContext = { token: undefined, headers: new Headers(), ip: undefined };

interface LiveInputsHost {
  readonly room: Room;
  readonly data: LedRoomData;
  readonly clients: LiveClients;
  readonly said: (client: LoggedClient, frame: Uint8Array) => void;
}

/** What a live room is asked, and what it says to that: each by the stock room's own method. */
export class LiveInputs {
  readonly #host: LiveInputsHost;

  constructor(host: LiveInputsHost) {
    this.#host = host;
  }

  get #parts(): RoomParts {
    return partsOf(this.#host.room);
  }

  async reserve(sessionId: string): Promise<boolean> {
    const person = this.#host.data.people.get(sessionId);
    if (person === undefined || this.#parts.locked) return false;
    const { options, auth, reservation } = person;
    const isReserved = await this.#parts._reserveSeat(
      sessionId,
      unpacked(options),
      unpacked(auth),
      reservation.seconds,
    );
    if (isReserved) this.#host.clients.reserved(sessionId);
    return isReserved;
  }

  async join(input: Connection & { isReconnecting: boolean; skipHandshake: boolean }): Promise<void> {
    const { sessionId, isReconnecting, skipHandshake } = input;
    const before = this.#host.clients.get(sessionId);
    const expired = (why: string) => new ServerError(ErrorCode.MATCHMAKE_EXPIRED, why);
    if (isReconnecting && (before === undefined || !isKept(this.#parts, before)))
      throw expired("the room did not keep the seat: it did not call allowReconnection()");
    if (!isReconnecting && this.#parts._reservedSeats[sessionId] === undefined) {
      if (!(await this.reserve(sessionId))) throw expired("seat reservation expired: the room is full");
    }
    const client = this.#host.clients.add(input);
    const connection = isReconnecting
      ? { reconnectionToken: before?.reconnectionToken ?? "", skipHandshake }
      : { skipHandshake };
    await this.#host.clients.joins(client, this.#parts._onJoin(client, joinContext, connection));
    if (client.state !== ClientState.JOINING) return;
    // That its client has heard of it is the matter of where that is.
    client.state = ClientState.JOINED;
    client._joinedAt = this.#parts.clock.elapsedTime;
    const waiting = client._enqueuedMessages ?? [];
    delete client._enqueuedMessages;
    for (const message of waiting) this.#host.said(client, message);
  }

  /** What an earlier leader's handler had not finished begins again, though its client has moved since, or waits to be back. */
  hear(client: LoggedClient, { epoch, frame }: SeatEpoch & { readonly frame: Uint8Array }): void {
    const message = Buffer.from(frame);
    if (client.epoch === epoch && client.readyState === readyStateOpen) {
      client.ref.emit("message", message);
      return;
    }
    if (client.epoch < epoch || !said.has(frame[0] ?? 0)) return;
    const { state } = client;
    // The stock room hears nothing of a client that leaves.
    client.state = ClientState.JOINED;
    try {
      this.#parts._onMessage(client, message);
    } finally {
      client.state = state;
    }
  }

  async call(method: string, data: unknown[]): Promise<unknown> {
    const called = (this.#host.room as unknown as Record<string, unknown>)[method];
    if (typeof called !== "function")
      throw new Error(`room "${this.#parts.roomName}" has no method "${method}" to propose`);
    const value: unknown = await called.apply(this.#host.room, data);
    checkPlainData(value, `what ${method}() returns`);
    return value;
  }
}

import type { EventEmitter } from "node:events";
import type { ClientArray, Clock, IRoomCache, Room } from "@colyseus/core";
import type { Encoder, Schema } from "@colyseus/schema";
import type { LoggedClient } from "./logged-client.ts";

/** [join options, auth data, consumed, waiting for a reconnection] */
export type ReservedSeat = [unknown, unknown, boolean?, boolean?];

/**
 * The stock Room of @colyseus/core 0.18.17 as the seam uses it: public members and those that TypeScript calls private.
 * A version that moves one of them fails `test/colyseus/contract.test.ts`, not a match.
 */
export interface RoomParts {
  roomId: string;
  roomName: string;
  readonly locked: boolean;
  state: Schema | undefined;
  clients: ClientArray<never> & LoggedClient[];
  clock: Clock & { now: () => number };
  maxClients: number;
  autoDispose: boolean;
  patchRate: number | null;
  seatReservationTimeout: number;
  maxMessagesPerSecond: number;
  presence: unknown;
  readonly onMessageEvents: { readonly events: Record<string, unknown[] | undefined> };
  messages?: unknown;
  plugins?: object;
  _autoPlugins?: object;
  _events: EventEmitter;
  _listing: IRoomCache;
  _internalState: number;
  _lockedExplicitly: boolean;
  _autoDisposeTimeout: unknown;
  _reservedSeats: Record<string, ReservedSeat>;
  _reservedSeatTimeouts: Record<string, unknown>;
  _reconnections: Record<string, [string, unknown]>;
  _serializer: { encoder?: Encoder<Schema> };
  resetAutoDisposeTimeout(seconds?: number): void;
  _reserveSeat(
    sessionId: string,
    options: unknown,
    auth: unknown,
    seconds?: number,
    allowReconnection?: boolean,
    token?: string,
  ): Promise<boolean>;
  _onJoin(
    client: unknown,
    context: unknown,
    connection?: { reconnectionToken?: string; skipHandshake?: boolean },
  ): Promise<void>;
  _onMessage(client: unknown, frame: Uint8Array): void;
  _onLeave(client: unknown, code?: number): Promise<unknown>;
  allowReconnection(client: unknown, seconds: number | "manual"): PromiseLike<unknown>;
  lock(internally?: boolean): Promise<void>;
  unlock(internally?: boolean): Promise<void>;
  sendFullState(client: unknown): void;
}

export function partsOf(room: Room): RoomParts {
  return room as unknown as RoomParts;
}

import { pack, unpack } from "msgpackr";
import { sessionLimits } from "../../session/limits.ts";

/** What a client asks, or what has happened to it, until the room's code has worked it off. */
export type LedInput =
  | { readonly type: "reserve"; readonly sessionId: string }
  | ({
      readonly type: "join";
      readonly isReconnecting: boolean;
      readonly skipHandshake: boolean;
    } & Connection)
  /** It has joined, as its client says: from here on it is sent the state. */
  | ({ readonly type: "sync" } & SeatEpoch)
  | ({ readonly type: "message"; readonly frame: Uint8Array } & SeatEpoch)
  | ({ readonly type: "drop"; readonly code: number } & SeatEpoch)
  | { readonly type: "call"; readonly method: string; readonly data: Uint8Array };

export interface SeatEpoch {
  readonly sessionId: string;
  readonly epoch: number;
}

/** Who is told something. The wrapper gets its replies wherever it is by then, whoever has its seat meanwhile. */
export interface Asker extends SeatEpoch {
  readonly isWrapper: boolean;
}

/** One attachment of a seat, as room code knows it. */
export interface Connection extends Asker {
  readonly token: string;
  readonly nodeId: string;
}

/** The whole state as a client is sent it, refIds and all, and what an encoder knows besides. */
export interface FullState {
  readonly frame: Uint8Array;
  /** By refId: the next free index of a collection whose indexes are never given twice. */
  readonly nextIndexes: readonly (readonly [refId: number, next: number])[];
}

/** How an input ended, for whoever waits for it. */
export interface LedAnswer {
  readonly input: number;
  readonly value?: unknown;
  readonly error?: { readonly message: string; readonly code: number | string | null };
}

/** What of a room beside its state, clients and cache outlives its instance. */
export interface LedFlags {
  readonly listing: Record<string, unknown>;
  readonly locked: boolean;
  readonly lockedExplicitly: boolean;
  readonly maxClients: number;
  readonly autoDispose: boolean;
  readonly seatReservationTimeout: number;
  readonly maxMessagesPerSecond: number;
}

/** All that came of a room's code since the step before: one command, all of it or nothing. */
export interface Step {
  /** Inputs that are worked off. */
  readonly done: readonly number[];
  readonly answers: readonly LedAnswer[];
  readonly connections: readonly Asker[];
  /** In order: a message to some of `connections`, or (null) a patch, for everybody who has the state. */
  readonly frames: readonly { readonly bytes: Uint8Array; readonly to: readonly number[] | null }[];
  /** In place of all patches up to here. */
  readonly full: FullState | null;
  readonly nextRefId: number;
  /** Those who are sent `full`, and from then on patches. */
  readonly synced: readonly SeatEpoch[];
  readonly leaves: readonly (SeatEpoch & { readonly code: number; readonly reason: string })[];
  /** Seats that wait for a reconnection, for so long; null: without an end. */
  readonly kept: readonly { readonly sessionId: string; readonly ms: number | null }[];
  /** Seats that are free again, since their last connection that room code knew; 0: they were only reserved. */
  readonly gone: readonly SeatEpoch[];
  readonly people: readonly {
    readonly sessionId: string;
    readonly auth: unknown;
    readonly userData: unknown;
  }[];
  /** Null: as before. */
  readonly flags: LedFlags | null;
  readonly cached: { readonly value: unknown } | null;
  readonly elapsedMs: number;
  /** The room has ended: by itself (null), or because it cannot go on. */
  readonly end: { readonly failure: string | null } | null;
}

/** As it stays, whatever happens to `value`; equal for equal data on every replica. */
export function packed(value: unknown): Uint8Array {
  return Uint8Array.from(pack(value));
}

export function unpacked(bytes: Uint8Array): unknown {
  return unpack(bytes) as unknown;
}

export function piecesOf(bytes: Uint8Array): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  const { stepPieceBytesMax } = sessionLimits;
  for (let at = 0; at < bytes.length; at += stepPieceBytesMax)
    pieces.push(bytes.slice(at, at + stepPieceBytesMax));
  return pieces;
}

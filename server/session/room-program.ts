import type { AuthOutcome } from "./auth-outcome.ts";
import type { LedSide } from "./led-program.ts";
import type { RoomEffects } from "./room-effects.ts";
import type { RoomTimers } from "./room-timers.ts";
import type { World } from "./sandbox.ts";
import type { Seat } from "./seat.ts";

/** How a room was created: agreed, so that every replica and every restore begins alike. */
export interface RoomBirth {
  readonly roomId: string;
  readonly roomName: string;
  readonly options: unknown;
  readonly seed: Uint8Array;
  /** Which version of the game's code runs it: no other ever does. */
  readonly code: string;
  /** Those that have run it before, oldest first. */
  readonly left?: readonly string[];
  /** The creating entry's index and stamps. */
  readonly index: number;
  readonly logTimeMs: number;
  readonly wallTimeMs: number;
}

/** What a room's program is given: its world, and the way out to the clients that are attached to this node. */
export interface RoomEnvironment {
  readonly birth: RoomBirth;
  readonly world: World & { readonly effects: RoomEffects; readonly timers: RoomTimers };
  /** This node's id: for what is local by nature. Room code must not branch on it. */
  readonly nodeId: string;
  /** Sends a frame if the seat is attached to this node in this epoch; else it goes nowhere. */
  deliver(seat: Seat, epoch: number, frame: Uint8Array): void;
  /** The same for a message of the room's: it goes nowhere either while the seat's node may be gone (see Seat.isMissing). */
  say(seat: Seat, epoch: number, message: Uint8Array): void;
  /** Closes the socket of the seat's client, if it is attached to this node; that the seat is free follows. */
  close(seat: Seat, code: number, reason: string): void;
  /** The seat's client has its token. */
  acknowledged(seat: Seat): void;
  /**
   * Numbers a message to the seat's client and keeps it, in case its node is gone.
   * @returns the same bytes, to be delivered
   */
  keep(seat: Seat, epoch: number, frame: Uint8Array): Uint8Array;
  /** True if the seat's client is attached to this node: what is only for its socket need not be encoded elsewhere. */
  isHere(seat: Seat): boolean;
  /** The command at hand is one of this node's own time as leader. */
  isPrimary(): boolean;
  /** A promise of room code is open: the room is not at rest until it settles. A rejection is a result. */
  track(promise: PromiseLike<unknown>, what: string): void;
  /** Like `track`, where a rejection is the ordinary end and nobody's failure. */
  watch(promise: PromiseLike<unknown>, what: string): void;
  /** A failure in room code: one log line, and `lastError` in the status. */
  report(error: unknown, where: string): void;
  /** Makes timers from now on count as made after the creation. */
  created(): void;
}

/** What an effect's code is given beside its argument. */
export interface EffectCall {
  /** The same for every attempt at this effect, by whichever node, and for no other: for whoever must do it only once. */
  readonly key: string;
  /** Aborted when nobody waits any more: timed out, cancelled, the room has ended, another node leads, or this one stops. */
  readonly signal: AbortSignal;
}

/**
 * The game inside a replica: a Colyseus room, seen from the log. Every method but `restlessBecause`, `hash` and `save`
 * is called within the room's world and followed by a drain of the microtasks.
 */
export interface RoomProgram {
  reserve(fields: {
    readonly sessionId: string;
    readonly options: unknown;
    readonly auth: unknown;
    readonly seconds: number;
  }): Promise<boolean>;
  hasReservation(sessionId: string): boolean;
  /** Seats that are reserved and not yet taken. */
  readonly reservedSeats: number;
  /** A first join, or a reconnection to a seat that was kept. The seat's epoch and token are already the new ones. */
  join(
    seat: Seat,
    fields: {
      readonly skipHandshake: boolean;
      readonly reconnecting: boolean;
      readonly auth: AuthOutcome;
      /** What its client lacks, in order: to be sent before anything newer. */
      readonly missed: readonly Uint8Array[];
    },
  ): Promise<void>;
  /** Its client has shown the token that it got by joining: it had joined, also if its word of that was lost on the way. */
  tokenShown(seat: Seat): void;
  /** The seat's connection is gone. */
  drop(seat: Seat, code: number): void;
  /** Waiting for a reconnection. */
  isKept(seat: Seat): boolean;
  /** In the room, with a connection as far as the log knows. */
  isPresent(seat: Seat): boolean;
  /** Seats that are neither: their players are gone for good. Asked after every command. */
  vacated(): readonly Seat[];
  message(seat: Seat, frame: Uint8Array): void;
  /**
   * The type of a client's frame of which only the newest counts; null: it is another frame. Outside of the room's world,
   * where the client is.
   */
  latestType(frame: Uint8Array): string | null;
  /** The type of a client's frame that is in no log; null: it is another frame. Outside of the room's world. */
  eventualType(frame: Uint8Array): string | null;
  /**
   * A frame that is in no log, in a world of its own: its handler may look and speak to the clients that are attached here.
   * @throws SessionError MESSAGE_INVALID: the room does not take it; else what its handler throws
   */
  hearEventual(seat: Seat, frame: Uint8Array): void;
  /** What a client may say within a second. */
  readonly messagesPerSecondMax: number;
  /** A frame that was applied before: its remembered reply goes out again. */
  repeat(seat: Seat, frame: Uint8Array): void;
  call(method: string, data: readonly unknown[]): unknown;
  /** Outside of the room's world, on the leader's node alone. `key` is the same for every attempt. */
  runEffect(name: string, argument: unknown, call: EffectCall): unknown;
  /** Clients that room code asked to leave since the last call, in order. */
  takeLeaves(): readonly { readonly seat: Seat; readonly code: number; readonly reason: string }[];
  /** The room is as another version of its code has left it; not there where a room cannot change its code. */
  upgrade?(from: string): Promise<void>;
  readonly disposed: boolean;
  /** Null while at rest, else why the room cannot be saved now. */
  restlessBecause(): string | null;
  /** @throws an Error that names path and remedy for what cannot be saved */
  save(): Uint8Array;
  hash(): string;
  /** Only where the room's code runs on the leader's node alone: see LedSide. */
  readonly led?: LedSide;
  /** The replica is thrown away, without a word to room code: let go of what is held outside the log. */
  discard(): void;
}

/** Of a checkpoint. */
export interface SavedProgram {
  readonly program: Uint8Array;
  /** The code that has saved it, of a room that is to go on under another: see switchRoom. */
  readonly upgradeFrom?: string;
}

/** Makes rooms; the Colyseus seam is one. */
export interface RoomPrograms {
  /** Rejects with what onCreate throws, or with the problems of what could never be saved. */
  create(environment: RoomEnvironment): Promise<RoomProgram>;
  restore(
    environment: RoomEnvironment,
    saved: SavedProgram,
    seats: ReadonlyMap<string, Seat>,
  ): Promise<RoomProgram>;
}

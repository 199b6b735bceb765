import type { Room } from "@colyseus/core";
import type { Lead } from "../../session/led-program.ts";
import type { RoomEnvironment } from "../../session/room-program.ts";
import type { Seam } from "../seam.ts";
import type { Connection, FullState, LedInput } from "./led-step.ts";

/** A seat of a room that its leader runs, as far as the room's code has come. */
export interface LedPerson {
  readonly options: Uint8Array;
  readonly auth: Uint8Array;
  userData: Uint8Array;
  /** What it is given before it has joined. */
  readonly reservation: { readonly seconds: number; readonly atMs: number };
  /** The room's code has let it in; its client may come. */
  isReserved: boolean;
  /** As room code knows it; null: it has not joined. */
  connection: Connection | null;
  /** It is kept for a reconnection, in the room's log time; null: without an end. */
  keptUntilMs: { readonly atMs: number | null } | null;
  /** How its last connection ended. */
  dropCode: number;
  /** Its client has the state, and is sent patches. */
  isSynced: boolean;
  /** Messages for the time when it has. */
  held: Uint8Array[];
}

/**
 * All that is agreed about a room that its leader runs: plain data, equal on every replica, what a checkpoint is made of. No
 * bytes are in it twice: that would tell a restored one from the one that was saved.
 */
export interface LedRoomData extends Record<string, unknown> {
  /** How often a leader has begun to run it, and who did last. */
  run: number;
  runner: { readonly nodeId: string; readonly bootCount: number } | null;
  /** The last step of this run. */
  number: number;
  /** Of a step that has not come whole. */
  pieces: Uint8Array[];
  nextInput: number;
  readonly inputs: Map<number, LedInput>;
  readonly people: Map<string, LedPerson>;
  /** onCreate has run. */
  isOpen: boolean;
  state: { full: FullState; patches: Uint8Array[] } | null;
  nextRefId: number;
  flags: Uint8Array | null;
  cached: Uint8Array | null;
  elapsedMs: number;
  end: { readonly failure: string | null } | null;
}

export function newRoomData(): LedRoomData {
  return {
    run: 0,
    runner: null,
    number: 0,
    pieces: [],
    nextInput: 1,
    inputs: new Map(),
    people: new Map(),
    isOpen: false,
    state: null,
    nextRefId: 0,
    flags: null,
    cached: null,
    elapsedMs: 0,
    end: null,
  };
}

const inputOverheadBytes = 64;

export function inputBytes(input: LedInput): number {
  const { length } =
    input.type === "message" ? input.frame : input.type === "call" ? input.data : { length: 0 };
  return length + inputOverheadBytes;
}

/** What a leader's instance sees of the replica that it is on. */
export interface LedReplica {
  readonly environment: RoomEnvironment;
  readonly data: LedRoomData;
  readonly seam: Seam;
  /** The empty room that stands for it on every node. */
  readonly room: Room;
}

/** The room's code at work; see LeaderInstance. */
export interface LedInstance {
  isOver(term: number): boolean;
  end(): void;
  wake(): void;
}

export type NewLedInstance = (replica: LedReplica, lead: Lead) => LedInstance;

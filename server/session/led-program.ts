import { z } from "zod";
import type { Origin } from "../group/origins.ts";
import type { Refusal } from "./session-error.ts";

const roomId = z.string().min(1).max(128);
const count = z.number().int().positive();

/** A node that leads wants to run the room from here on: steps of earlier runs are past. */
export const beginRunSchema = z.object({ roomId, run: count });
/** What came of a room's code where it runs; a big step comes in several pieces, numbered like steps. */
export const stepSchema = z.object({
  roomId,
  run: count,
  /** Within the run, from 1: it must be the last one + 1. */
  number: count,
  bytes: z.custom<Uint8Array>((value) => value instanceof Uint8Array, "bytes are expected"),
  isLast: z.boolean(),
});

export type BeginRun = z.infer<typeof beginRunSchema>;
export type StepPiece = z.infer<typeof stepSchema>;

/** The node that runs a room, in one of its starts. */
export type Runner = Pick<Origin, "nodeId" | "bootCount">;

/** This node leads the room's group, and has since the term began. */
export interface Lead {
  readonly term: number;
  beginRun(run: BeginRun): Promise<Refusal | null>;
  step(piece: StepPiece): Promise<Refusal | null>;
  /** Calls `act` soon, from a macrotask, unless this node stops before. */
  soon(act: () => void): void;
  /** Runs the room's code under the eyes of whoever looks on: see RoomWatch. */
  watched<T>(act: () => T): T;
}

/**
 * The side of a room that is the same on every replica, where its code runs on the leader's node alone (design 5.8): what its
 * clients ask waits here until a step that is committed has worked it off.
 */
export interface LedSide {
  beginRun(run: BeginRun, from: Runner): Refusal | null;
  step(piece: StepPiece, from: Runner): Refusal | null;
  /** Why so much more may not wait for the room's code now. */
  busy(bytes: number): Refusal | null;
  /** Outside of applies. This node leads, and has applied what was committed before; told again and again. */
  lead(lead: Lead): void;
  /** It does not, or no longer: what was not committed of the room's code is gone. */
  stepDown(): void;
}

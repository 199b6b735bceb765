import { Protocol } from "@colyseus/core";
import { decode } from "@colyseus/schema";
import { type Step, unpacked } from "../../colyseus/led/led-step.ts";
import type { StepPiece } from "../../session/led-program.ts";
import { frameWords } from "./entry-words.ts";

/** The steps of a room that its leader ran, out of the pieces that are in the log. */
export class LedSteps {
  #run = 0;
  #number = 0;
  #pieces: Uint8Array[] = [];

  /** The step that this piece is the last one of; null: it goes on, or comes too late and counts for nothing. */
  take({ run, number, bytes, isLast }: StepPiece): Step | null {
    const isNext = run === this.#run ? number === this.#number + 1 : run > this.#run;
    if (!isNext) return null;
    if (run > this.#run) this.#pieces = [];
    this.#run = run;
    this.#number = number;
    this.#pieces.push(bytes);
    if (!isLast) return null;
    const step = unpacked(Buffer.concat(this.#pieces)) as Step;
    this.#pieces = [];
    return step;
  }
}

/** What the step tells a client that joins of the state's schema; null: nobody joins with it. */
export function reflectionOf({ frames }: Step): Uint8Array | null {
  for (const { bytes, to } of frames) {
    if (to === null || bytes[0] !== Protocol.JOIN_ROOM) continue;
    const it = { offset: 1 };
    // The token's length, and that of the serializer's name.
    for (const _ of ["token", "serializer"]) it.offset += 1 + (bytes[it.offset] ?? 0);
    if (it.offset >= bytes.length) continue;
    const length = decode.number(bytes, it);
    if (length > 0) return bytes.slice(it.offset, it.offset + length);
  }
  return null;
}

/** What came of a step, for people. */
export function stepWords({ done, frames, full, leaves, gone, end }: Step): string {
  const words = done.length === 0 ? [] : [`${done.length} worked off`];
  const patches = frames.filter(({ to }) => to === null).length;
  if (full !== null) words.push("the whole state");
  else if (patches > 0) words.push("a patch");
  for (const { bytes, to } of frames)
    if (to !== null && bytes[0] === Protocol.ROOM_DATA) words.push(`${frameWords(bytes)} to ${to.length}`);
  for (const { sessionId, code } of leaves) words.push(`${sessionId} is sent away with ${code}`);
  for (const { sessionId } of gone) words.push(`${sessionId} is gone`);
  if (end !== null) words.push(`the room ends${end.failure === null ? "" : `: ${end.failure}`}`);
  return words.join(", ");
}

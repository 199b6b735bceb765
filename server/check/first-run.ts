import { Protocol } from "@colyseus/core";
import { decode } from "@colyseus/schema";
import { unpack } from "msgpackr";
import type { AppliedCommand } from "../group/machine.ts";
import type { Standpoint } from "./check-machine.ts";

/** What became of the first replica by one step: what all others must come to by the same commands. */
export interface Mark {
  readonly commands: readonly AppliedCommand[];
  readonly standpoint: Standpoint;
  readonly said: readonly Said[];
}

/** All marks, for another process to compare with its own. */
export type Trail = readonly Omit<Mark, "commands">[];

/** A frame that room code has sent; patches are left out, for a restored state numbers its map slots anew. */
export interface Said {
  readonly attachId: number;
  readonly frame: Uint8Array;
}

const spoken: ReadonlySet<number | undefined> = new Set<number | undefined>([
  Protocol.ROOM_DATA,
  Protocol.ROOM_DATA_BYTES,
  Protocol.ROOM_RESPONSE,
  Protocol.ERROR,
]);

export function saidIn(frames: ReadonlyMap<number, readonly Uint8Array[]>): Said[] {
  return [...frames].flatMap(([attachId, sent]) =>
    sent.filter((frame) => spoken.has(frame[0])).map((frame) => ({ attachId, frame })),
  );
}

/** The first frame that differs, in words; null: the same was said. */
export function saidDifference(
  own: readonly Said[],
  other: readonly Said[],
): { readonly path: string; readonly values: string } | null {
  for (let at = 0; at < Math.max(own.length, other.length); at++) {
    const [mine, theirs] = [own[at], other[at]];
    const isSame =
      mine?.attachId === theirs?.attachId &&
      Buffer.compare(mine?.frame ?? new Uint8Array(), theirs?.frame ?? new Uint8Array()) === 0;
    if (isSame) continue;
    return { path: "what a client is sent", values: `${words(mine)} against ${words(theirs)}` };
  }
  return null;
}

function words(said: Said | undefined): string {
  if (said === undefined) return "nothing";
  const { frame } = said;
  const it = { offset: 1 };
  if (frame[0] !== Protocol.ROOM_DATA) return `a frame of ${frame.length} bytes`;
  const name = decode.stringCheck(frame, it) ? decode.string(frame, it) : decode.number(frame, it);
  const payload = frame.length > it.offset ? JSON.stringify(unpack(frame.subarray(it.offset))) : "";
  return `${JSON.stringify(name)} ${payload}`.trimEnd();
}

import { pack, unpack } from "msgpackr";
import type { OriginsState } from "../group/origins.ts";
import type { HashPoint } from "./divergence/room-witness.ts";

/** What a node's disk has of a pinned room: what it must go on counting, and nothing of what the room is. */
export interface RoomStub {
  /** Why the room could not be saved. */
  readonly because: string;
  readonly origins: OriginsState;
  /** The last verdict that named a hash: a copy comes only from who has applied it. */
  readonly agreed: HashPoint | null;
  /** Under which the room runs. */
  readonly code: string;
}

/** No MessagePack begins with it, and so no room's own checkpoint (see packRoom). */
const stubByte = 0xc1;
const stubVersion = 1;
const becauseLettersMax = 400;

export function packStub({ because, origins, agreed, code }: RoomStub): Uint8Array {
  const packed = pack({
    version: stubVersion,
    because: because.slice(0, becauseLettersMax),
    origins,
    agreed,
    code,
  });
  return Buffer.concat([Buffer.of(stubByte), packed]);
}

/** Null: it is a room's own checkpoint. @throws Error for a stub of another version */
export function unpackStub(bytes: Uint8Array): RoomStub | null {
  if (bytes[0] !== stubByte) return null;
  const { version, ...stub } = unpack(bytes.subarray(1)) as RoomStub & { version: number };
  if (version !== stubVersion)
    throw new Error(`room stub of version ${version}, this code reads ${stubVersion}`);
  return stub;
}

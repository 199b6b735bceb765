import { hash } from "node:crypto";
import { pack, unpack } from "msgpackr";
import type { OriginsState } from "../group/origins.ts";
import { storageLimits } from "../storage/storage-limits.ts";
import type { WitnessState } from "./divergence/room-witness.ts";
import { hashSaved } from "./graph/graph.ts";
import { GraphError } from "./graph/graph-error.ts";
import type { RoomOutboxState } from "./room-outbox.ts";
import type { RoomBirth, SavedProgram } from "./room-program.ts";
import type { WorldState } from "./room-world.ts";
import type { SeatState } from "./seat.ts";

const checkpointVersion = 5;
/** 16 hex digits. */
const hashDigits = 16;

/** What a room is beside its program: all of it agreed, and so the same on every replica. */
export interface SessionPart {
  readonly world: WorldState;
  readonly origins: OriginsState;
  readonly seats: readonly SeatState[];
}

export interface SavedRoom extends SessionPart, SavedProgram {
  readonly birth: RoomBirth;
  readonly index: number;
  readonly witness: WitnessState;
  readonly outbox: RoomOutboxState;
}

/** @throws GraphError CHECKPOINT_TOO_BIG: the storage takes no more */
export function packRoom(saved: SavedRoom): Uint8Array {
  const packed = pack({ ...saved, version: checkpointVersion });
  const { checkpointBytesMax } = storageLimits;
  if (packed.length <= checkpointBytesMax) return packed;
  const parts = `${packed.length} bytes, ${saved.program.length} of them the room's own`;
  const remedy = "the rest is replies and messages that its clients may still ask for: send less at once";
  throw new GraphError(
    "CHECKPOINT_TOO_BIG",
    `the checkpoint of ${saved.birth.roomName} has ${parts}; at most ${checkpointBytesMax} are allowed; ${remedy}`,
  );
}

/** @throws Error for a checkpoint of another version */
export function unpackRoom(bytes: Uint8Array): SavedRoom {
  const { version, ...saved } = unpack(bytes) as SavedRoom & { version: number };
  if (version !== checkpointVersion)
    throw new Error(`room checkpoint of version ${version}, this code reads ${checkpointVersion}`);
  return saved;
}

/** Without the bytes of remembered replies and kept messages: a state that was restored may write the same in other bytes. */
export function comparablePart({ world, origins, seats }: SessionPart): object {
  const comparable = seats.map(({ replies, ...seat }) => ({ ...seat, replies: replies.map(([id]) => id) }));
  return { world, origins, seats: comparable };
}

/** 16 hex digits over everything that all replicas must agree on; `programHash` is the graph's own. */
export function roomHash(programHash: string, part: SessionPart): string {
  return hash("sha1", programHash + JSON.stringify(comparablePart(part)), "hex").slice(0, hashDigits);
}

/** Of what `RoomReplica.picture` gave. */
export function hashOfPicture(picture: Uint8Array): string {
  const saved = unpackRoom(picture);
  return roomHash(hashSaved(saved.program), saved);
}

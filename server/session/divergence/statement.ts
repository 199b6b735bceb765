import { sessionLimits } from "../limits.ts";
import type { RoomReplica } from "../room-replica.ts";
import { endedHash, type HashPoint, noHash, type RoomWitness } from "./room-witness.ts";

/** What a node says of its replica of a room: all hashes since the last verdict, and that there are no others. */
export interface Statement {
  readonly roomId: string;
  /** The node whose word it is: see RoomWitness. */
  readonly source: string;
  /** From behind here on the points are all that there are. */
  readonly since: number;
  /** One at least, oldest first. */
  readonly points: HashPoint[];
}

/** Null: there is nothing that no verdict has covered. */
export function statementOf({ roomId, witness }: RoomReplica): Statement | null {
  const { open, source, knownSince, agreed } = witness;
  if (open.length === 0) return null;
  return { roomId, source, since: Math.max(knownSince, agreed?.index ?? 0), points: [...open] };
}

/** Of a replica that has ended by itself, and for how long the others may have gone on. */
export function statementOfEnded(
  roomId: string,
  { open, source, knownSince, agreed }: RoomWitness,
  appliedIndex: number,
): Statement {
  const kept = open.slice(1 - sessionLimits.hashPointsMax);
  const forgotten = open.at(-1 - kept.length)?.index ?? 0;
  const since = Math.max(knownSince, agreed?.index ?? 0, forgotten);
  return { roomId, source, since, points: [...kept, { index: appliedIndex, hash: endedHash }] };
}

/** Null: it says nothing about this index, or not yet. */
export function hashIn({ since, points }: Statement, index: number): string | null {
  const last = points.at(-1) as HashPoint;
  if (index <= since || index > last.index) return null;
  if (last.hash === endedHash && index > (points.at(-2)?.index ?? since)) return endedHash;
  return points.find((point) => point.index === index)?.hash ?? noHash;
}

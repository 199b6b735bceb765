import type { RoomReplica } from "../room-replica.ts";
import { type HashPoint, noHash } from "./room-witness.ts";

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

/** Null: it says nothing about this index, or not yet. */
export function hashIn({ since, points }: Statement, index: number): string | null {
  const last = points.at(-1) as HashPoint;
  if (index <= since || index > last.index) return null;
  return points.find((point) => point.index === index)?.hash ?? noHash;
}

import { diffGraphs } from "../graph/graph-diff.ts";
import { GraphError } from "../graph/graph-error.ts";
import { stepText } from "../graph/graph-path.ts";
import type { RoomReplica } from "../room-replica.ts";
import { comparablePart, unpackRoom } from "../saved-room.ts";

/** Nothing differs any more: the code itself has made good what had gone wrong. */
const noDifference = "nothing differs any more";

/** The first difference of this replica from a saved one as of the same index, for people: its own value first. */
export function roomDifference(replica: RoomReplica, saved: Uint8Array): string {
  let own: Uint8Array;
  try {
    own = replica.picture();
  } catch (error) {
    if (!(error instanceof GraphError)) throw error;
    return `this replica holds what cannot be saved: ${error.message}`;
  }
  return savedDifference(own, saved) ?? noDifference;
}

/** The first difference of a saved room from another one; null: they are alike. */
export function savedDifference(own: Uint8Array, other: Uint8Array): string | null {
  const [first, second] = [unpackRoom(own), unpackRoom(other)];
  const inGraph = diffGraphs(first.program, second.program, "room");
  if (inGraph !== null) return inGraph.replaceAll("room.fields.", "room.");
  return valueDifference(comparablePart(first), comparablePart(second), "room");
}

/** Of two values that JSON can hold. */
function valueDifference(own: unknown, other: unknown, path: string): string | null {
  if (!isObject(own) || !isObject(other))
    return Object.is(own, other) ? null : `${path}: ${JSON.stringify(own)} against ${JSON.stringify(other)}`;
  const names = new Set([...Object.keys(own), ...Object.keys(other)]);
  for (const name of names) {
    const step = Array.isArray(own) ? stepText("index", name) : stepText("property", name);
    const difference = valueDifference(own[name], other[name], path + step);
    if (difference !== null) return difference;
  }
  return null;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

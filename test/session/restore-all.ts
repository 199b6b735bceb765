import type { Machine } from "../../server/group/machine.ts";
import type { Checkpoint } from "../../server/storage/storage.ts";

/** Brings all parts back at once. */
export function restoreAll(machine: Machine, checkpoints: ReadonlyMap<string, Checkpoint>): void {
  machine.beginRestore();
  const own = checkpoints.get("");
  if (own !== undefined) machine.restorePart("", own);
  for (const [key, checkpoint] of checkpoints) if (key !== "") machine.restorePart(key, checkpoint);
  machine.endRestore();
}

import type { CheckpointMark, CheckpointRead } from "./storage.ts";

/** The keys that one read answers: the first ones whose checkpoints have `bytesMax` bytes together, but at least one. */
export function keysWithin(
  { keys, bytesMax }: CheckpointRead,
  markOf: (key: string) => Pick<CheckpointMark, "sizeBytes"> | undefined,
): readonly string[] {
  const within: string[] = [];
  let bytes = 0;
  for (const key of keys) {
    bytes += markOf(key)?.sizeBytes ?? 0;
    if (within.length > 0 && bytes > bytesMax) break;
    within.push(key);
  }
  return within;
}

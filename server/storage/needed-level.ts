import { decodeConfiguration } from "../raft/configuration-codec.ts";
import type { SaveBatch } from "./storage.ts";

/** What a build must know to read a folder in which this was saved: whoever saves need not say it. */
export function neededLevel({ founding, groups }: SaveBatch): number {
  let level = founding?.level ?? 0;
  for (const { base, entries = [] } of groups.values()) {
    level = Math.max(level, base?.configuration.level ?? 0);
    for (const { type, data } of entries)
      if (type === "configuration") level = Math.max(level, decodeConfiguration(data).level);
  }
  return level;
}

import { randomBytes } from "node:crypto";
import { type MemoryDisk, MemoryStorage } from "../storage/memory-storage.ts";
import { realClock } from "./clock.ts";
import { noNetwork } from "./no-network.ts";
import type { NodeParts } from "./node-parts.ts";
import type { NodeOptions } from "./options.ts";

/**
 * A node that is alone, and whose disk is memory. Nobody watches its room code: a process that stands at a breakpoint is not to
 * be ended, and without a data folder no later start could be told what this one did not get past.
 */
export function memoryNodeParts({ id }: NodeOptions, disk: MemoryDisk): NodeParts {
  return {
    clock: realClock,
    randomBytes,
    storage: new MemoryStorage({ disk, nodeId: id, random: randomBytes, firstBootCount: Date.now() }),
    network: () => noNetwork,
  };
}

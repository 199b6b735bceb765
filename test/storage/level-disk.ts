import { randomBytes } from "node:crypto";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LevelDatabase } from "../../server/storage/level-database.ts";
import { LevelStorage, type LevelStorageOptions } from "../../server/storage/level-storage.ts";
import type { Disk } from "./contract-log.ts";

/** A folder that goes with the test. */
export async function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), "testudo-storage-"));
}

export function levelStorage(
  location: string,
  nodeId = "a",
  options: Partial<LevelStorageOptions> = {},
): LevelStorage {
  return new LevelStorage({
    database: new LevelDatabase(location),
    nodeId,
    random: randomBytes,
    ...options,
  });
}

export async function levelDisk(): Promise<Disk> {
  const folder = await temporaryFolder();
  return {
    storage: (nodeId, options) => levelStorage(join(folder, "data"), nodeId, options),
    destroy: () => rm(folder, { recursive: true }),
  };
}

/** What a killed process leaves, or a machine's copy of it: all files as they are now. LevelDB's lock file is left out, for to close it would let the lock go. */
export async function copyFolder(from: string, to: string): Promise<void> {
  await cp(from, to, { recursive: true, filter: (path) => !path.endsWith("LOCK") });
}

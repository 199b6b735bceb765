import { randomBytes } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import type { BackupRecord } from "../../cluster/backup/backup-record.ts";
import { type Restored, restoreBackup } from "../../cluster/backup/restore-backup.ts";
import { LevelDatabase } from "../../storage/level-database.ts";
import { LevelStorage } from "../../storage/level-storage.ts";
import { CliError } from "./cli-error.ts";

/** A node's data folder, for commands that work on one while its node does not run. */
export function folderStorage(location: string, nodeId: string): LevelStorage {
  return new LevelStorage({
    database: new LevelDatabase(location),
    nodeId,
    random: randomBytes,
    firstBootCount: Date.now(),
  });
}

export function isBlank(location: string): boolean {
  return !existsSync(location) || readdirSync(location).length === 0;
}

/** A new cluster of one node in a blank folder. @throws CliError FOLDER_NOT_BLANK; NodeError BACKUP_… */
export async function restoreInto(
  location: string,
  nodeId: string,
  records: AsyncIterable<BackupRecord>,
): Promise<Restored> {
  if (!isBlank(location))
    throw new CliError(
      "FOLDER_NOT_BLANK",
      `${location} has something in it: choose a folder that is not there`,
      2,
    );
  const storage = folderStorage(location, nodeId);
  return await restoreBackup(records, { storage, newClusterId: () => randomBytes(8).toString("hex") });
}

export function nextSteps(nodeId: string): string[] {
  return [
    `Start ${nodeId} on it, alone or with --peers of the nodes to come: it is a new cluster of one node.`,
    "Start the others with emptied data folders, and make them members: testudo members add n2=HOST:PORT n3=HOST:PORT …",
  ];
}

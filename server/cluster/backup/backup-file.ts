import { NodeError } from "../node-error.ts";
import type { BackupRecord } from "./backup-record.ts";
import { decodeFrames, encodeFrames, type FramedFormat } from "./framed-file.ts";

/** See framed-file. */
const format: FramedFormat = {
  magic: Buffer.from("TESTUDO BACKUP 4\n", "latin1"),
  noun: "the backup",
  damaged: (message) => new NodeError("BACKUP_DAMAGED", message),
  foreign: () => new NodeError("BACKUP_FOREIGN", "this is no backup of Testudo's, or one of another version"),
};

export function encodeBackup(records: AsyncIterable<BackupRecord>): AsyncGenerator<Uint8Array> {
  return encodeFrames(format.magic, records);
}

/** @throws BACKUP_DAMAGED with the place, BACKUP_FOREIGN */
export function decodeBackup(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<BackupRecord> {
  return decodeFrames<BackupRecord>(chunks, format);
}

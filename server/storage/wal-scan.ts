import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { scanLogFile } from "./log-file.ts";
import { Manifest } from "./manifest.ts";
import { corrupt } from "./storage-error.ts";
import { findTableDamage } from "./table-file.ts";

/*
 * LevelDB forgets synced batches in silence when its own files are damaged, and deletes the damaged file on the way
 * (design 4.4). So all of them are read here first, by its rules but without its leniency. It reads CURRENT, which names
 * the manifest, whose edits name the tables and the oldest log that still counts; it then replays that log and all newer ones.
 */

export interface WriteAheadLog {
  /** Live logs, oldest first. */
  readonly logs: readonly {
    readonly name: string;
    readonly records: number;
    /** null: the log is whole */
    readonly tornAt: number | null;
  }[];
}

/** The files of one database, by their names. */
export interface DatabaseFiles {
  /** For people: where they are. */
  readonly location: string;
  names(): Promise<readonly string[]>;
  /** null: there is no such file. */
  read(name: string): Promise<Uint8Array | null>;
}

export function folderFiles(location: string): DatabaseFiles {
  return {
    location,
    names: () => readdir(location),
    read: (name) =>
      readFile(join(location, name)).catch((error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT") return null;
        throw error;
      }),
  };
}

/** The shortest batch: a sequence number (uint64) and a count (uint32). */
const batchHeaderBytes = 12;

/**
 * Checks CURRENT, the manifest, the tables and the live logs of a database that nobody may have open.
 * @returns null if there is no database
 * @throws STORAGE_CORRUPT with file, offset and reason
 */
export async function scanWriteAheadLog(files: DatabaseFiles): Promise<WriteAheadLog | null> {
  const names = await files.names();
  if (!names.includes("CURRENT")) {
    const rest = names.find((name) => /^\d+\.(log|ldb|sst)$/.test(name));
    if (rest === undefined) return null;
    throw corrupt(`${join(files.location, "CURRENT")} is missing, but ${rest} is there`);
  }
  const manifest = await scanManifest(files);
  await scanTables(files, manifest);
  return { logs: await scanLogs(files, { names, logNumberMin: manifest.logNumber }) };
}

async function scanTables(files: DatabaseFiles, manifest: Manifest): Promise<void> {
  for (const { number, sizeBytes } of manifest.tables()) {
    const name = `${String(number).padStart(6, "0")}.ldb`;
    const path = join(files.location, name);
    const file = await files.read(name);
    if (file === null) throw corrupt(`${path}, which the manifest names, is missing`);
    const damage =
      file.length === sizeBytes ? findTableDamage(file) : `${file.length} bytes instead of ${sizeBytes}`;
    if (damage !== null) throw corrupt(`${path}: ${damage}`);
  }
}

async function scanLogs(
  files: DatabaseFiles,
  { names, logNumberMin }: { names: readonly string[]; logNumberMin: number },
): Promise<WriteAheadLog["logs"]> {
  const live = names
    .filter((name) => /^\d+\.log$/.test(name))
    .map((name) => ({ name, number: Number.parseInt(name, 10) }))
    .filter(({ number }) => number >= logNumberMin)
    .sort((one, other) => one.number - other.number);
  // The log that the manifest names was made before the edit that names it, and is deleted only after a later edit.
  if (logNumberMin > 0 && live[0]?.number !== logNumberMin) {
    throw corrupt(`the log ${logNumberMin} that the manifest names is missing in ${files.location}`);
  }
  const logs: { name: string; records: number; tornAt: number | null }[] = [];
  let nextSequence: bigint | null = null;
  for (const { name } of live) {
    const path = join(files.location, name);
    const file = await mustRead(files, name);
    const before = logs.at(-1);
    // A log is closed only when it is whole; an open that ended half-way leaves an empty one behind a torn one.
    if (before !== undefined && before.tornAt !== null && file.length > 0) {
      throw corrupt(
        `${join(files.location, before.name)} at byte ${before.tornAt}: a record is cut short, but ${name} goes on`,
      );
    }
    const scan = scanLogFile(file, (batch) => {
      if (batch.length < batchHeaderBytes) return "a batch has no header";
      const view = new DataView(batch.buffer, batch.byteOffset, batch.length);
      const sequence = view.getBigUint64(0, true);
      if (nextSequence !== null && sequence !== nextSequence) {
        return `batch ${sequence} is in the place of batch ${nextSequence}`;
      }
      nextSequence = sequence + BigInt(view.getUint32(8, true));
      return null;
    });
    if (scan.type === "lost") throw corrupt(`${path} at byte ${scan.offset}: ${scan.reason}`);
    logs.push({ name, records: scan.records, tornAt: scan.type === "torn" ? scan.offset : null });
  }
  return logs;
}

async function scanManifest(files: DatabaseFiles): Promise<Manifest> {
  const { location } = files;
  const current = Buffer.from(await mustRead(files, "CURRENT")).toString("latin1");
  const name = /^(MANIFEST-\d+)\n$/.exec(current)?.[1];
  if (name === undefined) throw corrupt(`${join(location, "CURRENT")} does not name a manifest`);
  const path = join(location, name);
  const file = await files.read(name);
  if (file === null) throw corrupt(`${path}, which CURRENT names, is missing`);
  const manifest = new Manifest();
  const scan = scanLogFile(file, (edit) => manifest.apply(edit));
  if (scan.type === "lost") throw corrupt(`${path} at byte ${scan.offset}: ${scan.reason}`);
  if (manifest.logNumber < 0) throw corrupt(`${path} names no log`);
  return manifest;
}

async function mustRead(files: DatabaseFiles, name: string): Promise<Uint8Array> {
  const file = await files.read(name);
  if (file === null) throw corrupt(`${join(files.location, name)} has vanished while it was looked at`);
  return file;
}

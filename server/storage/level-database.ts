import { strict as assert } from "node:assert";
import { Level } from "level";
import { type Contents, ContentsReader } from "./contents-reader.ts";
import { corrupt, failed, locked, StorageError } from "./storage-error.ts";
import { storageLimits } from "./storage-limits.ts";

export type Database = Level<Uint8Array, Uint8Array>;

/** Values read in one turn. */
const iteratedMax = 1000;

export function newDatabase(folder: string): Database {
  const options = {
    keyEncoding: "view",
    valueEncoding: "view",
    // What is written is small, and most of it is deleted before it is ever compacted.
    compression: false,
    writeBufferSize: storageLimits.writeBufferBytes,
  };
  return new Level<Uint8Array, Uint8Array>(folder, options);
}

/**
 * Tries LevelDB's lock and lets go again. The logs of a database that is in use cannot be judged: they are being written.
 * An open that must fail if the database exists, and must not make it, takes the lock and touches nothing else.
 */
export async function refuseLocked(folder: string): Promise<void> {
  const probe = newDatabase(folder);
  try {
    await probe.open({ createIfMissing: false, errorIfExists: true });
  } catch (error) {
    if (codes(error).includes("LEVEL_LOCKED")) throw locked(folder, error);
    return;
  }
  assert.fail("LevelDB opened a database that it was told neither to make nor to accept");
}

export async function readContents(database: Database): Promise<Contents | null> {
  const reader = new ContentsReader();
  const iterator = database.iterator();
  try {
    for (;;) {
      const entries = await iterator.nextv(iteratedMax);
      if (entries.length === 0) return reader.finish();
      for (const [key, value] of entries) reader.take(plain(key), plain(value));
    }
  } finally {
    await iterator.close();
  }
}

/** A view as it was asked for: the binding may give Buffers, whose subarrays are Buffers. */
export function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** The codes of an error and of its causes. */
function codes(error: unknown): string[] {
  const found: string[] = [];
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const { code } = at as NodeJS.ErrnoException;
    if (code !== undefined) found.push(code);
  }
  return found;
}

export function openError(error: unknown, location: string): unknown {
  if (error instanceof StorageError || error instanceof assert.AssertionError) return error;
  const found = codes(error);
  if (found.includes("LEVEL_LOCKED")) return locked(location, error);
  if (found.includes("LEVEL_CORRUPTION")) {
    let cause = error as Error;
    while (cause.cause instanceof Error) cause = cause.cause;
    return corrupt(`${location}: ${cause.message}`, error);
  }
  return failed(`opening ${location}`, error);
}

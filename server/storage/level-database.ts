import { strict as assert } from "node:assert";
import { readdir, realpath } from "node:fs/promises";
import { join } from "node:path";
import { Level } from "level";
import type { Database, DatabaseBatch } from "./database.ts";
import { makeFolder } from "./folder.ts";
import { SaveMark } from "./save-mark.ts";
import { corrupt, failed, locked, StorageError } from "./storage-error.ts";
import { storageLimits } from "./storage-limits.ts";
import { folderFiles, scanWriteAheadLog } from "./wal-scan.ts";

interface Opened {
  readonly folder: string;
  readonly level: Level<Uint8Array, Uint8Array>;
  readonly mark: SaveMark;
}

/** Folders that this process has open: LevelDB's lock is the process's, and a second try within it would drop it. */
const openFolders = new Set<string>();
const saveMarkName = "ACKNOWLEDGED";
/** Values read in one turn. */
const iteratedMax = 1000;
const durably = { sync: true };

/** LevelDB in a folder, with what LevelDB itself does not notice (design 4.4): its logs and tables are scanned first, and a mark beside it counts the saves. */
export class LevelDatabase implements Database {
  readonly location: string;
  #opened: Opened | null = null;

  /** @param location the data folder; made if it is not there. Only for one node, and only for Testudo. */
  constructor(location: string) {
    assert(location.length > 0, "location: the path of a folder, not an empty text");
    this.location = location;
  }

  async open(): Promise<{ acknowledged: number }> {
    let folder: string | null = null;
    try {
      await makeFolder(this.location);
      const path = await realpath(this.location);
      if (openFolders.has(path)) throw locked(this.location);
      openFolders.add(path);
      folder = path;
      return await this.#openFolder(path);
    } catch (error) {
      if (folder !== null) openFolders.delete(folder);
      throw openError(error, this.location);
    }
  }

  async #openFolder(folder: string): Promise<{ acknowledged: number }> {
    await refuseLocked(folder);
    const markPath = join(folder, saveMarkName);
    const acknowledged = await SaveMark.read(markPath);
    const isThere = (await readdir(folder)).includes("CURRENT");
    if (isThere && acknowledged === null) {
      throw corrupt(
        `${folder} has a database, but no file ${saveMarkName}: it is damaged, or was not made by Testudo`,
      );
    }
    const scan = await scanWriteAheadLog(folderFiles(folder));
    if (scan === null && acknowledged !== null && acknowledged > 0) {
      throw corrupt(`${acknowledged} saves were acknowledged in ${folder}, but the database is gone`);
    }
    if (acknowledged === null) await SaveMark.create(markPath);
    const mark = await SaveMark.open(markPath);
    const level = newLevel(folder);
    try {
      await level.open({ createIfMissing: scan === null });
    } catch (error) {
      await mark.close();
      throw error;
    }
    this.#opened = { folder, level, mark };
    return { acknowledged: acknowledged ?? 0 };
  }

  get #level(): Level<Uint8Array, Uint8Array> {
    assert(this.#opened !== null, "the database is not open");
    return this.#opened.level;
  }

  async *entries(): AsyncIterable<readonly (readonly [Uint8Array, Uint8Array])[]> {
    const iterator = this.#level.iterator();
    try {
      for (;;) {
        const entries = await iterator.nextv(iteratedMax);
        if (entries.length === 0) return;
        yield entries.map(([key, value]) => [plain(key), plain(value)] as const);
      }
    } catch (error) {
      throw openError(error, this.location);
    } finally {
      await iterator.close();
    }
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const value = this.#level.getSync(key);
    return value && plain(value);
  }

  async getMany(keys: readonly Uint8Array[]): Promise<readonly (Uint8Array | undefined)[]> {
    const values = await this.#level.getMany([...keys]);
    return values.map((value) => value && plain(value));
  }

  batch(): DatabaseBatch {
    const batch = this.#level.batch();
    return {
      put: (key, value) => void batch.put(key, value),
      del: (key) => void batch.del(key),
      write: () => batch.write(durably),
    };
  }

  acknowledge(saveSequence: number): void {
    assert(this.#opened !== null, "the database is not open");
    this.#opened.mark.write(saveSequence);
  }

  async close(): Promise<void> {
    const opened = this.#opened;
    if (opened === null) return;
    this.#opened = null;
    try {
      await opened.mark.close();
    } finally {
      try {
        await opened.level.close();
      } finally {
        openFolders.delete(opened.folder);
      }
    }
  }
}

function newLevel(folder: string): Level<Uint8Array, Uint8Array> {
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
async function refuseLocked(folder: string): Promise<void> {
  const probe = newLevel(folder);
  try {
    await probe.open({ createIfMissing: false, errorIfExists: true });
  } catch (error) {
    if (codes(error).includes("LEVEL_LOCKED")) throw locked(folder, error);
    return;
  }
  assert.fail("LevelDB opened a database that it was told neither to make nor to accept");
}

/** A view as it was asked for: the binding may give Buffers, whose subarrays are Buffers. */
function plain(bytes: Uint8Array): Uint8Array {
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

function openError(error: unknown, location: string): unknown {
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

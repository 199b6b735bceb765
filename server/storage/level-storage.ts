import { strict as assert } from "node:assert";
import { readdir, realpath } from "node:fs/promises";
import { join } from "node:path";
import type { Founding } from "../raft/founding.ts";
import { keysWithin } from "./checkpoint-read.ts";
import type { Contents } from "./contents-reader.ts";
import { PackEncoder } from "./entry-pack.ts";
import { makeFolder } from "./folder.ts";
import { checkpointKey, foundingKey, identityKey, seenKey, stateKey } from "./key.ts";
import {
  type Database,
  newDatabase,
  openError,
  plain,
  readContents,
  refuseLocked,
} from "./level-database.ts";
import { digestOf, LiveKeys } from "./live-keys.ts";
import {
  decodeCheckpoint,
  encodeFounding,
  encodeIdentity,
  encodeSeen,
  encodeState,
  storageFormatVersion,
} from "./record.ts";
import { assertSeen } from "./save-check.ts";
import { SaveMark } from "./save-mark.ts";
import type {
  Checkpoint,
  CheckpointMark,
  CheckpointRead,
  GroupContents,
  Identity,
  SaveBatch,
  Storage,
  StorageContents,
} from "./storage.ts";
import { corrupt, failed, foreign, locked, StorageError } from "./storage-error.ts";
import { storageLimits } from "./storage-limits.ts";
import { type BatchWriter, type Digest, marksOf, StoredGroup } from "./stored-group.ts";
import { scanWriteAheadLog } from "./wal-scan.ts";

export interface LevelStorageOptions {
  /** The data folder; made if it is not there. Only for this node, and only for Testudo. */
  readonly location: string;
  /** 1 to 128 bytes. */
  readonly nodeId: string;
  /** So many bytes that nobody can guess: the storeId comes from them. */
  readonly random: (bytes: number) => Uint8Array;
}

interface Opened {
  readonly folder: string;
  readonly database: Database;
  readonly mark: SaveMark;
}
type Status =
  | { readonly type: "closed" }
  | { readonly type: "opening" }
  | ({ readonly type: "open" } & Opened)
  /** Nothing is taken any more: every call ends with the first error. */
  | ({ readonly type: "failed"; readonly error: unknown } & Opened);

/** Folders that this process has open: LevelDB's lock is the process's, and a second try within it would drop it. */
const openFolders = new Set<string>();
const saveMarkName = "ACKNOWLEDGED";
const storeIdBytes = 8;
/** Calls of listCheckpoints and readCheckpoints that wait for the save in flight. */
export const readersWaitingMax = 1024;

/** A node's durable memory in LevelDB (design 4.4). */
export class LevelStorage implements Storage {
  readonly #options: LevelStorageOptions;
  readonly #encoder = new PackEncoder();
  #status: Status = { type: "closed" };
  #live = new LiveKeys();
  #saveSequence = 0;
  #acknowledged = 0;
  #founding: { readonly clusterId: string | null; readonly digest: Digest } = {
    clusterId: null,
    digest: null,
  };
  #seenDigest: Digest = null;
  #groups = new Map<number, StoredGroup>();
  #saving: Promise<void> | null = null;
  /** Readers that wait for the save in flight: each takes its snapshot before the next save can begin. */
  #waiting: (() => void)[] = [];

  constructor(options: LevelStorageOptions) {
    const { location, nodeId } = options;
    assert(location.length > 0, "location: the path of a folder, not an empty text");
    const bytes = Buffer.byteLength(nodeId);
    const isId = bytes >= 1 && bytes <= storageLimits.nodeIdBytesMax;
    assert(isId, `nodeId: "${nodeId}" has ${bytes} bytes, 1 to ${storageLimits.nodeIdBytesMax} are allowed`);
    this.#options = options;
  }

  get saves(): number {
    return this.#acknowledged;
  }

  async open(): Promise<StorageContents> {
    assert(this.#status.type === "closed", `open() of a storage that is ${this.#status.type}`);
    this.#status = { type: "opening" };
    let folder: string | null = null;
    try {
      const { location } = this.#options;
      await makeFolder(location);
      const path = await realpath(location);
      if (openFolders.has(path)) throw locked(location);
      openFolders.add(path);
      folder = path;
      return await this.#openFolder(path);
    } catch (error) {
      if (folder !== null) openFolders.delete(folder);
      this.#status = { type: "closed" };
      throw openError(error, this.#options.location);
    }
  }

  async #openFolder(folder: string): Promise<StorageContents> {
    await refuseLocked(folder);
    const markPath = join(folder, saveMarkName);
    const acknowledged = await SaveMark.read(markPath);
    const isThere = (await readdir(folder)).includes("CURRENT");
    if (isThere && acknowledged === null) {
      throw corrupt(
        `${folder} has a database, but no file ${saveMarkName}: it is damaged, or was not made by Testudo`,
      );
    }
    const scan = await scanWriteAheadLog(folder);
    if (scan === null && acknowledged !== null && acknowledged > 0) {
      throw corrupt(`${acknowledged} saves were acknowledged in ${folder}, but the database is gone`);
    }
    if (acknowledged === null) await SaveMark.create(markPath);
    const mark = await SaveMark.open(markPath);
    const database = newDatabase(folder);
    try {
      await database.open({ createIfMissing: scan === null });
      const contents = await readContents(database);
      const saved = contents?.state.saveSequence ?? 0;
      if (saved < (acknowledged ?? 0)) {
        throw corrupt(`${acknowledged} saves were acknowledged in ${folder}, but only ${saved} are there`);
      }
      const identity = this.#own(contents);
      // Counted durably before anybody can act on it: what is signed with a bootCount is never signed twice.
      await this.#write({ database, mark }, (writer) => {
        const record = encodeIdentity({ formatVersion: storageFormatVersion, ...identity });
        writer.put(identityKey, record, contents?.identityDigest ?? null);
      });
      const groups = new Map<number, GroupContents>();
      for (const [group, { contents: groupContents }] of contents?.groups ?? [])
        groups.set(group, groupContents);
      this.#status = { type: "open", folder, database, mark };
      return { identity, groups, seen: contents?.seen ?? [] };
    } catch (error) {
      await database.close();
      await mark.close();
      throw error;
    }
  }

  /** Takes over what the folder holds, if it is this node's. */
  #own(contents: Contents | null): Identity {
    const { location, nodeId, random } = this.#options;
    this.#live = new LiveKeys(contents?.state);
    this.#saveSequence = contents?.state.saveSequence ?? 0;
    this.#founding = {
      clusterId: contents?.founding?.clusterId ?? null,
      digest: contents?.foundingDigest ?? null,
    };
    this.#seenDigest = contents?.seenDigest ?? null;
    this.#groups = new Map();
    if (contents === null) {
      const storeId = Buffer.from(random(storeIdBytes)).toString("hex");
      assert(storeId.length === storeIdBytes * 2, `random: ${storeIdBytes} bytes were asked for`);
      return { nodeId, storeId, bootCount: 1, founding: null };
    }
    const { identity, founding, groups } = contents;
    if (identity.nodeId !== nodeId) throw foreign({ location, owner: identity.nodeId, nodeId });
    for (const [group, { stored }] of groups) this.#groups.set(group, stored);
    return { nodeId, storeId: identity.storeId, bootCount: identity.bootCount + 1, founding };
  }

  async save(batch: SaveBatch): Promise<void> {
    const opened = this.#opened("save()");
    assert(this.#saving === null, "save() while another one is in flight");
    try {
      this.#saving = this.#write(opened, (writer) => this.#put(batch, writer));
      await this.#saving;
    } catch (error) {
      throw this.#fail(opened, "saving", error);
    } finally {
      this.#saving = null;
      for (const read of this.#waiting.splice(0)) read();
    }
  }

  #put({ founding, seen, groups }: SaveBatch, writer: BatchWriter): void {
    if (founding !== undefined) this.#found(founding, writer);
    if (seen !== undefined) {
      assertSeen(seen);
      this.#seenDigest = writer.put(seenKey, encodeSeen(seen), this.#seenDigest);
    }
    for (const [group, groupSave] of groups) {
      let stored = this.#groups.get(group);
      if (stored === undefined) {
        stored = new StoredGroup(group);
        this.#groups.set(group, stored);
      }
      stored.save(groupSave, { writer, encoder: this.#encoder });
    }
  }

  #found(founding: Founding, writer: BatchWriter): void {
    const { clusterId, digest } = this.#founding;
    const isSame = clusterId === null || clusterId === founding.clusterId;
    assert(isSame, `founded as ${clusterId} already, not as ${founding.clusterId}`);
    const record = encodeFounding(founding);
    this.#founding = { clusterId: founding.clusterId, digest: writer.put(foundingKey, record, digest) };
  }

  /** One atomic, synced batch of what `fill` puts, with the state record; then the mark. Built before the first await. */
  async #write(
    { database, mark }: Omit<Opened, "folder">,
    fill: (writer: BatchWriter) => void,
  ): Promise<void> {
    const batch = database.batch();
    const live = this.#live;
    fill({
      put(key, value, before) {
        const digest = digestOf(key, value);
        live.replace(before, digest);
        batch.put(key, value);
        return digest;
      },
      del(key, before) {
        live.replace(before, null);
        batch.del(key);
      },
      read: (key) => database.getSync(key),
    });
    const saveSequence = ++this.#saveSequence;
    batch.put(stateKey, encodeState({ saveSequence, keys: live.keys, digest: live.digest }));
    await batch.write(durably);
    mark.write(saveSequence);
    this.#acknowledged = saveSequence;
  }

  listCheckpoints(group: number): Promise<ReadonlyMap<string, CheckpointMark>> {
    return this.#betweenSaves(async () => {
      this.#opened("listCheckpoints()");
      return marksOf(this.#groups.get(group)?.checkpoints ?? new Map());
    });
  }

  readCheckpoints(group: number, read: CheckpointRead): Promise<ReadonlyMap<string, Checkpoint | null>> {
    return this.#betweenSaves(() => this.#readCheckpoints(group, read));
  }

  /** What is known here of the disk is ahead of it while a save is in flight. */
  #betweenSaves<T>(read: () => Promise<T>): Promise<T> {
    if (this.#saving === null) return read();
    assert(this.#waiting.length < readersWaitingMax, `more than ${readersWaitingMax} readers wait`);
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => read().then(resolve, reject));
    });
  }

  /** The database takes its snapshot as it is asked: no save that begins later shows in what it gives. */
  async #readCheckpoints(
    group: number,
    read: CheckpointRead,
  ): Promise<ReadonlyMap<string, Checkpoint | null>> {
    const opened = this.#opened("readCheckpoints()");
    const { slot, checkpoints } = this.#groups.get(group) ?? new StoredGroup(group);
    const wanted = keysWithin(read, (key) => checkpoints.get(key));
    const there = wanted.flatMap((key) => {
      const stored = checkpoints.get(key);
      return stored === undefined ? [] : { key, stored, keyBytes: checkpointKey(group, { slot, key }) };
    });
    try {
      const values = await opened.database.getMany(there.map(({ keyBytes }) => keyBytes));
      const found = new Map<string, Checkpoint | null>(wanted.map((key) => [key, null]));
      for (const [position, { key, stored, keyBytes }] of there.entries()) {
        const value = values[position];
        if (value === undefined) throw corrupt(`group ${group}: the checkpoint "${key}" is missing`);
        const checkpoint = decodeCheckpoint(plain(value));
        if (checkpoint === null || digestOf(keyBytes, value) !== stored.digest)
          throw corrupt(`group ${group}: the checkpoint "${key}" is not what was saved`);
        found.set(key, checkpoint);
      }
      return found;
    } catch (error) {
      throw this.#fail(opened, "reading checkpoints", error);
    }
  }

  /** After a failure too; waits for the save in flight. The next `open` may be this object's. */
  async close(): Promise<void> {
    await this.#saving?.catch(() => undefined);
    const status = this.#status;
    if (status.type === "closed") return;
    assert(status.type !== "opening", "close() of a storage that is opening");
    this.#status = { type: "closed" };
    try {
      try {
        await status.mark.close();
      } finally {
        await status.database.close();
      }
    } catch (error) {
      throw failed("closing", error);
    } finally {
      openFolders.delete(status.folder);
    }
  }

  #opened(call: string): Opened {
    if (this.#status.type === "failed") throw this.#status.error;
    assert(this.#status.type === "open", `${call} of a storage that is ${this.#status.type}`);
    return this.#status;
  }

  /** No disk is trusted twice: after the first error nothing is written any more. */
  #fail(opened: Opened, doing: string, cause: unknown): unknown {
    if (this.#status.type === "failed") return this.#status.error;
    const isClear = cause instanceof StorageError || cause instanceof assert.AssertionError;
    const error = isClear ? cause : failed(doing, cause);
    if (this.#status.type === "open") this.#status = { ...opened, type: "failed", error };
    return error;
  }
}

const durably = { sync: true };

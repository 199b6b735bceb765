import { strict as assert } from "node:assert";
import type { Founding } from "../raft/founding.ts";
import { type Levels, levels } from "../raft/level.ts";
import { keysWithin } from "./checkpoint-read.ts";
import { type Contents, ContentsReader } from "./contents-reader.ts";
import type { Database } from "./database.ts";
import { PackEncoder } from "./entry-pack.ts";
import { checkpointKey, foundingKey, identityKey, seenKey, stateKey } from "./key.ts";
import { digestOf, LiveKeys } from "./live-keys.ts";
import { neededLevel } from "./needed-level.ts";
import {
  decodeCheckpoint,
  encodeFounding,
  encodeIdentity,
  encodeSeen,
  encodeState,
  type IdentityRecord,
  storageFormatVersion,
} from "./record.ts";
import { assertSeen } from "./save-check.ts";
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
import { corrupt, failed, foreign, StorageError } from "./storage-error.ts";
import { storageLimits } from "./storage-limits.ts";
import { type BatchWriter, type Digest, marksOf, StoredGroup } from "./stored-group.ts";

export interface LevelStorageOptions {
  /** LevelDB in the data folder (level-database.ts), or what a simulator puts in its place. */
  readonly database: Database;
  /** 1 to 128 bytes. */
  readonly nodeId: string;
  /** So many bytes that nobody can guess: the storeId comes from them. */
  readonly random: (bytes: number) => Uint8Array;
  /**
   * What the starts of a new folder are counted from: more than any earlier start of this node on another disk can have
   * reached, for a node's later start ends what its earlier ones had in flight, whichever disk they had. Default: 1.
   */
  readonly firstBootCount?: number;
  /** What is read and written; by default what this build can. */
  readonly levels?: Levels;
}

type Status =
  | { readonly type: "closed" | "opening" | "open" }
  /** Nothing is taken any more: every call ends with the first error. */
  | { readonly type: "failed"; readonly error: unknown };

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
  #identity: { readonly record: IdentityRecord; readonly digest: Digest } | null = null;
  #seenDigest: Digest = null;
  #groups = new Map<number, StoredGroup>();
  #saving: Promise<void> | null = null;
  /** Readers that wait for the save in flight: each takes its snapshot before the next save can begin. */
  #waiting: (() => void)[] = [];

  constructor(options: LevelStorageOptions) {
    const { nodeId } = options;
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
    const { database } = this.#options;
    try {
      const { acknowledged } = await database.open();
      const opened = await this.#openContents(acknowledged);
      this.#status = { type: "open" };
      return opened;
    } catch (error) {
      await database.close();
      this.#status = { type: "closed" };
      const isClear = error instanceof StorageError || error instanceof assert.AssertionError;
      throw isClear ? error : failed(`opening ${database.location}`, error);
    }
  }

  async #openContents(acknowledged: number): Promise<StorageContents> {
    const { database } = this.#options;
    const contents = await readContents(database, this.#levels);
    const saved = contents?.state.saveSequence ?? 0;
    if (saved < acknowledged) {
      const were = `${acknowledged} saves were acknowledged in ${database.location}`;
      throw corrupt(`${were}, but only ${saved} are there`);
    }
    const identity = this.#own(contents);
    // Counted durably before anybody can act on it: what is signed with a bootCount is never signed twice.
    await this.#write((writer) => {
      const record = { formatVersion: storageFormatVersion, ...identity };
      this.#identify(record, contents?.identityDigest ?? null, writer);
    });
    const groups = new Map<number, GroupContents>();
    for (const [group, { contents: groupContents }] of contents?.groups ?? [])
      groups.set(group, groupContents);
    return { identity, groups, seen: contents?.seen ?? [] };
  }

  get #levels(): Levels {
    return this.#options.levels ?? levels;
  }

  #identify(record: IdentityRecord, before: Digest, writer: BatchWriter): void {
    this.#identity = { record, digest: writer.put(identityKey, encodeIdentity(record), before) };
  }

  /** Takes over what the folder holds, if it is this node's. */
  #own(contents: Contents | null): Identity {
    const { database, nodeId, random, firstBootCount = 1 } = this.#options;
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
      return { nodeId, storeId, bootCount: firstBootCount, founding: null, level: this.#levels.min };
    }
    const { identity, founding, groups } = contents;
    if (identity.nodeId !== nodeId)
      throw foreign({ location: database.location, owner: identity.nodeId, nodeId });
    for (const [group, { stored }] of groups) this.#groups.set(group, stored);
    const { storeId, bootCount, level } = identity;
    return { nodeId, storeId, bootCount: bootCount + 1, founding, level };
  }

  async save(batch: SaveBatch): Promise<void> {
    this.#assertOpen("save()");
    assert(this.#saving === null, "save() while another one is in flight");
    try {
      this.#saving = this.#write((writer) => this.#put(batch, writer));
      await this.#saving;
    } catch (error) {
      throw this.#fail("saving", error);
    } finally {
      this.#saving = null;
      for (const read of this.#waiting.splice(0)) read();
    }
  }

  #put(batch: SaveBatch, writer: BatchWriter): void {
    const { founding, seen, groups } = batch;
    // With what needs it, or an older build could open what it cannot read.
    const level = neededLevel(batch);
    if (this.#identity !== null && level > this.#identity.record.level)
      this.#identify({ ...this.#identity.record, level }, this.#identity.digest, writer);
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
  async #write(fill: (writer: BatchWriter) => void): Promise<void> {
    const { database } = this.#options;
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
      read: (key) => database.get(key),
    });
    const saveSequence = ++this.#saveSequence;
    batch.put(stateKey, encodeState({ saveSequence, keys: live.keys, digest: live.digest }));
    await batch.write();
    database.acknowledge(saveSequence);
    this.#acknowledged = saveSequence;
  }

  listCheckpoints(group: number): Promise<ReadonlyMap<string, CheckpointMark>> {
    return this.#betweenSaves(async () => {
      this.#assertOpen("listCheckpoints()");
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
    this.#assertOpen("readCheckpoints()");
    const { slot, checkpoints } = this.#groups.get(group) ?? new StoredGroup(group);
    const wanted = keysWithin(read, (key) => checkpoints.get(key));
    const there = wanted.flatMap((key) => {
      const stored = checkpoints.get(key);
      return stored === undefined ? [] : { key, stored, keyBytes: checkpointKey(group, { slot, key }) };
    });
    try {
      const values = await this.#options.database.getMany(there.map(({ keyBytes }) => keyBytes));
      const found = new Map<string, Checkpoint | null>(wanted.map((key) => [key, null]));
      for (const [position, { key, stored, keyBytes }] of there.entries()) {
        const value = values[position];
        if (value === undefined) throw corrupt(`group ${group}: the checkpoint "${key}" is missing`);
        const checkpoint = decodeCheckpoint(value);
        if (checkpoint === null || digestOf(keyBytes, value) !== stored.digest)
          throw corrupt(`group ${group}: the checkpoint "${key}" is not what was saved`);
        found.set(key, checkpoint);
      }
      return found;
    } catch (error) {
      throw this.#fail("reading checkpoints", error);
    }
  }

  /** After a failure too; waits for the save in flight. The next `open` may be this object's. */
  async close(): Promise<void> {
    await this.#saving?.catch(() => undefined);
    if (this.#status.type === "closed") return;
    assert(this.#status.type !== "opening", "close() of a storage that is opening");
    this.#status = { type: "closed" };
    try {
      await this.#options.database.close();
    } catch (error) {
      throw failed("closing", error);
    }
  }

  #assertOpen(call: string): void {
    if (this.#status.type === "failed") throw this.#status.error;
    assert(this.#status.type === "open", `${call} of a storage that is ${this.#status.type}`);
  }

  /** No disk is trusted twice: after the first error nothing is written any more. */
  #fail(doing: string, cause: unknown): unknown {
    if (this.#status.type === "failed") return this.#status.error;
    const isClear = cause instanceof StorageError || cause instanceof assert.AssertionError;
    const error = isClear ? cause : failed(doing, cause);
    if (this.#status.type === "open") this.#status = { type: "failed", error };
    return error;
  }
}

async function readContents(database: Database, known: Levels): Promise<Contents | null> {
  const reader = new ContentsReader(database.location, known);
  for await (const entries of database.entries()) for (const [key, value] of entries) reader.take(key, value);
  return reader.finish();
}

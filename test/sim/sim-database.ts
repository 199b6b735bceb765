import { strict as assert } from "node:assert";
import type { Database, DatabaseBatch } from "../../server/storage/database.ts";
import { readMark } from "../../server/storage/save-mark.ts";
import { corrupt } from "../../server/storage/storage-error.ts";
import { varintAt } from "../../server/storage/varint.ts";
import { scanWriteAheadLog } from "../../server/storage/wal-scan.ts";
import type { SimFolder } from "./sim-folder.ts";
import { readRecords } from "./sim-log-file.ts";

const logBytesMax = 1 << 18;
const headerBytes = 12;
const kinds = { del: 0, put: 1 } as const;

interface Operation {
  readonly key: string;
  /** undefined: deleted. */
  readonly value: Uint8Array | undefined;
}

export interface SimDatabaseOptions {
  readonly folder: SimFolder;
  /** How a write goes that has just been begun: calls back when it is durable, or with why it is not. */
  readonly settle: (done: (error: Error | null) => void) => void;
}

function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1");
}

function bytesOf(name: string): Uint8Array {
  return Uint8Array.from(Buffer.from(name, "latin1"));
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest & 127) | 128);
  return Buffer.from([...bytes, rest]);
}

/** LevelDB's batch: a sequence number and a count, then each put or delete. */
function encodeBatch(sequence: number, operations: readonly Operation[]): Uint8Array {
  const header = Buffer.alloc(headerBytes);
  header.writeBigUInt64LE(BigInt(sequence), 0);
  header.writeUInt32LE(operations.length, 8);
  const pieces: Uint8Array[] = [header];
  for (const { key, value } of operations) {
    const name = Buffer.from(key, "latin1");
    pieces.push(Buffer.from([value === undefined ? kinds.del : kinds.put]), varint(name.length), name);
    if (value !== undefined) pieces.push(varint(value.length), value);
  }
  return Buffer.concat(pieces);
}

function decodeBatch(batch: Uint8Array): Operation[] {
  const operations: Operation[] = [];
  for (let at = headerBytes; at < batch.length; ) {
    const isPut = batch[at++] === kinds.put;
    const take = (): Uint8Array => {
      const length = varintAt(batch, { at, end: batch.length }) ?? { value: 0, next: at };
      at = length.next + length.value;
      return Uint8Array.from(batch.subarray(length.next, at));
    };
    const key = nameOf(take());
    operations.push({ key, value: isPut ? take() : undefined });
  }
  return operations;
}

function carryOut(values: Map<string, Uint8Array>, operations: readonly Operation[]): void {
  for (const { key, value } of operations) {
    if (value === undefined) values.delete(key);
    else values.set(key, value);
  }
}

/** Whatever the tables have of these counts for nothing. */
export function keysInLog({ log }: SimFolder): ReadonlySet<string> {
  return new Set(readRecords(log).flatMap((record) => decodeBatch(record).map(({ key }) => key)));
}

/** What LevelDB is to one process, on simulated files: the product's own scan judges them first. */
export class SimDatabase implements Database {
  readonly #options: SimDatabaseOptions;
  #values = new Map<string, Uint8Array>();
  #sequence = 1;
  #isOpen = false;

  constructor(options: SimDatabaseOptions) {
    this.#options = options;
  }

  get location(): string {
    return this.#options.folder.location;
  }

  async open(): Promise<{ acknowledged: number }> {
    const { folder } = this.#options;
    const acknowledged = folder.mark === null ? null : readMark(folder.mark);
    if (folder.mark !== null && acknowledged === null) throw corrupt("the save mark cannot be read");
    const scan = await scanWriteAheadLog(folder);
    if (scan !== null && acknowledged === null) throw corrupt("a database, but no save mark");
    if (scan === null && acknowledged !== null && acknowledged > 0)
      throw corrupt(`${acknowledged} saves were acknowledged, but the database is gone`);
    if (acknowledged === null) folder.makeMark();
    const values = new Map(folder.table);
    for (const record of readRecords(folder.log)) carryOut(values, decodeBatch(record));
    this.#values = values;
    folder.beginLog(values);
    this.#isOpen = true;
    return { acknowledged: acknowledged ?? 0 };
  }

  async *entries(): AsyncIterable<readonly (readonly [Uint8Array, Uint8Array])[]> {
    // Keys are bytes as characters: the order of the ones is that of the others.
    const names = [...this.#values.keys()].sort((one, other) => (one < other ? -1 : 1));
    yield names.map((name) => [bytesOf(name), (this.#values.get(name) as Uint8Array).slice()] as const);
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#values.get(nameOf(key))?.slice();
  }

  async getMany(keys: readonly Uint8Array[]): Promise<readonly (Uint8Array | undefined)[]> {
    return keys.map((key) => this.get(key));
  }

  batch(): DatabaseBatch {
    const operations: Operation[] = [];
    return {
      put: (key, value) => void operations.push({ key: nameOf(key), value: Uint8Array.from(value) }),
      del: (key) => void operations.push({ key: nameOf(key), value: undefined }),
      write: () => this.#write(operations),
    };
  }

  #write(operations: readonly Operation[]): Promise<void> {
    assert(this.#isOpen, "the database is not open");
    const { folder, settle } = this.#options;
    folder.append(encodeBatch(this.#sequence, operations));
    this.#sequence += operations.length;
    return new Promise((resolve, reject) => {
      settle((error) => {
        if (error !== null) return reject(error);
        folder.sync();
        carryOut(this.#values, operations);
        if (folder.log.length > logBytesMax) folder.beginLog(this.#values);
        resolve();
      });
    });
  }

  acknowledge(saveSequence: number): void {
    this.#options.folder.acknowledge(saveSequence);
  }

  async close(): Promise<void> {
    this.#isOpen = false;
    this.#options.folder.syncMark();
  }
}

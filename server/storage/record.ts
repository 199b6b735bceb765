import { strict as assert } from "node:assert";
import { crc32 } from "node:zlib";
import type { Address, Configuration, Member } from "../raft/configuration.ts";
import type { Base, HardState } from "../raft/entry.ts";
import type { Founding } from "../raft/founding.ts";
import type { Slot } from "./key.ts";
import type { Checkpoint, StoreSeen } from "./storage.ts";

/*
 * Records: everything but entries. Each is a uint32 CRC-32 of the rest, then its fields in order:
 * numbers as float64 (exact below 2^53), strings as uint16 length and UTF-8, lists as uint16 count.
 */

/**
 * Of keys and values as written in this folder. A store of another version is refused, so a rolling upgrade cannot change it:
 * what is new comes with a level (raft/level.ts).
 */
export const storageFormatVersion = 6;

/** Who owns the store. The first key of all, and `formatVersion` its first field: to be readable in every version. */
export interface IdentityRecord {
  readonly formatVersion: number;
  readonly nodeId: string;
  readonly storeId: string;
  readonly bootCount: number;
  /** What a build must know to read the folder; as `formatVersion`, to be readable in every version. */
  readonly level: number;
}

/** What every batch writes about the whole: how many saves there were, and what must be here after this one. */
export interface StateRecord {
  readonly saveSequence: number;
  /** How many keys there are besides this record's own. */
  readonly keys: number;
  /** All their digests, exclusive-or. */
  readonly digest: number;
}

class Writer {
  #bytes = Buffer.allocUnsafe(256);
  #at = 4;

  number(value: number): this {
    assert(Number.isSafeInteger(value) && value >= 0, `a whole number from 0, not ${value}`);
    this.#reserve(8);
    this.#at = this.#bytes.writeDoubleBE(value, this.#at);
    return this;
  }

  text(value: string): this {
    const length = Buffer.byteLength(value);
    assert(length <= 0xffff, `a text of at most 65535 bytes, not ${length}`);
    this.#reserve(2 + length);
    this.#at = this.#bytes.writeUInt16BE(length, this.#at);
    this.#at += this.#bytes.write(value, this.#at, "utf8");
    return this;
  }

  members(members: readonly Member[]): this {
    this.number(members.length);
    for (const { nodeId, storeId } of members) this.text(nodeId).text(storeId);
    return this;
  }

  addresses(addresses: readonly Address[]): this {
    this.number(addresses.length);
    for (const { nodeId, url } of addresses) this.text(nodeId).text(url);
    return this;
  }

  finish(): Uint8Array {
    const record = this.#bytes.subarray(0, this.#at);
    record.writeUInt32BE(crc32(record.subarray(4)), 0);
    return record;
  }

  #reserve(more: number): void {
    if (this.#at + more <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe((this.#at + more) * 2);
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
  }
}

class Reader {
  readonly #bytes: Buffer;
  #at = 4;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  number(): number {
    const value = this.#bytes.readDoubleBE(this.#at);
    this.#at += 8;
    return value;
  }

  text(): string {
    const length = this.#bytes.readUInt16BE(this.#at);
    this.#at += 2 + length;
    return this.#bytes.toString("utf8", this.#at - length, this.#at);
  }

  members(): Member[] {
    const members: Member[] = [];
    for (let left = this.number(); left > 0; left--)
      members.push({ nodeId: this.text(), storeId: this.text() });
    return members;
  }

  addresses(): Address[] {
    const addresses: Address[] = [];
    for (let left = this.number(); left > 0; left--)
      addresses.push({ nodeId: this.text(), url: this.text() });
    return addresses;
  }
}

/** null: the record is damaged. A record with a right checksum was written by the functions here, and so is well-formed. */
function read<T>(bytes: Uint8Array, fields: (reader: Reader) => T): T | null {
  if (bytes.length < 4) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (crc32(bytes.subarray(4)) !== view.getUint32(0)) return null;
  return fields(new Reader(bytes));
}

export function encodeIdentity(identity: IdentityRecord): Uint8Array {
  const { formatVersion, nodeId, storeId, bootCount, level } = identity;
  const writer = new Writer().number(formatVersion).text(nodeId).text(storeId);
  return writer.number(bootCount).number(level).finish();
}

export function decodeIdentity(bytes: Uint8Array): IdentityRecord | null {
  return read(bytes, (reader) => {
    const formatVersion = reader.number();
    const [nodeId, storeId, bootCount] = [reader.text(), reader.text(), reader.number()];
    // Formats before the sixth had none.
    return { formatVersion, nodeId, storeId, bootCount, level: formatVersion < 6 ? 0 : reader.number() };
  });
}

export function encodeState({ saveSequence, keys, digest }: StateRecord): Uint8Array {
  return new Writer().number(saveSequence).number(keys).number(digest).finish();
}

export function decodeState(bytes: Uint8Array): StateRecord | null {
  return read(bytes, (reader) => ({
    saveSequence: reader.number(),
    keys: reader.number(),
    digest: reader.number(),
  }));
}

export function encodeFounding({ clusterId, members, addresses, groups, level }: Founding): Uint8Array {
  const writer = new Writer().text(clusterId).members(members).addresses(addresses);
  return writer.number(groups).number(level).finish();
}

export function decodeFounding(bytes: Uint8Array): Founding | null {
  return read(bytes, (reader) => ({
    clusterId: reader.text(),
    members: reader.members(),
    addresses: reader.addresses(),
    groups: reader.number(),
    level: reader.number(),
  }));
}

export function encodeSeen(seen: readonly StoreSeen[]): Uint8Array {
  const writer = new Writer().number(seen.length);
  for (const { nodeId, storeId, bootCount, saves, bootId } of seen)
    writer
      .text(nodeId)
      .text(storeId)
      .number(bootCount)
      .number(saves)
      .text(bootId ?? "");
  return writer.finish();
}

export function decodeSeen(bytes: Uint8Array): StoreSeen[] | null {
  return read(bytes, (reader) =>
    Array.from({ length: reader.number() }, () => ({
      nodeId: reader.text(),
      storeId: reader.text(),
      bootCount: reader.number(),
      saves: reader.number(),
      bootId: reader.text() || null,
    })),
  );
}

export function encodeHardState({ term, votedFor, commitIndex }: HardState): Uint8Array {
  return new Writer()
    .number(term)
    .number(commitIndex)
    .members(votedFor === null ? [] : [votedFor])
    .finish();
}

export function decodeHardState(bytes: Uint8Array): HardState | null {
  return read(bytes, (reader) => {
    const term = reader.number();
    const commitIndex = reader.number();
    return { term, votedFor: reader.members()[0] ?? null, commitIndex };
  });
}

/** The base, and in which slot the checkpoints lie that go with it. */
export interface BaseRecord {
  readonly base: Base;
  readonly slot: Slot;
}

export function encodeBase({ base, slot }: BaseRecord): Uint8Array {
  const { index, term, logTimeMs, wallTimeMs, configuration } = base;
  const writer = new Writer().number(slot).number(index).number(term).number(logTimeMs).number(wallTimeMs);
  const { voters, votersOutgoing, learners, nextVoters, addresses, level } = configuration;
  writer.members(voters).members(votersOutgoing).members(learners).members(nextVoters);
  return writer.addresses(addresses).number(level).finish();
}

export function decodeBase(bytes: Uint8Array): BaseRecord | null {
  return read(bytes, (reader) => {
    const slot = reader.number() as Slot;
    const [index, term, logTimeMs, wallTimeMs] = [
      reader.number(),
      reader.number(),
      reader.number(),
      reader.number(),
    ];
    const configuration: Configuration = {
      voters: reader.members(),
      votersOutgoing: reader.members(),
      learners: reader.members(),
      nextVoters: reader.members(),
      addresses: reader.addresses(),
      level: reader.number(),
    };
    return { slot, base: { index, term, logTimeMs, wallTimeMs, configuration } };
  });
}

const checkpointHeaderBytes = 12;

export function encodeCheckpoint({ index, bytes }: Checkpoint): Uint8Array {
  const record = Buffer.allocUnsafe(checkpointHeaderBytes + bytes.length);
  record.writeDoubleBE(index, 4);
  record.set(bytes, checkpointHeaderBytes);
  record.writeUInt32BE(crc32(record.subarray(4)), 0);
  return record;
}

/** `bytes` of the result are a view into the record. */
export function decodeCheckpoint(record: Uint8Array): Checkpoint | null {
  if (record.length < checkpointHeaderBytes) return null;
  return read(record, (reader) => ({
    index: reader.number(),
    bytes: record.subarray(checkpointHeaderBytes),
  }));
}

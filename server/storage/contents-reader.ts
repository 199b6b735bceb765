import type { Base, Entry, HardState } from "../raft/entry.ts";
import type { Founding } from "../raft/founding.ts";
import type { Levels } from "../raft/level.ts";
import { decodePack } from "./entry-pack.ts";
import { parseKey } from "./key.ts";
import { digestOf, LiveKeys } from "./live-keys.ts";
import {
  decodeBase,
  decodeCheckpoint,
  decodeFounding,
  decodeHardState,
  decodeIdentity,
  decodeSeen,
  decodeState,
  type IdentityRecord,
  type StateRecord,
  storageFormatVersion,
} from "./record.ts";
import type { GroupContents, StoreSeen } from "./storage.ts";
import { corrupt, otherLevel, otherVersion } from "./storage-error.ts";
import { type Digest, marksOf, StoredGroup } from "./stored-group.ts";

/** Everything that a folder holds, checked. */
export interface Contents {
  readonly identity: IdentityRecord;
  readonly identityDigest: Digest;
  readonly founding: Founding | null;
  readonly foundingDigest: Digest;
  readonly seen: readonly StoreSeen[];
  readonly seenDigest: Digest;
  readonly state: StateRecord;
  readonly groups: ReadonlyMap<number, { readonly stored: StoredGroup; readonly contents: GroupContents }>;
}

interface GroupUnderway {
  readonly stored: StoredGroup;
  readonly entries: Entry[];
}

/** Takes every key and value of the database, in the order of the keys, and checks all of it. */
export class ContentsReader {
  readonly #live = new LiveKeys();
  readonly #groups = new Map<number, GroupUnderway>();
  #identity: IdentityRecord | null = null;
  #identityDigest: Digest = null;
  #founding: Founding | null = null;
  #foundingDigest: Digest = null;
  #seen: readonly StoreSeen[] = [];
  #seenDigest: Digest = null;
  #state: StateRecord | null = null;
  readonly #location: string;
  readonly #levels: Levels;

  constructor(location: string, known: Levels) {
    this.#location = location;
    this.#levels = known;
  }

  /** @throws STORAGE_VERSION, STORAGE_LEVEL; STORAGE_CORRUPT with group, index and what is wrong */
  take(keyBytes: Uint8Array, value: Uint8Array): void {
    const key = parseKey(keyBytes);
    if (key.type === "state") {
      this.#state = decodeState(value) ?? damaged("the store's state record");
      return;
    }
    const digest = digestOf(keyBytes, value);
    this.#live.replace(null, digest);
    switch (key.type) {
      case "identity":
        this.#identityDigest = digest;
        this.#identity = this.#identify(decodeIdentity(value) ?? damaged("the identity record"));
        return;
      case "founding":
        this.#founding = decodeFounding(value) ?? damaged("the founding record");
        this.#foundingDigest = digest;
        return;
      case "seen":
        this.#seen = decodeSeen(value) ?? damaged("the record of other nodes' stores");
        this.#seenDigest = digest;
        return;
      case "hardState": {
        const { stored } = this.#group(key.group);
        stored.hardState = decodeHardState(value) ?? damaged(`group ${key.group}: the hard state`);
        stored.hardStateDigest = digest;
        return;
      }
      case "base": {
        const { stored } = this.#group(key.group);
        const { base, slot } = decodeBase(value) ?? damaged(`group ${key.group}: the base`);
        stored.base = base;
        stored.slot = slot;
        stored.baseDigest = digest;
        return;
      }
      case "pack":
        this.#takePack({ group: key.group, firstIndex: key.firstIndex, value, digest });
        return;
      case "checkpoint": {
        const { stored } = this.#group(key.group);
        const { index, bytes } =
          decodeCheckpoint(value) ?? damaged(`group ${key.group}: the checkpoint "${key.key}"`);
        // The base record, which names the slot that counts, comes before the checkpoints in the order of keys.
        const isStaged = key.slot !== stored.slot;
        (isStaged ? stored.staged : stored.checkpoints).set(key.key, {
          digest,
          index,
          sizeBytes: bytes.length,
        });
        return;
      }
      case "unknown":
        throw corrupt(`the key ${Buffer.from(keyBytes).toString("hex")} is none of this format's`);
      default:
        key satisfies never;
    }
  }

  /** The first key of all: whoever cannot read the others ends here. */
  #identify(identity: IdentityRecord): IdentityRecord {
    const { formatVersion, level } = identity;
    if (formatVersion !== storageFormatVersion)
      throw otherVersion({ found: formatVersion, read: storageFormatVersion });
    const { min, max } = this.#levels;
    if (level < min || level > max) throw otherLevel(this.#location, level, this.#levels);
    return identity;
  }

  /** @returns null if the database is empty. @throws STORAGE_CORRUPT */
  finish(): Contents | null {
    const [identity, state] = [this.#identity, this.#state];
    if (identity === null && state === null && this.#live.keys === 0) return null;
    if (identity === null) throw corrupt("the identity record is missing");
    if (state === null) throw corrupt("the store's state record is missing");
    const groups = new Map<number, { stored: StoredGroup; contents: GroupContents }>();
    // Each group first: it says more precisely what is missing than the digest of everything can.
    for (const [group, underway] of this.#groups) {
      groups.set(group, { stored: underway.stored, contents: groupContents(group, underway) });
    }
    const { keys, digest } = this.#live;
    if (keys !== state.keys || digest !== state.digest) {
      const saves = `after save ${state.saveSequence}`;
      throw corrupt(
        `${keys} values with digest ${digest} are there, but ${state.keys} with ${state.digest} were ${saves}`,
      );
    }
    return {
      identity,
      identityDigest: this.#identityDigest,
      founding: this.#founding,
      foundingDigest: this.#foundingDigest,
      seen: this.#seen,
      seenDigest: this.#seenDigest,
      state,
      groups,
    };
  }

  #group(group: number): GroupUnderway {
    let underway = this.#groups.get(group);
    if (underway === undefined) {
      underway = { stored: new StoredGroup(group), entries: [] };
      this.#groups.set(group, underway);
    }
    return underway;
  }

  #takePack({
    group,
    firstIndex,
    value,
    digest,
  }: {
    group: number;
    firstIndex: number;
    value: Uint8Array;
    digest: number;
  }): void {
    const { stored, entries } = this.#group(group);
    const pack = decodePack({ group, firstIndex, value });
    if (pack.type === "bad") throw corrupt(`group ${group}, index ${pack.index}: ${pack.reason}`);
    const before = stored.packs.at(-1);
    if (before !== undefined && firstIndex > before.lastIndex + 1) {
      throw corrupt(`group ${group}, index ${before.lastIndex + 1}: missing, up to ${firstIndex - 1}`);
    }
    if (before !== undefined && firstIndex <= before.lastIndex) {
      throw corrupt(`group ${group}, index ${firstIndex}: two packs overlap, up to ${before.lastIndex}`);
    }
    const last = pack.entries.at(-1) as Entry;
    stored.packs.push({ firstIndex, lastIndex: last.index, lastTerm: last.term, digest });
    // The base record comes before the packs in the order of keys.
    for (const entry of pack.entries) if (entry.index > stored.base.index) entries.push(entry);
  }
}

function groupContents(group: number, { stored, entries }: GroupUnderway): GroupContents {
  const { base, hardState }: { base: Base; hardState: HardState } = stored;
  const firstPack = stored.packs[0];
  if (firstPack !== undefined && firstPack.firstIndex > base.index + 1) {
    throw corrupt(`group ${group}, index ${base.index + 1}: missing, up to ${firstPack.firstIndex - 1}`);
  }
  if (firstPack !== undefined && firstPack.lastIndex <= base.index) {
    throw corrupt(
      `group ${group}, index ${firstPack.firstIndex}: a pack wholly at or below the base, ${base.index}`,
    );
  }
  let term = base.term;
  for (const entry of entries) {
    if (entry.term < term)
      throw corrupt(`group ${group}, index ${entry.index}: term ${entry.term} after term ${term}`);
    term = entry.term;
  }
  if (hardState.term < term) {
    throw corrupt(
      `group ${group}, index ${stored.lastIndex}: term ${term}, but the hard state is of term ${hardState.term}`,
    );
  }
  if (hardState.commitIndex > stored.lastIndex) {
    throw corrupt(
      `group ${group}, index ${stored.lastIndex + 1}: missing, but committed up to ${hardState.commitIndex}`,
    );
  }
  const [checkpoints, staged] = [marksOf(stored.checkpoints), marksOf(stored.staged)];
  return { hardState, base, entries, checkpoints, staged };
}

function damaged(what: string): never {
  throw corrupt(`${what}: its checksum is wrong`);
}

import { strict as assert } from "node:assert";
import type { Base, Entry, HardState } from "../raft/entry.ts";
import { decodePack, type PackEncoder } from "./entry-pack.ts";
import { baseKey, checkpointKey, hardStateKey, otherSlot, packKey, type Slot } from "./key.ts";
import { encodeBase, encodeCheckpoint, encodeHardState } from "./record.ts";
import { assertGroupSave, emptyBase, emptyHardState, type LogBounds } from "./save-check.ts";
import type { Checkpoint, CheckpointMark, GroupSave } from "./storage.ts";
import { corrupt } from "./storage-error.ts";

/** A stored value's digest (see live-keys.ts); null: there is no such value. */
export type Digest = number | null;

/** Where a group's changes go. */
export interface BatchWriter {
  /** `before`: the digest of the value that this one replaces. @returns the new one */
  put(key: Uint8Array, value: Uint8Array, before: Digest): number;
  del(key: Uint8Array, before: Digest): void;
  /** What is stored now, before this batch. */
  read(key: Uint8Array): Uint8Array | undefined;
}

export interface StoredPack {
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly lastTerm: number;
  readonly digest: number;
}

export interface StoredCheckpoint extends CheckpointMark {
  readonly digest: number;
}

/** What others are told of stored checkpoints. */
export function marksOf(stored: ReadonlyMap<string, StoredCheckpoint>): Map<string, CheckpointMark> {
  const marks = new Map<string, CheckpointMark>();
  for (const [key, { index, sizeBytes }] of stored) marks.set(key, { index, sizeBytes });
  return marks;
}

/** What is on the disk of one group: enough to turn a save into puts and deletes without reading (but to cut a pack). */
export class StoredGroup implements LogBounds {
  readonly #group: number;
  hardState: HardState = emptyHardState;
  hardStateDigest: Digest = null;
  base: Base = emptyBase;
  baseDigest: Digest = null;
  /** In order, contiguous; the first may begin at or before the base, none ends there. */
  packs: StoredPack[] = [];
  /** Where the checkpoints lie; what is staged lies in the other one. */
  slot: Slot = 0;
  checkpoints = new Map<string, StoredCheckpoint>();
  staged = new Map<string, StoredCheckpoint>();
  #read: BatchWriter["read"] = () => undefined;

  constructor(group: number) {
    this.#group = group;
  }

  get lastIndex(): number {
    return this.packs.at(-1)?.lastIndex ?? this.base.index;
  }

  get lastTerm(): number {
    return this.packs.at(-1)?.lastTerm ?? this.base.term;
  }

  termAt(index: number): number {
    if (index === this.base.index) return this.base.term;
    const pack = this.packs[this.#packOf(index)];
    assert(pack !== undefined, `group ${this.#group}: no entry ${index}`);
    if (pack.lastIndex === index) return pack.lastTerm;
    const entry = this.#entriesOf(pack)[index - pack.firstIndex];
    return (entry as Entry).term;
  }

  /** Writes a save into the batch, in the contract's order of effect. */
  save(save: GroupSave, { writer, encoder }: { writer: BatchWriter; encoder: PackEncoder }): void {
    this.#read = writer.read.bind(writer);
    assertGroupSave(this.#group, this, save);
    const group = this.#group;
    this.#putCheckpoints(save.staged, { into: this.staged, slot: otherSlot(this.slot), writer });
    if (save.reset) this.#reset(writer);
    if (save.base !== undefined) {
      this.base = save.base;
      const record = encodeBase({ base: save.base, slot: this.slot });
      this.baseDigest = writer.put(baseKey(group), record, this.baseDigest);
      this.#dropUpTo(save.base.index, writer);
    }
    const entries = save.entries ?? [];
    const first = entries[0];
    if (first !== undefined) {
      this.#cutFrom(first.index, { writer, encoder });
      this.#append(entries, { writer, encoder });
    }
    if (save.hardState !== undefined) {
      this.hardState = save.hardState;
      this.hardStateDigest = writer.put(
        hardStateKey(group),
        encodeHardState(save.hardState),
        this.hardStateDigest,
      );
    }
    this.#putCheckpoints(save.checkpoints, { into: this.checkpoints, slot: this.slot, writer });
  }

  #putCheckpoints(
    checkpoints: ReadonlyMap<string, Checkpoint | null> | undefined,
    { into, slot, writer }: { into: Map<string, StoredCheckpoint>; slot: Slot; writer: BatchWriter },
  ): void {
    for (const [key, checkpoint] of checkpoints ?? []) {
      const before = into.get(key)?.digest ?? null;
      const keyBytes = checkpointKey(this.#group, { slot, key });
      if (checkpoint !== null) {
        const digest = writer.put(keyBytes, encodeCheckpoint(checkpoint), before);
        into.set(key, { digest, index: checkpoint.index, sizeBytes: checkpoint.bytes.length });
      } else if (before !== null) {
        writer.del(keyBytes, before);
        into.delete(key);
      }
    }
  }

  /** What is staged takes the place of everything: nothing of it is written again, its slot becomes the one that counts. */
  #reset(writer: BatchWriter): void {
    const { slot } = this;
    for (const { firstIndex, digest } of this.packs) writer.del(packKey(this.#group, firstIndex), digest);
    for (const [key, { digest }] of this.checkpoints)
      writer.del(checkpointKey(this.#group, { slot, key }), digest);
    this.packs = [];
    this.slot = otherSlot(slot);
    this.checkpoints = this.staged;
    this.staged = new Map();
  }

  /** Packs wholly at or below the base. One that straddles it stays: its first entries are skipped at open. */
  #dropUpTo(index: number, writer: BatchWriter): void {
    let dropped = 0;
    for (const pack of this.packs) {
      if (pack.lastIndex > index) break;
      writer.del(packKey(this.#group, pack.firstIndex), pack.digest);
      dropped++;
    }
    this.packs.splice(0, dropped);
  }

  /** Everything at and after `index` goes: later packs whole, the one that is cut is written anew without its end. */
  #cutFrom(index: number, { writer, encoder }: { writer: BatchWriter; encoder: PackEncoder }): void {
    for (
      let last = this.packs.at(-1);
      last !== undefined && last.lastIndex >= index;
      last = this.packs.at(-1)
    ) {
      this.packs.pop();
      // What is left of a pack may lie wholly at or below the base: then nothing of it counts.
      const isCut = last.firstIndex < index && index - 1 > this.base.index;
      const kept = isCut ? this.#entriesOf(last).slice(0, index - last.firstIndex) : [];
      if (isCut) this.#append(kept, { writer, encoder, before: last.digest });
      else writer.del(packKey(this.#group, last.firstIndex), last.digest);
    }
  }

  #append(
    entries: readonly Entry[],
    { writer, encoder, before = null }: { writer: BatchWriter; encoder: PackEncoder; before?: Digest },
  ): void {
    for (let from = 0; from < entries.length; ) {
      const { value, firstIndex, lastIndex, lastTerm } = encoder.encode({
        group: this.#group,
        entries,
        from,
      });
      const digest = writer.put(packKey(this.#group, firstIndex), value, from === 0 ? before : null);
      this.packs.push({ firstIndex, lastIndex, lastTerm, digest });
      from += lastIndex - firstIndex + 1;
    }
  }

  #entriesOf({ firstIndex }: StoredPack): Entry[] {
    const group = this.#group;
    const value = this.#read(packKey(group, firstIndex));
    if (value === undefined) throw corrupt(`group ${group}, index ${firstIndex}: the pack is missing`);
    const pack = decodePack({ group, firstIndex, value });
    if (pack.type === "bad") throw corrupt(`group ${group}, index ${pack.index}: ${pack.reason}`);
    return pack.entries;
  }

  /** The position of the pack with this index, or -1. */
  #packOf(index: number): number {
    return this.packs.findLastIndex(({ firstIndex, lastIndex }) => firstIndex <= index && index <= lastIndex);
  }
}

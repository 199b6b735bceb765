import { strict as assert } from "node:assert";
import { emptyConfiguration } from "../raft/configuration.ts";
import type { Base, Entry, HardState } from "../raft/entry.ts";
import type { Checkpoint, GroupSave, StoreSeen } from "./storage.ts";
import { storageLimits } from "./storage-limits.ts";

/** Of a group of which nothing was saved. */
export const emptyHardState: HardState = Object.freeze({ term: 0, votedFor: null, commitIndex: 0 });

export const emptyBase: Base = Object.freeze({
  index: 0,
  term: 0,
  logTimeMs: 0,
  wallTimeMs: 0,
  configuration: emptyConfiguration,
});

/** What is saved of a group's log. */
export interface LogBounds {
  readonly hardState: HardState;
  readonly base: Base;
  readonly lastIndex: number;
  readonly lastTerm: number;
  /** For `base.index` ≤ index ≤ `lastIndex`. */
  termAt(index: number): number;
}

/**
 * Asserts that a save leaves a log that the next open takes: what is wrong here is a programmer's error, and must
 * not reach the disk, where it would lock the node out for good.
 */
export function assertGroupSave(group: number, bounds: LogBounds, save: GroupSave): void {
  const at = `group ${group}: `;
  const isGroup = Number.isInteger(group) && group >= 0 && group <= storageLimits.groupIdMax;
  assert(isGroup, `${at}a group's id is 0 to ${storageLimits.groupIdMax}`);
  let { base, lastIndex, lastTerm } = bounds;
  if (save.reset) assert(save.base !== undefined, `${at}a reset comes with a base`);
  if (save.base !== undefined) {
    if (!save.reset) {
      assert(
        save.base.index >= base.index,
        `${at}base ${save.base.index} is before the present one, ${base.index}`,
      );
      assert(
        save.base.index <= lastIndex,
        `${at}base ${save.base.index} is past the last index, ${lastIndex}`,
      );
    }
    base = save.base;
    assertWhole(`${at}base`, [base.index, base.term, base.logTimeMs, base.wallTimeMs]);
    if (save.reset || base.index === lastIndex) [lastIndex, lastTerm] = [base.index, base.term];
  }
  const first = save.entries?.[0];
  if (first !== undefined) {
    assert(first.index > base.index, `${at}entry ${first.index} is at or before the base, ${base.index}`);
    assert(first.index <= lastIndex + 1, `${at}entry ${first.index} leaves a gap after ${lastIndex}`);
    const isUncommitted = save.reset || first.index > bounds.hardState.commitIndex;
    assert(
      isUncommitted,
      `${at}entry ${first.index} overwrites a committed one (${bounds.hardState.commitIndex})`,
    );
    const before = first.index - 1;
    let term = before === lastIndex ? lastTerm : before === base.index ? base.term : bounds.termAt(before);
    let index = before;
    for (const entry of save.entries as readonly Entry[]) {
      assertEntry(at, { entry, index: index + 1, term });
      ({ index, term } = entry);
    }
    [lastIndex, lastTerm] = [index, term];
  }
  const hardState = save.hardState ?? bounds.hardState;
  assertWhole(`${at}hard state`, [hardState.term, hardState.commitIndex]);
  assert(
    hardState.term >= bounds.hardState.term,
    `${at}term ${hardState.term} goes back from ${bounds.hardState.term}`,
  );
  assert(
    hardState.term >= lastTerm,
    `${at}term ${hardState.term} is less than the last entry's, ${lastTerm}`,
  );
  assert(
    hardState.commitIndex <= lastIndex,
    `${at}commit index ${hardState.commitIndex} is past the last, ${lastIndex}`,
  );
  for (const [key, checkpoint] of save.checkpoints ?? []) assertCheckpoint(at, key, checkpoint);
  for (const [key, checkpoint] of save.staged ?? []) assertCheckpoint(at, key, checkpoint);
}

function assertCheckpoint(at: string, key: string, checkpoint: Checkpoint | null): void {
  assert(
    Buffer.byteLength(key) <= storageLimits.checkpointKeyBytesMax,
    `${at}a checkpoint's key is too long: ${key}`,
  );
  if (checkpoint === null) return;
  const bytes = checkpoint.bytes.length;
  assert(bytes <= storageLimits.checkpointBytesMax, `${at}checkpoint "${key}" has ${bytes} bytes`);
  assertWhole(`${at}checkpoint "${key}"`, [checkpoint.index]);
}

function assertEntry(
  at: string,
  { entry, index, term }: { entry: Entry; index: number; term: number },
): void {
  assert(entry.index === index, `${at}entry ${entry.index} in the place of ${index}`);
  assert(entry.term >= term && entry.term >= 1, `${at}entry ${index} has term ${entry.term} after ${term}`);
  assert(
    entry.data.length <= storageLimits.entryDataBytesMax,
    `${at}entry ${index} has ${entry.data.length} bytes`,
  );
  const { logTimeMs, wallTimeMs } = entry;
  const isWhole =
    Number.isSafeInteger(entry.term) && Number.isSafeInteger(logTimeMs) && Number.isSafeInteger(wallTimeMs);
  assert(
    isWhole && logTimeMs >= 0 && wallTimeMs >= 0,
    `${at}entry ${index} has stamps ${logTimeMs}, ${wallTimeMs}`,
  );
}

function assertWhole(what: string, numbers: readonly number[]): void {
  for (const value of numbers)
    assert(Number.isSafeInteger(value) && value >= 0, `${what}: ${value} is not a whole number`);
}

/** What is remembered of other nodes' stores: few, and each named once. */
export function assertSeen(seen: readonly StoreSeen[]): void {
  const most = storageLimits.storesSeenMax;
  assert(seen.length <= most, `${seen.length} stores are remembered, ${most} are allowed`);
  assert(new Set(seen.map(({ storeId }) => storeId)).size === seen.length, "a store is remembered twice");
}

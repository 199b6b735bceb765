import assert from "node:assert";
import { emptyConfiguration } from "../raft/configuration.ts";
import type { Base, HardState } from "../raft/entry.ts";
import type { Founding } from "../raft/founding.ts";
import type { GroupContents } from "../storage/storage.ts";

const emptyHardState: HardState = Object.freeze({ term: 0, votedFor: null, commitIndex: 0 });

/**
 * What a group begins with: what was persisted, or, of a group that nothing was saved of yet, an empty log with the
 * founding members as voters. The founding configuration goes to the disk with the first batch, before any promise.
 */
export function startingContents(
  persisted: GroupContents | undefined,
  { members, addresses, level }: Pick<Founding, "members" | "addresses" | "level">,
): { readonly contents: GroupContents; readonly isNew: boolean } {
  if (persisted !== undefined) {
    assert(persisted.base.configuration.voters.length > 0, "a group that was saved knows its voters");
    return { contents: persisted, isNew: false };
  }
  const configuration = { ...emptyConfiguration, voters: members, addresses, level };
  const base: Base = { index: 0, term: 0, logTimeMs: 0, wallTimeMs: 0, configuration };
  const nothing = { entries: [], checkpoints: new Map(), staged: new Map() };
  return { contents: { hardState: emptyHardState, base, ...nothing }, isNew: true };
}

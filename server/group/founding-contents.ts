import type { Member } from "../raft/configuration.ts";
import type { Base, HardState } from "../raft/entry.ts";
import type { GroupContents } from "../storage/storage.ts";

const emptyHardState: HardState = Object.freeze({ term: 0, votedFor: null, commitIndex: 0 });

/** A group that nothing was saved of yet: an empty log, and the founding members as voters. */
export function foundingContents(members: readonly Member[]): GroupContents {
  const configuration = { voters: members, votersOutgoing: [], learners: [] };
  const base: Base = { index: 0, term: 0, logTimeMs: 0, wallTimeMs: 0, configuration };
  return { hardState: emptyHardState, base, entries: [], checkpoints: new Map() };
}

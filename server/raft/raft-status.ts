import type { Configuration, Member } from "./configuration.ts";
import type { Progress } from "./progress.ts";
import type { Role } from "./ready.ts";

export interface FollowerStatus {
  readonly nodeId: string;
  readonly storeId: string;
  readonly state: Progress["state"]["type"];
  readonly matchIndex: number;
  /** In its memory at least; the distance to matchIndex is what waits for its disk. */
  readonly receivedIndex: number;
  /** null while a snapshot is being installed. */
  readonly nextIndex: number | null;
  readonly inFlightEntries: number;
  readonly inFlightBytes: number;
  /** Since it last confirmed this leader's term. */
  readonly silentMs: number;
}

export interface RaftStatus {
  readonly role: Role;
  readonly term: number;
  readonly leaderId: string | null;
  readonly votedFor: Member | null;
  readonly commitIndex: number;
  readonly lastIndex: number;
  readonly durableIndex: number;
  readonly baseIndex: number;
  readonly transferTo: string | null;
  readonly configuration: Configuration;
  /** Of the entry that brought it; it is committed once the commit index is there. */
  readonly configurationIndex: number;
  /** Empty but on a leader. */
  readonly followers: readonly FollowerStatus[];
}

export function followerStatus(progress: Progress, nowMs: number): FollowerStatus {
  const { member, state, matchIndex, inFlightEntries, inFlightBytes, heardMs } = progress;
  return {
    ...member,
    state: state.type,
    matchIndex,
    receivedIndex: state.type === "replicating" ? state.receivedIndex : matchIndex,
    nextIndex: state.type === "installing" ? null : state.nextIndex,
    inFlightEntries,
    inFlightBytes,
    silentMs: nowMs - heardMs,
  };
}

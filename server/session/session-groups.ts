import type { Configuration } from "../raft/configuration.ts";
import type { AgreedLevel } from "../raft/level.ts";

/** What the session layer needs of the groups of its node. */
export interface SessionGroups {
  /** Resolves with the result once the command is applied on this node. `urgent`: even if nothing new is taken just now. */
  propose(group: number, command: Uint8Array, how?: { readonly urgent: boolean }): Promise<unknown>;
  /** False: a proposal of this size would be refused now (OVERLOADED). */
  accepts(group: number, commandBytes: number): boolean;
  /** Resolves once everything that was committed before the call is applied on this node. */
  barrier(group: number): Promise<void>;
  isLeader(group: number): boolean;
  /** For how long no leader of the group has been known here, in milliseconds; null: there is one. */
  leaderlessMs(group: number): number | null;
  lead(group: number): { readonly leaderId: string | null; readonly term: number };
  configuration(group: number): Configuration;
  /** What may be proposed (raft/level.ts). */
  level(group: number): AgreedLevel;
  /** Says something to the group's machine on another node, beside the log; lost without a link. */
  tell(group: number, nodeId: string, body: Uint8Array): void;
  /** Bulk towards the node has to wait. */
  isBusy(nodeId: string): boolean;
}

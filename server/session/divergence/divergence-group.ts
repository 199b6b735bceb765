import type { Configuration } from "../../raft/configuration.ts";

/** What the watch needs of its group. */
export interface DivergenceGroup {
  lead(): { readonly leaderId: string | null; readonly term: number };
  configuration(): Configuration;
  /** Dropped if there is no link. */
  tell(nodeId: string, body: Uint8Array): void;
  /** Bulk towards the node has to wait. */
  isBusy(nodeId: string): boolean;
  /** `urgent`: also while nothing else is taken. */
  propose(command: Uint8Array, urgent: boolean): Promise<unknown>;
}

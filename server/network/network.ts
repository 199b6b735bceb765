import type { Levels } from "../raft/level.ts";
import type { PeerMessage } from "./peer-message.ts";

export interface PeerIdentity {
  readonly nodeId: string;
  readonly storeId: string;
  readonly bootId: string;
  /** null: not founded yet. */
  readonly clusterId: string | null;
  /** What its build can read and write. */
  readonly levels: Levels;
  /** What any of its groups has agreed on, at least; null: not founded yet. */
  readonly agreedLevel: number | null;
}

/** Which process is at the other end of a link. */
export type LinkedProcess = Pick<PeerIdentity, "nodeId" | "bootId">;

/** What a network tells its node; each goes straight into the pipe. */
export interface NetworkHandlers {
  /** The link is authenticated and open. At most one link a peer is up at a time. */
  linkUp(peer: PeerIdentity): void;
  /** The link closed (a killed process's sockets reset at once), went silent, or overflowed. */
  linkDown(nodeId: string, reason: string): void;
  message(from: string, message: PeerMessage): void;
}

/** The links of one node to all its peers. */
export interface Network {
  start(handlers: NetworkHandlers): Promise<void>;
  /** Queued and sent as one frame a peer at the end of the turn. Without a link, or past the buffer's limit, it is dropped. */
  send(nodeId: string, message: PeerMessage): void;
  /** Sends what is queued now instead of at the end of the turn. */
  flush?(): void;
  /** Bytes waiting towards a peer: bulk waits while this is above 128 KiB. */
  bufferedBytes(nodeId: string): number;
  peers(): readonly { readonly nodeId: string; readonly state: "connecting" | "up" | "down" }[];
  close(): Promise<void>;
}

import type { PeerMessage } from "../network/peer-message.ts";
import type { Linked } from "../raft/level.ts";
import type { StoreSeen } from "../storage/storage.ts";
import type { Gathering } from "./saver.ts";

/** What enters a node's pipe. Proposals and questions for a transfer wait in their group, and only wake it. */
export type EngineEvent =
  | { readonly type: "tick" }
  | { readonly type: "linkUp"; readonly nodeId: string; readonly linked: Linked }
  | { readonly type: "linkDown"; readonly nodeId: string }
  | { readonly type: "message"; readonly from: string; readonly message: PeerMessage }
  | { readonly type: "saved"; readonly gathering: Gathering }
  | { readonly type: "storesSeen"; readonly seen: readonly StoreSeen[]; readonly durable: () => void }
  /** The disk has answered; `done` hands it to whoever asked. */
  | { readonly type: "read"; readonly done: () => void };

import type { LinkedProcess } from "../network/network.ts";
import type { Clock } from "./clock.ts";
import type { Log } from "./log.ts";

/** `bootId` null: not seen since this node started, so whatever ran there before is lost. */
export interface LostPeer {
  readonly nodeId: string;
  readonly bootId: string | null;
}

type Watched =
  | { readonly type: "up"; readonly bootId: string }
  | { readonly type: "missing"; readonly bootId: string | null; readonly cancel: () => void }
  | { readonly type: "lost"; readonly bootId: string | null };

/**
 * Which peers count as lost: no link for `nodeLostMs`, or back with another `bootId`, since what ran under the old one
 * is gone for certain.
 */
export class PeerWatch {
  readonly #clock: Clock;
  readonly #nodeLostMs: number;
  readonly #peers = new Map<string, Watched>();
  /** Of those that are watched. Another node is watched while it is linked, and until its loss was told. */
  #peerIds: ReadonlySet<string>;
  readonly #listeners = new Set<(lost: LostPeer) => void>();

  constructor({
    clock,
    nodeLostMs,
    peerIds,
  }: { clock: Clock; nodeLostMs: number; peerIds: readonly string[] }) {
    this.#clock = clock;
    this.#nodeLostMs = nodeLostMs;
    this.#peerIds = new Set(peerIds);
    for (const nodeId of peerIds) this.#miss(nodeId, null);
  }

  /** From now on these. */
  setPeers(peerIds: Iterable<string>): void {
    this.#peerIds = new Set(peerIds);
    for (const nodeId of this.#peerIds) if (!this.#peers.has(nodeId)) this.#miss(nodeId, null);
    for (const [nodeId, { type }] of this.#peers) if (type === "lost") this.#forgetStranger(nodeId);
  }

  #forgetStranger(nodeId: string): void {
    if (!this.#peerIds.has(nodeId)) this.#peers.delete(nodeId);
  }

  /** It has a link. */
  isUp(nodeId: string): boolean {
    return this.#peers.get(nodeId)?.type === "up";
  }

  linkUp({ nodeId, bootId }: LinkedProcess): void {
    const before = this.#peers.get(nodeId);
    if (before?.type === "missing") before.cancel();
    this.#peers.set(nodeId, { type: "up", bootId });
    const old = before?.bootId ?? null;
    if (before !== undefined && before.type !== "lost" && old !== null && old !== bootId)
      this.#tell({ nodeId, bootId: old });
  }

  linkDown(nodeId: string): void {
    const before = this.#peers.get(nodeId);
    if (before?.type === "up") this.#miss(nodeId, before.bootId);
  }

  /** Those that count as lost now. */
  lost(): readonly LostPeer[] {
    const lost: LostPeer[] = [];
    for (const [nodeId, { type, bootId }] of this.#peers) if (type === "lost") lost.push({ nodeId, bootId });
    return lost;
  }

  /** Calls back for each peer that gets lost from now on; the returned function ends that. */
  onLost(listener: (lost: LostPeer) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  stop(): void {
    for (const watched of this.#peers.values()) if (watched.type === "missing") watched.cancel();
    this.#peers.clear();
    this.#listeners.clear();
  }

  #miss(nodeId: string, bootId: string | null): void {
    const cancel = this.#clock.setTimer(() => {
      this.#peers.set(nodeId, { type: "lost", bootId });
      this.#forgetStranger(nodeId);
      this.#tell({ nodeId, bootId });
    }, this.#nodeLostMs);
    this.#peers.set(nodeId, { type: "missing", bootId, cancel });
  }

  #tell(lost: LostPeer): void {
    for (const listener of [...this.#listeners]) listener(lost);
  }
}

/** When all start together some are always later than others: that is nothing to warn of. */
export function logLost(log: Log, lost: LostPeer): void {
  if (lost.bootId === null)
    log.info({ event: "node-missing", ...lost }, `node ${lost.nodeId} has not come yet`);
  else log.warn({ event: "node-lost", ...lost }, `node ${lost.nodeId} is lost`);
}

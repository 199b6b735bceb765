import { LinkRefused } from "./close-reason.ts";
import { levelRefusal } from "./level-refusal.ts";
import type { PeerIdentity } from "./network.ts";

/** Where each peer listens, by nodeId; null: nobody knows, so it has to dial. */
export type PeerUrls = ReadonlyMap<string, string | null>;

/**
 * Who may be linked. Members come and go, and not all nodes hear of it at once: so a founded node lets in a few nodes of
 * its own cluster that it does not know, too, for it may be they that know better, or have something to be told.
 */
export class PeerBook {
  readonly #strangersMax: number;
  #urls: PeerUrls;

  constructor(urls: PeerUrls, { strangersMax }: { strangersMax: number }) {
    this.#urls = urls;
    this.#strangersMax = strangersMax;
  }

  get urls(): PeerUrls {
    return this.#urls;
  }

  has(nodeId: string): boolean {
    return this.#urls.has(nodeId);
  }

  url(nodeId: string): string | null {
    return this.#urls.get(nodeId) ?? null;
  }

  set(urls: PeerUrls): void {
    this.#urls = urls;
  }

  /**
   * May this node and that one be linked?
   * @param linked the nodes that are linked already
   * @throws LinkRefused OWN_ID, CLUSTER_DIFFERS, LEVEL_DIFFERS, NODE_UNEXPECTED, STRANGERS_TOO_MANY
   */
  check(peer: PeerIdentity, self: PeerIdentity, linked: Iterable<string>): void {
    if (peer.nodeId === self.nodeId) {
      throw new LinkRefused("OWN_ID", `both ends are node ${self.nodeId}`);
    }
    if (peer.clusterId !== null && self.clusterId !== null && peer.clusterId !== self.clusterId) {
      const detail = `${self.nodeId} is of cluster ${self.clusterId}, ${peer.nodeId} of ${peer.clusterId}`;
      throw new LinkRefused("CLUSTER_DIFFERS", detail);
    }
    const levels = levelRefusal(peer, self) ?? levelRefusal(self, peer);
    if (levels !== null) throw new LinkRefused("LEVEL_DIFFERS", levels);
    if (this.has(peer.nodeId)) return;
    if (self.clusterId === null) {
      throw new LinkRefused("NODE_UNEXPECTED", `${peer.nodeId} is not among the peers of ${self.nodeId}`);
    }
    const strangers = [...linked].filter((nodeId) => !this.has(nodeId) && nodeId !== peer.nodeId);
    if (strangers.length < this.#strangersMax) return;
    const detail = `${strangers.length} nodes that are no members are linked with ${self.nodeId} already`;
    throw new LinkRefused("STRANGERS_TOO_MANY", detail);
  }
}

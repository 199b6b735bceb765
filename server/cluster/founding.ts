import assert from "node:assert/strict";
import type { PeerIdentity } from "../network/network.ts";
import type { PeerMessage } from "../network/peer-message.ts";
import type { Address, Member } from "../raft/configuration.ts";
import type { Founding } from "../raft/founding.ts";
import type { Levels } from "../raft/level.ts";
import { sameMember } from "../raft/quorum.ts";
import type { Clock } from "./clock.ts";
import type { Log } from "./log.ts";
import { NodeError } from "./node-error.ts";

export const foundingDefaults = Object.freeze({
  /** A link may lose a message when its buffer is full, or on purpose (--link-loss). */
  foundRetryMs: 250,
  /** On one link; after that only a new link begins anew. */
  foundRetriesMax: 240,
});

export interface FoundingParts {
  readonly self: Member;
  /** All other nodes that --peers names. */
  readonly peerIds: readonly string[];
  /** For the founder, as far as it knows them. */
  readonly addresses: readonly Address[];
  /** For the founder. */
  readonly groups: number;
  /** What this node can read and write. */
  readonly levels: Levels;
  /** What the disk holds. */
  readonly founding: Founding | null;
  readonly clock: Clock;
  readonly log: Log;
  /** 16 random hex digits. */
  newClusterId(): string;
  send(nodeId: string, message: PeerMessage): void;
  /** Durable when it resolves. */
  save(founding: Founding): Promise<void>;
  /** The node is part of a cluster from now on; once, at `start` if the disk says so. */
  founded(founding: Founding): void;
  /** The peer at the other end of an open link is of the same cluster: once a link. Only then may a group hear it. */
  admitted(peer: PeerIdentity): void;
  fail(error: NodeError): void;
}

type State =
  | { readonly type: "blank" }
  | { readonly type: "saving"; readonly founding: Founding; readonly answerTo: Set<string> }
  | { readonly type: "founded"; readonly founding: Founding }
  /** Stopped or failed: nothing is heard or told any more. */
  | { readonly type: "ended"; readonly founding: Founding | null };

interface Link {
  readonly peer: PeerIdentity;
  standing: "unknown" | "admitted" | "foreign";
  retries: number;
  cancelRetry: (() => void) | null;
}

/**
 * How a cluster comes to be, once (design 4.3). The node with the lowest id is the founder. Blank, and linked with all
 * peers, all of them blank, it decides the cluster's id and members, saves that, and only then tells it; the others
 * save before they answer. So there is one founding, whoever crashes when: a decision that was told is on the founder's
 * disk, and every founded node hands it on to blank ones. A founded node never takes another. A blank node that the
 * founding does not name takes it all the same: it is of the cluster then, but a member only once it is made one.
 */
export class FoundingProtocol {
  readonly #parts: FoundingParts;
  readonly #links = new Map<string, Link>();
  #state: State = { type: "blank" };

  constructor(parts: FoundingParts) {
    assert(!parts.peerIds.includes(parts.self.nodeId), "a node is not its own peer");
    this.#parts = parts;
  }

  /** Null until there is one on this node's disk. */
  get founding(): Founding | null {
    return this.#state.type === "founded" || this.#state.type === "ended" ? this.#state.founding : null;
  }

  start(): void {
    const { founding } = this.#parts;
    if (founding === null) this.#decide();
    else this.#enter(founding);
  }

  linkUp(peer: PeerIdentity): void {
    this.linkDown(peer.nodeId);
    const link: Link = { peer, standing: "unknown", retries: 0, cancelRetry: null };
    this.#links.set(peer.nodeId, link);
    if (this.#state.type === "founded") this.#greet(link, this.#state.founding);
    else this.#decide();
  }

  linkDown(nodeId: string): void {
    this.#links.get(nodeId)?.cancelRetry?.();
    this.#links.delete(nodeId);
  }

  message(from: string, message: Extract<PeerMessage, { type: "found" | "founded" }>): void {
    const link = this.#links.get(from);
    if (link === undefined || this.#state.type === "ended") return;
    if (message.type === "found") this.#hearFound(link, message.founding);
    else this.#hearClusterId(link, message.clusterId);
  }

  stop(): void {
    for (const nodeId of [...this.#links.keys()]) this.linkDown(nodeId);
    this.#state = { type: "ended", founding: this.founding };
  }

  /** The founder's decision, if it is due. */
  #decide(): void {
    const { self, peerIds, groups, addresses, levels, newClusterId } = this.#parts;
    if (this.#state.type !== "blank" || peerIds.some((nodeId) => nodeId < self.nodeId)) return;
    const peers = peerIds.flatMap((nodeId) => this.#links.get(nodeId)?.peer ?? []);
    // One founded peer is enough to know that the decision was made: that one will tell it.
    if (peers.length < peerIds.length || peers.some((peer) => peer.clusterId !== null)) return;
    const members = [self, ...peers.map((peer) => ({ nodeId: peer.nodeId, storeId: peer.storeId }))];
    members.sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
    // They go on to what all know as soon as they run.
    const level = Math.max(levels.min, ...peers.map((peer) => peer.levels.min));
    this.#save({ clusterId: newClusterId(), members, addresses, groups, level });
  }

  #hearFound(link: Link, founding: Founding): void {
    const state = this.#state;
    switch (state.type) {
      case "blank":
        try {
          this.#checkPeers(founding);
        } catch (error) {
          assert(error instanceof NodeError);
          return this.#fail(error);
        }
        return this.#save(founding, link.peer.nodeId);
      case "saving":
        // Another one than the one being saved: answered, and so refused, once that is durable.
        state.answerTo.add(link.peer.nodeId);
        return;
      case "founded":
        this.#parts.send(link.peer.nodeId, { type: "founded", clusterId: state.founding.clusterId });
        return this.#hearClusterId(link, founding.clusterId);
      case "ended":
        return;
    }
  }

  #hearClusterId(link: Link, clusterId: string): void {
    if (this.#state.type !== "founded" || link.standing !== "unknown") return;
    link.cancelRetry?.();
    link.cancelRetry = null;
    if (clusterId === this.#state.founding.clusterId) {
      link.standing = "admitted";
      this.#parts.admitted(link.peer);
      return;
    }
    link.standing = "foreign";
    this.#parts.log.error(
      { event: "foreign-peer", peer: link.peer.nodeId, clusterId, ours: this.#state.founding.clusterId },
      `${link.peer.nodeId} belongs to another cluster: nothing it says is heard; check --peers and the data folders`,
    );
  }

  #save(founding: Founding, answerTo?: string): void {
    const state = {
      type: "saving",
      founding,
      answerTo: new Set(answerTo === undefined ? [] : [answerTo]),
    } as const;
    this.#state = state;
    this.#parts.save(founding).then(
      () => {
        if (this.#state !== state) return;
        this.#enter(founding);
        for (const nodeId of state.answerTo)
          this.#parts.send(nodeId, { type: "founded", clusterId: founding.clusterId });
      },
      (error: unknown) => this.#fail(new NodeError("DISK", "the founding could not be saved", error)),
    );
  }

  #enter(founding: Founding): void {
    this.#state = { type: "founded", founding };
    this.#parts.founded(founding);
    for (const link of [...this.#links.values()]) this.#greet(link, founding);
  }

  /** Tells a peer what cluster this is, until it says what cluster it is in. */
  #greet(link: Link, founding: Founding): void {
    const { clock, send, log } = this.#parts;
    const { peer } = link;
    if (peer.clusterId !== null && link.retries === 0) return this.#hearClusterId(link, peer.clusterId);
    send(peer.nodeId, { type: "found", founding });
    if (link.retries++ >= foundingDefaults.foundRetriesMax) {
      log.warn(
        { event: "founding-unanswered", peer: peer.nodeId },
        `${peer.nodeId} does not say what cluster it is in`,
      );
      return;
    }
    link.cancelRetry = clock.setTimer(() => this.#greet(link, founding), foundingDefaults.foundRetryMs);
  }

  /** Of those that are founded together each must have meant the others. Later on members come and go. */
  #checkPeers(founding: Founding): void {
    const { self } = this.#parts;
    if (!founding.members.some((member) => sameMember(member, self))) return;
    const founded = founding.members.map(({ nodeId }) => nodeId).sort();
    const named = [self.nodeId, ...this.#parts.peerIds].sort();
    if (founded.join() === named.join()) return;
    throw new NodeError(
      "PEERS_DIFFER",
      `option peers names the nodes ${named.join(", ")}, but cluster ${founding.clusterId} was founded with ${founded.join(", ")}`,
    );
  }

  #fail(error: NodeError): void {
    this.stop();
    this.#parts.fail(error);
  }
}

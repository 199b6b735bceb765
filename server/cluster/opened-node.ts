import type { GroupEngine } from "../group/engine.ts";
import type { PeerIdentity } from "../network/network.ts";
import type { PeerMessage } from "../network/peer-message.ts";
import type { Address } from "../raft/configuration.ts";
import type { Founding } from "../raft/founding.ts";
import { levels } from "../raft/level.ts";
import type { GroupContents, Identity, StorageContents } from "../storage/storage.ts";
import { codeKey, type Door, Doors, doorKey, engineKey } from "./doors.ts";
import { FoundingProtocol } from "./founding.ts";
import { Gossip, isGossip } from "./gossip.ts";
import { leadRank } from "./lead-rank.ts";
import type { Log } from "./log.ts";
import { Membership } from "./membership.ts";
import { NodeError } from "./node-error.ts";
import type { NodeNetwork, NodeParts } from "./node-parts.ts";
import type { NodeOptions } from "./options.ts";
import { PeerAdmission } from "./peer-admission.ts";
import type { PeerWatch } from "./peer-watch.ts";

interface OpenedNodeParts {
  readonly options: NodeOptions;
  readonly parts: NodeParts;
  readonly log: Log;
  readonly watch: PeerWatch;
  readonly bootId: string;
  readonly startedAtWallMs: number;
  /** For the founder. */
  readonly groups: number;
  /** Null until the cluster is founded. */
  readonly engine: () => GroupEngine | null;
  readonly newClusterId: () => string;
  readonly founded: (founding: Founding) => void;
  readonly membersChanged: () => void;
  readonly removed: (error: NodeError) => void;
  readonly fail: (error: unknown) => void;
}

/** What there is of a node once its disk was read, tied together: what comes over the links, and where it goes. */
export class OpenedNode {
  readonly identity: Identity;
  readonly contents: ReadonlyMap<number, GroupContents>;
  readonly network: NodeNetwork;
  readonly founding: FoundingProtocol;
  readonly admission: PeerAdmission;
  readonly membership: Membership;
  readonly gossip: Gossip;
  readonly doors: Doors;
  readonly #parts: OpenedNodeParts;
  #agreedLevel: number;

  constructor({ identity, groups, seen }: StorageContents, parts: OpenedNodeParts) {
    const { options, bootId, startedAtWallMs } = parts;
    const { nodeId, storeId } = identity;
    this.#parts = parts;
    this.identity = identity;
    this.contents = groups;
    const clusterId = identity.founding?.clusterId ?? null;
    const known = parts.parts.levels ?? levels;
    const agreedLevel = clusterId === null ? null : identity.level;
    this.network = parts.parts.network({ nodeId, storeId, bootId, clusterId, levels: known, agreedLevel });
    this.#agreedLevel = agreedLevel ?? 0;
    const { code = options.code, engine = "" } = parts.parts.code?.() ?? {};
    const own = {
      node: nodeId,
      bootId,
      region: options.region,
      leadRank: leadRank(options),
      clientUrl: options.publicUrl,
      pid: process.pid,
      startedAtMs: startedAtWallMs,
      [doorKey]: "closed" satisfies Door,
      [codeKey]: code,
      [engineKey]: engine,
    };
    this.gossip = new Gossip({ own, ...this.#shared });
    this.founding = this.#makeFounding();
    this.admission = this.#makeAdmission(seen);
    this.membership = this.#makeMembership();
    this.doors = new Doors({
      self: nodeId,
      gossip: this.gossip,
      isMember: (id) => this.membership.roster.isMember(id),
      isLinked: (id) => this.membership.linked(id) !== null,
    });
  }

  get #shared() {
    const { log, parts } = this.#parts;
    const send = (to: string, message: PeerMessage) => this.network.send(to, message);
    return { clock: parts.clock, log, send };
  }

  get #self() {
    const { nodeId, storeId } = this.identity;
    return { nodeId, storeId };
  }

  #makeFounding(): FoundingProtocol {
    const { options, parts, groups, newClusterId, founded, fail } = this.#parts;
    return new FoundingProtocol({
      ...this.#shared,
      self: this.#self,
      peerIds: Object.keys(options.peers),
      addresses: foundingAddresses(options),
      groups,
      levels: parts.levels ?? levels,
      founding: this.identity.founding,
      newClusterId,
      save: (decided) => parts.storage.save({ founding: decided, groups: new Map() }),
      founded,
      admitted: (peer) => this.admission.ofCluster(peer),
      fail,
    });
  }

  #makeAdmission(seen: StorageContents["seen"]): PeerAdmission {
    const { parts, engine, bootId, fail } = this.#parts;
    const { bootCount } = this.identity;
    return new PeerAdmission({
      ...this.#shared,
      own: () => ({ ...this.#self, bootId, bootCount, saves: parts.storage.saves }),
      seen,
      remember: async (stores) => await engine()?.remember(stores),
      admitted: (peer) => {
        engine()?.linkUp(peer);
        this.membership.admitted(peer);
      },
      left: (peerId) => {
        this.membership.left(peerId);
        engine()?.linkDown(peerId);
      },
      message: (from, message) => {
        if (message.type === "members") this.membership.told(message);
        else engine()?.message(from, message);
      },
      fail,
    });
  }

  #makeMembership(): Membership {
    const { options, parts, watch, membersChanged } = this.#parts;
    return new Membership({
      ...this.#shared,
      self: this.#self,
      selfUrl: options.peerUrl,
      given: options.peers,
      peersChanged: (peers) => {
        this.network.setPeers(peers);
        watch.setPeers(peers.keys());
        this.gossip.keepOnly(new Set(peers.keys()));
      },
      levelAgreed: (level) => this.#levelAgreed(level),
      membersChanged,
      // Not inside of what told of it.
      removed: () => parts.clock.defer(() => this.#removed()),
    });
  }

  #levelAgreed(level: number): void {
    if (level <= this.#agreedLevel) return;
    this.#agreedLevel = level;
    this.#parts.log.info({ event: "level", level }, `level ${level} of Testudo is agreed on`);
    this.network.setAgreedLevel(level);
  }

  #removed(): void {
    const { options, log, removed } = this.#parts;
    const { nodeId, storeId } = this.identity;
    const members = this.membership.roster.nodeIds.join(", ");
    const error = new NodeError(
      "REMOVED",
      `${nodeId} (store ${storeId}) was removed from cluster ${this.founding.founding?.clusterId}, whose members are ${members}. To use this machine again, empty ${options.data}, start the node, and add it: testudo members add ${nodeId}=HOST:PORT`,
    );
    log.error({ event: "removed", storeId, members }, error.message);
    removed(error);
  }

  linkUp(peer: PeerIdentity): void {
    this.#parts.watch.linkUp(peer);
    this.admission.linkUp(peer);
    this.gossip.linkUp(peer);
    this.founding.linkUp(peer);
  }

  linkDown(nodeId: string): void {
    this.#parts.watch.linkDown(nodeId);
    this.gossip.linkDown(nodeId);
    this.founding.linkDown(nodeId);
    this.admission.linkDown(nodeId);
  }

  message(from: string, message: PeerMessage): void {
    if (message.type === "found" || message.type === "founded") this.founding.message(from, message);
    else if (isGossip(message)) this.gossip.message(from, message);
    else this.admission.receive(from, message);
  }

  start(): void {
    this.gossip.start();
    this.admission.start();
    this.founding.start();
  }

  /** Nothing of this acts by itself any more; the network is closed apart. */
  stop(): void {
    this.founding.stop();
    this.admission.stop();
    this.membership.stop();
    this.gossip.stop();
  }
}

function foundingAddresses({ id, peers, peerUrl }: NodeOptions): Address[] {
  const others = Object.entries(peers).map(([nodeId, url]) => ({ nodeId, url }));
  return peerUrl === null ? others : [...others, { nodeId: id, url: peerUrl }];
}

import assert from "node:assert/strict";
import type { GroupEngine } from "../group/engine.ts";
import type { GroupStatus, LeaderChange } from "../group/group-status.ts";
import type { Machine } from "../group/machine.ts";
import type { PeerIdentity } from "../network/network.ts";
import type { PeerMessage } from "../network/peer-message.ts";
import type { Founding } from "../raft/founding.ts";
import type { GroupContents, Identity, StorageContents } from "../storage/storage.ts";
import type { BackupRecord } from "./backup/backup-record.ts";
import { liveSource } from "./backup/backup-sources.ts";
import { takeBackup } from "./backup/take-backup.ts";
import { FoundingProtocol } from "./founding.ts";
import { type Endpoint, Gossip } from "./gossip.ts";
import { Handover } from "./handover.ts";
import { leadRank } from "./lead-rank.ts";
import type { Fail, Log } from "./log.ts";
import { nodeEngine } from "./node-engine.ts";
import { NodeError } from "./node-error.ts";
import { NodeLife } from "./node-life.ts";
import { type NodeNetwork, type NodeParts, realNodeParts } from "./node-parts.ts";
import type { NodeOptions } from "./options.ts";
import { PeerAdmission } from "./peer-admission.ts";
import { type LostPeer, logLost, PeerWatch } from "./peer-watch.ts";

export interface TestudoNodeSetup {
  readonly options: NodeOptions;
  /** The replicated state machine of each group: 0 to groups - 1. */
  readonly machineFor: (group: number) => Machine;
  readonly log: Log;
  /** Ends the process (design 4.4); see failHard. */
  readonly fail: Fail;
  /** By default the machine's own clock, chance, disk and network. */
  readonly parts?: NodeParts;
}

export interface PeerStatus {
  readonly node: string;
  readonly state: "connecting" | "up" | "down";
  readonly roundTripMs: number | null;
}

/** What there is once the disk was read. */
interface Opened {
  readonly identity: Identity;
  readonly contents: ReadonlyMap<number, GroupContents>;
  readonly network: NodeNetwork;
  readonly founding: FoundingProtocol;
  readonly gossip: Gossip;
  readonly admission: PeerAdmission;
}

const bootIdBytes = 8;
const clusterIdBytes = 8;

/** One node of a cluster: its disk, its links, its part in the founding, and its groups. Starts once, stops once. */
export class TestudoNode {
  readonly options: NodeOptions;
  readonly life = new NodeLife();
  /** 16 hex digits, random, of this start. */
  readonly bootId: string;
  readonly #setup: TestudoNodeSetup;
  readonly #parts: NodeParts;
  readonly #log: Log;
  readonly #startedAtMs: { readonly monotonic: number; readonly wall: number };
  readonly #watch: PeerWatch;
  #opened: Opened | null = null;
  #engine: GroupEngine | null = null;
  #starting: Promise<void> | null = null;
  #stopping: Promise<void> | null = null;

  constructor(setup: TestudoNodeSetup) {
    const { options, log } = setup;
    this.#setup = setup;
    this.options = options;
    this.#log = log.child({ part: "node" });
    this.#parts = setup.parts ?? realNodeParts(options, log);
    const { clock } = this.#parts;
    const now = clock.now();
    this.#startedAtMs = { monotonic: now.monotonicMs, wall: now.wallMs };
    this.bootId = this.#hex(bootIdBytes);
    this.#watch = new PeerWatch({
      clock,
      nodeLostMs: options.nodeLostMs,
      peerIds: Object.keys(options.peers),
    });
    this.#watch.onLost((lost) => logLost(this.#log, lost));
    this.life.onState((state) => this.#log.info({ event: state }, `node ${options.id} is ${state}`));
  }

  /** Only after `start`. */
  get identity(): Identity {
    return this.#open.identity;
  }

  /** Null until the cluster is founded, as far as this node knows. */
  get founding(): Founding | null {
    return this.#opened?.founding.founding ?? null;
  }

  /** What this node and its peers say about themselves. Only after `start`. */
  get gossip(): Gossip {
    return this.#open.gossip;
  }

  /** Runs this node's groups; only once the cluster is founded: wait for `ready`. */
  get engine(): GroupEngine {
    assert(
      this.#engine !== null,
      `the groups run only once the cluster is founded; the node is ${this.life.state}`,
    );
    return this.#engine;
  }

  get uptimeMs(): number {
    return Math.round(this.#parts.clock.now().monotonicMs - this.#startedAtMs.monotonic);
  }

  get #open(): Opened {
    assert(this.#opened !== null, `the node has not started; it is ${this.life.state}`);
    return this.#opened;
  }

  /**
   * Opens the disk and the links; the founding and the groups follow by themselves (see `ready`).
   * @throws what the disk says (STORAGE_…), PORT_IN_USE, PEERS_DIFFER, NOT_A_MEMBER, and NODE_STOPPED if a stop came
   * first; nothing is left open
   */
  start(): Promise<void> {
    assert(this.#starting === null, `a node starts once; it is ${this.life.state}`);
    this.#starting = this.#start();
    return this.#starting;
  }

  async #start(): Promise<void> {
    this.#checkGoesOn();
    this.life.send({ type: "open" });
    try {
      const contents = await this.#parts.storage.open();
      await this.#parts.watchdog?.open({ bootId: this.bootId });
      this.#checkGoesOn();
      const { nodeId, storeId, bootCount, founding } = contents.identity;
      this.#opened = this.#assemble(contents);
      this.#log.info(
        {
          event: "opened",
          nodeId,
          storeId,
          bootCount,
          bootId: this.bootId,
          clusterId: founding?.clusterId ?? null,
        },
        `${nodeId}: data folder opened, start ${bootCount}`,
      );
      this.life.send({ type: "recovered", founded: founding !== null });
      await this.#opened.network.start({
        linkUp: (peer) => this.#linkUp(peer),
        linkDown: (peerId) => this.#linkDown(peerId),
        message: (from, message) => this.#message(from, message),
      });
      this.#checkGoesOn();
      this.#opened.gossip.start();
      this.#opened.admission.start();
      this.#opened.founding.start();
    } catch (error) {
      // A stop waits for this, and closes everything itself.
      if (this.#stopping === null) {
        this.life.send({ type: "fail" });
        await this.#closeAll();
      }
      throw error;
    }
  }

  /** @throws NODE_STOPPED */
  #checkGoesOn(): void {
    if (this.#stopping !== null) throw new NodeError("NODE_STOPPED", "the node was stopped while it started");
  }

  /**
   * Resolves once the node serves: the cluster is founded, and this node knows a leader of every group.
   * @throws NODE_STOPPED if it stops or fails before
   */
  ready(): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): boolean => {
        const { state } = this.life;
        if (state === "serving") resolve();
        else if (state === "draining" || state === "stopped" || state === "failed")
          reject(new NodeError("NODE_STOPPED", `the node is ${state}`));
        else return false;
        return true;
      };
      if (look()) return;
      const forget = this.life.onState(() => {
        if (look()) forget();
      });
    });
  }

  /** Hands over what it leads, then closes everything. What was acknowledged is on disk, whatever happens here. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** The whole cluster's state, while it runs. Only after `ready`. @throws BACKUP_OUTRUN, and what the groups say */
  backup(): AsyncIterable<BackupRecord> {
    const { clock, storage } = this.#parts;
    const { options, founding, engine } = this;
    return takeBackup(liveSource({ engine, storage, founding, nodeId: options.id, clock }));
  }

  /** One for each group; none before the cluster is founded. */
  groups(): readonly GroupStatus[] {
    return this.#engine?.status() ?? [];
  }

  peers(): readonly PeerStatus[] {
    const peers = this.#opened?.network.peers() ?? [];
    const roundTrips = new Map(this.#engine?.peers().map(({ node, roundTripMs }) => [node, roundTripMs]));
    return peers.map(({ nodeId, state }) => ({
      node: nodeId,
      state,
      roundTripMs: roundTrips.get(nodeId) ?? null,
    }));
  }

  /** Where clients find the nodes: this one first, then those that are linked, then those heard of before. */
  endpoints(): readonly Endpoint[] {
    return this.#opened?.gossip.endpoints() ?? [];
  }

  /** Calls back for each peer that had no link for `nodeLostMs`, or is back as another process. */
  onPeerLost(listener: (lost: LostPeer) => void): () => void {
    return this.#watch.onLost(listener);
  }

  /** Those that count as lost now. */
  lostPeers(): readonly LostPeer[] {
    return this.#watch.lost();
  }

  #assemble({ identity, groups, seen }: StorageContents): Opened {
    const { options } = this;
    const { clock, storage } = this.#parts;
    const { nodeId, storeId } = identity;
    const clusterId = identity.founding?.clusterId ?? null;
    const network = this.#parts.network({ nodeId, storeId, bootId: this.bootId, clusterId });
    const send = (to: string, message: PeerMessage) => network.send(to, message);
    const founding = new FoundingProtocol({
      self: { nodeId, storeId },
      peerIds: Object.keys(options.peers),
      groups: options.groups,
      founding: identity.founding,
      clock,
      log: this.#log,
      newClusterId: () => this.#hex(clusterIdBytes),
      send,
      save: (decided) => storage.save({ founding: decided, groups: new Map() }),
      founded: (decided) => this.#founded(decided),
      admitted: (peer) => admission.ofCluster(peer),
      fail: (error) => this.#fail(error),
    });
    const admission = new PeerAdmission({
      own: () => ({
        nodeId,
        storeId,
        bootId: this.bootId,
        bootCount: identity.bootCount,
        saves: storage.saves,
      }),
      seen,
      clock,
      log: this.#log,
      send,
      remember: (stores) => this.engine.remember(stores),
      admitted: (peer) => this.#engine?.linkUp(peer),
      left: (peerId) => this.#engine?.linkDown(peerId),
      message: (from, message) => this.#engine?.message(from, message),
      fail: (error) => this.#fail(error),
    });
    const own = {
      node: nodeId,
      bootId: this.bootId,
      region: options.region,
      leadRank: leadRank(options),
      clientUrl: options.publicUrl,
      pid: process.pid,
      startedAtMs: this.#startedAtMs.wall,
    };
    return {
      identity,
      contents: groups,
      network,
      founding,
      admission,
      gossip: new Gossip({ own, send, clock, log: this.#log }),
    };
  }

  #founded(founding: Founding): void {
    const { identity, contents, network, gossip } = this.#open;
    const { clusterId, members, groups } = founding;
    if (identity.founding === null)
      this.#log.info({ event: "founded", clusterId, members, groups }, `cluster ${clusterId} is founded`);
    if (groups !== this.options.groups) {
      this.#log.warn(
        { event: "groups-differ", groups, option: this.options.groups },
        `the cluster was founded with ${groups} groups; option groups is ${this.options.groups} and counts for nothing`,
      );
    }
    network.setClusterId(clusterId);
    this.#engine = nodeEngine({
      identity,
      bootId: this.bootId,
      founding,
      persisted: contents,
      network,
      parts: this.#parts,
      electionBaseMs: this.options.electionTimeoutBaseMs,
      machineFor: this.#setup.machineFor,
      leadPriority: (nodeId) => gossip.of(nodeId)?.leadRank ?? null,
      log: this.#setup.log.child({ part: "group" }),
      fail: (error: unknown) => this.#fail(error),
    });
    this.#engine.notices.onLead((change) => this.#leaderChanged(change));
    this.#engine.start();
    this.life.send({ type: "founded" });
  }

  #leaderChanged({ group, term, leaderId }: LeaderChange): void {
    this.#log.info(
      { event: "leader", group, term, leader: leaderId },
      `group ${group}, term ${term}: ${leaderId ?? "nobody"} leads`,
    );
    if (this.groups().every(({ leader }) => leader !== null)) this.life.send({ type: "led" });
  }

  #linkUp(peer: PeerIdentity): void {
    const { founding, gossip, admission } = this.#open;
    this.#watch.linkUp(peer);
    admission.linkUp(peer);
    gossip.linkUp(peer);
    founding.linkUp(peer);
  }

  #linkDown(nodeId: string): void {
    const { founding, gossip, admission } = this.#open;
    this.#watch.linkDown(nodeId);
    gossip.linkDown(nodeId);
    founding.linkDown(nodeId);
    admission.linkDown(nodeId);
  }

  #message(from: string, message: PeerMessage): void {
    const { founding, gossip, admission } = this.#open;
    if (message.type === "found" || message.type === "founded") founding.message(from, message);
    else if (message.type === "gossip") gossip.message(from, message);
    else admission.receive(from, message);
  }

  async #stop(): Promise<void> {
    const { state } = this.life;
    if (state === "stopped" || state === "failed") return;
    this.life.send({ type: "stop" });
    // What is being opened cannot be closed yet. Whether it opened is the business of whoever started it.
    await this.#starting?.catch(() => undefined);
    if (this.#engine !== null) {
      this.#engine.retire();
      const { clock } = this.#parts;
      await new Handover({
        engine: this.#engine,
        clock,
        nodeId: this.options.id,
        isLinked: () => this.#open.admission.admitted.length > 0,
      }).run();
    }
    await this.#closeAll();
    this.life.send({ type: "closed" });
  }

  async #closeAll(): Promise<void> {
    this.#watch.stop();
    this.#opened?.founding.stop();
    this.#opened?.admission.stop();
    this.#opened?.gossip.stop();
    await this.#engine?.stop();
    await this.#opened?.network.close();
    await this.#parts.watchdog?.close();
    await this.#parts.storage.close();
  }

  #fail(error: unknown): never {
    this.life.send({ type: "fail" });
    return this.#setup.fail(error);
  }

  #hex(bytes: number): string {
    return Buffer.from(this.#parts.randomBytes(bytes)).toString("hex");
  }
}

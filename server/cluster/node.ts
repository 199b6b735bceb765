import assert from "node:assert/strict";
import type { GroupEngine } from "../group/engine.ts";
import type { GroupStatus, LeaderChange } from "../group/group-status.ts";
import type { Machine } from "../group/machine.ts";
import type { Founding } from "../raft/founding.ts";
import type { Identity, StorageContents } from "../storage/storage.ts";
import type { BackupRecord } from "./backup/backup-record.ts";
import { liveSource } from "./backup/backup-sources.ts";
import { takeBackup } from "./backup/take-backup.ts";
import type { ClientEndpoint, Door } from "./doors.ts";
import type { Endpoint, Gossip } from "./gossip.ts";
import { Handover } from "./handover.ts";
import type { Fail, Log } from "./log.ts";
import { Members } from "./members.ts";
import { listMembers, type MembersList } from "./members-list.ts";
import type { Membership } from "./membership.ts";
import { nodeEngine } from "./node-engine.ts";
import { NodeError } from "./node-error.ts";
import { NodeLife } from "./node-life.ts";
import { type NodeParts, realNodeParts } from "./node-parts.ts";
import { OpenedNode } from "./opened-node.ts";
import type { NodeOptions } from "./options.ts";
import { type LostPeer, logLost, PeerWatch } from "./peer-watch.ts";

export interface TestudoNodeSetup {
  readonly options: NodeOptions;
  /** The replicated state machine of each group: 0 to groups - 1. */
  readonly machineFor: (group: number) => Machine;
  /** How many groups there are behind those that `options` asks for, the same on every node; by default none. */
  readonly groupsBeside?: number;
  readonly log: Log;
  /** Ends the process (design 4.4); see failHard. */
  readonly fail: Fail;
  /** The cluster goes on without this node: it is to be stopped, and to end with this error. By default it fails. */
  readonly removed?: (error: NodeError) => void;
  /** By default the machine's own clock, chance, disk and network. */
  readonly parts?: NodeParts;
}

export interface PeerStatus {
  readonly node: string;
  readonly state: "connecting" | "up" | "down";
  readonly roundTripMs: number | null;
}

const bootIdBytes = 8;
const clusterIdBytes = 8;
/** How soon it is looked again whether this replica has caught up, when no leader could say so. */
const catchUpRetryMs = 100;

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
  #opened: OpenedNode | null = null;
  #engine: GroupEngine | null = null;
  #members: Members | null = null;
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

  /** Who the members are, as far as this node knows. Only after `start`. */
  get membership(): Membership {
    return this.#open.membership;
  }

  /** Null until the cluster is founded, as far as this node knows. */
  listMembers(): MembersList | null {
    const { founding } = this;
    if (founding === null) return null;
    const { membership, gossip } = this.#open;
    const clientUrlOf = (nodeId: string) => gossip.of(nodeId)?.clientUrl ?? null;
    return listMembers({ clusterId: founding.clusterId, membership, groups: this.groups(), clientUrlOf });
  }

  /** Changes who the members are. Null until the cluster is founded, as far as this node knows. */
  get members(): Members | null {
    return this.#members;
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

  get #open(): OpenedNode {
    assert(this.#opened !== null, `the node has not started; it is ${this.life.state}`);
    return this.#opened;
  }

  /**
   * Opens the disk and the links; the founding and the groups follow by themselves (see `ready`).
   * @throws what the disk says (STORAGE_…), PORT_IN_USE, and NODE_STOPPED if a stop came first; nothing is left open
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
        linkUp: (peer) => this.#open.linkUp(peer),
        linkDown: (peerId) => this.#open.linkDown(peerId),
        message: (from, message) => this.#open.message(from, message),
      });
      this.#checkGoesOn();
      this.#opened.start();
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
    return this.life.serving();
  }

  /** From now on clients go elsewhere, and so does what this node leads; who is here is served. Resolves with the latter. */
  async drain(): Promise<void> {
    this.life.send({ type: "drain" });
    if (this.life.state !== "draining") return;
    this.#open.doors.set("closing");
    await this.#handOver();
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
    const roundTrips = new Map(this.#engine?.peers().map(({ node, roundTripMs }) => [node, roundTripMs]));
    return (this.#opened?.network.peers() ?? []).map(({ nodeId, state }) => ({
      node: nodeId,
      state,
      roundTripMs: roundTrips.get(nodeId) ?? null,
    }));
  }

  /** Where clients find the members, the best first. */
  endpoints(): readonly ClientEndpoint[] {
    return this.#opened?.doors.endpoints() ?? [];
  }

  /** Whether this node takes clients. */
  get door(): Door {
    return this.#opened?.doors.of(this.options.id) ?? "closed";
  }

  get isLastOfItsCode(): boolean {
    return this.#opened?.doors.isLastOfItsCode ?? false;
  }

  /** Other nodes that take clients now. */
  elsewhere(): readonly Endpoint[] {
    return this.#opened?.doors.others() ?? [];
  }

  /** Calls back for each peer that had no link for `nodeLostMs`, or is back as another process. */
  onPeerLost(listener: (lost: LostPeer) => void): () => void {
    return this.#watch.onLost(listener);
  }

  /** Nothing runs there any more: it has had no link for `nodeLostMs`, or it has none and is no member. */
  isLost(nodeId: string): boolean {
    if (this.#watch.lost().some((lost) => lost.nodeId === nodeId)) return true;
    if (nodeId === this.options.id) return false;
    return !this.#watch.isUp(nodeId) && !this.membership.roster.isMember(nodeId);
  }

  #assemble(contents: StorageContents): OpenedNode {
    const { options, bootId } = this;
    return new OpenedNode(contents, {
      options,
      bootId,
      parts: this.#parts,
      log: this.#log,
      watch: this.#watch,
      startedAtWallMs: this.#startedAtMs.wall,
      groups: options.groups + (this.#setup.groupsBeside ?? 0),
      engine: () => this.#engine,
      newClusterId: () => this.#hex(clusterIdBytes),
      founded: (founding) => this.#founded(founding),
      membersChanged: () => this.#lookWhetherServing(),
      removed: (error) => {
        if (this.#setup.removed === undefined) this.#fail(error);
        else this.#setup.removed(error);
      },
      fail: (error) => this.#fail(error),
    });
  }

  #founded(founding: Founding): void {
    const { identity, contents, network, gossip, membership } = this.#open;
    const { clusterId, members, groups } = founding;
    if (identity.founding === null)
      this.#log.info({ event: "founded", clusterId, members, groups }, `cluster ${clusterId} is founded`);
    const asked = groups - (this.#setup.groupsBeside ?? 0);
    if (asked !== this.options.groups) {
      this.#log.warn(
        { event: "groups-differ", groups: asked, option: this.options.groups },
        `the cluster was founded with ${asked} groups; option groups is ${this.options.groups} and counts for nothing`,
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
      fastFailover: this.options.fastFailover,
      roomLogBytesMax: this.options.roomLogBytesMax,
      logHistoryBytes: this.options.logHistoryBytes,
      machineFor: this.#setup.machineFor,
      leadPriority: (nodeId) => gossip.of(nodeId)?.leadRank ?? null,
      log: this.#setup.log.child({ part: "group" }),
      fail: (error: unknown) => this.#fail(error),
    });
    this.#engine.notices.onLead((change) => this.#leaderChanged(change));
    this.#engine.start();
    this.life.send({ type: "founded" });
    membership.founded(founding, this.#engine);
    this.#members = new Members({
      membership,
      groups: this.#engine,
      groupCount: groups,
      clock: this.#parts.clock,
    });
  }

  /** A member of all groups, each of which has a leader. */
  #lookWhetherServing(): void {
    const { roster } = this.membership;
    if (roster.standing !== "member" || !roster.isWholeMember) return;
    const groups = this.groups();
    if (groups.length === 0 || groups.some(({ leader }) => leader === null)) return;
    const wasServing = this.life.state === "serving";
    this.life.send({ type: "led" });
    if (!wasServing) void this.#openDoor();
  }

  /** Once everything that was committed before is applied here; in a deploy not to the first nodes with new code. */
  async #openDoor(): Promise<void> {
    const { engine } = this;
    while (this.life.state === "serving") {
      const caughtUp = this.groups().map(({ id }) => engine.barrier(id));
      const isCaughtUp = await Promise.all(caughtUp).then(
        () => true,
        () => false,
      );
      if (this.life.state !== "serving") return;
      if (isCaughtUp && !this.#open.doors.isOfFew) return this.#open.doors.set("open");
      await new Promise<void>((resolve) => void this.#parts.clock.setTimer(resolve, catchUpRetryMs));
    }
  }

  #leaderChanged({ group, term, leaderId }: LeaderChange): void {
    this.#log.info(
      { event: "leader", group, term, leader: leaderId },
      `group ${group}, term ${term}: ${leaderId ?? "nobody"} leads`,
    );
    this.#lookWhetherServing();
  }

  async #stop(): Promise<void> {
    const { state } = this.life;
    if (state === "stopped" || state === "failed") return;
    this.life.send({ type: "stop" });
    // What is being opened cannot be closed yet. Whether it opened is the business of whoever started it.
    await this.#starting?.catch(() => undefined);
    await this.#handOver();
    await this.#closeAll();
    this.life.send({ type: "closed" });
  }

  async #handOver(): Promise<void> {
    const engine = this.#engine;
    if (engine === null) return;
    engine.retire();
    const { clock } = this.#parts;
    const isLinked = () => this.#open.admission.admitted.length > 0;
    await new Handover({ engine, clock, nodeId: this.options.id, isLinked }).run();
  }

  async #closeAll(): Promise<void> {
    this.#watch.stop();
    this.#opened?.stop();
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

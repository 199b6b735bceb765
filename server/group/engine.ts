import assert from "node:assert";
import type { PeerIdentity } from "../network/network.ts";
import type { PeerMessage } from "../network/peer-message.ts";
import type { Now } from "../raft/ready.ts";
import type { StoreSeen } from "../storage/storage.ts";
import { ApplyStage } from "./apply-stage.ts";
import { CheckpointStage } from "./checkpoint-stage.ts";
import type { EngineConstruction } from "./engine-construction.ts";
import type { EngineEvent } from "./engine-event.ts";
import { type EngineOptions, engineOptions } from "./engine-options.ts";
import { startingContents } from "./founding-contents.ts";
import { Group } from "./group.ts";
import { groupHeartbeats } from "./group-heartbeats.ts";
import { groupHost } from "./group-host.ts";
import { GroupNotices } from "./group-notices.ts";
import type { GroupStatus, MembersProgress, PeerPulse } from "./group-status.ts";
import { GroupTalk } from "./group-talk.ts";
import type { Heartbeats } from "./heartbeats.ts";
import { LeadKeeper } from "./lead-keeper.ts";
import { refusedTransfer, type TransferOutcome } from "./lead-transfer.ts";
import type { MembersOutcome } from "./member-changes.ts";
import type { MembersChange } from "./members-wish.ts";
import { PeerInbox } from "./peer-inbox.ts";
import { Pipe } from "./pipe.ts";
import { ProposalError } from "./proposal-error.ts";
import type { Consistency, ReadPoint } from "./reads.ts";
import { type Gathering, Saver } from "./saver.ts";
import { Settlements } from "./settlements.ts";

/** Runs all groups of one node: one pipe in, one batch, one frame a peer and one apply stage out (design 4.1). */
export class GroupEngine {
  readonly talk: GroupTalk;
  readonly #construction: EngineConstruction;
  readonly #options: EngineOptions;
  readonly #pipe: Pipe<EngineEvent>;
  readonly #saver: Saver;
  readonly #settlements = new Settlements();
  readonly #heartbeats: Heartbeats;
  readonly #keeper: LeadKeeper;
  readonly #inbox: PeerInbox;
  /** What callers outside are told of leads and members. */
  readonly notices: GroupNotices;
  readonly #applyStage: ApplyStage;
  readonly #checkpointStage: CheckpointStage;
  readonly #groups: readonly Group[];
  #now: Now;
  #state: "created" | "running" | "stopped" = "created";
  #hasFailed = false;
  #isRestored = false;
  #cancelTick: (() => void) | null = null;
  #nextBeatMs = Number.NEGATIVE_INFINITY;

  /** @throws {RangeError} that names a wrong option */
  constructor(construction: EngineConstruction) {
    const { founding, persisted, clock, storage } = construction;
    this.#construction = construction;
    this.#options = engineOptions(construction.options ?? {});
    this.#now = clock.now();
    this.#pipe = new Pipe({
      defer: (run) => clock.defer(run),
      handle: (event) => this.#handle(event),
      finish: () => this.#finish(),
      fail: (error) => this.#fail(error),
      drainEventsMax: this.#options.drainEventsMax,
    });
    this.#saver = new Saver({
      storage,
      saved: (gathering) => this.#pipe.push({ type: "saved", gathering }),
      failed: (error) => this.#fail(error),
    });
    this.#keeper = new LeadKeeper(this.#options, {
      self: construction.self.nodeId,
      log: construction.log,
      leadPriority: construction.leadPriority ?? (() => null),
    });
    const host = groupHost(construction, {
      engine: this.#options,
      saver: this.#saver,
      settlements: this.#settlements,
      now: () => this.#now,
      isUp: (nodeId) => this.#heartbeats.isUp(nodeId),
      push: (event) => this.#pipe.push(event),
      failed: (error) => this.#fail(error),
    });
    const ids = Array.from({ length: founding.groups }, (_, id) => id);
    this.#groups = ids.map((id) => {
      const { contents, isNew } = startingContents(persisted.get(id), founding.members);
      return new Group({ id, persisted: contents, isNew, machine: construction.machineFor(id), host });
    });
    this.#checkpointStage = new CheckpointStage(this.#groups, this.#saver);
    this.notices = new GroupNotices(this.#groups, this.#settlements);
    this.#heartbeats = groupHeartbeats(this.#groups, construction.network);
    this.#inbox = new PeerInbox({
      groups: this.#groups,
      heartbeats: this.#heartbeats,
      log: construction.log,
    });
    this.talk = new GroupTalk(this.#groups, construction.network, this.#options);
    const wake = () => this.#pipe.wake();
    const budgetMs = this.#options.applyBudgetMs;
    this.#applyStage = new ApplyStage({ groups: this.#groups, clock, budgetMs, wake });
  }

  #fail(error: unknown): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#halt();
    this.#construction.fail(error);
  }

  // ── for the node ─────────────────────────────────────────────────────────────────────────────────────────────────

  start(): void {
    assert(this.#state === "created", "an engine is started once");
    this.#state = "running";
    this.#pipe.open();
    this.#armTick();
  }

  /** Resolves when no batch is on its way to the disk any more. Whoever still waits for a result gets STOPPED. */
  async stop(): Promise<void> {
    if (this.#state !== "stopped") {
      this.#halt();
      for (const group of this.#groups) group.stop();
    }
    await this.#saver.settled();
  }

  #halt(): void {
    this.#state = "stopped";
    this.#pipe.close();
    this.#cancelTick?.();
    this.#applyStage.stop();
  }

  linkUp(peer: PeerIdentity): void {
    this.#pipe.push({ type: "linkUp", nodeId: peer.nodeId });
  }

  linkDown(nodeId: string): void {
    this.#pipe.push({ type: "linkDown", nodeId });
  }

  /** Messages that are not the groups' (found, founded, gossip) are left to others. */
  message(from: string, message: PeerMessage): void {
    this.#pipe.push({ type: "message", from, message });
  }

  /** Saves what is remembered of other nodes' stores; resolves once it is durable, never if the node stops before. */
  remember(seen: readonly StoreSeen[]): Promise<void> {
    return new Promise((durable) => this.#pipe.push({ type: "storesSeen", seen, durable }));
  }

  // ── for what is built on groups ──────────────────────────────────────────────────────────────────────────────────

  #group(id: number): Group {
    const group = this.#groups[id];
    assert(group !== undefined, `there is no group ${id}`);
    return group;
  }

  /**
   * Resolves with the value that the machine's `apply` gave here, once the command is committed and applied on this
   * node; it is carried out at most once, whatever happens to leaders and links meanwhile.
   *
   * @param command 1 to `commandBytesMax` bytes; not to be changed afterwards
   * @param how `urgent`: also while nothing new is taken, for what lets the group go on
   * @throws {ProposalError} OVERLOADED or COMMAND_TOO_LARGE at once; TIMEOUT at the deadline and STOPPED when this node
   * stops: the outcome is unknown then
   */
  propose(
    group: number,
    command: Uint8Array,
    { timeoutMs, urgent = false }: { timeoutMs?: number; urgent?: boolean } = {},
  ): Promise<unknown> {
    const { commandBytesMax, proposeTimeoutMs } = this.#options;
    const target = this.#group(group);
    assert(command.length > 0, "a command has at least one byte");
    if (command.length > commandBytesMax) {
      const what = `a command of ${command.length} bytes; ${commandBytesMax} are allowed`;
      return Promise.reject(new ProposalError("COMMAND_TOO_LARGE", what));
    }
    const refusal = this.#stopped() ?? target.admission.refusal();
    if (refusal !== null && !(urgent && refusal.code === "OVERLOADED")) return Promise.reject(refusal);
    const nowMs = this.#now.monotonicMs;
    const result = target.router.proposals.add(command, { nowMs, timeoutMs: timeoutMs ?? proposeTimeoutMs });
    this.#pipe.wake();
    return result;
  }

  /** True if `propose` would take a command of this size now: for callers that number what they propose. */
  accepts(group: number, commandBytes: number): boolean {
    const target = this.#group(group);
    return (
      commandBytes <= this.#options.commandBytesMax &&
      this.#stopped() === null &&
      target.admission.refusal() === null &&
      target.router.proposals.fits(commandBytes)
    );
  }

  /** This node leads the group, as far as it knows. */
  isLeader(group: number): boolean {
    return this.#group(group).isLeader;
  }

  /**
   * Resolves when this node's machine may be read: at once for `local`, else when everything that was acknowledged
   * anywhere before this call is applied here. Costs no entry in the log.
   *
   * @throws {ProposalError} OVERLOADED at once; TIMEOUT at the deadline, and STOPPED when this node stops
   */
  read(
    group: number,
    { consistency, timeoutMs }: { consistency: Consistency; timeoutMs?: number },
  ): Promise<ReadPoint> {
    const { reads, admission } = this.#group(group);
    const refusal = this.#stopped() ?? admission.readRefusal();
    if (refusal !== null) return Promise.reject(refusal);
    // The clocks as they are now: a lease that ended while this process was paused is over (see #stopped).
    const now = this.#now;
    const result = reads.add(consistency, { now, timeoutMs: timeoutMs ?? this.#options.proposeTimeoutMs });
    this.#pipe.wake();
    return result;
  }

  /** A linearizable point: see `read`. */
  async barrier(group: number, { timeoutMs }: { timeoutMs?: number } = {}): Promise<void> {
    await this.read(group, {
      consistency: "linearizable",
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
  }

  /** Reads the clocks: callers come between turns. */
  #stopped(): ProposalError | null {
    if (this.#state === "stopped") return new ProposalError("STOPPED", "this node has stopped");
    this.#now = this.#construction.clock.now();
    return null;
  }

  /**
   * Hands the lead of a group that this node leads to another voter, as soon as that one has everything. Meanwhile
   * proposals wait. Resolves with the outcome: within an election timeout `to` leads, or there is a reason.
   */
  transferLeader(group: number, to: string): Promise<TransferOutcome> {
    const target = this.#group(group);
    if (this.#state === "stopped") return Promise.resolve(refusedTransfer({ group, to, code: "STOPPED" }));
    const outcome = target.transfer.ask(to);
    this.#pipe.wake();
    return outcome;
  }

  /** Whom a lead of this node may be given to, the best first; empty if it does not lead the group. */
  heirs(group: number): readonly string[] {
    return this.#keeper.heirs(this.#group(group));
  }

  status(): readonly GroupStatus[] {
    this.#now = this.#construction.clock.now();
    return this.#groups.map((group) => group.status());
  }

  peers(): readonly PeerPulse[] {
    return this.#heartbeats.pulses();
  }

  /** A group's log as it is now, to be read only. */
  log(group: number): Pick<Group["raft"], "base" | "committedSince"> {
    return this.#group(group).raft;
  }

  appliedIndex(group: number): number {
    return this.#group(group).applier.appliedIndex;
  }

  /** The largest index at which a part was restored: a replica is not to be served before it has applied past it. */
  servesFrom(group: number): number {
    return this.#group(group).applier.servesFrom;
  }

  /** This replica's parts stand at one moment, and it is not too far behind. */
  isServing(group: number): boolean {
    const { applier, isBehind } = this.#group(group);
    return this.#isRestored && applier.isWhole && !isBehind;
  }

  /** On the monotonic clock; null while there is a leader. */
  leaderlessSinceMs(group: number): number | null {
    return this.#group(group).leaderlessSinceMs;
  }

  /**
   * Asks whoever leads the group for a change of its members. Once it is appended it goes on by itself, whatever becomes
   * of leaders; `dryRun` only says what would come of it. Never rejects.
   */
  changeMembers(
    group: number,
    change: MembersChange,
    how: { dryRun?: boolean; timeoutMs?: number } = {},
  ): Promise<MembersOutcome> {
    const outcome = this.#group(group).memberChanges.ask(change, how);
    this.#pipe.wake();
    return outcome;
  }

  /** Null if this node does not lead the group. */
  membersProgress(group: number): MembersProgress | null {
    const { raft } = this.#group(group);
    return raft.role === "leader" ? raft.status() : null;
  }

  // ── the pipe ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #handle(event: EngineEvent): void {
    this.#beginTurn();
    switch (event.type) {
      case "tick":
        this.#tick();
        return;
      case "linkUp":
        for (const group of this.#groups) group.linkUp(event.nodeId);
        this.#keeper.linkUp(event.nodeId, this.#now.monotonicMs);
        this.#heartbeats.linkUp(event.nodeId, this.#now.monotonicMs);
        return;
      case "linkDown":
        this.#heartbeats.linkDown(event.nodeId);
        this.#keeper.linkDown(event.nodeId);
        for (const group of this.#groups) group.linkDown(event.nodeId);
        return;
      case "message":
        this.#inbox.receive(event.from, event.message, this.#now.monotonicMs);
        return;
      case "saved":
        this.#saved(event.gathering);
        return;
      case "storesSeen":
        this.#saver.gatherSeen(event.seen, () => this.#settlements.add(event.durable));
        return;
      case "read":
        event.done();
        return;
    }
  }

  #beginTurn(): void {
    this.#now = this.#construction.clock.now();
    if (this.#isRestored) return;
    this.#isRestored = true;
    for (const group of this.#groups) group.start();
  }

  #saved(gathering: Gathering): void {
    this.#saver.landed(gathering);
    for (const { group, envelopes } of gathering.messages) this.#group(group).sendAll(envelopes);
    for (const [group, { term, index }] of gathering.savedEnds)
      this.#group(group).step({ type: "saved", term, index });
    for (const done of gathering.done) done();
  }

  #armTick(): void {
    const { clock } = this.#construction;
    // Behind a poll of the sockets: what already waits there is heard before any timeout counts (design 4.1).
    const wait = () => clock.defer(() => this.#pipe.push({ type: "tick" }));
    this.#cancelTick = clock.setTimer(wait, this.#options.tickMs);
  }

  #tick(): void {
    this.#armTick();
    const nowMs = this.#now.monotonicMs;
    for (const group of this.#groups) group.tick();
    if (nowMs >= this.#nextBeatMs) {
      this.#nextBeatMs = nowMs + this.#options.heartbeatIntervalMs;
      this.#heartbeats.beatAll(nowMs);
    }
    this.#keeper.tick(this.#groups, nowMs);
  }

  /** What a drain ends with. True: there is more to do at once. */
  #finish(): boolean {
    this.#beginTurn();
    for (const group of this.#groups) group.transfer.begin();
    this.notices.notice();
    for (const group of this.#groups) group.routeProposals();
    this.#checkpointStage.run();
    for (const group of this.#groups) group.carryOut();
    this.#saver.flush();
    // Before room code runs: what others wait for must not wait for it.
    this.#construction.network.flush?.();
    const isApplied = this.#applyStage.run();
    this.#now = this.#construction.clock.now();
    const proposed = this.#applyStage.proposeTicks(this.#now);
    for (const group of this.#groups) group.reads.settle();
    this.#settlements.flush();
    const released = this.#groups.some(({ gate, isBehind }) => gate.parked > 0 && !isBehind);
    return this.#state === "running" && (!isApplied || proposed || released);
  }
}

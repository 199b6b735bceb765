import assert from "node:assert";
import type { PeerIdentity } from "../network/network.ts";
import type { PeerMessage } from "../network/peer-message.ts";
import type { AgreedLevel } from "../raft/level.ts";
import type { StoreSeen } from "../storage/storage.ts";
import { ApplyStage } from "./apply-stage.ts";
import { AwakeGroups } from "./awake-groups.ts";
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
import { Metronome } from "./metronome.ts";
import { PeerInbox } from "./peer-inbox.ts";
import { Pipe } from "./pipe.ts";
import { ProposalError } from "./proposal-error.ts";
import type { Consistency, ReadPoint } from "./reads.ts";
import { Saver } from "./saver.ts";
import { Settlements } from "./settlements.ts";
import { Strain } from "./strain.ts";
import { TurnClock } from "./turn-clock.ts";
import { Turns } from "./turns.ts";

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
  readonly #metronome: Metronome;
  /** What callers outside are told of leads and members. */
  readonly notices: GroupNotices;
  readonly #awake: AwakeGroups;
  readonly #applyStage: ApplyStage;
  readonly #groups: readonly Group[];
  readonly #time: TurnClock;
  readonly #turns: Turns;
  #state: "created" | "running" | "stopped" = "created";
  #hasFailed = false;
  #isRetiring = false;

  /** @throws {RangeError} that names a wrong option */
  constructor(construction: EngineConstruction) {
    const { founding, persisted, clock, storage } = construction;
    this.#construction = construction;
    this.#options = engineOptions(construction.options ?? {});
    this.#time = new TurnClock(clock);
    this.#pipe = new Pipe({
      defer: (run) => clock.defer(run),
      handle: (event) => this.#turns.handle(event),
      finish: () => this.#turns.finish() && this.#state === "running",
      fail: (error) => this.#fail(error),
      drainEventsMax: this.#options.drainEventsMax,
    });
    this.#saver = new Saver({
      storage,
      saved: (gathering) => this.#pipe.push({ type: "saved", gathering }),
      failed: (error) => this.#fail(error),
    });
    this.#metronome = new Metronome({
      ...this.#options,
      clock,
      tick: () => this.#pipe.push({ type: "tick" }),
    });
    const strain = new Strain(this.#options);
    this.#keeper = new LeadKeeper(this.#options, {
      self: construction.self.nodeId,
      log: construction.log,
      leadPriority: construction.leadPriority ?? (() => null),
      takesLeads: (nodeId) => this.#heartbeats.takesLeads(nodeId),
      strain: () => strain.sign,
    });
    const host = groupHost(construction, {
      engine: this.#options,
      saver: this.#saver,
      settlements: this.#settlements,
      now: () => this.#time.now,
      isUp: (nodeId) => this.#heartbeats.isUp(nodeId),
      wake: (group) => this.#awake.wake(this.#group(group)),
      push: (event) => this.#pipe.push(event),
      failed: (error) => this.#fail(error),
    });
    const ids = Array.from({ length: founding.groups }, (_, id) => id);
    this.#groups = ids.map((id) => {
      const { contents, isNew } = startingContents(persisted.get(id), founding);
      return new Group({ id, persisted: contents, isNew, machine: construction.machineFor(id), host });
    });
    this.#awake = new AwakeGroups({
      groups: this.#groups,
      self: construction.self.nodeId,
      options: this.#options,
      time: this.#time,
      heartbeats: () => this.#heartbeats,
      woken: () => {
        this.#pipe.wake();
        this.#metronome.hurry();
      },
    });
    const awake = this.#awake;
    this.notices = new GroupNotices(awake, this.#settlements);
    this.#heartbeats = groupHeartbeats({
      groups: this.#groups,
      awake,
      self: construction.self.nodeId,
      network: construction.network,
      takesLeads: () => !this.#isRetiring && !strain.isRecent(this.#time.nowMs),
    });
    this.talk = new GroupTalk(this.#groups, construction.network, this.#options);
    const wake = () => this.#pipe.wake();
    const budgetMs = this.#options.applyBudgetMs;
    this.#applyStage = new ApplyStage({ awake, clock, budgetMs, wake });
    this.#turns = this.#makeTurns(strain);
  }

  #makeTurns(strain: Strain): Turns {
    const { network, log } = this.#construction;
    const [awake, groups, heartbeats] = [this.#awake, this.#groups, this.#heartbeats];
    return new Turns({
      options: this.#options,
      groups,
      awake,
      time: this.#time,
      metronome: this.#metronome,
      strain,
      saver: this.#saver,
      settlements: this.#settlements,
      heartbeats,
      keeper: this.#keeper,
      inbox: new PeerInbox({ groups, awake, heartbeats, log }),
      applyStage: this.#applyStage,
      network,
      checkpointStage: new CheckpointStage({
        ...{ awake, saver: this.#saver, clock: this.#construction.clock },
        budgetMs: this.#options.checkpointBudgetMs,
      }),
      notices: this.notices,
    });
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
    this.#metronome.arm();
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
    this.#metronome.stop();
    this.#applyStage.stop();
  }

  linkUp(peer: PeerIdentity): void {
    const { nodeId, storeId, levels } = peer;
    this.#pipe.push({ type: "linkUp", nodeId, linked: { storeId, levelMax: levels.max } });
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

  /** To which something is about to happen. */
  #woken(id: number): Group {
    const group = this.#group(id);
    this.#time.read();
    this.#awake.wake(group);
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
    const target = this.#woken(group);
    assert(command.length > 0, "a command has at least one byte");
    if (command.length > commandBytesMax) {
      const what = `a command of ${command.length} bytes; ${commandBytesMax} are allowed`;
      return Promise.reject(new ProposalError("COMMAND_TOO_LARGE", what));
    }
    const refusal = this.#stopped() ?? target.admission.refusal();
    if (refusal !== null && !(urgent && refusal.code === "OVERLOADED")) return Promise.reject(refusal);
    const { nowMs } = this.#time;
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
    const { reads, admission } = this.#woken(group);
    const refusal = this.#stopped() ?? admission.readRefusal();
    if (refusal !== null) return Promise.reject(refusal);
    // The clocks as they are now: a lease that ended while this process was paused is over (see #stopped).
    const { now } = this.#time;
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
    this.#time.read();
    return null;
  }

  /**
   * Hands the lead of a group that this node leads to another voter, as soon as that one has everything. Meanwhile
   * proposals wait. Resolves with the outcome: within an election timeout `to` leads, or there is a reason.
   */
  transferLeader(group: number, to: string): Promise<TransferOutcome> {
    const target = this.#woken(group);
    if (this.#state === "stopped") return Promise.resolve(refusedTransfer({ group, to, code: "STOPPED" }));
    const outcome = target.transfer.ask(to);
    this.#pipe.wake();
    return outcome;
  }

  /** This node is about to stop: from now on it is given no lead. What it leads is still to be handed over. */
  retire(): void {
    this.#isRetiring = true;
  }

  /** Whom a lead of this node may be given to, the best first; empty if it does not lead the group. */
  heirs(group: number): readonly string[] {
    return this.#keeper.heirs(this.#group(group));
  }

  status(): readonly GroupStatus[] {
    this.#time.read();
    return this.#groups.map((group) => ({ ...group.status(), isAsleep: this.#awake.isAsleep(group) }));
  }

  peers(): readonly PeerPulse[] {
    return this.#heartbeats.pulses();
  }

  /** A group's log as it is now, to be read only. */
  log(group: number): Pick<Group["raft"], "base" | "committedSince" | "configurationAt"> {
    return this.#group(group).raft;
  }

  /** What the group has agreed on, as applied here: what is proposed under it is applied under no lower one, anywhere. */
  level(group: number): AgreedLevel {
    const { applier, raft } = this.#group(group);
    return { level: applier.level, heldBackBy: () => raft.levelHeldBackBy };
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
    return this.#turns.isRestored && applier.isWhole && !isBehind;
  }

  /** Nothing of the group is looked at before something happens to it (see AwakeGroups). */
  isAsleep(group: number): boolean {
    return this.#awake.isAsleep(this.#group(group));
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
    const outcome = this.#woken(group).memberChanges.ask(change, how);
    this.#pipe.wake();
    return outcome;
  }

  /** Null if this node does not lead the group. */
  membersProgress(group: number): MembersProgress | null {
    const { raft } = this.#woken(group);
    return raft.role === "leader" ? raft.status() : null;
  }
}

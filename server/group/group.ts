import assert from "node:assert";
import type { Base, HardState } from "../raft/entry.ts";
import type { Linked } from "../raft/level.ts";
import type { RaftMessage } from "../raft/message.ts";
import { Raft } from "../raft/raft.ts";
import { completeRaftOptions } from "../raft/raft-options.ts";
import type { RaftEvent, Ready } from "../raft/ready.ts";
import type { GroupContents, GroupSave } from "../storage/storage.ts";
import { Admission } from "./admission.ts";
import { AppendGate } from "./append-gate.ts";
import { Applier } from "./applier.ts";
import { Compactor } from "./compactor.ts";
import type { GroupHost } from "./group-host.ts";
import { GroupSnapshots, type RestoredFrom } from "./group-snapshots.ts";
import type { GroupStatus, LeaderChange, MembersNotice } from "./group-status.ts";
import { LeadTransfer } from "./lead-transfer.ts";
import type { Machine } from "./machine.ts";
import { MemberChanges } from "./member-changes.ts";
import { MissingMembers } from "./missing-members.ts";
import { type Destination, ProposalRouter } from "./proposal-router.ts";
import { Reads } from "./reads.ts";
import type { Saver } from "./saver.ts";
import { TickProposer } from "./tick-proposer.ts";

interface GroupConstruction {
  readonly id: number;
  readonly persisted: GroupContents;
  /** Nothing of it was ever saved. */
  readonly isNew: boolean;
  readonly machine: Machine;
  readonly host: GroupHost;
}

/** One replica of one group: its core, its machine, and everything between the two. Driven by the engine's pipe only. */
export class Group {
  readonly id: number;
  readonly raft: Raft;
  readonly machine: Machine;
  readonly applier: Applier;
  readonly router: ProposalRouter;
  readonly reads: Reads;
  readonly compactor: Compactor;
  readonly gate: AppendGate;
  readonly ticks: TickProposer;
  readonly admission: Admission;
  readonly snapshots: GroupSnapshots;
  readonly transfer: LeadTransfer;
  readonly memberChanges: MemberChanges;
  readonly missing: MissingMembers;
  readonly #host: GroupHost;
  /** Null once it has started: nothing of it is kept twice. */
  #persisted: GroupContents | null;
  readonly #isNew: boolean;
  #hardState: HardState;
  #logTimeMs: number;
  #lead: LeaderChange;
  #members: MembersNotice;
  #leaderlessSinceMs: number | null;
  #restoringSinceMs = Number.NEGATIVE_INFINITY;

  constructor({ id, persisted, isNew, machine, host }: GroupConstruction) {
    const { self, random, engine, settlements } = host;
    this.id = id;
    this.machine = machine;
    this.#host = host;
    this.#persisted = persisted;
    this.#isNew = isNew;
    this.#hardState = persisted.hardState;
    this.#logTimeMs = persisted.base.logTimeMs;
    this.raft = new Raft({ ...engine.raft, self, random, levels: host.levels }, persisted, host.now());
    this.#lead = { group: id, term: this.raft.term, leaderId: null, isLeader: false };
    this.#leaderlessSinceMs = host.now().monotonicMs;
    this.#members = this.#membersNow;
    this.memberChanges = new MemberChanges({ group: id, raft: this.raft, host });
    this.gate = new AppendGate(engine);
    this.router = new ProposalRouter({
      group: id,
      nodeId: self.nodeId,
      bootCount: host.bootCount,
      engine,
      settlements,
      propose: (data) => this.raft.propose(data, host.now()),
      send: host.send,
      bufferedBytes: host.bufferedBytes,
    });
    const { proposals } = this.router;
    this.applier = new Applier(
      {
        machine,
        nodeId: self.nodeId,
        bootCount: host.bootCount,
        answered: (sequence, value) => proposals.answered(sequence, value, host.now().monotonicMs),
        gap: () => proposals.resendSoon(host.now().monotonicMs),
        caughtUp: () => this.router.resendAll(),
        readBytes: engine.restoreReadBytes,
        read: (read, done) => host.readCheckpoints(id, read, done),
      },
      persisted.base,
    );
    this.reads = new Reads({ options: engine, raft: this.raft, applier: this.applier, settlements });
    this.ticks = new TickProposer({ machine, raft: this.raft, proposals });
    this.transfer = new LeadTransfer({
      group: id,
      raft: this.raft,
      settlements,
      electionTimeoutMs: 4 * completeRaftOptions(engine.raft).electionBaseMs,
      wake: () => host.wake(id),
      begin: (to) => this.step({ type: "transferLeader", to }),
    });
    const { isUp } = host;
    this.missing = new MissingMembers({ machine, raft: this.raft, applier: this.applier, proposals, isUp });
    this.snapshots = new GroupSnapshots({
      group: id,
      host,
      staged: persisted.staged,
      commitIndex: () => this.raft.commitIndex,
      appliedIndex: () => this.applier.appliedIndex,
      base: () => this.compactor.base,
      isPinnedBeyond: (limits) => this.compactor.isPinnedBeyond(limits),
      cutLog: () => this.compactor.cut(),
      step: (event) => this.step(event),
      swapIn: (save, done) => this.#swapIn(save, done),
      swappedIn: (snapshot) => this.#restore(snapshot),
    });
    this.compactor = this.#makeCompactor(persisted.base);
    const { applier, gate, compactor } = this;
    this.admission = new Admission({
      group: id,
      host,
      applier,
      gate,
      compactor,
      isLeader: () => this.isLeader,
    });
  }

  #makeCompactor(base: Base): Compactor {
    const { engine, random, saver, now } = this.#host;
    const options = {
      machine: this.machine,
      applier: this.applier,
      engine,
      random,
      configurationAt: (index: number) => this.raft.configurationAt(index),
      pinnedIndex: () => this.snapshots.pinnedIndex,
      gather: (save: Parameters<Saver["gather"]>[1], done: () => void) => saver.gather(this.id, save, done),
      compacted: (durable: Base) => this.step({ type: "compacted", base: durable }),
    };
    return new Compactor(options, { base, nowMs: now().monotonicMs });
  }

  /** Too much waits to be applied: neither reads nor the lead belong here just now. */
  get isBehind(): boolean {
    return this.gate.isPast(this.applier.queue);
  }

  get #nowMs(): number {
    return this.#host.now().monotonicMs;
  }

  get isLeader(): boolean {
    return this.raft.role === "leader";
  }

  /** In a macrotask of the pipe's, before anything else: the machine as of what is durable here. */
  start(): void {
    assert(this.#persisted !== null, "a group starts once");
    const { base, hardState, checkpoints } = this.#persisted;
    this.#persisted = null;
    this.#restore({ base, checkpoints });
    // The founding configuration is written down before this replica promises anything.
    if (this.#isNew) this.#host.saver.gather(this.id, { base, hardState });
  }

  #restore({ base, checkpoints, throughIndex = base.index }: RestoredFrom): void {
    this.#restoringSinceMs = this.#nowMs;
    this.applier.restore(checkpoints, { base, throughIndex });
  }

  /** It could lead, but not apply. So others go first; but after a while anyone is better than nobody. */
  get #yieldsTheLead(): boolean {
    const isLate = this.#nowMs - this.#restoringSinceMs >= this.#host.engine.restoreYieldMs;
    return this.applier.isRestoring && !this.isLeader && !isLate;
  }

  get lacksParts(): boolean {
    return this.machine.lacksParts?.() ?? false;
  }

  stop(): void {
    this.router.stop();
    this.transfer.stop();
    this.memberChanges.stop();
    this.reads.stop();
  }

  step(event: RaftEvent): void {
    this.#host.wake(this.id);
    this.raft.step(event, this.#host.now());
  }

  message(from: string, message: RaftMessage): void {
    if (this.gate.holds(from, message, this.applier.queue)) return;
    // Whoever hands over the lead cannot know that it would come to a standstill here, and keeps it.
    const isUnfit = this.applier.isRestoring || this.isBehind || this.lacksParts;
    if (message.type === "timeoutNow" && isUnfit) this.step({ type: "refuseLead", from, term: message.term });
    else this.step({ type: "message", from, message });
  }

  tick(): void {
    // All that the core's clock does to a replica that does not lead is to make it campaign.
    if (!this.#yieldsTheLead) this.step({ type: "tick" });
    this.router.tick(this.#nowMs);
    this.transfer.tick(this.#nowMs);
    this.memberChanges.tick();
    this.missing.tick(this.#nowMs);
    this.reads.tick(this.#nowMs);
    this.snapshots.tick();
    this.compactor.tick(this.#nowMs);
  }

  linkDown(nodeId: string): void {
    const wasLeader = this.raft.leaderId === nodeId;
    this.gate.linkDown(nodeId);
    this.step({ type: "linkDown", nodeId });
    this.missing.linkDown(this.#nowMs);
    // What was on its way there may be lost.
    if (wasLeader) this.router.resendAll();
  }

  linkUp(nodeId: string, linked: Linked): void {
    this.step({ type: "linkUp", nodeId, linked });
    if (this.raft.leaderId === nodeId) this.router.resendAll();
  }

  /** Nothing is under way here, and nothing is due before the machine's next tick (see AwakeGroups). */
  get isIdle(): boolean {
    const { raft, applier, router, reads, compactor, gate, snapshots, transfer, memberChanges, missing } =
      this;
    const isQuiet = raft.isQuiet && router.isIdle && reads.isIdle && gate.parked === 0;
    const isSettled = applier.isWhole && !applier.hasWork && compactor.isSettled && snapshots.isIdle;
    return isQuiet && isSettled && transfer.isIdle && memberChanges.isIdle && missing.isIdle;
  }

  /** Null if none is due. In macrotasks only. */
  get tickDueInMs(): number | null {
    return this.ticks.dueInMs(this.#host.now());
  }

  /** What callers outside see of the lead; a change of it sends what is unanswered to whoever leads now. */
  noticeLead(): LeaderChange | null {
    const { role, term, leaderId } = this.raft;
    const isLeader = role === "leader";
    const seen = this.#lead;
    if (seen.term === term && seen.leaderId === leaderId && seen.isLeader === isLeader) return null;
    const wasLed = seen.leaderId !== null;
    this.#lead = { group: this.id, term, leaderId, isLeader };
    if (leaderId === null && (wasLed || this.#leaderlessSinceMs === null))
      this.#leaderlessSinceMs = this.#nowMs;
    if (leaderId !== null) {
      this.#leaderlessSinceMs = null;
      this.router.resendAll();
    }
    this.transfer.leadChanged(this.#lead, this.#nowMs);
    this.memberChanges.leadChanged();
    return this.#lead;
  }

  get #membersNow(): MembersNotice {
    const { configuration, configurationIndex: index, commitIndex, hasBeenMember } = this.raft;
    return { group: this.id, configuration, index, isCommitted: index <= commitIndex, hasBeenMember };
  }

  noticeMembers(): MembersNotice | null {
    const seen = this.#members;
    this.#members = this.#membersNow;
    const { configuration, isCommitted } = this.#members;
    return configuration === seen.configuration && isCommitted === seen.isCommitted ? null : this.#members;
  }

  get leaderlessSinceMs(): number | null {
    return this.#leaderlessSinceMs;
  }

  // ── proposals ────────────────────────────────────────────────────────────────────────────────────────────────────

  proposeRefused(from: string): void {
    // Of a node that is no longer the one that they were sent to: they have gone elsewhere since.
    if (from === this.raft.leaderId) this.router.refused(this.#nowMs);
  }

  /** `nodeId` does not agree with what this node leads: it must hear of it from the core, or tell of another leader. */
  disagreed(nodeId: string): void {
    if (!this.isLeader) return;
    const silent = this.raft
      .status()
      .followers.some(
        (follower) =>
          follower.nodeId === nodeId &&
          follower.state !== "installing" &&
          follower.silentMs >= this.#host.engine.heartbeatIntervalMs,
      );
    if (silent) this.step({ type: "linkUp", nodeId });
  }

  #destination(): Destination {
    if (this.raft.transferTo !== null) return { type: "transferring" };
    if (this.isLeader) return { type: "self" };
    const { leaderId } = this.raft;
    if (leaderId === null || leaderId === this.#host.self.nodeId || !this.#host.isUp(leaderId))
      return { type: "nobody" };
    return { type: "leader", nodeId: leaderId };
  }

  routeProposals(): void {
    this.memberChanges.route();
    this.reads.ask(this.#host.now());
    if (!this.router.hasWork(this.#nowMs)) return;
    const refuseForwarded = this.admission.refusesForwarded;
    this.router.route(this.#destination(), { nowMs: this.#nowMs, refuseForwarded });
  }

  // ── Ready ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Everything that the core wants done: into the batch, onto the links, into the apply queue. */
  carryOut(): void {
    for (const { from, message } of this.gate.release(this.applier.queue)) this.message(from, message);
    for (let ready = this.raft.ready(); ready !== null; ready = this.raft.ready()) this.#carryOut(ready);
  }

  #carryOut(ready: Ready): void {
    const { saver } = this.#host;
    const { hardState, entries, messages, messagesAfterSave, committed } = ready;
    for (const { to, message } of messages) this.#host.send(to, { type: "raft", group: this.id, message });
    if (hardState !== null) {
      this.#hardState = hardState;
      saver.gather(this.id, { hardState });
    }
    const last = entries.at(-1);
    if (last !== undefined) {
      saver.gather(this.id, { entries });
      saver.gatherEnd(this.id, { term: last.term, index: last.index });
    }
    if (messagesAfterSave.length > 0 && !saver.holdMessages(this.id, messagesAfterSave)) {
      this.sendAll(messagesAfterSave);
    }
    this.applier.push(committed);
    if (committed.length > 0) this.applier.foresee(this.raft.committedAhead);
    const lastCommitted = committed.at(-1);
    if (lastCommitted !== undefined) this.#logTimeMs = lastCommitted.logTimeMs;
    for (const read of ready.reads) this.reads.answered(read);
    this.snapshots.carryOut(ready);
    for (const refusal of ready.transfersRefused) this.transfer.refused(refusal);
  }

  #swapIn(save: GroupSave, done: () => void): void {
    const { base } = save;
    assert(base !== undefined, "a snapshot comes with its base");
    const hardState = { ...this.#hardState, commitIndex: base.index };
    this.#hardState = hardState;
    this.compactor.suspend();
    this.#host.saver.gather(this.id, { ...save, hardState }, () => {
      this.#logTimeMs = base.logTimeMs;
      this.compactor.reset(base);
      done();
    });
  }

  sendAll(envelopes: Ready["messages"]): void {
    for (const { to, message } of envelopes) this.#host.send(to, { type: "raft", group: this.id, message });
  }

  status(): Omit<GroupStatus, "isAsleep"> {
    const { raft, applier } = this;
    return {
      id: this.id,
      role: raft.role,
      term: raft.term,
      leader: raft.leaderId,
      commitIndex: raft.commitIndex,
      appliedIndex: applier.appliedIndex,
      servesFrom: applier.servesFrom,
      lastIndex: raft.lastIndex,
      baseIndex: this.compactor.base.index,
      logTimeMs: this.isLeader ? raft.logTimeMs(this.#host.now()) : this.#logTimeMs,
      logBytes: applier.logBytes,
      proposalsInFlight: this.router.proposals.inFlight,
      applyBacklog: applier.queue.length,
      members: this.#membersNow,
      level: { agreed: applier.level, heldBackBy: raft.levelHeldBackBy },
      isRestoring: applier.isRestoring,
      snapshotsSending: this.snapshots.sending,
      snapshotReceiving: this.snapshots.receiving,
    };
  }
}

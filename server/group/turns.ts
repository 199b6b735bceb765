import type { Network } from "../network/network.ts";
import type { ApplyStage } from "./apply-stage.ts";
import type { AwakeGroups } from "./awake-groups.ts";
import type { CheckpointStage } from "./checkpoint-stage.ts";
import type { EngineEvent } from "./engine-event.ts";
import type { EngineOptions } from "./engine-options.ts";
import type { Group } from "./group.ts";
import type { GroupNotices } from "./group-notices.ts";
import type { Heartbeats } from "./heartbeats.ts";
import type { LeadKeeper } from "./lead-keeper.ts";
import type { Metronome } from "./metronome.ts";
import type { PeerInbox } from "./peer-inbox.ts";
import type { Gathering, Saver } from "./saver.ts";
import type { Settlements } from "./settlements.ts";
import type { Strain } from "./strain.ts";
import type { TurnClock } from "./turn-clock.ts";

export interface TurnsParts {
  readonly options: EngineOptions;
  readonly groups: readonly Group[];
  readonly awake: AwakeGroups;
  readonly time: TurnClock;
  readonly metronome: Metronome;
  readonly strain: Strain;
  readonly saver: Saver;
  readonly settlements: Settlements;
  readonly heartbeats: Heartbeats;
  readonly keeper: LeadKeeper;
  readonly inbox: PeerInbox;
  readonly applyStage: ApplyStage;
  readonly network: Network;
  readonly checkpointStage: CheckpointStage;
  readonly notices: GroupNotices;
}

/** What happens in the pipe: its events one by one, and what each drain of them ends with (design 4.1). */
export class Turns {
  readonly #parts: TurnsParts;
  #isRestored = false;

  constructor(parts: TurnsParts) {
    this.#parts = parts;
  }

  /** The groups' machines have heard of what was saved. */
  get isRestored(): boolean {
    return this.#isRestored;
  }

  handle(event: EngineEvent): void {
    this.#begin();
    const { groups, awake, keeper, heartbeats, inbox, saver, settlements, time } = this.#parts;
    switch (event.type) {
      case "tick":
        this.#tick();
        return;
      case "linkUp":
        for (const group of groups) group.linkUp(event.nodeId, event.linked);
        keeper.linkUp(event.nodeId, time.nowMs);
        heartbeats.linkUp(event.nodeId, time.nowMs);
        return;
      case "linkDown":
        awake.wakeAll();
        heartbeats.linkDown(event.nodeId);
        keeper.linkDown(event.nodeId);
        for (const group of groups) group.linkDown(event.nodeId);
        return;
      case "message":
        inbox.receive(event.from, event.message, time.nowMs);
        return;
      case "saved":
        this.#saved(event.gathering);
        return;
      case "storesSeen":
        saver.gatherSeen(event.seen, () => settlements.add(event.durable));
        return;
      case "read":
        event.done();
        return;
    }
  }

  #begin(): void {
    this.#parts.time.read();
    if (this.#isRestored) return;
    this.#isRestored = true;
    for (const group of this.#parts.groups) group.start();
  }

  #saved(gathering: Gathering): void {
    const { saver, groups } = this.#parts;
    saver.landed(gathering);
    for (const { group, envelopes } of gathering.messages) groups[group]?.sendAll(envelopes);
    for (const [group, { term, index }] of gathering.savedEnds)
      groups[group]?.step({ type: "saved", term, index });
    for (const done of gathering.done) done();
  }

  #tick(): void {
    const { groups, awake, time, metronome, heartbeats, keeper } = this.#parts;
    this.#lookForStrain();
    awake.tick();
    for (const group of awake.groups) group.tick();
    if (metronome.takesBeat(time.nowMs)) heartbeats.beatAll(time.nowMs);
    metronome.arm(awake);
    keeper.tick({ groups, awake: awake.groups }, time.nowMs);
  }

  #lookForStrain(): void {
    const { groups, time, metronome, strain, saver } = this.#parts;
    const { nowMs } = time;
    const wasStalled = strain.sign?.type === "disk";
    strain.look({ nowMs, lagMs: metronome.lagMs(nowMs), savingSinceMs: saver.savingSinceMs });
    const isStalled = strain.sign?.type === "disk";
    if (isStalled === wasStalled) return;
    for (const group of groups) group.step({ type: isStalled ? "diskStalled" : "diskMoves" });
  }

  /** What a drain ends with. True: there is more to do at once. */
  finish(): boolean {
    this.#begin();
    const { awake, saver, network, applyStage, checkpointStage, time, notices, settlements } = this.#parts;
    for (const group of awake.groups) group.transfer.begin();
    notices.notice();
    for (const group of awake.groups) group.routeProposals();
    checkpointStage.run();
    for (const group of awake.groups) group.carryOut();
    saver.flush(time.nowMs);
    // Before room code runs: what others wait for must not wait for it. Nor must the heartbeats that fall due meanwhile.
    this.#beatAhead();
    network.flush?.();
    const isApplied = applyStage.run();
    const proposed = applyStage.proposeTicks(time.read());
    for (const group of awake.groups) group.reads.settle();
    settlements.flush();
    const released = awake.groups.some(({ gate, isBehind }) => gate.parked > 0 && !isBehind);
    return !isApplied || proposed || released;
  }

  #beatAhead(): void {
    const { options, applyStage, metronome, heartbeats, time } = this.#parts;
    const aheadMs = options.applyBudgetMs + options.tickMs;
    if (applyStage.hasWork && metronome.takesBeat(time.nowMs, aheadMs)) heartbeats.beatAll(time.nowMs);
  }
}

import type { EngineOptions } from "../../server/group/engine-options.ts";
import type { PeerMessage } from "../../server/network/peer-message.ts";
import type { Builds } from "./builds.ts";
import type { Chance } from "./chance.ts";
import type { Coverage } from "./coverage.ts";
import type { Laws } from "./laws.ts";
import { LevelLaws } from "./level-laws.ts";
import { QuorumWatch } from "./quorum-watch.ts";
import type { Owner, Schedule } from "./schedule.ts";
import type { AppSetup, SimApp } from "./sim-app.ts";
import { SimDisk } from "./sim-disk.ts";
import type { Ending } from "./sim-folder.ts";
import { type Host, type Leads, SimNetwork } from "./sim-network.ts";
import { SimProcess } from "./sim-node.ts";
import { NeverComesBack } from "./sim-watchdog.ts";
import type { Trace } from "./trace.ts";
import { hold } from "./violation.ts";

export interface ClusterParts<App extends SimApp> {
  readonly nodes: number;
  readonly groups: number;
  readonly engine: Partial<EngineOptions>;
  readonly electionTimeoutBaseMs: number;
  readonly leadPriorities: ReadonlyMap<string, number>;
  readonly schedule: Schedule;
  readonly chance: Chance;
  readonly trace: Trace;
  readonly laws: Laws;
  readonly builds: Builds;
  readonly coverage: Coverage;
  readonly app: (setup: AppSetup) => App;
  /** A node ended that had no reason to. */
  readonly broken: (what: Error) => void;
}

export function nodeIdsOf(nodes: number): readonly string[] {
  return Array.from({ length: nodes }, (_, at) => `n${at + 1}`);
}

interface Place<App extends SimApp> {
  disk: SimDisk;
  /** What its --peers name. */
  peerIds: readonly string[];
  process: SimProcess<App> | null;
}

/** How often a node saves its parts; drawn at each start. */
const checkpointIntervalsMs = [60, 60, 150, 400, 1_500] as const;

/** A chunk that left so long ago is no longer under way. */
const chunkFreshMs = 20;

/** All nodes of the simulated cluster: their disks, the network between them, and the processes that come and go. */
export class Cluster<App extends SimApp = SimApp> {
  readonly network: SimNetwork;
  readonly groups: number;
  readonly #parts: ClusterParts<App>;
  readonly #quorums: QuorumWatch;
  readonly #levels: LevelLaws;
  readonly #places = new Map<string, Place<App>>();
  #nodesEver: number;
  #lastChunk: { readonly from: string; readonly to: string; readonly atMs: number } | null = null;

  constructor(parts: ClusterParts<App>) {
    this.#parts = parts;
    this.#quorums = new QuorumWatch({
      schedule: parts.schedule,
      process: (id) => this.process(id),
      isSaving: (id) => this.disk(id).isSaving,
      storeOf: (id) => parts.laws.storeOf(id),
      isLinked: (one, other) => this.network.isUp(one, other),
      committedIndex: (group) => parts.laws.committedIndex(group),
    });
    this.groups = parts.groups;
    this.#levels = new LevelLaws(parts);
    this.network = new SimNetwork({
      ...parts,
      sent: (from, to, message) => this.#sent(from, to, message),
      leads: (from, message) => this.#leadsIn(from, message),
      arrived: (from, to, leads) => this.#quorums.arrived(from, to, leads),
    });
    const founders = nodeIdsOf(parts.nodes);
    for (const id of founders)
      this.#places.set(id, {
        disk: new SimDisk(id, parts),
        peerIds: founders.filter((other) => other !== id),
        process: null,
      });
    this.#nodesEver = parts.nodes;
    parts.schedule.after = (owner) => this.#observe(owner);
  }

  get processes(): readonly SimProcess<App>[] {
    return [...this.#places.values()].flatMap(({ process }) => process ?? []);
  }

  /** All nodes that there are now, in the order in which they came. */
  get nodeIds(): readonly string[] {
    return [...this.#places.keys()];
  }

  process(id: string): SimProcess<App> | null {
    return this.#places.get(id)?.process ?? null;
  }

  disk(id: string): SimDisk {
    return this.#place(id).disk;
  }

  #place(id: string): Place<App> {
    const place = this.#places.get(id);
    if (place === undefined) throw new Error(`there is no node ${id}`);
    return place;
  }

  /** A node more, with an empty disk, that knows the others. It is no member yet. @returns its id */
  add(): string {
    this.#nodesEver += 1;
    const id = `n${this.#nodesEver}`;
    this.#places.set(id, { disk: new SimDisk(id, this.#parts), peerIds: this.nodeIds, process: null });
    this.#parts.trace.note(`${id} is set up`);
    this.#parts.builds.isBlank(id);
    this.boot(id);
    return id;
  }

  /** A node gets an empty disk, and starts from that; what was on the other one is gone for ever. */
  loseDisk(id: string): void {
    const place = this.#place(id);
    this.crash(id, "powerCut");
    this.#parts.trace.note(`${id} loses its disk`);
    this.#parts.laws.lost(id);
    this.#parts.builds.isBlank(id);
    place.disk = new SimDisk(id, this.#parts);
    place.peerIds = this.nodeIds.filter((other) => other !== id);
  }

  /** A node is switched off for ever. */
  retire(id: string): void {
    if (!this.#places.has(id)) return;
    this.crash(id, "killed");
    this.#parts.trace.note(`${id} is gone for good`);
    this.#parts.laws.lost(id);
    this.#places.delete(id);
  }

  /** Nothing, if it runs already or is gone. */
  boot(id: string): void {
    const place = this.#places.get(id);
    if (place === undefined || place.process !== null || place.disk.startsLeft === 0) return;
    const { laws, trace, schedule, chance, engine, builds } = this.#parts;
    trace.note(`${id} boots`);
    laws.started(id);
    this.#levels.started(id);
    const process = new SimProcess({
      ...this.#parts,
      // Each at its own pace, so that some logs reach back further than others.
      engine: { ...engine, checkpointIntervalMs: chance.pick(checkpointIntervalsMs) },
      nodeId: id,
      peerIds: place.peerIds,
      disk: place.disk,
      levels: builds.booted(id),
      network: this.network,
      failed: (failing, error) => this.#failed(failing, error),
    });
    place.process = process;
    schedule.in(0, process, () => process.boot());
    this.#quorums.watch(process);
  }

  /** The process ends here and now, as by kill -9 or a power cut. */
  crash(id: string, ending: Ending): void {
    const place = this.#places.get(id);
    if (place === undefined) return;
    const { process, disk } = place;
    if (process === null) return;
    const { coverage, trace } = this.#parts;
    coverage.hit(ending === "killed" ? "crashes" : "powerCuts");
    if (disk.isSaving) coverage.hit("crashesMidSave");
    trace.note(
      `${id} is ${ending === "killed" ? "killed" : "without power"}${disk.isSaving ? " in the middle of a save" : ""}`,
    );
    place.process = null;
    process.end();
    disk.end(ending);
    // Whose machine has no power says nothing more, not even that it is gone.
    this.network.crashed(id, ending === "powerCut");
  }

  /** As SIGTERM: hands over what it leads, and closes everything. */
  stop(id: string, stopped: () => void): void {
    const place = this.#places.get(id);
    if (place === undefined) return;
    const { process } = place;
    if (process === null || !process.isReady) return;
    this.#parts.coverage.hit("cleanStops");
    this.#parts.trace.note(`${id} stops`);
    process.isReady = false;
    const { schedule } = this.#parts;
    schedule.in(0, process, () => {
      process.app.stop().then(
        () => {
          if (place.process !== process) return;
          this.#parts.trace.note(`${id} has stopped`);
          place.process = null;
          process.end();
          place.disk.end("killed");
          stopped();
        },
        (error: unknown) => this.#failed(process, error),
      );
    });
  }

  failDisk(id: string): void {
    const place = this.#places.get(id);
    if (place === undefined) return;
    if (place.process === null) return;
    const { chance, coverage } = this.#parts;
    coverage.hit("diskErrors");
    place.disk.failNextWrite(new Error(chance.pick(["EIO (simulated)", "fsync: EIO (simulated)"])));
  }

  #failed(process: SimProcess<App>, error: unknown): void {
    // It ended of something else before it could.
    if (!process.isAlive) return;
    this.#parts.laws.ending(process.nodeId, process.node.groups());
    const place = this.#places.get(process.nodeId);
    const isRemoved = (error as { code?: unknown }).code === "REMOVED";
    const isExpected =
      place?.process === process &&
      (isRemoved ||
        error instanceof NeverComesBack ||
        this.#parts.builds.explains(process.nodeId, error) ||
        place.disk.explains(error));
    this.#parts.trace.note(`${process.nodeId} ends: ${String(error)}`);
    if (!isExpected) return this.#parts.broken(error instanceof Error ? error : new Error(String(error)));
    this.crash(process.nodeId, "killed");
    // Its starter gives up.
    if (isRemoved) return this.#removed(process.nodeId);
    if (place.disk.wasRefused) return;
    this.#parts.schedule.in(this.#parts.chance.between(50, 1_000), null, () => this.boot(process.nodeId));
  }

  #removed(id: string): void {
    const { laws, coverage } = this.#parts;
    coverage.hit("removalsTold");
    for (let group = 0; group < this.groups; group++) laws.endsAsRemoved(id, group);
    this.disk(id).wasRemoved = true;
  }

  #sent(from: string, host: Host, message: PeerMessage): void {
    const { laws, coverage } = this.#parts;
    const to = host.nodeId;
    // Whoever asks for votes asks everybody; who answers has heard what it must not hear.
    const isAnswer = message.type === "raft" && message.message.type.endsWith("Response");
    hold(
      !(isAnswer && host instanceof SimProcess && host.isOnOldDisk),
      "X36",
      () => `${from} answers ${to}, which has an old image of its disk`,
    );
    const statuses = () => this.process(from)?.node.groups() ?? [];
    laws.messages.sent(from, to, message, statuses);
    if (message.type !== "raft") return;
    const { group, message: raft } = message;
    const process = this.process(from);
    if (process !== null) laws.leases.sent({ from: process, to, group }, raft);
    laws.reads.sent({ from, to, group }, raft, statuses);
    if (raft.type === "appendEntries") {
      laws.leads(from, group, raft.term);
      let termBefore: number | null = raft.prevLogTerm;
      for (const entry of raft.entries) {
        laws.entry(group, entry, termBefore, from);
        termBefore = entry.term;
      }
    } else if (raft.type === "installSnapshot") {
      laws.leads(from, group, raft.term);
      this.#lastChunk = { from, to, atMs: this.#parts.schedule.nowMs };
    } else if (raft.type === "installSnapshotResponse") this.#countHeld(raft.answer);
    else if (raft.type === "timeoutNow") coverage.hit("transfers");
    else if (raft.type === "appendEntriesResponse" && raft.success && raft.receivedIndex > raft.matchIndex)
      coverage.hit("receipts");
  }

  #leadsIn(from: string, { type }: PeerMessage): Leads {
    if (type !== "heartbeat") return null;
    const statuses = this.process(from)?.node.groups() ?? [];
    return new Set(statuses.filter(({ role }) => role === "leader").map(({ id, term }) => `${id} ${term}`));
  }

  /** What a follower says to a snapshot's manifest: what it has from an earlier one need not come again. */
  #countHeld(answer: Uint8Array): void {
    if (answer.length === 0) return;
    const [head, ...bits] = [answer.subarray(0, 4), ...answer.subarray(4)];
    const parts = new DataView(head.buffer, head.byteOffset, 4).getUint32(0, true);
    const wanted = bits.reduce(
      (sum, byte) => sum + [...byte.toString(2)].filter((bit) => bit === "1").length,
      0,
    );
    this.#parts.coverage.hit("partsResumed", parts - wanted);
    if (wanted < parts) this.#parts.coverage.hit("installsResumed");
  }

  /** A snapshot of which a chunk has just left, or that is being swapped in; null: there is none. */
  get installUnderWay(): { readonly from: string; readonly to: string; readonly isSwap: boolean } | null {
    if (this.#lastChunk === null) return null;
    const { from, to, atMs } = this.#lastChunk;
    const isSwap = this.#places.get(to)?.disk.isSwapping ?? false;
    return isSwap || this.#parts.schedule.nowMs - atMs < chunkFreshMs ? { from, to, isSwap } : null;
  }

  #observe(owner: Owner | null): void {
    if (!(owner instanceof SimProcess) || !owner.isAlive) return;
    const { node } = owner;
    hold(
      !(owner.isOnOldDisk && owner.isServing),
      "X36",
      () => `${owner.nodeId} serves from an old image of its disk`,
    );
    const statuses = node.groups();
    if (statuses.length > 0) this.#parts.laws.calls.watch(owner, node.engine);
    this.#parts.laws.observe(owner.nodeId, statuses);
    this.#levels.observe(owner.nodeId, statuses, (peer) => this.network.toldOf(owner.nodeId, peer));
    for (const status of statuses)
      if (node.engine.isServing(status.id)) this.#parts.laws.wholes.served(owner.nodeId, status);
    for (const { id, isAsleep } of statuses) {
      if (owner.asleep.has(id) === isAsleep) continue;
      this.#parts.coverage.hit(isAsleep ? "groupsSlept" : "groupsWoken");
      if (isAsleep) owner.asleep.add(id);
      else owner.asleep.delete(id);
    }
  }
}

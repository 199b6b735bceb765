import type { EngineOptions } from "../../server/group/engine-options.ts";
import type { PeerMessage } from "../../server/network/peer-message.ts";
import type { Chance } from "./chance.ts";
import type { Coverage } from "./coverage.ts";
import type { Laws } from "./laws.ts";
import { QuorumWatch } from "./quorum-watch.ts";
import type { Owner, Schedule } from "./schedule.ts";
import type { AppSetup, SimApp } from "./sim-app.ts";
import { SimDisk } from "./sim-disk.ts";
import type { Ending } from "./sim-folder.ts";
import { SimNetwork } from "./sim-network.ts";
import { SimProcess } from "./sim-node.ts";
import { NeverComesBack } from "./sim-watchdog.ts";
import type { Trace } from "./trace.ts";

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
  readonly coverage: Coverage;
  readonly app: (setup: AppSetup) => App;
  /** A node ended that had no reason to. */
  readonly broken: (what: Error) => void;
}

export function nodeIdsOf(nodes: number): readonly string[] {
  return Array.from({ length: nodes }, (_, at) => `n${at + 1}`);
}

interface Place<App extends SimApp> {
  readonly disk: SimDisk;
  process: SimProcess<App> | null;
}

/** All nodes of the simulated cluster: their disks, the network between them, and the processes that come and go. */
export class Cluster<App extends SimApp = SimApp> {
  readonly nodeIds: readonly string[];
  readonly network: SimNetwork;
  readonly groups: number;
  readonly #parts: ClusterParts<App>;
  readonly #quorums: QuorumWatch;
  readonly #places: ReadonlyMap<string, Place<App>>;

  constructor(parts: ClusterParts<App>) {
    this.#parts = parts;
    this.#quorums = new QuorumWatch(parts.schedule);
    this.groups = parts.groups;
    this.nodeIds = nodeIdsOf(parts.nodes);
    this.network = new SimNetwork({
      ...parts,
      sent: (from, to, message) => this.#sent(from, to, message),
      arrived: (from, to) => this.#quorums.arrived(from, to),
    });
    const place = (id: string): Place<App> => ({
      disk: new SimDisk(id, parts),
      process: null,
    });
    this.#places = new Map(this.nodeIds.map((id) => [id, place(id)]));
    parts.schedule.after = (owner) => this.#observe(owner);
  }

  get processes(): readonly SimProcess<App>[] {
    return [...this.#places.values()].flatMap(({ process }) => process ?? []);
  }

  process(id: string): SimProcess<App> | null {
    return this.#place(id).process;
  }

  disk(id: string): SimDisk {
    return this.#place(id).disk;
  }

  #place(id: string): Place<App> {
    const place = this.#places.get(id);
    if (place === undefined) throw new Error(`there is no node ${id}`);
    return place;
  }

  boot(id: string): void {
    const place = this.#place(id);
    if (place.process !== null) return;
    const { laws, trace, schedule } = this.#parts;
    trace.note(`${id} boots`);
    laws.started(id);
    const process = new SimProcess({
      ...this.#parts,
      nodeId: id,
      nodeIds: this.nodeIds,
      disk: place.disk,
      network: this.network,
      failed: (failing, error) => this.#failed(failing, error),
    });
    place.process = process;
    schedule.in(0, process, () => process.boot());
    this.#quorums.watch(process);
  }

  /** The process ends here and now, as by kill -9 or a power cut. */
  crash(id: string, ending: Ending): void {
    const place = this.#place(id);
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
    const place = this.#place(id);
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
    const place = this.#place(id);
    if (place.process === null) return;
    const { chance, coverage } = this.#parts;
    coverage.hit("diskErrors");
    place.disk.failNextWrite(new Error(chance.pick(["EIO (simulated)", "fsync: EIO (simulated)"])));
  }

  #failed(process: SimProcess<App>, error: unknown): void {
    const place = this.#place(process.nodeId);
    const isExpected =
      place.process === process && (error instanceof NeverComesBack || place.disk.explains(error));
    this.#parts.trace.note(`${process.nodeId} ends: ${String(error)}`);
    if (!isExpected) return this.#parts.broken(error instanceof Error ? error : new Error(String(error)));
    this.crash(process.nodeId, "killed");
    this.#parts.schedule.in(this.#parts.chance.between(50, 1_000), null, () => this.boot(process.nodeId));
  }

  #sent(from: string, to: string, message: PeerMessage): void {
    const { laws, coverage } = this.#parts;
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
    } else if (raft.type === "installSnapshot") laws.leads(from, group, raft.term);
    else if (raft.type === "timeoutNow") coverage.hit("transfers");
    else if (raft.type === "appendEntriesResponse" && raft.success && raft.receivedIndex > raft.matchIndex)
      coverage.hit("receipts");
  }

  #observe(owner: Owner | null): void {
    if (!(owner instanceof SimProcess) || !owner.isAlive) return;
    const { node } = owner;
    const statuses = node.groups();
    if (statuses.length > 0) this.#parts.laws.calls.watch(owner, node.engine);
    this.#parts.laws.observe(owner.nodeId, statuses);
    for (const { id, isAsleep } of statuses) {
      if (owner.asleep.has(id) === isAsleep) continue;
      this.#parts.coverage.hit(isAsleep ? "groupsSlept" : "groupsWoken");
      if (isAsleep) owner.asleep.add(id);
      else owner.asleep.delete(id);
    }
  }
}

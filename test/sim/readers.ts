import type { Consistency, ReadPoint } from "../../server/group/reads.ts";
import type { Chance } from "./chance.ts";
import type { Cluster } from "./cluster.ts";
import type { Coverage } from "./coverage.ts";
import type { Laws } from "./laws.ts";
import type { Schedule } from "./schedule.ts";
import type { SimProcess } from "./sim-node.ts";
import type { Trace } from "./trace.ts";
import { hold } from "./violation.ts";

const kinds: readonly Consistency[] = ["linearizable", "lease", "local"];
const samplesMax = 2_000;
const timeoutMs = 2_000;

export interface ReaderParts {
  readonly schedule: Schedule;
  readonly chance: Chance;
  readonly coverage: Coverage;
  readonly laws: Laws;
  readonly trace: Trace;
}

interface Reading {
  readonly process: SimProcess;
  readonly group: number;
  readonly consistency: Consistency;
  /** What had been applied anywhere when it began. */
  readonly needed: number;
  readonly beganMs: number;
  /** The term that this very node led then; null: it did not. */
  readonly ledIn: number | null;
}

/** Reads of every kind on every node, at any time: each is held against what had been applied anywhere before it. */
export class Readers {
  readonly #cluster: Cluster;
  readonly #parts: ReaderParts;
  /** What had been applied anywhere, of each group, at some moments. */
  #samples: { readonly atMs: number; readonly committed: readonly number[] }[] = [];

  constructor(cluster: Cluster, parts: ReaderParts) {
    this.#cluster = cluster;
    this.#parts = parts;
  }

  /** Some nodes are read often, so that a lease is used more than once. */
  start(pace: number): void {
    const { schedule, chance } = this.#parts;
    schedule.in(chance.wait(120 * pace), null, () => {
      this.start(pace);
      this.#sample();
      const process = this.#cluster.process(chance.pick(this.#cluster.nodeIds));
      const group = chance.below(this.#cluster.groups);
      const consistency = chance.pick(kinds);
      const times = chance.hits(0.3) ? 4 : 1;
      for (let time = 0; time < times; time++)
        if (process !== null) schedule.in(time * 12, process, () => this.#read(process, group, consistency));
    });
  }

  /** Every leader is read by its lease all the time, so also in the moment after it was replaced. */
  watchLeases(): void {
    const { schedule, chance } = this.#parts;
    schedule.in(chance.wait(12), null, () => {
      this.watchLeases();
      for (const process of this.#cluster.processes) {
        schedule.in(0, process, () => {
          if (!process.isServing) return;
          for (let group = 0; group < this.#cluster.groups; group++)
            if (process.node.engine.isLeader(group)) this.#read(process, group, "lease");
        });
      }
    });
  }

  #sample(): void {
    const { schedule, laws } = this.#parts;
    const committed = Array.from({ length: this.#cluster.groups }, (_, group) => laws.committedIndex(group));
    this.#samples.push({ atMs: schedule.nowMs, committed });
    if (this.#samples.length > samplesMax) this.#samples = this.#samples.slice(-samplesMax / 2);
  }

  #read(process: SimProcess, group: number, consistency: Consistency): void {
    if (!process.isServing) return;
    const { schedule, laws, trace } = this.#parts;
    const status = process.node.groups()[group];
    const reading = {
      ledIn: status?.role === "leader" ? status.term : null,
      ...{ process, group, consistency },
      needed: laws.committedIndex(group),
      beganMs: schedule.nowMs,
    };
    process.node.engine.read(group, { consistency, timeoutMs }).then(
      (point) => this.#answered(reading, point),
      (error: { code?: string }) => {
        trace.note(`${process.nodeId} cannot be read (${consistency}): ${error.code}`);
        hold(error.code !== undefined, "X16", () => `a read of ${process.nodeId} fails: ${error}`);
      },
    );
  }

  #answered(reading: Reading, { index, ageMs }: ReadPoint): void {
    const { coverage, schedule } = this.#parts;
    const { process, group, consistency, needed, beganMs } = reading;
    const applied = process.node.groups()[group]?.appliedIndex ?? 0;
    hold(
      index <= applied,
      "X16",
      () => `${process.nodeId} is read at ${index}, but has applied ${applied} of group ${group}`,
    );
    if (consistency === "local") {
      coverage.hit("localReads");
      this.#isOfItsAge(reading, { index, ageMs });
      return;
    }
    coverage.hit("linearizableReads");
    if (consistency === "lease" && schedule.nowMs === beganMs) {
      coverage.hit("leaseReads");
      this.#byLease(process, group);
    } else this.#byConfirmation(reading);
    hold(
      index >= needed && ageMs === 0,
      "X16",
      () =>
        `a ${consistency} read of group ${group} on ${process.nodeId} sees ${index}, not ${needed}, which was applied before it`,
    );
  }

  #byLease(process: SimProcess, group: number): void {
    const status = process.node.groups()[group];
    if (status?.role === "leader") this.#parts.laws.leases.read(process.nodeId, status);
  }

  /** Who led all the time was asked nothing by anybody else. */
  #byConfirmation({ process, group, beganMs, ledIn }: Reading): void {
    const status = process.node.groups()[group];
    if (status?.role !== "leader" || status.term !== ledIn) return;
    const { nodeId } = process;
    this.#parts.laws.reads.answered(nodeId, status, { askedMs: beganMs, who: "itself" });
  }

  /** What was applied anywhere longer ago than that is here. */
  #isOfItsAge({ process, group, beganMs }: Reading, { index, ageMs }: ReadPoint): void {
    // A clock that went ahead of time, since work took long, measures nothing.
    if (!process.keepsTime) return;
    const asOfMs = beganMs - process.trueMs(ageMs);
    const sample = this.#samples.findLast(({ atMs }) => atMs <= asOfMs);
    const needed = sample?.committed[group] ?? 0;
    hold(
      index >= needed,
      "X16",
      () =>
        `a local read of group ${group} on ${process.nodeId} is ${ageMs} ms old and sees ${index}, not ${needed}`,
    );
  }
}

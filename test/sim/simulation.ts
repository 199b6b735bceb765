import { nodeDefaults } from "../../server/cluster/options.ts";
import { reportInWorld } from "../../server/session/sandbox.ts";
import { Builds } from "./builds.ts";
import { resultTimeoutMs } from "./call-laws.ts";
import { Chance } from "./chance.ts";
import { Cluster, nodeIdsOf } from "./cluster.ts";
import { Coverage } from "./coverage.ts";
import { Faults } from "./faults.ts";
import type { KeeperApp } from "./keeper-app.ts";
import { Laws } from "./laws.ts";
import { MembersOperator } from "./members-operator.ts";
import { Readers } from "./readers.ts";
import type { RegisterApp } from "./register-app.ts";
import { type Restless, restlessOf } from "./restless.ts";
import type { RoomApp } from "./room-app.ts";
import { Schedule } from "./schedule.ts";
import type { SimApp } from "./sim-app.ts";
import { ProcessEnded } from "./sim-node.ts";
import { SimTimers } from "./sim-timers.ts";
import { Trace } from "./trace.ts";
import { Upgrade } from "./upgrade.ts";
import { hold } from "./violation.ts";
import type { World, WorldParts } from "./world.ts";

export interface Outcome {
  readonly seed: number;
  /** Null: everything held. */
  readonly failure: Error | null;
  readonly coverage: Coverage;
  /** Of all that happened, in order: equal for equal runs. */
  readonly traceHash: string;
  readonly events: number;
  readonly simulatedMs: number;
  tail(lines: number): readonly string[];
}

/** What the cluster serves: rooms with players, compare-and-set registers, or locks and keys; of the last two the clients' histories are judged. */
export const modes = ["rooms", "registers", "keeper"] as const;
export type Mode = (typeof modes)[number];

export interface SimulationOptions {
  readonly seed: number;
  /** By default rooms. */
  readonly mode?: Mode;
  /** Every line of the trace, as it is written. */
  readonly print?: (line: string) => void;
}

/** How long faults go on, and how long the cluster may take to come to rest after them, in simulated ms. */
const faultsMs = { min: 2_000, max: 5_000 };
const calmMsMax = 30_000;
/** Of the cluster; three is the usual one. */
const sizes = [2, 3, 3, 3, 3, 3, 3, 3, 3, 4, 5, 5] as const;
/** Of the runs; in them the members change all the time. */
const changingShare = 0.5;
const eventsMax = 3_000_000;
/** Far from all seeds of runs. */
const restlessSeeds = 1_000_000_007;
const apartSeeds = 2_000_000_011;
const upgradeSeeds = 3_000_000_019;

/** One seed, one run, in one macrotask: machines are never called from a promise's continuation. */
export async function simulate(options: SimulationOptions): Promise<Outcome> {
  const begin = await runOf(options);
  return await new Promise((resolve, reject) => {
    setImmediate(() => {
      try {
        resolve(begin());
      } catch (error) {
        reject(error);
      }
    });
  });
}

async function runOf(options: SimulationOptions): Promise<() => Outcome> {
  switch (options.mode ?? "rooms") {
    case "rooms": {
      // Whoever asks for registers only need not have Colyseus.
      const { groupsBeside, RoomsWorld, setUpRooms } = await import("./rooms-world.ts");
      await setUpRooms();
      return () => new Simulation<RoomApp>(options, (parts) => new RoomsWorld(parts), groupsBeside).run();
    }
    case "registers": {
      const { RegistersWorld } = await import("./registers-world.ts");
      return () => new Simulation<RegisterApp>(options, (parts) => new RegistersWorld(parts)).run();
    }
    case "keeper": {
      const { KeeperWorld } = await import("./keeper-world.ts");
      return () => new Simulation<KeeperApp>(options, (parts) => new KeeperWorld(parts)).run();
    }
  }
}

class Simulation<App extends SimApp> {
  readonly #seed: number;
  readonly #schedule = new Schedule();
  readonly #chance: Chance;
  readonly #coverage = new Coverage();
  readonly #trace: Trace;
  readonly #laws: Laws;
  readonly #cluster: Cluster<App>;
  readonly #readers: Readers;
  readonly #faults: Faults;
  readonly #operator: MembersOperator | null;
  readonly #upgrade: Upgrade;
  readonly #world: World<App>;
  /** Else leaders hold leases. */
  readonly #failsOverFast: boolean;
  readonly #leadPriorities: ReadonlyMap<string, number>;
  /** So much slower than at most is everything that clients do: groups sleep. */
  readonly #pace: number;
  readonly #restless: Restless | null;
  #failure: Error | null = null;
  #events = 0;

  constructor(
    { seed, print }: SimulationOptions,
    makeWorld: (parts: WorldParts<App>) => World<App>,
    groupsBeside = 0,
  ) {
    this.#seed = seed;
    this.#chance = new Chance(seed);
    this.#restless = restlessOf(new Chance(seed + restlessSeeds));
    this.#trace = new Trace(() => this.#schedule.nowMs, print ?? null);
    const chance = this.#chance;
    this.#failsOverFast = chance.hits(0.6);
    this.#pace = chance.hits(0.3) ? chance.pick([8, 60, 400]) : 1;
    const nodes = chance.pick(sizes);
    this.#laws = new Laws({ coverage: this.#coverage, schedule: this.#schedule });
    const parts = {
      schedule: this.#schedule,
      chance,
      trace: this.#trace,
      coverage: this.#coverage,
      laws: this.#laws,
      broken: (error: Error) => this.#fail(error),
    };
    const isRanked = chance.hits(0.3);
    this.#leadPriorities = new Map(
      nodeIdsOf(nodes).map((id) => [id, isRanked ? chance.pick([0, 50, 50, 90]) : 50]),
    );
    const upgradeChance = new Chance(seed + upgradeSeeds);
    const builds = new Builds({ ...parts, chance: upgradeChance });
    this.#cluster = new Cluster({
      ...parts,
      builds,
      nodes,
      groups: 1 + chance.below(2) + groupsBeside,
      leadPriorities: this.#leadPriorities,
      ...this.#rhythm(),
      app: (setup) => this.#world.app(setup),
    });
    this.#upgrade = new Upgrade(this.#cluster, { ...parts, builds, chance: upgradeChance }, this.#longer);
    this.#readers = new Readers(this.#cluster, parts);
    const replaceDisk = (id: string) => this.#operator?.replaceDisk(id) ?? false;
    this.#faults = new Faults(
      this.#cluster,
      { ...parts, replaceDisk },
      { clocksKeepTime: !this.#failsOverFast, pace: this.#longer },
    );
    this.#operator = chance.hits(changingShare)
      ? new MembersOperator(this.#cluster, parts, (id) => this.#faults.crash(id))
      : null;
    this.#world = makeWorld({
      ...parts,
      pace: this.#pace,
      restless: this.#restless,
      chanceApart: new Chance(seed + apartSeeds),
      cluster: this.#cluster,
    });
  }

  /** Where little is done more time can pass, also between faults. */
  get #longer(): number {
    return this.#pace === 1 ? 1 : 5;
  }

  /** Small limits, so that what is rare in a real cluster happens all the time. */
  #rhythm() {
    const chance = this.#chance;
    const electionTimeoutBaseMs = chance.pick([50, 80]);
    const engine = {
      resultTimeoutMs,
      tickMs: chance.pick([10, 20]),
      checkpointPartsPerTurn: chance.pick([1, 2, 4]),
      compactEntriesMin: chance.pick([1, 4, 16]),
      restoreReadBytes: chance.pick([1, 2_000, 1_000_000]),
      logTailEntries: chance.pick([0, 2, 12]),
      snapshotChunkBytes: chance.pick([128, 512, 4096]),
      spreadStableMs: chance.pick([300, 3_000]),
      spreadBackoffMsMax: 4_000,
      diskStallMsMax: chance.pick([100, 500]),
      pipeLagMsMax: chance.pick([60, 250]),
      strainedMs: chance.pick([100, 1_000]),
      sleepAfterMs: chance.pick([15, 60, 500]),
      roomLogBytesMax: this.#restless?.roomLogBytesMax ?? nodeDefaults.roomLogBytesMax,
      raft: {
        appendEntriesMax: chance.pick([1, 3, 64]),
        totalInFlightEntriesMax: chance.pick([32, 32_768]),
        unsavedEntriesMax: chance.pick([24, 32_768]),
        receiptEntriesMin: chance.pick([1, 3, 2_048]),
        catchUpBytesMax: chance.pick([0, 2_000, 100_000]),
        snapshotPauseMs: 50,
        fastFailover: this.#failsOverFast,
      },
    };
    return { electionTimeoutBaseMs, engine };
  }

  run(): Outcome {
    const onRejection = (error: unknown) => {
      if (error instanceof ProcessEnded || reportInWorld(error)) return;
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    };
    process.on("unhandledRejection", onRejection);
    const timers = new SimTimers(this.#schedule);
    timers.install();
    try {
      this.#runAll();
    } catch (error) {
      this.#fail(error as Error);
    } finally {
      for (const each of this.#cluster.processes) each.end();
      this.#world.end();
      timers.uninstall();
      process.off("unhandledRejection", onRejection);
    }
    return {
      seed: this.#seed,
      failure: this.#failure,
      coverage: this.#coverage,
      traceHash: this.#trace.hash,
      events: this.#events,
      simulatedMs: this.#schedule.nowMs,
      tail: (lines) => this.#trace.tail(lines),
    };
  }

  #fail(error: Error): void {
    this.#failure ??= error;
  }

  #runAll(): void {
    for (const id of this.#cluster.nodeIds)
      this.#schedule.in(this.#chance.wait(100), null, () => this.#cluster.boot(id));
    this.#world.start();
    this.#readers.start(this.#pace);
    // Reads keep groups awake; but where nothing is written, any voter's log is good enough to be voted for.
    if (!this.#failsOverFast && (this.#pace === 1 || this.#chance.hits(0.4))) this.#readers.watchLeases();
    this.#schedule.in(this.#chance.wait(800), null, () => {
      this.#faults.start();
      this.#operator?.start();
      this.#upgrade.start();
    });
    if (!this.#runUntil(this.#chance.between(faultsMs.min, faultsMs.max) * this.#longer)) return;
    this.#faults.end();
    this.#operator?.end();
    this.#upgrade.end();
    if (!this.#runUntil(this.#schedule.nowMs + 600)) return;
    this.#world.rest();
    const deadlineMs = this.#schedule.nowMs + calmMsMax;
    let isCalm = false;
    while (!isCalm && this.#schedule.nowMs < deadlineMs) {
      if (!this.#runUntil(this.#schedule.nowMs + 100)) return;
      this.#upgrade.followUp();
      isCalm = this.#unrest() === null;
    }
    hold(isCalm, "X7", () => `${calmMsMax} ms after the last fault: ${this.#unrest()}`);
    this.#compareAtTheEnd();
    this.#world.close();
  }

  /** False: something failed. */
  #runUntil(untilMs: number): boolean {
    while (this.#schedule.nowMs < untilMs) {
      hold(this.#events++ < eventsMax, "X7", () => `more than ${eventsMax} events`);
      try {
        if (!this.#schedule.step()) break;
      } catch (error) {
        if (!(error instanceof ProcessEnded)) throw error;
      }
      if (this.#failure !== null) return false;
    }
    return true;
  }

  /** Why the cluster is not at rest; null if it is. */
  #unrest(): string | null {
    const changing = this.#operator?.unrest() ?? null;
    if (changing !== null) return changing;
    for (const id of this.#cluster.nodeIds) {
      const each = this.#cluster.process(id);
      if (each === null || !each.isReady) return `${id} is ${each?.node.life.state ?? "down"}, not ready`;
      for (const { id: group, leader, appliedIndex, servesFrom } of each.node.groups()) {
        if (leader === null) return `${id} knows no leader of group ${group}`;
        if (appliedIndex < servesFrom || appliedIndex + 50 < this.#laws.committedIndex(group))
          return `${id} has applied ${appliedIndex} of ${this.#laws.committedIndex(group)} in group ${group}`;
      }
    }
    return this.#upgrade.unrest() ?? this.#misplacedLead() ?? this.#world.unrest();
  }

  /** A group that is not led by a voter of the highest priority, once all have been there for long enough. */
  #misplacedLead(): string | null {
    const priorityOf = (id: string) => this.#leadPriorities.get(id) ?? nodeDefaults.leadPriority;
    for (const { id: group, leader } of this.#cluster.processes[0]?.node.groups() ?? []) {
      const { voters } = this.#laws.committedConfiguration(group);
      const highest = Math.max(...voters.map(({ nodeId }) => priorityOf(nodeId)));
      const priority = leader === null ? 0 : priorityOf(leader);
      if (priority < highest) return `group ${group} is led by ${leader}, of priority ${priority}`;
    }
    return null;
  }

  /** From an index that nobody has passed on, every replica is compared at every entry. */
  #compareAtTheEnd(): void {
    const from = Array.from(
      { length: this.#cluster.groups },
      (_, group) => this.#laws.committedIndex(group) + 1,
    );
    this.#world.compareFrom(from);
    // Each group gets a command of its own, also one whose rooms do not tick.
    const asked = this.#cluster.process(this.#cluster.nodeIds[0] as string);
    hold(asked !== null, "X7", () => "a node is gone");
    for (const group of from.keys()) {
      this.#schedule.in(0, asked, () => void this.#world.propose(asked.app, group));
    }
    const isThere = () =>
      this.#cluster.processes.every(({ node }) =>
        node.groups().every(({ id, appliedIndex }) => appliedIndex >= (from[id] as number)),
      );
    const deadlineMs = this.#schedule.nowMs + calmMsMax;
    while (!isThere() && this.#schedule.nowMs < deadlineMs)
      if (!this.#runUntil(this.#schedule.nowMs + 50)) return;
    hold(isThere(), "X7", () => "the replicas do not come to one index");
    this.#world.compare();
  }
}

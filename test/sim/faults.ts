import type { Chance } from "./chance.ts";
import type { Cluster } from "./cluster.ts";
import type { Coverage } from "./coverage.ts";
import { DiskDamage } from "./disk-damage.ts";
import { Lags } from "./lags.ts";
import type { Laws } from "./laws.ts";
import { Partitions, partitionKinds } from "./partitions.ts";
import type { Schedule } from "./schedule.ts";
import type { SimDisk } from "./sim-disk.ts";
import { Strandings } from "./strandings.ts";
import type { Trace } from "./trace.ts";
import { Transfers } from "./transfers.ts";

const kinds = [
  "crash",
  "crashInSave",
  "crashAll",
  "stutter",
  "stop",
  "pause",
  "startle",
  "busy",
  ...partitionKinds,
  "linkDrop",
  "lag",
  "strand",
  "strand",
  "strand",
  "strand",
  "loss",
  "doubling",
  "delay",
  "slowDisk",
  "stallDisk",
  "diskError",
  "fullDisk",
  "flipBit",
  "oldImage",
  "wallJump",
  "transfer",
  "hunt",
  "install",
  "install",
] as const;

type Kind = (typeof kinds)[number];

/** What disks do, and what they do it to: some runs have nothing else, so that one meets the other often. */
const diskKinds: readonly Kind[] = [
  ...(["crash", "crashInSave", "crashAll", "slowDisk", "stallDisk"] as const),
  ...(["diskError", "fullDisk", "flipBit", "oldImage", "install"] as const),
];

/** Where little is done, and groups sleep, this comes more often. */
const ofSleepers: readonly Kind[] = ["startle", "startle", "startle", "loss", "loss", "transfer"];

/** And this where leaders hold leases: who has promised one is asked for its vote. */
const ofLeases: readonly Kind[] = ["bridge", "bridge", "bridge"];

/** What befalls a snapshot between two chunks, and while it is being swapped in. */
const chunkHits = ["sender", "receiver", "link", "disk", "disk", "disk"] as const;
const swapHits = ["sender", "lead", "lead", "receiver", "link"] as const;

export interface FaultParts {
  readonly schedule: Schedule;
  readonly chance: Chance;
  readonly coverage: Coverage;
  readonly trace: Trace;
  readonly laws: Laws;
  /** An empty disk is made a member in the place of a broken one. False: not now. */
  readonly replaceDisk: (id: string) => boolean;
}

/** Whatever may go wrong, at random, each seed with a mixture of its own: rare combinations come sooner that way. */
export class Faults {
  readonly #cluster: Cluster;
  readonly #parts: FaultParts;
  readonly #kinds: readonly Kind[];
  readonly #meanMs: number;
  readonly #pace: number;
  readonly #transfers: Transfers;
  readonly #partitions: Partitions;
  readonly #lags: Lags;
  readonly #strandings: Strandings;
  readonly #damage: DiskDamage;
  #isOver = false;

  /** `clocksKeepTime`: no clock runs further from the others than leases allow for. `pace`: so many times slower. */
  constructor(
    cluster: Cluster,
    parts: FaultParts,
    { clocksKeepTime, pace }: { clocksKeepTime: boolean; pace: number },
  ) {
    this.#cluster = cluster;
    this.#parts = parts;
    this.#transfers = new Transfers(parts);
    const later = (ms: number, run: () => void) => this.#later(ms, run);
    this.#partitions = new Partitions(cluster, { ...parts, later });
    this.#lags = new Lags(cluster, { ...parts, later });
    this.#strandings = new Strandings(cluster, { ...parts, later });
    this.#damage = new DiskDamage(cluster, { ...parts, later });
    const { chance } = parts;
    const all = kinds.filter((kind) => !(clocksKeepTime && kind === "busy"));
    const share = chance.pick([0.25, 0.5, 0.8]);
    const some = all.filter(() => chance.hits(share));
    const mixture = chance.hits(0.2) ? diskKinds : some.length === 0 ? all : some;
    this.#kinds = [
      ...mixture,
      ...(pace === 1 ? [] : ofSleepers),
      ...(clocksKeepTime && pace !== 1 ? ofLeases : []),
    ];
    this.#pace = pace;
    this.#meanMs =
      (pace === 1 ? 1 : 2) * (chance.hits(0.5) ? chance.between(40, 150) : chance.between(150, 700));
  }

  start(): void {
    this.#parts.trace.note(`faults: ${this.#kinds.join(", ")}, every ${this.#meanMs.toFixed(0)} ms`);
    this.#next();
  }

  #next(): void {
    this.#later(this.#parts.chance.wait(this.#meanMs), () => {
      this.#happen(this.#parts.chance.pick(this.#kinds));
      this.#next();
    });
  }

  /** Nothing once the faults are over. */
  #later(ms: number, run: () => void): void {
    this.#parts.schedule.in(ms, null, () => {
      if (!this.#isOver) run();
    });
  }

  /** Everything is as it should be from now on. */
  end(): void {
    this.#isOver = true;
    this.#parts.trace.note("faults end");
    this.#cluster.network.healAll();
    this.#damage.end();
    for (const id of this.#cluster.nodeIds) {
      this.#cluster.disk(id).saveMs = 1.5;
      this.#cluster.disk(id).isFull = false;
      const process = this.#cluster.process(id);
      if (process !== null) process.busyMs = 0;
      this.#resume(id);
      // A process that just ended boots by itself, or here; never twice.
      this.#cluster.boot(id);
    }
  }

  #node(): string {
    return this.#parts.chance.pick(this.#cluster.nodeIds);
  }

  #happen(kind: Kind): void {
    const { chance, coverage, trace } = this.#parts;
    const id = this.#node();
    const disk = this.#cluster.disk(id);
    switch (kind) {
      case "crash":
        return this.crash(id);
      case "crashInSave":
        return this.#crashInSave(id, 200);
      case "crashAll":
        if (chance.hits(0.6)) return;
        coverage.hit("fullStops");
        for (const each of this.#cluster.nodeIds) this.crash(each);
        return;
      case "stutter":
        return this.#stutter(id, 2 + chance.below(3));
      case "stop":
        return this.#cluster.stop(id, () => this.#bootLater(id));
      case "busy": {
        const process = this.#cluster.process(id);
        if (process === null) return;
        coverage.hit("busySpells");
        return this.#burst((on) => {
          process.busyMs = on ? chance.between(0.5, 4) : 0;
        });
      }
      case "pause":
        return this.#pause(id);
      case "startle":
        return this.#startle(200);
      case "isolate":
      case "isolateLeader":
      case "deafenLeader":
      case "split":
      case "oneSided":
      case "bridge":
      case "flap":
        return this.#partitions.happen(kind, id);
      case "linkDrop":
        coverage.hit("linkDrops");
        return this.#cluster.network.dropLink(id, this.#otherThan(id));
      case "lag":
        return this.#lags.happen(id);
      case "strand":
        return this.#strandings.happen();
      case "loss":
        return this.#pace === 1
          ? this.#lose(chance.between(0.01, 0.3))
          : this.#lose(chance.between(0.1, 0.7), 4);
      case "doubling":
        return this.#burst((on) => {
          this.#cluster.network.doubling = on ? chance.between(0.01, 0.3) : 0;
        });
      case "delay":
        return this.#burst((on) => {
          this.#cluster.network.extraDelayMs = on ? chance.between(5, 120) : 0;
        });
      case "slowDisk":
        coverage.hit("slowDisks");
        return this.#slowDown(disk);
      case "stallDisk":
        coverage.hit("diskStalls");
        return disk.stall(chance.between(200, 3_000));
      case "diskError":
        if (chance.hits(0.4)) this.#cluster.failDisk(id);
        return;
      case "fullDisk":
        return this.#burst((on) => {
          disk.isFull = on;
        });
      case "flipBit":
        return this.#damage.flipBit(id);
      case "oldImage":
        return this.#damage.oldImage(id);
      case "wallJump": {
        const process = this.#cluster.process(id);
        if (process === null) return;
        coverage.hit("wallJumps");
        process.wallOffsetMs += chance.between(-120_000, 120_000);
        trace.note(`${id}'s wall clock jumps`);
        return;
      }
      case "transfer":
        if (chance.hits(0.15)) this.#lose(0.5);
        for (const { nodeId } of this.#cluster.processes) this.#transfer(nodeId, this.#otherThan(nodeId));
        return;
      case "hunt":
        // What two leaders want of one index then comes into one batch.
        if (chance.hits(0.4))
          for (const each of this.#cluster.nodeIds) this.#slowDown(this.#cluster.disk(each));
        return this.#hunt(chance.between(200, 1_200), new Set());
      case "install":
        return this.#hitInstall(400);
    }
  }

  /** Sometimes the successor, just when it is asked, hears of its leader no more. */
  #transfer(from: string, to: string): void {
    const { chance } = this.#parts;
    const process = this.#cluster.process(from);
    if (process !== null) this.#transfers.ask(process, to);
    if (chance.hits(0.2))
      this.#later(chance.wait(3), () => this.#partitions.deafen(to, [from], chance.between(500, 4_000)));
  }

  /** Somebody else, if there is anybody. */
  #thirdOf(from: string, to: string): string {
    const others = this.#cluster.nodeIds.filter((id) => id !== from && id !== to);
    return others.length === 0 ? to : this.#parts.chance.pick(others);
  }

  #otherThan(id: string): string {
    return this.#parts.chance.pick(this.#cluster.nodeIds.filter((other) => other !== id));
  }

  #burst(set: (on: boolean) => void, times = 1): void {
    set(true);
    this.#later(times * this.#pace * this.#parts.chance.between(50, 1_500), () => set(false));
  }

  #lose(share: number, times = 1): void {
    this.#burst((on) => {
      this.#cluster.network.loss = on ? share : 0;
    }, times);
  }

  #slowDown(disk: SimDisk): void {
    const { chance } = this.#parts;
    const saveMs = chance.between(10, 400);
    this.#burst(
      (on) => {
        disk.saveMs = on ? saveMs : 1.5;
      },
      chance.hits(0.3) ? 4 : 1,
    );
  }

  /** It boots again by and by. */
  crash(id: string, powerCutShare = 0.3): void {
    if (this.#cluster.process(id) === null) return;
    const { chance } = this.#parts;
    this.#resume(id);
    this.#cluster.crash(id, chance.hits(powerCutShare) ? "powerCut" : "killed");
    this.#bootLater(id);
  }

  /** Killed and back at once, again and again: much of what its earlier starts have begun is still under way. */
  #stutter(id: string, times: number): void {
    const { chance } = this.#parts;
    this.crash(id, 0);
    this.#later(chance.between(2, 20), () => this.#cluster.boot(id));
    if (times > 1) this.#later(chance.between(80, 500), () => this.#stutter(id, times - 1));
  }

  /** Between the begin and the end of a save, if one comes soon. */
  #crashInSave(id: string, tries: number): void {
    if (this.#cluster.process(id) === null || tries === 0) return;
    if (this.#cluster.disk(id).isSaving) this.crash(id, 0.6);
    else this.#later(this.#parts.chance.wait(0.5), () => this.#crashInSave(id, tries - 1));
  }

  /**
   * Between two chunks of a snapshot, or while it is being swapped in, if one comes soon: a side dies, somebody else begins
   * to lead, the link breaks, or the receiver's disk is slow. And soon again, in the next one.
   */
  #hitInstall(tries: number): void {
    const { chance, coverage } = this.#parts;
    const install = this.#cluster.installUnderWay;
    if (tries > 0) this.#later(chance.wait(install === null ? 5 : 60), () => this.#hitInstall(tries - 1));
    if (install === null) return;
    coverage.hit("installsHit");
    const { from, to, isSwap } = install;
    switch (chance.pick(isSwap ? swapHits : chunkHits)) {
      case "sender":
        return this.crash(from);
      case "receiver":
        return this.crash(to);
      case "lead":
        return this.#transfer(from, this.#thirdOf(from, to));
      case "link":
        return this.#cluster.network.dropLink(from, to);
      case "disk":
        // With the next chunk still on its way, other things that have to be saved meet its swap.
        if (chance.hits(0.6)) this.#lags.late(to);
        return this.#slowDown(this.#cluster.disk(to));
    }
  }

  #bootLater(id: string): void {
    const { chance } = this.#parts;
    if (this.#isOver) return this.#cluster.boot(id);
    this.#later(chance.hits(0.5) ? chance.between(20, 400) : chance.between(400, 3_500), () =>
      this.#cluster.boot(id),
    );
  }

  /** Whoever leads a group that sleeps falls silent, if one sleeps soon. */
  #startle(tries: number): void {
    const { chance } = this.#parts;
    const leaders = this.#cluster.processes.flatMap(({ node, asleep }) =>
      node.groups().flatMap(({ id, leader }) => (asleep.has(id) ? (leader ?? []) : [])),
    );
    if (leaders.length > 0) this.#pause(chance.pick(leaders), chance.between(700, 1_800));
    else if (tries > 0) this.#later(chance.wait(20), () => this.#startle(tries - 1));
  }

  #pause(id: string, ms = this.#pauseMs()): void {
    const process = this.#cluster.process(id);
    if (process === null || process.isPaused) return;
    const { coverage, trace } = this.#parts;
    coverage.hit("pauses");
    trace.note(`${id} pauses`);
    process.isPaused = true;
    this.#later(ms, () => {
      if (this.#cluster.process(id) === process) this.#resume(id);
    });
  }

  #pauseMs(): number {
    const { chance } = this.#parts;
    return chance.hits(0.5) ? chance.between(20, 300) : chance.between(300, 2_500);
  }

  #resume(id: string): void {
    const process = this.#cluster.process(id);
    if (process === null || !process.isPaused) return;
    this.#parts.trace.note(`${id} goes on`);
    process.isPaused = false;
    this.#parts.schedule.resume(process);
  }

  /** Whoever begins to lead is cut off or killed soon after: entries of many terms, each on few disks (Raft figure 8). */
  #hunt(leftMs: number, known: Set<string>): void {
    const { chance, coverage } = this.#parts;
    for (const process of this.#cluster.processes) {
      for (const { id: group, role, term } of process.node.groups()) {
        const key = `${group} ${term}`;
        if (role !== "leader" || known.has(key)) continue;
        known.add(key);
        coverage.hit("huntedLeaders");
        this.#later(chance.wait(6), () => {
          if (this.#cluster.process(process.nodeId) === process) this.#bringDown(process.nodeId);
        });
      }
    }
    if (leftMs > 0) this.#later(3, () => this.#hunt(leftMs - 3, known));
  }

  #bringDown(id: string): void {
    const { chance } = this.#parts;
    if (chance.hits(0.5)) {
      this.#cluster.crash(id, "killed");
      this.#later(chance.between(10, 300), () => this.#cluster.boot(id));
      return;
    }
    const { network } = this.#cluster;
    const others = this.#cluster.nodeIds.filter((other) => other !== id);
    for (const other of others) {
      if (chance.hits(0.7)) network.cut(id, other);
      network.dropLink(id, other);
    }
    this.#later(chance.between(50, 400), () => {
      for (const other of others) network.heal(id, other);
    });
  }
}

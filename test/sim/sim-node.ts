import type { Clock } from "../../server/cluster/clock.ts";
import type { Log } from "../../server/cluster/log.ts";
import type { TestudoNode } from "../../server/cluster/node.ts";
import { type NodeOptions, nodeDefaults } from "../../server/cluster/options.ts";
import type { EngineOptions } from "../../server/group/engine-options.ts";
import type { Levels } from "../../server/raft/level.ts";
import type { Chance } from "./chance.ts";
import type { Coverage, Covered } from "./coverage.ts";
import type { Laws } from "./laws.ts";
import type { Owner, Schedule } from "./schedule.ts";
import type { AppSetup, SimApp } from "./sim-app.ts";
import type { SimDisk } from "./sim-disk.ts";
import type { SimNetwork } from "./sim-network.ts";
import type { Trace } from "./trace.ts";

/** Thrown where a real process would have ended. */
export class ProcessEnded extends Error {}

export interface SimProcessParts<App extends SimApp> {
  readonly nodeId: string;
  /** What its --peers name. */
  readonly peerIds: readonly string[];
  readonly groups: number;
  readonly engine: Partial<EngineOptions>;
  readonly electionTimeoutBaseMs: number;
  /** By node id. */
  readonly leadPriorities: ReadonlyMap<string, number>;
  readonly schedule: Schedule;
  readonly chance: Chance;
  readonly trace: Trace;
  readonly coverage: Coverage;
  readonly laws: Laws;
  readonly disk: SimDisk;
  /** Of its version of Testudo. */
  readonly levels: Levels;
  readonly network: SimNetwork;
  readonly app: (setup: AppSetup) => App;
  /** The process ends by itself, since the disk failed or something cannot be. */
  failed(process: SimProcess<App>, error: unknown): void;
}

/** What only a node's log tells. */
const countedEvents: ReadonlyMap<string, Covered> = new Map([
  ["lead-relieved", "leadsRelieved"],
  ["lead-brought-home", "leadsBroughtHome"],
]);

/** A busy node's clock is ahead of the others' by no more, and stands still afterwards for no longer. */
const aheadMsMax = 250;

/** One start of a node, from its boot to its crash or stop. */
export class SimProcess<App extends SimApp = SimApp> implements Owner {
  readonly nodeId: string;
  /** Of its version of Testudo. */
  readonly levels: Levels;
  readonly clock: Clock;
  readonly app: App;
  isAlive = true;
  isPaused = false;
  /** Groups of this process that sleep. */
  readonly asleep = new Set<number>();
  readonly #hasImage: boolean;
  /** Its groups have leaders, and its clients may be served. */
  isReady = false;
  /** Wall clock minus simulated time, ms. */
  wallOffsetMs: number;
  /** Each look at the clock finds it up to this much later: work that takes time, within one event. */
  busyMs = 0;
  readonly #parts: SimProcessParts<App>;
  readonly #bootMs: number;
  readonly #rate: number;
  /** Its clock was never ahead of time. */
  keepsTime = true;
  #monotonicMs = 0;
  readonly #onEnd = new Set<() => void>();

  constructor(parts: SimProcessParts<App>) {
    const { nodeId, schedule, chance } = parts;
    this.nodeId = nodeId;
    this.levels = parts.levels;
    this.#parts = parts;
    this.#bootMs = schedule.nowMs;
    const { disk } = parts;
    this.#hasImage = disk.isOld;
    this.#rate = chance.between(0.97, 1.03);
    this.wallOffsetMs = 1_700_000_000_000 + chance.between(-30_000, 30_000);
    this.clock = {
      now: () => this.#now(),
      setTimer: (run, ms) => schedule.in(ms / this.#rate, this, run),
      defer: (run) => void schedule.in(0, this, run),
    };
    this.app = parts.app({
      owner: this,
      options: this.#options(),
      log: this.#log(),
      fail: (error) => {
        parts.failed(this, error);
        throw new ProcessEnded(String(error));
      },
      parts: {
        clock: this.clock,
        randomBytes: (count) => chance.bytes(count),
        storage: parts.disk.open(this, parts.levels),
        levels: parts.levels,
        network: (identity) => parts.network.attach(this, identity, parts.peerIds),
        engine: parts.engine,
      },
    });
  }

  get bootCount(): number {
    return this.#parts.disk.bootCount;
  }

  /** What its disk has is not what its node was last, and can be told from it: it was not started more often. */
  get isOnOldDisk(): boolean {
    const { bootCount, newestBoot } = this.#parts.disk;
    return this.#hasImage && bootCount <= newestBoot;
  }

  get node(): TestudoNode {
    return this.app.node;
  }

  /** Clients may be served. */
  get isServing(): boolean {
    return this.isAlive && this.isReady && this.node.life.state === "serving";
  }

  #options(): NodeOptions {
    const { nodeId, peerIds, groups, electionTimeoutBaseMs, leadPriorities } = this.#parts;
    return {
      ...nodeDefaults,
      id: nodeId,
      publicUrl: `http://${nodeId}`,
      peerUrl: `ws://${nodeId}`,
      peers: Object.fromEntries(peerIds.map((id) => [id, `ws://${id}`])),
      data: "/",
      secret: "simulated",
      linkDelayMs: {},
      linkLoss: {},
      groups,
      electionTimeoutBaseMs,
      leadPriority: leadPriorities.get(nodeId) ?? nodeDefaults.leadPriority,
    };
  }

  #now(): { monotonicMs: number; wallMs: number } {
    const sinceMs = this.#parts.schedule.nowMs - this.#bootMs;
    const timeMs = 20 + sinceMs * this.#rate;
    const isBusy = this.busyMs > 0 && this.#monotonicMs - timeMs < aheadMsMax;
    const spentMs = isBusy ? this.#parts.chance.fraction() * this.busyMs : 0;
    if (spentMs > 0) this.keepsTime = false;
    this.#parts.laws.busy(spentMs);
    this.#monotonicMs = Math.max(this.#monotonicMs + spentMs, timeMs);
    return {
      monotonicMs: this.#monotonicMs,
      wallMs: this.wallOffsetMs + this.#parts.schedule.nowMs * this.#rate,
    };
  }

  /** Of simulated time, for a time that this node's clock has measured. */
  trueMs(measuredMs: number): number {
    return measuredMs / this.#rate;
  }

  #log(): Log {
    const line =
      (level: string) => (fields: { event?: string; [name: string]: unknown }, message: string) => {
        if (!this.isAlive) return;
        const counted = countedEvents.get(fields.event ?? "");
        if (counted !== undefined) this.#parts.coverage.hit(counted);
        const error = fields["error"];
        this.#parts.trace.note(
          `${this.nodeId} ${level}: ${message}${error === undefined ? "" : ` (${String(error)})`}`,
        );
      };
    const log = {
      info: line("info"),
      warn: line("warn"),
      error: line("error"),
      fatal: line("fatal"),
      debug: () => {},
      trace: () => {},
      child: () => log,
    };
    return log as unknown as Log;
  }

  /** To be called in an event of this process. */
  boot(): void {
    const { trace } = this.#parts;
    this.app.start().then(
      () => {
        this.isReady = true;
        trace.note(`${this.nodeId} is ready`);
      },
      (error: unknown) => {
        const { state } = this.node.life;
        if (this.isAlive && state !== "stopped" && state !== "stopping") this.#parts.failed(this, error);
      },
    );
  }

  /** Calls back once, when this process has ended. */
  onEnd(listener: () => void): () => void {
    this.#onEnd.add(listener);
    return () => this.#onEnd.delete(listener);
  }

  /** Nothing of it happens any more. */
  end(): void {
    if (!this.isAlive) return;
    this.isAlive = false;
    for (const listener of [...this.#onEnd]) listener();
    this.#onEnd.clear();
    this.app.discard();
  }
}

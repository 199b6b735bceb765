import type { Chance } from "./chance.ts";
import type { Cluster } from "./cluster.ts";
import type { Coverage } from "./coverage.ts";
import type { Laws } from "./laws.ts";
import type { Restless } from "./restless.ts";
import type { Schedule } from "./schedule.ts";
import type { AppSetup, SimApp } from "./sim-app.ts";
import type { Trace } from "./trace.ts";

export interface WorldParts<App extends SimApp> {
  readonly cluster: Cluster<App>;
  readonly schedule: Schedule;
  readonly chance: Chance;
  readonly trace: Trace;
  readonly coverage: Coverage;
  readonly laws: Laws;
  /** Of the clients: so much slower than at most. */
  readonly pace: number;
  /** Null: rooms come to rest as they should. */
  readonly restless: Restless | null;
  /** For what came later: all other runs stay as they are. */
  readonly chanceApart: Chance;
}

/** What the simulated cluster serves: the machines on its nodes, their clients, and what must hold of both. */
export interface World<App extends SimApp> {
  app(setup: AppSetup): App;
  /** The clients begin. */
  start(): void;
  /** The faults are over: nothing new is begun, and what is under way comes to its end. */
  rest(): void;
  /** Who is not at rest, and why; null: everybody is. */
  unrest(): string | null;
  /** Any command at all. */
  propose(app: App, group: number): Promise<unknown>;
  /** From these indexes on, by group, replicas are compared at every entry. */
  compareFrom(indexes: readonly number[]): void;
  /** All replicas stand at the same entries: they are equal. */
  compare(): void;
  /** Nothing is under way any more: what clients saw must be explained by what was done. */
  close(): void;
  /** Also after a failure. */
  end(): void;
}

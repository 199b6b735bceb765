import type { Network } from "../network/network.ts";
import type { Member } from "../raft/configuration.ts";
import type { Founding } from "../raft/founding.ts";
import type { Levels } from "../raft/level.ts";
import type { Now } from "../raft/ready.ts";
import type { GroupContents, Storage } from "../storage/storage.ts";
import type { EngineOptions } from "./engine-options.ts";
import type { Log } from "./log.ts";
import type { Machine } from "./machine.ts";

export interface EngineClock {
  now(): Now;
  /** Runs once, in a macrotask, not before `ms` have passed; the result cancels it. */
  setTimer(run: () => void, ms: number): () => void;
  /** Runs in a new macrotask, behind a poll of the sockets: setImmediate in production. */
  defer(run: () => void): void;
}

export interface EngineConstruction {
  readonly self: Member;
  /** Random, of this start. */
  readonly bootId: string;
  /** Of this folder, this start included: tells this start's proposals from an earlier one's. */
  readonly bootCount: number;
  readonly founding: Founding;
  /** As `Storage.open` gave it. */
  readonly persisted: ReadonlyMap<number, GroupContents>;
  readonly storage: Storage;
  /** Started by the caller, who hands what it tells on to `linkUp`, `linkDown` and `message`. */
  readonly network: Network;
  readonly machineFor: (group: number) => Machine;
  readonly clock: EngineClock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** What this process can read and write; by default what this build can. */
  readonly levels?: Levels;
  /**
   * How much a node should lead its groups, this one included: more is more, 0 is only if nobody else can. Null: not
   * known. By default all are equal.
   */
  readonly leadPriority?: (nodeId: string) => number | null;
  readonly log: Log;
  /** Ends the process: the disk failed, or something cannot be. */
  readonly fail: (error: unknown) => never;
  readonly options?: Partial<EngineOptions>;
}

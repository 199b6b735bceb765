import type { EngineClock } from "../group/engine-construction.ts";
import type { Consistency, ReadPoint } from "../group/reads.ts";
import type { AgreedLevel } from "../raft/level.ts";
import { KeeperError } from "./keeper-error.ts";
import { type KeepName, keeperCommand } from "./keeper-machine.ts";
import { type KeeperResult, unlessRefused } from "./keeper-result.ts";
import { type KeeperTalk, ReplicaReads } from "./replica-reads.ts";

/** The keeper's group on this node, as GroupEngine has it. */
export interface KeeperGroup {
  propose(command: Uint8Array, how: { readonly timeoutMs?: number }): Promise<unknown>;
  read(how: { readonly consistency: Consistency; readonly timeoutMs?: number }): Promise<ReadPoint>;
  readonly talk: KeeperTalk;
  readonly level: AgreedLevel;
}

/** How long a caller waits. Past it nobody knows whether a write was done (it is, at most once); by default 10 s. */
export interface Waiting {
  readonly timeoutMs?: number;
}

/** How a read is done; by default `linearizable`. */
export interface Reading extends Waiting {
  readonly consistency?: Consistency;
}

/** A read that other replicas have a part in. */
export interface AgreedReading extends Reading {
  /**
   * The answer is given only once so many replicas, this node's among them, say that they have applied everything up to
   * its `index`: a later `local` read on any of those nodes sees at least as much, and what it saw is lost only if all of
   * them lose their disks. It adds to `consistency` and replaces nothing of it: what the answer itself must see is said
   * there. 1 to the number of members; it waits for them for `timeoutMs`, then REPLICAS_MISSING.
   */
  readonly replicas?: number;
}

/** The way from a caller on this node to the keeper's group. */
export class KeeperLine {
  readonly #guard: (what: string) => void;
  readonly replicas: ReplicaReads;
  #group: KeeperGroup | null = null;

  /** @param guard throws where nothing may be asked for (inside of a room) */
  constructor(guard: (what: string) => void, clock: Pick<EngineClock, "setTimer" | "defer">) {
    this.#guard = guard;
    const appliedIndex = async () => (await this.#bound.read({ consistency: "local" })).index;
    this.replicas = new ReplicaReads({ clock, appliedIndex });
  }

  bind(group: KeeperGroup): void {
    this.#group = group;
    this.replicas.bind(group.talk);
  }

  get #bound(): KeeperGroup {
    if (this.#group === null)
      throw new KeeperError("KEEPER_NOT_RUNNING", "this node's groups do not run yet: wait until it serves");
    return this.#group;
  }

  /** For what is to be proposed. Undefined: nothing can be yet. */
  get level(): AgreedLevel | undefined {
    return this.#group?.level;
  }

  /** @throws where nothing may be asked for */
  checkPlace(what: string): void {
    this.#guard(what);
  }

  /** Resolves with what it gave, once it is applied on this node. @throws KeeperError, ProposalError, as a rejection */
  async propose(name: KeepName, command: Uint8Array, { timeoutMs }: Waiting = {}): Promise<unknown> {
    this.#guard(name);
    const how = timeoutMs === undefined ? {} : { timeoutMs };
    return unlessRefused((await this.#bound.propose(keeperCommand(name, command), how)) as KeeperResult);
  }

  /** Resolves when this node may be read. @throws KeeperError, ProposalError, as a rejection */
  async read(name: KeepName, { consistency = "linearizable", timeoutMs }: Reading = {}): Promise<ReadPoint> {
    checkConsistency(consistency);
    this.#guard(name);
    return await this.#bound.read({ consistency, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
  }

  /**
   * As `read`; what is read at that moment is given once so many replicas have applied as much.
   * @throws KeeperError ARGUMENT, REPLICAS_MISSING, ProposalError, as a rejection
   */
  async readAgreed<T extends object>(
    name: KeepName,
    { replicas, ...how }: AgreedReading,
    look: () => T,
  ): Promise<T & ReadPoint> {
    if (replicas !== undefined && this.#group !== null) this.replicas.check(replicas);
    const { index, ageMs } = await this.read(name, how);
    const seen = { ...look(), index, ageMs };
    if (replicas !== undefined) await this.replicas.agree(index, replicas, how.timeoutMs);
    return seen;
  }
}

const consistencies: readonly unknown[] = ["local", "lease", "linearizable"] satisfies Consistency[];

function checkConsistency(consistency: unknown): void {
  if (consistencies.includes(consistency)) return;
  throw new KeeperError(
    "ARGUMENT",
    `consistency is ${JSON.stringify(consistency)}: ${consistencies.map((each) => `"${each}"`).join(", ")} are allowed`,
  );
}

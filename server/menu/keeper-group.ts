import type { Consistency, ReadPoint } from "../group/reads.ts";
import { KeeperError } from "./keeper-error.ts";
import { type KeepName, keeperCommand } from "./keeper-machine.ts";
import { type KeeperResult, unlessRefused } from "./keeper-result.ts";

/** The keeper's group on this node, as GroupEngine has it. */
export interface KeeperGroup {
  propose(command: Uint8Array, how: { readonly timeoutMs?: number }): Promise<unknown>;
  read(how: { readonly consistency: Consistency; readonly timeoutMs?: number }): Promise<ReadPoint>;
}

/** How long a caller waits. Past it nobody knows whether a write was done (it is, at most once); by default 10 s. */
export interface Waiting {
  readonly timeoutMs?: number;
}

/** How a read is done; by default `linearizable`. */
export interface Reading extends Waiting {
  readonly consistency?: Consistency;
}

/** The way from a caller on this node to the keeper's group. */
export class KeeperLine {
  readonly #guard: (what: string) => void;
  #group: KeeperGroup | null = null;

  /** @param guard throws where nothing may be asked for (inside of a room) */
  constructor(guard: (what: string) => void) {
    this.#guard = guard;
  }

  bind(group: KeeperGroup): void {
    this.#group = group;
  }

  get #bound(): KeeperGroup {
    if (this.#group === null)
      throw new KeeperError("KEEPER_NOT_RUNNING", "this node's groups do not run yet: wait until it serves");
    return this.#group;
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
    this.#guard(name);
    return await this.#bound.read({ consistency, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
  }
}

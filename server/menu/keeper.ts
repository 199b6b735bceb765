import type { EngineClock } from "../group/engine-construction.ts";
import { ProposalError } from "../group/proposal-error.ts";
import { type KeeperGroup, KeeperLine } from "./keeper-group.ts";
import { keeperLimits } from "./keeper-limits.ts";
import { KeeperMachine } from "./keeper-machine.ts";
import { Kv } from "./kv.ts";
import { kvMenu } from "./kv-menu.ts";
import { type KvChange, KvState } from "./kv-state.ts";
import { lockMenu } from "./lock-menu.ts";
import { type LockGrant, LockState } from "./lock-state.ts";
import { Locks } from "./locks.ts";
import { MenuKeep } from "./menu-keep.ts";
import { PresenceKeys } from "./presence-keys.ts";
import { presenceMenu } from "./presence-menu.ts";
import { type PresenceMessage, PresenceState } from "./presence-state.ts";

const retryMs = 100;

interface KeeperParts {
  readonly clock: EngineClock;
  /** A name that nobody has used. */
  readonly newId: () => string;
  /** What somebody listens with has thrown. */
  readonly failed: (error: unknown) => void;
  /** Throws where nothing may be asked for: inside of a room. */
  readonly guard: (what: string) => void;
  /** Of all keys and values of kv, the same on every node; by default as in `keeperLimits`. */
  readonly kvBytesMax?: number;
}

/** What the nodes keep together and belongs to no room: this node's replica of it, and the ways to it. */
export class Keeper {
  readonly machine: KeeperMachine;
  readonly kv: Kv;
  readonly presence: PresenceKeys;
  readonly locks: Locks;
  readonly #line: KeeperLine;
  readonly #clock: KeeperParts["clock"];
  readonly #keeps: readonly { readonly feed: { begin(index: number): void } }[];

  constructor({ guard, clock, failed, newId, kvBytesMax }: KeeperParts) {
    const parts = { failed, later: (run: () => void) => clock.defer(run) };
    this.#clock = clock;
    const { watchesMax, subscriptionsMax } = keeperLimits;
    const presence = new MenuKeep<PresenceState, PresenceMessage>({
      ...parts,
      menu: presenceMenu,
      make: (saved) => new PresenceState(saved),
      listenersMax: subscriptionsMax,
    });
    const lock = new MenuKeep<LockState, LockGrant>({
      ...parts,
      menu: lockMenu,
      make: (saved) => new LockState(saved),
      listenersMax: watchesMax,
    });
    const holdsLock = (name: string, token: number) => lock.state.holder(name)?.token === token;
    const kv = new MenuKeep<KvState, KvChange>({
      ...parts,
      menu: kvMenu,
      make: (saved) => new KvState(saved, { holdsLock, bytesMax: kvBytesMax ?? keeperLimits.bytesMax }),
      listenersMax: watchesMax,
    });
    this.#line = new KeeperLine(guard, clock);
    this.#keeps = [kv, presence, lock];
    this.machine = new KeeperMachine({ kv, presence, lock }, (from, body) =>
      this.#line.replicas.heard(from, body),
    );
    this.kv = new Kv(kv, this.#line);
    this.presence = new PresenceKeys(presence, this.#line);
    this.locks = new Locks({ keep: lock, line: this.#line, clock, newId });
  }

  /** The groups run: from now on it can be asked. */
  bind(group: KeeperGroup): void {
    this.#line.bind(group);
  }

  /** From now on, until the node stops, whoever listens is told. Resolves once that has begun. */
  async begin(): Promise<void> {
    for (;;) {
      try {
        const { index } = await this.#line.read("kv");
        for (const { feed } of this.#keeps) feed.begin(index);
        return;
      } catch (error) {
        // Nobody was told anything yet: it is only later.
        if (!(error instanceof ProposalError)) throw error;
        if (error.code === "STOPPED") return;
        await new Promise<void>((resolve) => this.#clock.setTimer(resolve, retryMs));
      }
    }
  }

  /** The same for a group that begins with this start: there was nothing before. */
  beginAnew(): void {
    for (const { feed } of this.#keeps) feed.begin(0);
  }
}

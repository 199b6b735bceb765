import type { EngineClock } from "../group/engine-construction.ts";
import { HeldLock } from "./held-lock.ts";
import { KeeperError } from "./keeper-error.ts";
import type { KeeperLine, Waiting } from "./keeper-group.ts";
import { keeperLimits } from "./keeper-limits.ts";
import { lockMenu } from "./lock-menu.ts";
import type { LockGrant, LockState } from "./lock-state.ts";
import type { MenuKeep } from "./menu-keep.ts";
import { checkKey } from "./value-codec.ts";

export interface LockWish {
  /** For how long, in log time, it stays held when its node does not say that it lives: 100 ms to 5 min, by default 10 s. */
  readonly leaseMs?: number;
  /** 0: now or never. By default for as long as it takes. */
  readonly waitMs?: number;
}

interface LocksParts {
  readonly keep: MenuKeep<LockState, LockGrant>;
  readonly line: KeeperLine;
  readonly clock: Pick<EngineClock, "now" | "setTimer">;
  /** A name that nobody has used. */
  readonly newId: () => string;
}

const leaseMsDefault = 10_000;

/** Locks that one at a time holds, of all nodes, in the order of their coming. */
export class Locks {
  readonly #parts: LocksParts;

  constructor(parts: LocksParts) {
    this.#parts = parts;
  }

  /**
   * Resolves once it is held, or with null if `waitMs` are over. It is kept until it is released, or its node is lost.
   * @throws ARGUMENT, FULL (1,024 claims in all), and what the group says: then it is not held, or only for its lease
   */
  async acquire(name: string, { leaseMs = leaseMsDefault, waitMs }: LockWish = {}): Promise<HeldLock | null> {
    checkKey(name, "lock's name");
    checkMs("leaseMs", leaseMs, keeperLimits.leaseMsMin, keeperLimits.leaseMsMax);
    if (waitMs !== undefined) checkMs("waitMs", waitMs, 0, keeperLimits.expiryMsMax);
    const { keep, clock, newId } = this.#parts;
    const claim = { name, claimant: newId() };
    const turn = Promise.withResolvers<number>();
    // Before anybody waits for it.
    turn.promise.catch(() => {});
    const tell = ({ claimant, index }: LockGrant) => claimant === claim.claimant && turn.resolve(index);
    const end = keep.feed.listen({ topic: name, all: false, tell, lost: turn.reject }, null);
    const cancel = waitMs === undefined ? () => {} : clock.setTimer(() => turn.resolve(0), waitMs);
    const sinceMs = clock.now().monotonicMs;
    try {
      const acquire = lockMenu.encode("acquire", { ...claim, leaseMs, waitMs: waitMs ?? null });
      const token = (await this.#parts.line.propose("lock", acquire)) as number;
      if (token > 0) return this.#held({ ...claim, leaseMs, token, sinceMs });
      if (waitMs === 0) return null;
      const given = await turn.promise;
      const renewedMs = clock.now().monotonicMs;
      // When it was given is not known here: from now on it is.
      if (given > 0 && (await this.#renew(claim)))
        return this.#held({ ...claim, leaseMs, token: given, sinceMs: renewedMs });
      await this.#release(claim);
      if (given === 0) return null;
    } catch (error) {
      this.#release(claim).catch(() => {});
      throw error;
    } finally {
      end();
      cancel();
    }
    // Its turn has come and gone before this node heard of it.
    const leftMs = waitMs === undefined ? undefined : waitMs - (clock.now().monotonicMs - sinceMs);
    return await this.acquire(name, {
      leaseMs,
      ...(leftMs === undefined ? {} : { waitMs: Math.max(0, Math.floor(leftMs)) }),
    });
  }

  /**
   * Whether the lock is held with this token just now: what is done on behalf of a holder that was paused for longer than
   * its lease is to be refused.
   */
  async isHeld(name: string, token: number, how?: Waiting): Promise<boolean> {
    checkKey(name, "lock's name");
    await this.#parts.line.read("lock", how);
    return this.#parts.keep.state.holder(name)?.token === token;
  }

  #held(claim: {
    name: string;
    claimant: string;
    leaseMs: number;
    token: number;
    sinceMs: number;
  }): HeldLock {
    return new HeldLock(claim, {
      clock: this.#parts.clock,
      renew: () => this.#renew(claim),
      release: () => this.#release(claim),
    });
  }

  async #renew({ name, claimant }: { name: string; claimant: string }): Promise<boolean> {
    return (await this.#parts.line.propose("lock", lockMenu.encode("renew", { name, claimant }))) as boolean;
  }

  async #release({ name, claimant }: { name: string; claimant: string }): Promise<boolean> {
    return (await this.#parts.line.propose(
      "lock",
      lockMenu.encode("release", { name, claimant }),
    )) as boolean;
  }
}

function checkMs(name: string, ms: unknown, min: number, max: number): void {
  if (typeof ms === "number" && Number.isInteger(ms) && ms >= min && ms <= max) return;
  throw new KeeperError(
    "ARGUMENT",
    `${name} is ${String(ms)}: whole milliseconds from ${min} to ${max} are allowed`,
  );
}

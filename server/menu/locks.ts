import type { EngineClock } from "../group/engine-construction.ts";
import { checkFields, kindOf } from "./given-arguments.ts";
import { HeldLock } from "./held-lock.ts";
import { KeeperError } from "./keeper-error.ts";
import type { KeeperLine, Reading } from "./keeper-group.ts";
import { LockClaims } from "./lock-claims.ts";
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
  /** For who is no node's: an operator's command. */
  readonly claims: LockClaims;

  constructor(parts: LocksParts) {
    this.#parts = parts;
    this.claims = new LockClaims(parts);
  }

  /**
   * Resolves once it is held, or with null if `waitMs` are over. It is kept until it is released, or its node is lost.
   * @throws ARGUMENT, FULL (1,024 claims in all), and what the group says: then it is not held, or only for its lease
   */
  async acquire(name: string, wish: LockWish = {}): Promise<HeldLock | null> {
    checkKey(name, "lock's name");
    checkFields(wish, "the wish for a lock", "{ leaseMs: 10000, waitMs: 0 }");
    const { leaseMs = leaseMsDefault, waitMs } = wish;
    const { claims } = this;
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
      const token = await claims.acquire(claim, { leaseMs, waitMs: waitMs ?? null });
      if (token > 0) return this.#held({ ...claim, leaseMs, token, sinceMs });
      if (waitMs === 0) return null;
      const given = await turn.promise;
      const renewedMs = clock.now().monotonicMs;
      // When it was given is not known here: from now on it is.
      if (given > 0 && (await claims.renew(claim)))
        return this.#held({ ...claim, leaseMs, token: given, sinceMs: renewedMs });
      await claims.release(claim);
      if (given === 0) return null;
    } catch (error) {
      claims.release(claim).catch(() => {});
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
  async isHeld(name: string, token: number, how?: Reading): Promise<boolean> {
    checkKey(name, "lock's name");
    if (!Number.isSafeInteger(token))
      throw new KeeperError(
        "ARGUMENT",
        `the token is ${kindOf(token)}: a whole number is expected, as a held lock has it`,
      );
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
      renew: () => this.claims.renew(claim),
      release: () => this.claims.release(claim),
    });
  }
}

import type { KeeperLine, Waiting } from "./keeper-group.ts";
import { keeperLimits } from "./keeper-limits.ts";
import { lockMenu } from "./lock-menu.ts";
import type { ClaimPlace, LockGrant, LockState } from "./lock-state.ts";
import type { MenuKeep } from "./menu-keep.ts";
import { checkKey, checkMs } from "./value-codec.ts";

/** Who wants a lock: `claimant` is a name that nobody else uses, ever. */
export interface LockClaim {
  readonly name: string;
  readonly claimant: string;
}

interface LockClaimsParts {
  readonly keep: Pick<MenuKeep<LockState, LockGrant>, "state" | "once">;
  readonly line: KeeperLine;
  readonly clock: { setTimer(fn: () => void, ms: number): () => void };
}

/** What a claim to a lock may ask for, from any node: whoever knows its name speaks for it. Each is done at most once. */
export class LockClaims {
  readonly #parts: LockClaimsParts;

  constructor(parts: LockClaimsParts) {
    this.#parts = parts;
  }

  /**
   * Asked again it gives the same.
   * @param how `waitMs` 0: now or never; null: it waits for as long as it takes
   * @returns the token; 0: it waits, or with `waitMs` 0 is not there
   * @throws ARGUMENT, FULL
   */
  async acquire(
    { name, claimant }: LockClaim,
    { leaseMs, waitMs, ...how }: { readonly leaseMs: number; readonly waitMs: number | null } & Waiting,
  ): Promise<number> {
    checkKey(name, "lock's name");
    checkMs("leaseMs", leaseMs, keeperLimits.leaseMsMin, keeperLimits.leaseMsMax);
    if (waitMs !== null) checkMs("waitMs", waitMs, 0, keeperLimits.expiryMsMax);
    const { line } = this.#parts;
    const command = lockMenu.encode("acquire", { name, claimant, leaseMs, waitMs }, line.level);
    return (await line.propose("lock", command, how)) as number;
  }

  /** Its lease begins anew. @returns false: it does not hold it any more */
  async renew({ name, claimant }: LockClaim, how?: Waiting): Promise<boolean> {
    const { line } = this.#parts;
    const command = lockMenu.encode("renew", { name, claimant }, line.level);
    return (await line.propose("lock", command, how)) as boolean;
  }

  /** @returns false: it neither held it nor waited for it */
  async release({ name, claimant }: LockClaim, how?: Waiting): Promise<boolean> {
    const { line } = this.#parts;
    const command = lockMenu.encode("release", { name, claimant }, line.level);
    return (await line.propose("lock", command, how)) as boolean;
  }

  /** As soon as it waits no more, at the latest after `ms`: as this node's replica then has it. */
  async turn(
    { name, claimant }: LockClaim,
    { ms, ...how }: { readonly ms: number } & Waiting,
  ): Promise<ClaimPlace> {
    const { keep, line, clock } = this.#parts;
    await line.read("lock", how);
    const place = () => keep.state.placeOf(name, claimant);
    const turned = Promise.withResolvers<void>();
    const end = keep.once(() => place().type !== "waiting", turned.resolve);
    const cancel = clock.setTimer(turned.resolve, ms);
    await turned.promise;
    end();
    cancel();
    return place();
  }
}

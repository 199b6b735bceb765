import { Journal, type JournalItem, type JournalState } from "./journal.ts";
import { KeeperError } from "./keeper-error.ts";
import { keeperLimits } from "./keeper-limits.ts";
import type { CommandContext } from "./menu.ts";

/** Who has a lock, or waits for it. */
export interface Claim {
  /** Its own name, never used again. */
  readonly claimant: string;
  readonly leaseMs: number;
  /** In log time: a holder loses it then, and who waits gives up. Null: it waits for as long as it takes. */
  untilMs: number | null;
  /** The index at which it was given the lock; 0: it waits. Each holder's is larger than any before. */
  token: number;
}

/** A claim was given its lock. */
export interface LockGrant extends JournalItem {
  readonly claimant: string;
}

/** `gone`: it was released or lost, or never there. */
export type ClaimPlace =
  | { readonly type: "holding"; readonly token: number }
  | { readonly type: "waiting" }
  | { readonly type: "gone" };

export interface Acquire {
  readonly name: string;
  readonly claimant: string;
  readonly leaseMs: number;
  /** 0: now or never. Null: for as long as it takes. */
  readonly waitMs: number | null;
}

interface SavedLocks {
  readonly locks: readonly (readonly [name: string, claims: readonly Claim[]])[];
  readonly grants: JournalState<LockGrant>;
}

const { changesKeptMax, claimsMax, claimsBytesMax, resultsKeptBytesMax, droppedBytesMax } = keeperLimits;
const journalLimits = { itemsMax: changesKeptMax, bytesMax: resultsKeptBytesMax, droppedBytesMax };

/** Locks as of the last applied command: of each the holder, and behind it who waits, in the order of their coming. */
export class LockState {
  readonly #locks: Map<string, Claim[]>;
  readonly journal: Journal<LockGrant>;
  #claims = 0;
  #bytes = 0;

  constructor(saved?: unknown) {
    const { locks = [], grants } = (saved ?? {}) as Partial<SavedLocks>;
    this.#locks = new Map(locks.map(([name, claims]) => [name, claims.map((claim) => ({ ...claim }))]));
    for (const [name, claims] of this.#locks) for (const claim of claims) this.#count(name, claim, 1);
    this.journal = new Journal(journalLimits, grants);
  }

  save(): SavedLocks {
    const locks = [...this.#locks].map(
      ([name, claims]) => [name, claims.map((claim) => ({ ...claim }))] as const,
    );
    return { locks, grants: this.journal.state };
  }

  /** Null: nobody has it. */
  holder(name: string): Claim | null {
    return this.#locks.get(name)?.[0] ?? null;
  }

  placeOf(name: string, claimant: string): ClaimPlace {
    const claim = this.#locks.get(name)?.find((each) => each.claimant === claimant);
    if (claim === undefined) return { type: "gone" };
    return claim.token > 0 ? { type: "holding", token: claim.token } : { type: "waiting" };
  }

  nextExpiryMs(): number | null {
    let next: number | null = null;
    for (const claims of this.#locks.values())
      for (const { untilMs } of claims)
        if (untilMs !== null && (next === null || untilMs < next)) next = untilMs;
    return next;
  }

  expire(context: CommandContext): void {
    this.journal.trim(context.logTimeMs);
    for (const [name, claims] of this.#locks) {
      const isOver = ({ untilMs }: Claim) => untilMs !== null && untilMs <= context.logTimeMs;
      if (claims.some(isOver)) this.#keep(name, (claim) => !isOver(claim), context);
    }
  }

  /** @returns the token, or 0: it waits @throws KeeperError FULL */
  acquire({ name, claimant, leaseMs, waitMs }: Acquire, context: CommandContext): number {
    const claims = this.#locks.get(name) ?? [];
    const known = claims.find((claim) => claim.claimant === claimant);
    if (known !== undefined) return known.token;
    if (claims.length > 0 && waitMs === 0) return 0;
    if (this.#claims >= claimsMax)
      throw new KeeperError(
        "FULL",
        `${claimsMax} claims to locks are held or wait already: let some go first`,
      );
    const bytes = this.#bytes + bytesOf(name, claimant);
    if (bytes > claimsBytesMax)
      throw new KeeperError(
        "FULL",
        `all claims to locks would take ${bytes} bytes with their locks' names, ${claimsBytesMax} are allowed: let some go first, or give locks shorter names`,
      );
    const untilMs = waitMs === null ? null : context.logTimeMs + waitMs;
    const claim: Claim = { claimant, leaseMs, untilMs, token: 0 };
    this.#locks.set(name, [...claims, claim]);
    this.#count(name, claim, 1);
    if (claims.length === 0) this.#grant(name, claim, context);
    return claim.token;
  }

  /** The holder, or who waits, goes. @returns false: it was not there any more */
  release({ name, claimant }: Pick<Acquire, "name" | "claimant">, context: CommandContext): boolean {
    return this.#keep(name, (claim) => claim.claimant !== claimant, context);
  }

  /** The holder's lease begins anew. @returns false: it has it no more */
  renew({ name, claimant }: Pick<Acquire, "name" | "claimant">, { logTimeMs }: CommandContext): boolean {
    const holder = this.holder(name);
    if (holder?.claimant !== claimant) return false;
    holder.untilMs = logTimeMs + holder.leaseMs;
    return true;
  }

  #keep(name: string, stays: (claim: Claim) => boolean, context: CommandContext): boolean {
    const claims = this.#locks.get(name) ?? [];
    const left = claims.filter(stays);
    if (left.length === claims.length) return false;
    for (const claim of claims) if (!stays(claim)) this.#count(name, claim, -1);
    const [first] = left;
    if (first === undefined) this.#locks.delete(name);
    else this.#locks.set(name, left);
    if (first?.token === 0) this.#grant(name, first, context);
    return true;
  }

  #count(name: string, { claimant }: Claim, one: 1 | -1): void {
    this.#claims += one;
    this.#bytes += one * bytesOf(name, claimant);
  }

  #grant(topic: string, claim: Claim, { index, logTimeMs }: CommandContext): void {
    claim.token = index;
    claim.untilMs = logTimeMs + claim.leaseMs;
    const { claimant } = claim;
    const bytes = bytesOf(topic, claimant);
    this.journal.push({ index, logTimeMs, topic, claimant, bytes });
  }
}

function bytesOf(name: string, claimant: string): number {
  return keeperLimits.elementBytes + Buffer.byteLength(name) + Buffer.byteLength(claimant);
}

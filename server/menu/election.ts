import { checkFields, checkFunction } from "./given-arguments.ts";
import type { HeldLock } from "./held-lock.ts";
import { KeeperError } from "./keeper-error.ts";
import type { Reading, Waiting } from "./keeper-group.ts";
import type { Kv, KvChanged } from "./kv.ts";
import type { Locks, LockWish } from "./locks.ts";
import { checkKey } from "./value-codec.ts";

/** Who leads. */
export interface Leader {
  /** Larger for every later leader: its lock's fencing token. */
  readonly term: number;
  /** What it has said of itself. */
  readonly value: unknown;
}

interface Observer {
  /** Who leads, at once and whenever it changes; null: nobody, since the last one has resigned, or is not known to lead. */
  readonly changed: (leader: Leader | null) => void;
  /** It has ended: this node was behind for so long that it does not know all changes (WATCH_TOO_OLD). */
  readonly lost: (error: KeeperError) => void;
}

/**
 * One leader at a time, of all that stand for an election of this name on any node. It is the lock `election/NAME`, whose
 * token is the term, and the key `election/NAME` of kv, where the leader says who it is.
 */
export class Election {
  readonly #name: string;
  readonly #kv: Kv;
  readonly #locks: Locks;

  /** @throws KeeperError ARGUMENT */
  constructor(name: string, { kv, locks }: { readonly kv: Kv; readonly locks: Locks }) {
    checkKey(name, "election's name");
    this.#name = `election/${name}`;
    this.#kv = kv;
    this.#locks = locks;
  }

  /**
   * Resolves once it leads, in the order of their coming, or with null if `waitMs` are over.
   * @param value plain data that tells the others who leads: an address, say
   * @throws ARGUMENT, VALUE_TOO_BIG, FULL, and what the group says: then it does not lead, or only for its lease
   */
  async campaign(value: unknown, wish: LockWish = {}): Promise<Leadership | null> {
    for (;;) {
      const lock = await this.#locks.acquire(this.#name, wish);
      if (lock === null) return null;
      const leadership = new Leadership(lock, this.#kv);
      try {
        await leadership.proclaim(value);
        return leadership;
      } catch (error) {
        lock.release().catch(() => {});
        // It was lost before anybody could be told: it stands once more, behind the others.
        if (!isFenced(error)) throw error;
      }
    }
  }

  /** Null: nobody leads, or whoever does has not said so yet. */
  async leader(how?: Reading): Promise<Leader | null> {
    const { value } = await this.#kv.get(this.#name, how);
    if (value === undefined) return null;
    const leader = value as Leader;
    // A token that is lost never comes back: held now, it was held as of what was read.
    const isHeld = await this.#locks.isHeld(this.#name, leader.term, { consistency: "local" });
    return isHeld ? leader : null;
  }

  /**
   * Tells who leads, now and whenever it changes. Of a leader that was lost it tells once the next one leads: how long it
   * leads without a sign of life is its lease.
   * @returns ends it
   * @throws TOO_MANY_WATCHES, and what the group says
   */
  async observe(observer: Observer, how?: Waiting): Promise<() => void> {
    checkFields(observer, "the observer", "{ changed, lost }");
    const { changed, lost } = observer;
    checkFunction(changed, "`changed` of an observer");
    checkFunction(lost, "`lost` of an observer");
    const { index, value } = await this.#kv.get(this.#name, how);
    const term = (value as Leader | undefined)?.term ?? 0;
    const isHeld = await this.#locks.isHeld(this.#name, term, { consistency: "local" });
    changed(isHeld ? (value as Leader) : null);
    const tell = (change: KvChanged) => changed(change.type === "put" ? (change.value as Leader) : null);
    return await this.#kv.watch({ key: this.#name, after: index, changed: tell, lost }, how);
  }
}

/** The lead, until it is resigned or lost. */
export class Leadership {
  readonly term: number;
  readonly #lock: HeldLock;
  readonly #kv: Kv;

  constructor(lock: HeldLock, kv: Kv) {
    this.#lock = lock;
    this.#kv = kv;
    this.term = lock.token;
  }

  /** Aborted as soon as it is not certain that it leads: its lease could not be renewed in time. */
  get lost(): AbortSignal {
    return this.#lock.lost;
  }

  /** `kv().put(key, value, { fence: leadership.fence })`: done only while it leads. */
  get fence(): { readonly name: string; readonly token: number } {
    return { name: this.#lock.name, token: this.#lock.token };
  }

  /** Says something else of itself. @throws FENCED: it leads no more */
  async proclaim(value: unknown, how: Waiting = {}): Promise<void> {
    const leader: Leader = { term: this.term, value };
    await this.#kv.put(this.#lock.name, leader, { ...how, fence: this.fence });
  }

  /** Lets the next one lead. @returns false: it did not lead any more */
  async resign(how: Waiting = {}): Promise<boolean> {
    try {
      await this.#kv.delete(this.#lock.name, { ...how, fence: this.fence });
    } catch (error) {
      if (!isFenced(error)) throw error;
    }
    return await this.#lock.release();
  }
}

function isFenced(error: unknown): boolean {
  return error instanceof KeeperError && error.code === "FENCED";
}

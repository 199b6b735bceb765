import type { IRoomCache, LocalDriver, MatchMakerDriver, SortOptions } from "@colyseus/core";
import { refuseInside } from "../session/session-error.ts";
import { appliedListings } from "./colyseus-programs.ts";

/**
 * Colyseus's matchmaking driver over what this node has applied: every node lists the same replicated rooms, without a
 * database. A listing may lag; a seat is only ever given through the log (design 5.6).
 */
export class TestudoDriver implements MatchMakerDriver {
  readonly #listings: LocalDriver;
  #freshen: ((roomId: string) => Promise<void>) | null = null;

  /** @param listings this node's; inside an apply, those of the node that applies (a simulator has several) */
  constructor(listings: LocalDriver) {
    this.#listings = listings;
  }

  get #target(): LocalDriver {
    return appliedListings() ?? this.#listings;
  }

  /**
   * From now on a room is unknown only once this replica is known not to lag (design 5.6).
   * @param freshen resolves once everything committed that may concern the room is applied here
   */
  freshenBy(freshen: (roomId: string) => Promise<void>): void {
    this.#freshen = freshen;
  }

  has(roomId: string): boolean {
    refuseInside("matchMaker.driver.has");
    return this.#target.has(roomId);
  }

  /** Copies: the room's own listing is part of what is agreed. Inside of a room `matchMaker` asks, through its log. */
  query(conditions: Partial<IRoomCache>, sortOptions?: SortOptions): IRoomCache[] {
    refuseInside("matchMaker.driver.query");
    return this.#target.query(conditions, sortOptions).map((listing) => ({ ...listing }));
  }

  /** Rooms of a process that is gone are not swept: replicated ones live on, and others were only ever listed there. */
  async cleanup(): Promise<void> {}

  async findOne(conditions: Partial<IRoomCache>, sortOptions?: SortOptions): Promise<IRoomCache> {
    const [found] = this.query(conditions, sortOptions);
    const { roomId } = conditions;
    const freshen = this.#freshen;
    if (found !== undefined || roomId === undefined || freshen === null) return found as IRoomCache;
    await freshen(roomId);
    return this.query(conditions, sortOptions)[0] as IRoomCache;
  }

  async findByIds(roomIds: string[]): Promise<Map<string, IRoomCache>> {
    const wanted = new Set(roomIds);
    const listings = this.query({}).filter(({ roomId }) => wanted.has(roomId));
    return new Map(listings.map((listing) => [listing.roomId, listing]));
  }

  remove(roomId: string): boolean {
    return this.#target.remove(roomId);
  }

  update(
    room: IRoomCache,
    operations: Partial<{ $set: Partial<IRoomCache>; $inc: Partial<IRoomCache> }>,
  ): boolean {
    return this.#target.update(room, operations);
  }

  persist(room: IRoomCache, create?: boolean): boolean {
    return this.#target.persist(room, create);
  }

  insert(room: IRoomCache): Promise<boolean> {
    return this.#target.insert(room);
  }

  clear(): void {
    this.#target.clear();
  }

  shutdown(): void {}
}

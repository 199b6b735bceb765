import type { IRoomCache, LocalDriver, MatchMakerDriver, SortOptions } from "@colyseus/core";
import { appliedListings } from "./colyseus-programs.ts";

/**
 * Colyseus's matchmaking driver over what this node has applied: every node lists the same replicated rooms, without a
 * database. A listing may lag; a seat is only ever given through the log (design 5.6).
 */
export class TestudoDriver implements MatchMakerDriver {
  readonly #listings: LocalDriver;

  /** @param listings this node's; inside an apply, those of the node that applies (a simulator has several) */
  constructor(listings: LocalDriver) {
    this.#listings = listings;
  }

  get #target(): LocalDriver {
    return appliedListings() ?? this.#listings;
  }

  has(roomId: string): boolean {
    return this.#target.has(roomId);
  }

  query(conditions: Partial<IRoomCache>, sortOptions?: SortOptions): IRoomCache[] {
    return this.#target.query(conditions, sortOptions);
  }

  /** Rooms of a process that is gone are not swept: replicated ones live on, and others were only ever listed there. */
  async cleanup(): Promise<void> {}

  findOne(conditions: Partial<IRoomCache>, sortOptions?: SortOptions): Promise<IRoomCache> {
    return this.#target.findOne(conditions, sortOptions);
  }

  findByIds(roomIds: string[]): Promise<Map<string, IRoomCache>> {
    return this.#target.findByIds(roomIds);
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

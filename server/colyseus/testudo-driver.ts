import {
  type IRoomCache,
  LocalDriver,
  type MatchMakerDriver,
  matchMaker,
  type SortOptions,
} from "@colyseus/core";
import { checkFields, kindOf } from "../menu/given-arguments.ts";
import { KeeperError } from "../menu/keeper-error.ts";
import { outsideLog, refuseInside } from "../session/session-error.ts";
import { type ClusterRooms, revived } from "./cluster-rooms.ts";
import { appliedListings } from "./colyseus-programs.ts";
import { checkConditions, checkListing, checkOperations } from "./given-listing.ts";
import { isReplicated } from "./replicated.ts";
import { RoomListings } from "./room-listings.ts";

type Operations = Partial<{ $set: Partial<IRoomCache>; $inc: Partial<IRoomCache> }>;

/**
 * Colyseus's matchmaking driver without a database. Of replicated rooms it lists what this node has applied, of plain ones
 * its own and what other nodes tell of theirs. A listing may lag; a seat is only ever given by the room itself (design 5.6).
 *
 * Without arguments: for a single process, or for `defineServer` beside `testudo()`.
 */
export class TestudoDriver implements MatchMakerDriver {
  #listings: RoomListings;
  #cluster: ClusterRooms | null = null;
  #freshen: ((roomId: string) => Promise<void>) | null = null;

  /** @param listings this node's; inside an apply, those of the node that applies (a simulator has several) */
  constructor(listings: RoomListings = new RoomListings()) {
    this.#listings = listings;
  }

  /** From now on it is a node's. */
  async join(listings: RoomListings, cluster: ClusterRooms): Promise<void> {
    this.#listings = listings;
    this.#cluster = cluster;
    await cluster.begin((method, args) => this.#act(method, args));
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
    return this.#lists(roomId);
  }

  #lists(roomId: string): boolean {
    return this.#target.has(roomId) || this.#cluster?.get(roomId) !== undefined;
  }

  /** Copies: the room's own listing is part of what is agreed. Inside of a room `matchMaker` asks, through its log. */
  query(conditions: Partial<IRoomCache>, sortOptions?: SortOptions): IRoomCache[] {
    refuseInside("matchMaker.driver.query");
    checkConditions(conditions);
    const all = new LocalDriver();
    const others = this.#cluster?.all().filter(({ roomId }) => !this.#listings.has(roomId));
    all.rooms = [...this.#listings.rooms, ...(others ?? [])];
    return all.query(conditions, sortOptions).map((listing) => ({ ...listing }));
  }

  /** Those of a process that is gone. Replicated rooms are of no process: they live on. */
  async cleanup(processId: string): Promise<void> {
    this.#sweep((room) => room.processId === processId);
    await this.#cluster?.askAll("cleanup", [processId]);
  }

  #sweep(isMeant: (room: IRoomCache) => boolean): void {
    for (const room of [...this.#listings.rooms])
      if (isPlain(room.name) && isMeant(room)) void this.remove(room.roomId);
  }

  async findOne(conditions: Partial<IRoomCache>, sortOptions?: SortOptions): Promise<IRoomCache> {
    const [found] = this.query(conditions, sortOptions);
    if (found !== undefined || conditions === undefined) return found as IRoomCache;
    const { roomId, name } = conditions;
    const fresh = [
      ...(roomId === undefined ? [] : [this.#freshen?.(roomId)]),
      ...(roomId !== undefined || (name !== undefined && isPlain(name)) ? [this.#cluster?.refresh()] : []),
    ].filter((each) => each !== undefined);
    if (fresh.length === 0) return undefined as unknown as IRoomCache;
    await Promise.all(fresh);
    return this.query(conditions, sortOptions)[0] as IRoomCache;
  }

  async findByIds(roomIds: string[]): Promise<Map<string, IRoomCache>> {
    if (!Array.isArray(roomIds))
      throw new KeeperError("ARGUMENT", `roomIds is ${kindOf(roomIds)}: an array of rooms' ids is expected`);
    const wanted = new Set(roomIds);
    const listings = this.query({}).filter(({ roomId }) => wanted.has(roomId));
    return new Map(listings.map((listing) => [listing.roomId, listing]));
  }

  /** A promise where another node has the room. */
  remove(roomId: string): boolean | Promise<boolean> {
    if (this.#target.remove(roomId)) {
      this.#cluster?.untell(roomId);
      return true;
    }
    return this.#elsewhere(roomId, "remove", [roomId]) ?? false;
  }

  /** A promise where another node has the room. @throws KeeperError if it is too big to be told */
  update(room: IRoomCache, operations: Operations): boolean | Promise<boolean> {
    const target = this.#target;
    if (appliedListings() !== null) return target.update(room, operations);
    checkOperations(room, operations);
    const isDone = target.update(room, operations);
    const own = this.#listings.get(room.roomId);
    if (own === undefined) return this.#elsewhere(room.roomId, "update", [room.roomId, operations]) ?? isDone;
    if (own !== room) target.update(mayChange(own), operations);
    if (isPlain(own.name)) this.#cluster?.tell(own);
    return isDone;
  }

  /** A promise where another node has the room. @throws KeeperError if it is too big to be told */
  persist(room: IRoomCache, create = false): boolean | Promise<boolean> {
    const target = this.#target;
    if (appliedListings() !== null) return target.persist(room, create);
    if (create) checkListing(room);
    else checkFields(room, "the room", "one that query() has given");
    const { roomId } = room;
    const own = this.#listings.get(roomId);
    if (own === room) return this.update(room, {});
    if (own !== undefined) return this.update(mayChange(own), { $set: room });
    const persisted = this.#elsewhere(roomId, "update", [roomId, { $set: room }]);
    if (persisted !== undefined || !create) return persisted ?? false;
    if (isPlain(room.name)) this.#cluster?.tell(room);
    return target.persist(room, true);
  }

  /**
   * Resolves to false if a room of this id is listed, on whichever node.
   * @throws KeeperError if it cannot be listed; and what presence throws, where nothing can be agreed
   */
  insert(room: IRoomCache): Promise<boolean> {
    const applied = appliedListings();
    return applied === null ? this.#insert(room) : applied.insert(room);
  }

  async #insert(room: IRoomCache): Promise<boolean> {
    checkListing(room);
    if (this.#lists(room.roomId) || (await this.#cluster?.claim(room.roomId)) === false) return false;
    try {
      this.#cluster?.tell(room);
    } catch (error) {
      this.#cluster?.untell(room.roomId);
      throw error;
    }
    return await this.#listings.insert(room);
  }

  /** Of plain rooms, everywhere. */
  async clear(): Promise<void> {
    this.#sweep(() => true);
    await this.#cluster?.askAll("clear", []);
  }

  shutdown(): void {}

  #elsewhere(roomId: string, method: string, args: unknown[]): Promise<boolean> | undefined {
    if (appliedListings() !== null) return undefined;
    return this.#cluster?.ask(roomId, method, args) as Promise<boolean> | undefined;
  }

  /** What another node asks for, of rooms that this one has. */
  #act(method: string, args: unknown[]): unknown {
    const [subject, operations] = args as [string, Operations];
    const own = this.#listings.get(subject);
    switch (method) {
      case "cleanup":
        return this.#sweep((room) => room.processId === subject);
      case "clear":
        return this.#sweep(() => true);
      case "remove":
        return own !== undefined && isPlain(own.name) && this.remove(subject);
      case "update":
        return own !== undefined && isPlain(own.name) && this.update(own, revivedOperations(operations));
      default:
        throw new KeeperError("ARGUMENT", `"${method}" is nothing that a node asks another one's driver`);
    }
  }
}

/** Of one process, and not of the log. */
function isPlain(roomName: string): boolean {
  return !isReplicated(matchMaker.getRoomClass(roomName));
}

/** @throws SessionError MUTATION_OUTSIDE_LOG: a replicated room's is what the room itself makes it, everywhere */
function mayChange(own: IRoomCache): IRoomCache {
  if (isPlain(own.name)) return own;
  throw outsideLog(`the listing of room ${own.roomId} was about to be changed`);
}

function revivedOperations({ $set = {}, $inc = {} }: Operations): Operations {
  return { $set: revived($set), $inc };
}

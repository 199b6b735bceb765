import { type IRoomCache, initializeRoomCache, requestFromIPC, subscribeIPC } from "@colyseus/core";
import { z } from "zod";
import { type GossipTable, RowRefused } from "../cluster/gossip-table.ts";
import { KeeperError } from "../menu/keeper-error.ts";
import type { TestudoPresence } from "./presence/testudo-presence.ts";

/** So long a room's id belongs to who has claimed it first; after that everybody has heard of the room. */
const claimSeconds = 60;
const claimKey = (roomId: string) => `testudo:room:${roomId}`;

/** How long the node that has a room is waited for. */
const askMsMax = 2_000;
const askChannel = (nodeId: string) => `$testudo:${nodeId}`;

const listingSchema = z.looseObject({
  roomId: z.string(),
  name: z.string(),
  processId: z.string(),
  /** JSON has no Infinity. */
  maxClients: z
    .number()
    .nullable()
    .transform((most) => most ?? Number.POSITIVE_INFINITY),
  createdAt: z.coerce.date(),
});

/** Fields of a listing that came as JSON. */
export function revived(fields: Partial<IRoomCache>): Partial<IRoomCache> {
  const listed = listingSchema.partial().parse(fields);
  // What was not there is not there.
  return Object.fromEntries(Object.entries(listed).filter(([name]) => name in fields));
}

/** What a node asks another one to do with the listings of its plain rooms. */
export type OwnerAct = (method: string, args: unknown[]) => unknown;

interface ClusterRoomsParts {
  readonly nodeId: string;
  readonly table: GossipTable;
  readonly presence: TestudoPresence;
  /** Where clients reach this node, as Colyseus writes it: null if they came here anyhow. */
  readonly publicAddress: string | null;
}

/**
 * The plain rooms of all nodes: each node tells the others of its own, by gossip. Who may have a room's id is agreed in the
 * log, so that two nodes never have one room.
 */
export class ClusterRooms {
  readonly #parts: ClusterRoomsParts;
  readonly #others = new Map<string, Map<string, IRoomCache>>();
  /** Of this node's rooms, when each was claimed, ms. */
  readonly #claims = new Map<string, number>();
  readonly #listeners = new Set<(roomId: string) => void>();

  constructor(parts: ClusterRoomsParts) {
    this.#parts = parts;
    const { table } = parts;
    for (const [nodeId, rows] of table.others) this.#heard(nodeId, [...rows.keys()]);
    table.onHeard((nodeId, roomIds) => this.#heard(nodeId, roomIds));
  }

  /** From now on other nodes may ask this one. */
  async begin(act: OwnerAct): Promise<void> {
    await subscribeIPC(this.#parts.presence, askChannel(this.#parts.nodeId), act);
  }

  #heard(nodeId: string, roomIds: readonly string[]): void {
    const rows = this.#parts.table.others.get(nodeId);
    const rooms = this.#others.get(nodeId) ?? new Map<string, IRoomCache>();
    this.#others.set(nodeId, rooms);
    for (const roomId of roomIds) {
      const listing = listingSchema.safeParse(rows?.get(roomId)).data;
      if (listing === undefined) rooms.delete(roomId);
      else rooms.set(roomId, initializeRoomCache(listing as Partial<IRoomCache>));
      for (const listener of this.#listeners) listener(roomId);
    }
    if (rooms.size === 0) this.#others.delete(nodeId);
  }

  /** Calls back when another node's room is told of, has changed, or is gone. */
  onTouched(listener: (roomId: string) => void): void {
    this.#listeners.add(listener);
  }

  /** Of other nodes. */
  all(): IRoomCache[] {
    return [...this.#others.values()].flatMap((rooms) => [...rooms.values()]);
  }

  /** Of another node. */
  get(roomId: string): IRoomCache | undefined {
    return this.#others.get(this.#ownerOf(roomId) ?? "")?.get(roomId);
  }

  #ownerOf(roomId: string): string | undefined {
    for (const [nodeId, rooms] of this.#others) if (rooms.has(roomId)) return nodeId;
    return undefined;
  }

  /** Resolves once all linked nodes have told what they had when this was called. */
  async refresh(): Promise<void> {
    await this.#parts.table.refresh();
  }

  /** False: another one has it. @throws as presence does */
  async claim(roomId: string): Promise<boolean> {
    const key = claimKey(roomId);
    if ((await this.#parts.presence.hincrbyex(key, "claims", 1, claimSeconds)) > 1) return false;
    this.#claims.set(roomId, performance.now());
    return true;
  }

  /** @throws KeeperError if it cannot be told; then it is as it was told before */
  tell(room: IRoomCache): void {
    const { table, publicAddress } = this.#parts;
    if (publicAddress !== null) room.publicAddress ??= publicAddress;
    try {
      table.set(room.roomId, room);
    } catch (error) {
      const told = table.own(room.roomId) as IRoomCache | undefined;
      if (told !== undefined) room.metadata = told.metadata;
      throw cannotBeListed(room.roomId, error);
    }
  }

  /** This node's room is gone. */
  untell(roomId: string): void {
    this.#parts.table.set(roomId, undefined);
    const sinceMs = this.#claims.get(roomId);
    this.#claims.delete(roomId);
    // An older claim has ended by itself. One that cannot be given back now does so, too.
    if (sinceMs !== undefined && performance.now() - sinceMs < claimSeconds * 1_000)
      this.#parts.presence.del(claimKey(roomId)).catch(() => {});
  }

  /** Undefined: no other node has the room. @throws Error ipc_timeout if the one that has it does not answer */
  ask(roomId: string, method: string, args: unknown[]): Promise<unknown> | undefined {
    const owner = this.#ownerOf(roomId);
    return owner === undefined ? undefined : this.#ask(owner, method, args);
  }

  /** All nodes that have rooms, but for those that are gone: their rooms vanish by themselves. */
  async askAll(method: string, args: unknown[]): Promise<void> {
    const there = [...this.#others.keys()].filter((nodeId) => this.#parts.table.isLinked(nodeId));
    await Promise.all(there.map((nodeId) => this.#ask(nodeId, method, args)));
  }

  async #ask(nodeId: string, method: string, args: unknown[]): Promise<unknown> {
    const { presence } = this.#parts;
    const answer = await requestFromIPC(presence, askChannel(nodeId), method, args, askMsMax);
    await this.refresh();
    return answer;
  }
}

function cannotBeListed(roomId: string, error: unknown): KeeperError {
  if (error instanceof RowRefused)
    return new KeeperError(
      error.why === "tooMany" ? "TOO_MANY_KEYS" : "VALUE_TOO_BIG",
      `room ${roomId} cannot be listed: ${error.message}`,
    );
  return new KeeperError(
    "ARGUMENT",
    `room ${roomId} cannot be listed, for its metadata is no plain data: ${String(error)}`,
  );
}

import { pack, unpack } from "msgpackr";
import { Origins, type OriginsState } from "../group/origins.ts";
import { sessionLimits } from "./limits.ts";
import type { Quarantine, QuarantinedRoom } from "./quarantine.ts";
import { type Refusal, refusal } from "./session-error.ts";
import type { Allocate } from "./session-menu.ts";

interface Saved {
  readonly version: number;
  readonly origins: OriginsState;
  readonly keys: [string, string][];
  readonly rooms: [string, { roomName: string; key: string; createdAt: number }][];
  readonly quarantined: QuarantinedRoom[];
  readonly quarantinesCount: number;
}

const directoryVersion = 2;

/**
 * A group's own part: which rooms exist, and which one a filter key stands for. It never reads rooms, so each room may
 * stand at an index of its own (design 5.2).
 */
export class RoomDirectory {
  readonly origins: Origins;
  readonly #keys: Map<string, string>;
  readonly #rooms: Map<string, { roomName: string; key: string; createdAt: number }>;
  readonly #quarantined: QuarantinedRoom[];
  #quarantinesCount: number;

  constructor(bytes?: Uint8Array) {
    const saved = bytes === undefined ? null : (unpack(bytes) as Saved);
    if (saved !== null && saved.version !== directoryVersion) {
      throw new Error(`group checkpoint of version ${saved.version}, this code reads ${directoryVersion}`);
    }
    this.origins = new Origins(saved?.origins);
    this.#keys = new Map(saved?.keys);
    this.#rooms = new Map(saved?.rooms);
    this.#quarantined = [...(saved?.quarantined ?? [])];
    this.#quarantinesCount = saved?.quarantinesCount ?? 0;
  }

  save(): Uint8Array {
    const saved: Saved = {
      version: directoryVersion,
      origins: this.origins.state,
      keys: [...this.#keys],
      rooms: [...this.#rooms],
      quarantined: this.#quarantined,
      quarantinesCount: this.#quarantinesCount,
    };
    return pack(saved);
  }

  /** Rooms that were made by entries up to `index`. */
  *roomsMadeBy(index: number): Iterable<string> {
    for (const [roomId, { createdAt }] of this.#rooms) if (createdAt <= index) yield roomId;
  }

  lists(roomId: string): boolean {
    return this.#rooms.has(roomId);
  }

  /** Of a room that is listed. */
  nameOf(roomId: string): string | undefined {
    return this.#rooms.get(roomId)?.roomName;
  }

  /** The newest ones, oldest first. */
  get quarantined(): readonly QuarantinedRoom[] {
    return this.#quarantined;
  }

  /** Ever. */
  get quarantinesCount(): number {
    return this.#quarantinesCount;
  }

  /** The room was created by the entry at `index` and by no other. */
  createdBy(roomId: string, index: number): boolean {
    return this.#rooms.get(roomId)?.createdAt === index;
  }

  /** The key's room: the one that it has, or a new one, made by this entry. */
  allocate(argument: Omit<Allocate, "code">, index: number): { readonly roomId: string } | Refusal {
    const current = this.#keys.get(argument.key);
    if (!argument.fresh && current !== undefined && current !== argument.exclude) return { roomId: current };
    // Asked for again, by whoever takes the place of one that fell before it could say that it had been agreed.
    if (this.#rooms.get(argument.roomId)?.key === argument.key) return { roomId: argument.roomId };
    if (this.#rooms.size >= sessionLimits.roomsPerGroupMax) {
      return refusal(
        "ROOMS_TOO_MANY",
        `a group has at most ${sessionLimits.roomsPerGroupMax} rooms: run more groups`,
      );
    }
    this.#rooms.set(argument.roomId, { roomName: argument.roomName, key: argument.key, createdAt: index });
    this.#keys.set(argument.key, argument.roomId);
    return { roomId: argument.roomId };
  }

  forget(roomId: string): void {
    const room = this.#rooms.get(roomId);
    if (room === undefined) return;
    this.#rooms.delete(roomId);
    if (this.#keys.get(room.key) === roomId) this.#keys.delete(room.key);
  }

  /** Forgets the room as one that is to be remembered. Null: it is not listed, so nothing is to be done. */
  quarantine(
    quarantine: Quarantine,
    { nodeId, index }: { readonly nodeId: string; readonly index: number },
  ): QuarantinedRoom | null {
    const room = this.#rooms.get(quarantine.roomId);
    if (room === undefined) return null;
    this.forget(quarantine.roomId);
    const quarantined = { ...quarantine, roomName: room.roomName, nodeId, closedAt: index };
    this.#quarantined.push(quarantined);
    if (this.#quarantined.length > sessionLimits.quarantinedRoomsMax) this.#quarantined.shift();
    this.#quarantinesCount += 1;
    return quarantined;
  }
}

import { type IRoomCache, LocalDriver } from "@colyseus/core";

/** A node's listings, which tell whoever listens what was touched. */
export class RoomListings extends LocalDriver {
  readonly #listeners = new Set<(roomId: string) => void>();

  /** Calls back in the middle of what changes the listing, an apply perhaps. */
  onTouched(listener: (roomId: string) => void): void {
    this.#listeners.add(listener);
  }

  get(roomId: string): IRoomCache | undefined {
    return this.rooms.find((room) => room.roomId === roomId);
  }

  override update(...[room, operations]: Parameters<LocalDriver["update"]>): boolean {
    const isDone = super.update(room, operations);
    this.#touched(room.roomId);
    return isDone;
  }

  override persist(room: IRoomCache, create?: boolean): boolean {
    const isDone = super.persist(room, create);
    this.#touched(room.roomId);
    return isDone;
  }

  override insert(room: IRoomCache): Promise<boolean> {
    const done = super.insert(room);
    this.#touched(room.roomId);
    return done;
  }

  override remove(roomId: string): boolean {
    const isDone = super.remove(roomId);
    this.#touched(roomId);
    return isDone;
  }

  #touched(roomId: string): void {
    for (const listener of this.#listeners) listener(roomId);
  }
}

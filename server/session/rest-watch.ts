import type { RoomReplica } from "./room-replica.ts";

export const restTimes = Object.freeze({
  /** A room that is not at rest whenever it is looked at, for so long, is told of. */
  restlessMsMax: 60_000,
  lookEveryMs: 1_000,
});

/** Of one room; a room that has more is told of no more. */
const reasonsMax = 16;

interface RestWatchParts {
  readonly nowMs: () => number;
  readonly rooms: () => Iterable<RoomReplica>;
  readonly log: { warn(fields: object, message: string): void };
}

interface Looked {
  /** Null: it was at rest when it was looked at last. */
  sinceMs: number | null;
  readonly told: Set<string>;
}

/**
 * Tells of rooms that are never at rest, once for each room and reason: the log behind their last checkpoint grows and
 * grows, and past a limit they are pinned (design 5.5).
 */
export class RestWatch {
  readonly #parts: RestWatchParts;
  readonly #looked = new WeakMap<RoomReplica, Looked>();
  #nextMs = 0;

  constructor(parts: RestWatchParts) {
    this.#parts = parts;
  }

  tick(): void {
    const { nowMs, rooms } = this.#parts;
    const now = nowMs();
    if (now < this.#nextMs) return;
    this.#nextMs = now + restTimes.lookEveryMs;
    for (const replica of rooms()) this.#look(replica, now);
  }

  #look(replica: RoomReplica, nowMs: number): void {
    const because = replica.restlessBecause();
    const looked = this.#looked.get(replica) ?? { sinceMs: null, told: new Set() };
    this.#looked.set(replica, looked);
    looked.sinceMs = because === null ? null : (looked.sinceMs ?? nowMs);
    if (because === null || looked.sinceMs === null) return;
    const restlessMs = nowMs - looked.sinceMs;
    if (restlessMs < restTimes.restlessMsMax || looked.told.has(because) || looked.told.size >= reasonsMax)
      return;
    looked.told.add(because);
    const { roomId, roomName } = replica.birth;
    const facts = { event: "room-restless", roomId, room: roomName, restlessMs, because };
    const what = `room ${roomId} (${roomName}) has not been at rest for ${Math.floor(restlessMs / 1_000)} s: ${because}`;
    this.#parts.log.warn(
      facts,
      `${what}; until it is, its log is kept, and past --room-log-bytes-max no more`,
    );
  }
}

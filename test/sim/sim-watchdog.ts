import type { NodeWatchdog } from "../../server/cluster/watchdog.ts";
import type { RoomMark } from "../../server/session/room-mark.ts";
import type { RoomActing } from "../../server/session/room-watch.ts";
import type { Chance } from "./chance.ts";
import type { Coverage } from "./coverage.ts";
import type { Poison } from "./poison.ts";

/** Thrown where a real process would never come back, or be gone. */
export class NeverComesBack extends Error {}

/** What of the watchdog outlives a node's processes. */
export class SimMarks {
  readonly marks = new Map<string, RoomMark>();
  /** What the last process ended in without a word, and how many did so in a row. */
  suspicion: { readonly acting: RoomActing; deaths: number } | null = null;
  isDead = false;
}

interface SimWatchdogParts {
  readonly nodeId: string;
  readonly disk: SimMarks;
  readonly poison: Poison;
  readonly chance: Chance;
  readonly coverage: Coverage;
}

/**
 * The watchdog of a simulated process: room code that would never come back ends the process right behind the act, with
 * a mark on its disk, or without one, as by a lack of memory.
 */
export class SimWatchdog implements NodeWatchdog {
  readonly #parts: SimWatchdogParts;
  #acting: RoomActing | null = null;

  constructor(parts: SimWatchdogParts) {
    this.#parts = parts;
  }

  get found(): readonly RoomMark[] {
    return [...this.#parts.disk.marks.values()];
  }

  async open(): Promise<void> {
    const { disk, coverage } = this.#parts;
    const { suspicion } = disk;
    if (disk.isDead && suspicion !== null && suspicion.deaths >= 2) {
      const { acting, deaths } = suspicion;
      coverage.hit("suddenDeathsMarked");
      this.#mark({ ...acting, deaths, why: `${deaths} starts in a row ended while it ran` });
      disk.suspicion = null;
    }
    disk.isDead = false;
    coverage.hit("standingsStill", disk.marks.size);
  }

  #mark(mark: RoomMark): void {
    this.#parts.coverage.hit("marks");
    this.#parts.disk.marks.set(mark.roomId, mark);
  }

  begin(acting: RoomActing): void {
    this.#acting = acting;
  }

  end(): void {
    const { nodeId, disk, poison, chance } = this.#parts;
    const acting = this.#acting as RoomActing;
    this.#acting = null;
    const { roomId, act, index } = acting;
    const isSuspect = disk.suspicion?.acting.roomId === roomId && disk.suspicion.acting.index === index;
    if (!poison.strikes(nodeId, roomId, index)) {
      if (isSuspect && disk.suspicion?.acting.act === act) disk.suspicion = null;
      return;
    }
    // What took its process with it once does so again, mostly.
    if (chance.hits(isSuspect ? 0.8 : 0.3)) {
      disk.isDead = true;
      disk.suspicion = { acting, deaths: isSuspect ? (disk.suspicion?.deaths ?? 0) + 1 : 1 };
    } else this.#mark({ ...acting, deaths: 1, why: "it does not come back (simulated)" });
    throw new NeverComesBack(`${act} of room ${roomId} at ${index} does not come back`);
  }

  remove({ roomId }: RoomMark): void {
    this.#parts.disk.marks.delete(roomId);
  }

  async close(): Promise<void> {
    this.#parts.disk.suspicion = null;
  }
}

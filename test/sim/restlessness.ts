import type { Chance } from "./chance.ts";
import { type RoomApp, servingSessions } from "./room-app.ts";
import { isFidgeting } from "./sim-room.ts";
import type { WorldParts } from "./world.ts";

/** Rooms that are not at rest for long, some of them as long as there are faults: their log is cut under them. */
export class Restlessness {
  readonly #parts: WorldParts<RoomApp>;
  #isResting = false;

  constructor(parts: WorldParts<RoomApp>) {
    this.#parts = parts;
  }

  start(): void {
    const { restless } = this.#parts;
    if (restless !== null) this.#stir(restless.chance.between(300, 1_500), restless.chance);
  }

  rest(): void {
    this.#isResting = true;
  }

  #stir(meanMs: number, chance: Chance): void {
    const { schedule, cluster, trace } = this.#parts;
    schedule.in(this.#isResting ? 100 : chance.wait(meanMs), null, () => {
      this.#stir(meanMs, chance);
      const process = chance.pick(cluster.nodeIds.map((id) => cluster.process(id)));
      const sessions = process?.isPaused === false ? servingSessions(process) : null;
      const roomIds = [...(sessions?.rooms.keys() ?? [])];
      if (process === null || sessions === null || roomIds.length === 0) return;
      const roomId = chance.pick(roomIds);
      if (sessions.room(roomId)?.program.led !== undefined) return;
      const method = this.#isResting || chance.hits(0.3) ? "calm" : "fidget";
      schedule.in(0, process, () => {
        sessions.call(roomId, method, []).catch((error: unknown) => {
          trace.note(`${roomId} does not ${method}: ${String(error)}`);
        });
      });
    });
  }

  unrest(): string | null {
    for (const { nodeId, app } of this.#parts.cluster.processes)
      for (const replica of app.rooms.sessions?.rooms.values() ?? [])
        if (isFidgeting(replica)) return `${replica.roomId} fidgets on ${nodeId}`;
    return null;
  }
}

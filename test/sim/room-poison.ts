import { Poison } from "./poison.ts";
import { type RoomApp, servingSessions } from "./room-app.ts";
import type { SimDisk } from "./sim-disk.ts";
import type { SimRoom } from "./sim-room.ts";
import { SimMarks, SimWatchdog } from "./sim-watchdog.ts";
import { hold } from "./violation.ts";
import type { WorldParts } from "./world.ts";

/** Of the runs; in each of them a room meets something that it does not come back from, every so often. */
const poisonedShare = 0.35;
const meanMs = 2_000;

/** Gives rooms what their code does not come back from, and holds that the cluster gets over it. */
export class RoomPoison {
  readonly poison: Poison;
  readonly #parts: WorldParts<RoomApp>;
  /** What a node's watchdog leaves on its disk. */
  readonly #marks = new WeakMap<SimDisk, SimMarks>();
  #isResting = false;

  constructor(parts: WorldParts<RoomApp>) {
    const { cluster, chance } = parts;
    this.#parts = parts;
    this.poison = new Poison(cluster.nodeIds, chance);
  }

  watchdog(nodeId: string): SimWatchdog {
    return new SimWatchdog({ ...this.#parts, nodeId, disk: this.#marksOf(nodeId), poison: this.poison });
  }

  #marksOf(nodeId: string): SimMarks {
    const disk = this.#parts.cluster.disk(nodeId);
    const marks = this.#marks.get(disk) ?? new SimMarks();
    this.#marks.set(disk, marks);
    return marks;
  }

  start(): void {
    if (this.#parts.chance.hits(poisonedShare)) this.#poisonSometimes();
  }

  rest(): void {
    this.#isResting = true;
  }

  /** Room code that never comes back, at once or when a timer fires: its process ends there. */
  #poisonSometimes(): void {
    const { chance, schedule, cluster, coverage, trace } = this.#parts;
    schedule.in(chance.wait(meanMs), null, () => {
      if (this.#isResting) return;
      this.#poisonSometimes();
      const process = chance.pick(cluster.nodeIds.map((id) => cluster.process(id)));
      const sessions = process?.isPaused === false ? servingSessions(process) : null;
      const roomIds = [...(sessions?.rooms.keys() ?? [])];
      if (process === null || sessions === null || roomIds.length === 0) return;
      const roomId = chance.pick(roomIds);
      // There it is no entry that it does not come back from.
      if (sessions.room(roomId)?.program.led !== undefined) return;
      const [method, data] = chance.hits(0.6)
        ? (["poison", []] as const)
        : (["poisonLater", [chance.below(400)]] as const);
      coverage.hit("poisons");
      trace.note(`${roomId} is poisoned by ${method}`);
      schedule.in(0, process, () => void sessions.call(roomId, method, [...data]).catch(() => {}));
    });
  }

  unrest(): string | null {
    for (const id of this.#parts.cluster.nodeIds) {
      const { marks } = this.#marksOf(id);
      if (marks.size > 0) return `${id} has a mark of ${[...marks.keys()].join()}`;
    }
    for (const { nodeId, app } of this.#parts.cluster.processes) {
      for (const [roomId, { program }] of app.rooms.sessions?.rooms ?? [])
        if (program.led === undefined && (program as unknown as { room: SimRoom }).room.poisonsDue > 0)
          return `${roomId} on ${nodeId} has its poison still before it`;
    }
    return null;
  }

  /** What nobody gets past is nowhere in the end; what was too much for one node only is nowhere, or everywhere. */
  close(): void {
    const { cluster, coverage } = this.#parts;
    const machinesOf = ({ rooms }: RoomApp) => rooms.sessions?.machines ?? [];
    for (const [roomId, { only }] of this.poison.rooms) {
      const holders = cluster.processes.filter(({ app }) =>
        machinesOf(app).some((machine) => machine.rooms.has(roomId)),
      );
      const nodes = holders.map(({ nodeId }) => nodeId).join() || "nobody";
      const isRight = holders.length === 0 || (only !== null && holders.length === cluster.nodeIds.length);
      hold(isRight, "Q19", () => `${roomId}, too much for ${only ?? "everybody"}, is still on ${nodes}`);
    }
    for (const { nodeId, app } of cluster.processes) {
      const still = machinesOf(app).flatMap(({ standings }) => [...standings.keys()]);
      hold(still.length === 0, "Q19", () => `${still.join()} stands still on ${nodeId} in the end`);
    }
    const [first] = cluster.processes;
    if (first === undefined) return;
    for (const { quarantined } of machinesOf(first.app)) coverage.hit("quarantines", quarantined.count);
  }
}

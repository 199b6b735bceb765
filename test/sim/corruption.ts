import type { Sessions } from "../../server/session/sessions.ts";
import type { ReplicaBook } from "./machine-watch.ts";
import { type RoomApp, servingSessions } from "./room-app.ts";
import { corruptRoom, taintOf } from "./sim-room.ts";
import type { WorldParts } from "./world.ts";

/** So often one room's replica on one node: a replica that differs again and again is put right ever later. */
const timesMax = 2;
/** An operator looks at a room that stands still for so long. */
const operatorMs = 3_000;

/**
 * Changes a room's replica behind the log's back, on a minority of the nodes: the others' are as they should be, and
 * must be the majority whatever becomes of them. The change is of a kind that stays, and that shows.
 */
export class Corruption {
  readonly #parts: WorldParts<RoomApp>;
  readonly #isOn: boolean;
  readonly #meanMs: number;
  /** By room: how often each node's replica was changed. */
  readonly #victims = new Map<string, Map<string, number>>();
  /** By room: since when it stands still. */
  readonly #frozenSinceMs = new Map<string, number>();
  #taint = 0;
  readonly #tampered: Map<string, Set<string>>;
  readonly #suspects: Set<string>;
  readonly #excused: Set<string>;
  #isOver = false;

  constructor(
    parts: WorldParts<RoomApp>,
    { tampered, excused, suspects }: Pick<ReplicaBook, "tampered" | "excused" | "suspects">,
  ) {
    const { chance } = parts;
    this.#parts = parts;
    this.#tampered = tampered;
    this.#suspects = suspects;
    this.#excused = excused;
    this.#isOn = chance.hits(0.35);
    this.#meanMs = chance.between(200, 1_500);
  }

  start(): void {
    if (this.#isOn) this.#next();
    this.#operate();
  }

  /** No more from now on; the operator stays. */
  rest(): void {
    this.#isOver = true;
  }

  #next(): void {
    const { schedule, chance } = this.#parts;
    schedule.in(chance.wait(this.#meanMs), null, () => {
      if (this.#isOver) return;
      this.#corruptSomething();
      this.#next();
    });
  }

  #corruptSomething(): void {
    const { cluster, chance, schedule } = this.#parts;
    const process = cluster.process(chance.pick(cluster.nodeIds));
    const sessions = process === null ? null : servingSessions(process);
    if (process === null || sessions === null || process.isPaused) return;
    const roomIds = [...sessions.rooms.keys()];
    if (roomIds.length === 0) return;
    const roomId = chance.pick(roomIds);
    if (this.#mayBeVictim(roomId, process.nodeId))
      schedule.in(0, process, () => this.#corrupt(sessions, roomId, process.nodeId));
  }

  /** Never a majority's, even one after the other: a healthy one may stand still on a disk. */
  #mayBeVictim(roomId: string, nodeId: string): boolean {
    const victims = this.#victims.get(roomId) ?? new Map<string, number>();
    const isOne = victims.has(nodeId);
    const minority = (this.#parts.cluster.nodeIds.length - 1) >> 1;
    return isOne ? (victims.get(nodeId) ?? 0) < timesMax : victims.size < minority;
  }

  #corrupt(sessions: Sessions, roomId: string, nodeId: string): void {
    const replica = sessions.room(roomId);
    if (replica === undefined || sessions.standsStill(roomId) || taintOf(replica) !== 0) return;
    // None of its code is on every replica.
    if (replica.program.led !== undefined) return;
    const { coverage, trace, chance } = this.#parts;
    const victims = this.#victims.get(roomId) ?? new Map<string, number>();
    this.#victims.set(roomId, victims.set(nodeId, (victims.get(nodeId) ?? 0) + 1));
    this.#tampered.set(roomId, (this.#tampered.get(roomId) ?? new Set()).add(nodeId));
    this.#suspects.add(`${nodeId} ${roomId}`);
    this.#taint += 1;
    coverage.hit("corruptions");
    trace.note(`${nodeId}'s replica of ${roomId} is corrupted (${this.#taint})`);
    corruptRoom(replica, this.#taint, chance.below(4));
  }

  // ── the operator ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** Lets go on what stands still for long, with a state that nobody has tampered with, if there is one left. */
  #operate(): void {
    const { schedule } = this.#parts;
    schedule.in(500, null, () => {
      this.#operate();
      const frozen = Map.groupBy(this.#frozen(), ({ replica }) => replica.roomId);
      for (const roomId of this.#frozenSinceMs.keys())
        if (!frozen.has(roomId)) this.#frozenSinceMs.delete(roomId);
      for (const [roomId, holders] of frozen) {
        const sinceMs = this.#frozenSinceMs.get(roomId) ?? schedule.nowMs;
        this.#frozenSinceMs.set(roomId, sinceMs);
        if (schedule.nowMs - sinceMs < operatorMs) continue;
        this.#frozenSinceMs.delete(roomId);
        const holder = holders.find(({ replica }) => taintOf(replica) === 0) ?? holders[0];
        if (holder !== undefined) schedule.in(0, holder.process, () => this.#thaw(holder, roomId));
      }
    });
  }

  #frozen() {
    return this.#parts.cluster.processes.flatMap((process) => {
      const sessions = process.isPaused ? null : servingSessions(process);
      return [...(sessions?.rooms.values() ?? [])].flatMap((replica) =>
        sessions === null || replica.witness.frozen === null ? [] : [{ process, sessions, replica }],
      );
    });
  }

  #thaw({ process, sessions }: { process: { nodeId: string }; sessions: Sessions }, roomId: string): void {
    const { trace, coverage } = this.#parts;
    this.#excused.add(roomId);
    sessions.divergences.thaw(roomId, process.nodeId).then(
      () => coverage.hit("operatorThaws"),
      (error: unknown) => trace.note(`${roomId} is not thawed: ${String(error)}`),
    );
  }

  #replicas(roomId: string) {
    return this.#parts.cluster.processes.flatMap(({ nodeId, app }) => {
      const replica = app.rooms.sessions?.room(roomId);
      return replica === undefined ? [] : [{ nodeId, replica }];
    });
  }

  /** Rooms that are not what they should be; null: all are well, or nobody is left who could tell. */
  unrest(): string | null {
    for (const roomId of this.#tampered.keys()) {
      const nodes = this.#replicas(roomId).map(({ nodeId }) => nodeId);
      if (nodes.length > 0 && nodes.length < this.#parts.cluster.nodeIds.length)
        return `${roomId} is on ${nodes.join()} only`;
    }
    for (const { nodeId, app } of this.#parts.cluster.processes) {
      for (const machine of app.rooms.sessions?.machines ?? []) {
        for (const { divergence } of machine.odd.all())
          return `${nodeId}'s replica of ${divergence.roomId} differs; it waits for ${divergence.waitsFor}`;
        for (const [roomId, replica] of machine.rooms) {
          if (replica.witness.frozen !== null) return `${roomId} stands still`;
          const taint = taintOf(replica);
          if (taint !== 0 && this.#replicas(roomId).some((each) => taintOf(each.replica) !== taint))
            return `${nodeId}'s replica of ${roomId} is corrupted (${taint}), and nobody says so`;
        }
      }
    }
    return null;
  }
}

import type { Checkpoint } from "../../storage/storage.ts";
import type { Quarantine } from "../quarantine.ts";
import { SessionError } from "../session-error.ts";
import type { SessionGroups } from "../session-groups.ts";
import type { SessionMachine } from "../session-machine.ts";
import type { DivergenceCounts, DivergenceLog } from "./divergence-book.ts";
import { DivergenceWatch } from "./divergence-watch.ts";
import type { RoomNotice } from "./odd-rooms.ts";
import { endedHash } from "./room-witness.ts";
import type { Verdict } from "./verdict.ts";

export interface DivergenceWatchesParts {
  readonly nodeId: string;
  readonly machines: readonly SessionMachine[];
  readonly log: DivergenceLog;
  readonly nowMs: () => number;
  readonly groups: () => SessionGroups;
}

/** The divergence watches of all groups of a node. */
export class DivergenceWatches {
  readonly #parts: DivergenceWatchesParts;
  readonly #watches: readonly DivergenceWatch[];

  constructor(parts: DivergenceWatchesParts) {
    const { nodeId, log, nowMs, groups } = parts;
    this.#parts = parts;
    this.#watches = parts.machines.map(
      (machine, group) =>
        new DivergenceWatch({
          ...{ group, nodeId, machine, log, nowMs },
          link: {
            lead: () => groups().lead(group),
            configuration: () => groups().configuration(group),
            tell: (to, body) => groups().tell(group, to, body),
            isBusy: (to) => groups().isBusy(to),
            propose: (command, urgent) => groups().propose(group, command, { urgent }),
          },
        }),
    );
  }

  noticed(group: number, notice: RoomNotice): void {
    this.#watches[group]?.noticed(notice);
  }

  drained(group: number): void {
    this.#watches[group]?.drained();
  }

  isLacking(group: number, nodeId: string): boolean {
    return this.#watches[group]?.isLacking(nodeId) ?? false;
  }

  heard(group: number, from: string, body: Uint8Array): void {
    this.#watches[group]?.heard(from, body);
  }

  /** A few times a second. */
  tick(): void {
    for (const watch of this.#watches) watch.tick();
  }

  /** Rejects with the other nodes' words if none gives it: see DivergenceWatch. */
  async trialCopy(group: number, roomId: string): Promise<Checkpoint> {
    return await (this.#watches[group] as DivergenceWatch).trialCopy(roomId);
  }

  /** For who leads the group: rooms that are to be forgotten. */
  ended(group: number): Iterable<string> {
    return this.#watches[group]?.ended ?? [];
  }

  /** For who leads the group: rooms that no member has any more, and why each could not be saved. */
  lost(group: number): readonly Quarantine[] {
    const { odd } = this.#parts.machines[group] as SessionMachine;
    return [...(this.#watches[group]?.lost ?? [])].map((roomId): Quarantine => {
      const { index = 0, pinnedBecause } = odd.get(roomId) ?? {};
      return { roomId, act: "pin", index, why: pinnedBecause ?? "", deaths: 0 };
    });
  }

  /** For operators. */
  get counts(): DivergenceCounts {
    const counts = this.#watches.map(({ book }) => book.counts);
    return {
      count: counts.reduce((sum, { count }) => sum + count, 0),
      healed: counts.reduce((sum, { healed }) => sum + healed, 0),
      newest: counts.flatMap(({ newest }) => newest),
    };
  }

  /**
   * An operator's choice for a room that stands still because its replicas differ: it goes on with the state that the
   * holder's replica has, and those that have another are replaced. All of them have applied the same commands: nothing
   * that was acknowledged is missing in any. A node answers only for what it has itself, and now: since the room stands
   * still, a replica may have been replaced by another's, or be lost.
   * @throws SessionError ROOM_NOT_FROZEN, HOLDER_UNKNOWN with the nodes that there are, HOLDER_ENDED, HOLDER_ELSEWHERE
   */
  async thaw(roomId: string, holder: string): Promise<Verdict> {
    const { machines, nodeId } = this.#parts;
    const group = machines.findIndex(({ rooms }) => rooms.has(roomId));
    const witness = machines[group]?.rooms.get(roomId)?.witness;
    const frozen = witness?.frozen ?? null;
    if (witness === undefined || frozen === null)
      throw new SessionError("ROOM_NOT_FROZEN", `room "${roomId}" does not stand still on ${nodeId}`);
    const { index, hashes } = frozen;
    const own = witness.hashAt(index);
    const hash = holder === nodeId ? own : hashes.find(([each]) => each === holder)?.[1];
    if (hash === endedHash)
      throw new SessionError("HOLDER_ENDED", `${holder}'s replica of room "${roomId}" has ended by itself`);
    if (hash === undefined || hash === null) {
      const known = hashes.map(([each, its]) => `${each} (${its})`).join(", ");
      const what = `what ${holder} has of room "${roomId}" at entry ${index} is not known; it is of ${known}`;
      throw new SessionError("HOLDER_UNKNOWN", what);
    }
    if (hash !== own) {
      const what = `${nodeId} has another state of room "${roomId}" than ${holder}: ask ${holder} itself (--url)`;
      throw new SessionError("HOLDER_ELSEWHERE", what);
    }
    const verdict = { roomId, index, hash, hashes };
    await this.#watches[group]?.agree(verdict);
    return verdict;
  }
}

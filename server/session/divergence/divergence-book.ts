import { describeOtherCode, type OtherCode } from "../absence.ts";
import type { Divergence } from "./divergence.ts";
import type { OddReplica } from "./odd-replica.ts";
import type { RoomNotice } from "./odd-rooms.ts";

/** The newest ones are remembered. */
const divergencesMax = 64;

export interface DivergenceLog {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** How often a node's replicas were found to differ, since its start. */
export interface DivergenceCounts {
  readonly count: number;
  readonly healed: number;
  /** Oldest first. */
  readonly newest: readonly Divergence[];
}

/** Counts the divergences of one group's replicas on this node, and tells of them. */
export class DivergenceBook {
  readonly #group: number;
  readonly #log: DivergenceLog;
  readonly #newest: Divergence[] = [];
  #count = 0;
  #healed = 0;

  constructor({ group, log }: { group: number; log: DivergenceLog }) {
    this.#group = group;
    this.#log = log;
  }

  get counts(): DivergenceCounts {
    return { count: this.#count, healed: this.#healed, newest: this.#newest };
  }

  noticed(notice: RoomNotice): void {
    switch (notice.type) {
      case "pointTaken":
      case "agreed":
        return;
      case "diverged":
        return this.#diverged(notice.odd.divergence);
      case "healed":
        return notice.odd.isAbsent ? this.#isBack(notice.odd) : this.#wasHealed(notice.odd.divergence);
      case "absent": {
        const { divergence, pinnedBecause: because, foreign } = notice.odd;
        if (foreign !== null) return this.#isForeign(divergence.roomId, foreign);
        const facts = { event: "room-absent", group: this.#group, roomId: divergence.roomId, because };
        const what = `room ${divergence.roomId} is not on this node any more: it was pinned, as it was not at rest`;
        return this.#log.warn(
          facts,
          `${what} (${because}); it comes back when it is at rest on another node`,
        );
      }
      case "froze": {
        const { roomId, witness } = notice.replica;
        const facts = { event: "room-frozen", group: this.#group, roomId, ...witness.frozen };
        const what = `room ${roomId} stands still: its replicas differ at entry ${witness.frozen?.index}`;
        return this.#log.error(facts, `${what}, and none has a majority`);
      }
      case "thawed": {
        const { roomId, witness } = notice.replica;
        const facts = { event: "room-thawed", group: this.#group, roomId, ...witness.agreed };
        return this.#log.warn(facts, `room ${roomId} goes on`);
      }
    }
  }

  #isForeign(roomId: string, foreign: OtherCode): void {
    const facts = { event: "room-foreign", group: this.#group, roomId, ...foreign };
    const what = `room ${roomId} is kept here, and not run: ${describeOtherCode(foreign)}`;
    this.#log.warn(facts, `${what}; it ends on the nodes that have its code, or is switched`);
  }

  #isBack({ divergence: { roomId } }: OddReplica): void {
    const facts = { event: "room-back", group: this.#group, roomId };
    this.#log.warn(facts, `room ${roomId} is on this node again, as another node has it`);
  }

  #diverged(divergence: Divergence): void {
    this.#count += 1;
    this.#newest.push(divergence);
    if (this.#newest.length > divergencesMax) this.#newest.shift();
    const { roomId, index, ownHash, hash } = divergence;
    this.#log.error(
      { event: "room-diverged", group: this.#group, roomId, index, ownHash, hash },
      `this node's replica of room ${roomId} differs from the others' at entry ${index}: it is served elsewhere`,
    );
  }

  #wasHealed({ roomId, index, firstDifference }: Divergence): void {
    this.#healed += 1;
    const facts = { event: "room-healed", group: this.#group, roomId, index, firstDifference };
    const what = firstDifference ?? "everything, by a snapshot";
    this.#log.warn(facts, `this node's replica of room ${roomId} was replaced; what differed: ${what}`);
  }
}

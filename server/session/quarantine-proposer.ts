import { type Quarantine, quarantineOf } from "./quarantine.ts";
import type { RoomMark, RoomMarks } from "./room-mark.ts";
import type { SessionMachine } from "./session-machine.ts";

export interface QuarantineProposerParts {
  readonly machines: readonly SessionMachine[];
  readonly marks: RoomMarks;
  readonly propose: (group: number, quarantine: Quarantine) => Promise<unknown>;
  readonly caughtUp: (group: number) => Promise<void>;
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
}

/** Has the rooms closed everywhere that this node could not get past (design 5.4). */
export class QuarantineProposer {
  readonly #parts: QuarantineProposerParts;
  readonly #underWay = new Set<string>();

  constructor(parts: QuarantineProposerParts) {
    this.#parts = parts;
  }

  /** Asked again and again until no mark is left. */
  sweep(): void {
    const { marks, machines, log } = this.#parts;
    for (const mark of marks.all) {
      const { roomId } = mark;
      if (this.#underWay.has(roomId) || machines[mark.group]?.hasEnded(roomId)) continue;
      this.#underWay.add(roomId);
      this.#settle(mark)
        .catch((error: unknown) =>
          log.warn({ roomId, error: String(error) }, "its quarantine will be proposed again"),
        )
        .finally(() => this.#underWay.delete(roomId));
    }
  }

  async #settle(mark: RoomMark): Promise<void> {
    const { machines, marks, propose, caughtUp, log } = this.#parts;
    const { group, roomId } = mark;
    const machine = machines[group];
    if (machine?.standings.has(roomId)) {
      // At once, without asking whether this replica is up to date: what it could not get past was committed.
      await propose(group, quarantineOf(mark));
      return;
    }
    if (machine !== undefined) await caughtUp(group);
    if (machine?.hasTraceOf(roomId)) return;
    log.info({ group, roomId }, "a mark is dropped: its room does not exist any more");
    marks.drop(roomId);
  }
}

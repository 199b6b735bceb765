import { unasked } from "../../server/session/auth-outcome.ts";
import type { LiveSocket } from "../../server/session/live-socket.ts";
import type { RoomReplica } from "../../server/session/room-replica.ts";
import type { Seat } from "../../server/session/seat.ts";
import type { Sessions } from "../../server/session/sessions.ts";
import type { Chance } from "./chance.ts";
import type { Coverage } from "./coverage.ts";
import type { Ledger } from "./ledger.ts";
import { requestFrame } from "./player-frames.ts";
import { type RoomApp, servingSessions } from "./room-app.ts";
import type { Schedule } from "./schedule.ts";
import type { SimProcess } from "./sim-node.ts";
import type { Trace } from "./trace.ts";

export interface StrangerParts {
  readonly schedule: Schedule;
  readonly chance: Chance;
  readonly coverage: Coverage;
  readonly ledger: Ledger;
  readonly trace: Trace;
  readonly processes: () => readonly SimProcess<RoomApp>[];
}

interface Target {
  readonly sessions: Sessions;
  readonly roomId: string;
  readonly room: RoomReplica;
  readonly seat: Seat;
}

const ways = [
  "forgedToken",
  "usedToken",
  "othersToken",
  "noToken",
  "olderEpoch",
  "replayedFrame",
  "olderDetach",
] as const;

const deafSocket: LiveSocket = { isOpen: true, send: () => {}, close: () => {} };

/**
 * Whoever tries what must be refused: forged and used tokens, another seat's, frames of an epoch that has ended, frames
 * that were applied before. What becomes of it the laws know: see SessionModel, and the ledger of shots.
 */
export class Stranger {
  readonly #parts: StrangerParts;
  #isResting = false;

  constructor(parts: StrangerParts) {
    this.#parts = parts;
  }

  start(): void {
    const { schedule, chance } = this.#parts;
    schedule.in(chance.wait(150), null, () => {
      if (this.#isResting) return;
      this.#tryOnce();
      this.start();
    });
  }

  rest(): void {
    this.#isResting = true;
  }

  #tryOnce(): void {
    const { chance, schedule, processes } = this.#parts;
    const serving = processes().filter((process) => !process.isPaused && servingSessions(process) !== null);
    if (serving.length === 0) return;
    const process = chance.pick(serving);
    schedule.in(0, process, () => {
      const sessions = servingSessions(process);
      const rooms = [...(sessions?.rooms ?? [])].filter(([, { seats }]) => seats.size > 0);
      if (sessions === null || rooms.length === 0) return;
      const [roomId, room] = chance.pick(rooms);
      const seat = chance.pick([...room.seats.values()]);
      this.#try({ sessions, roomId, room, seat });
    });
  }

  #try(target: Target): void {
    const { chance, ledger } = this.#parts;
    const { sessions, roomId, room, seat } = target;
    const { sessionId, epoch } = seat;
    const way = chance.pick(ways);
    switch (way) {
      case "forgedToken":
        return this.#attach(target, Buffer.from(chance.bytes(15)).toString("base64url"));
      case "usedToken": {
        const used = ledger.tokensOf(sessionId).slice(0, -1);
        if (used.length > 0) this.#attach(target, chance.pick(used));
        return;
      }
      case "othersToken": {
        const other = chance.pick([...room.seats.values()]);
        if (other !== seat) this.#attach(target, other.token);
        return;
      }
      case "noToken":
        return this.#attach(target, null);
      case "olderEpoch":
        if (epoch > 1) this.#frame(target, { epoch: epoch - 1, sequence: seat.clientSequence + 1 });
        return;
      case "replayedFrame":
        if (seat.clientSequence > 0)
          this.#frame(target, { epoch, sequence: 1 + chance.below(seat.clientSequence) });
        return;
      case "olderDetach":
        if (epoch > 1) sessions.detachSurely(roomId, sessionId, epoch - 1, 1006);
        return;
    }
  }

  #attach({ sessions, roomId, seat: { sessionId } }: Target, presentedToken: string | null): void {
    const { coverage, trace } = this.#parts;
    const claim = {
      sessionId,
      presentedToken,
      wrapper: false,
      skipHandshake: presentedToken !== null,
      auth: unasked,
    };
    sessions.attach(roomId, deafSocket, claim).then(
      // A token that the player has not acknowledged yet is good: so might its own earlier attempt be.
      () => trace.note(`a stranger has ${sessionId}'s seat`),
      () => coverage.hit("strangersRefused"),
    );
  }

  #frame(
    { sessions, roomId, seat: { sessionId } }: Target,
    { epoch, sequence }: { epoch: number; sequence: number },
  ): void {
    this.#parts.coverage.hit("strangeFrames");
    const frame = requestFrame(1, "fire", undefined);
    sessions.message({ roomId, sessionId, epoch, stream: "client", sequence, frame })?.catch(() => {});
  }
}

import { unasked } from "../../server/session/auth-outcome.ts";
import { sessionLimits } from "../../server/session/limits.ts";
import type { LiveSocket } from "../../server/session/live-socket.ts";
import type { Sessions } from "../../server/session/sessions.ts";
import type { Chance } from "./chance.ts";
import { type RoomApp, servingSessions } from "./room-app.ts";
import type { Schedule } from "./schedule.ts";
import { ProcessEnded, type SimProcess } from "./sim-node.ts";
import { hold } from "./violation.ts";

/** What a player shows to be let in. */
export interface SeatClaim {
  readonly roomId: string;
  readonly sessionId: string;
  readonly presentedToken: string | null;
  readonly wrapper: boolean;
  readonly received: number | null;
}

export interface SocketListener {
  frame(bytes: Uint8Array): void;
  /** Once. `reason` is the error's code if the node refused the seat. */
  closed(code: number, reason: string): void;
}

type Attached = Awaited<ReturnType<Sessions["attach"]>>;

const unavailable = 503;
const refused = 4002;

/** A player's connection to one process, both ends of it: each keeps its order, and takes its time. */
export class PlayerSocket implements LiveSocket {
  readonly #process: SimProcess<RoomApp>;
  readonly #schedule: Schedule;
  readonly #chance: Chance;
  readonly #claim: SeatClaim;
  readonly #listener: SocketListener;
  readonly #latencyMs: number;
  readonly #early: Uint8Array[] = [];
  readonly #forget: () => void;
  #attached: Attached | null = null;
  #closeCode: number | null = null;
  #isOpenHere = true;
  #isOpenThere = true;
  #arrivesHereMs = 0;
  #arrivesThereMs = 0;

  constructor(
    process: SimProcess<RoomApp>,
    claim: SeatClaim,
    parts: { schedule: Schedule; chance: Chance; listener: SocketListener },
  ) {
    this.#process = process;
    this.#schedule = parts.schedule;
    this.#chance = parts.chance;
    this.#listener = parts.listener;
    this.#claim = claim;
    this.#latencyMs = parts.chance.between(0.5, 15);
    // A killed process resets its sockets; from a machine that lost its power nothing comes any more.
    this.#forget = process.onEnd(() =>
      this.#toPlayer(() => this.#playerClosed(1006, "reset"), this.#chance.hits(0.8) ? 0 : 900),
    );
    this.#toNode(() => this.#arrive());
  }

  // ── the node's end ───────────────────────────────────────────────────────────────────────────────────────────────

  get isOpen(): boolean {
    return this.#isOpenHere;
  }

  send(frame: Uint8Array): void {
    if (!this.#isOpenHere) return;
    this.#holdSpeaksFor();
    const bytes = Uint8Array.from(frame);
    this.#toPlayer(() => {
      if (this.#isOpenThere) this.#listener.frame(bytes);
    });
  }

  /** A replica that is known to differ says nothing, nor does one that stands still. */
  #holdSpeaksFor(): void {
    const { nodeId, app } = this.#process;
    const { roomId } = this.#claim;
    for (const machine of app.rooms.sessions?.machines ?? []) {
      const { type } = machine.odd.standing(roomId) ?? {};
      hold(
        type === undefined,
        "V10",
        () => `${nodeId} speaks for ${roomId}, although its replica is ${type}`,
      );
    }
  }

  close(code: number, reason: string): void {
    if (!this.#isOpenHere) return;
    this.#isOpenHere = false;
    this.#toPlayer(() => this.#playerClosed(code, reason));
    this.#schedule.in(this.#chance.wait(2 * this.#latencyMs), this.#process, () => this.#nodeClosed(code));
  }

  #arrive(): void {
    const serving = servingSessions(this.#process);
    const { roomId, sessionId, presentedToken } = this.#claim;
    const group = serving?.groupOf(roomId) ?? null;
    if (serving === null || group === null || !this.#process.node.engine.isServing(group)) {
      return this.close(unavailable, "NOT_SERVING");
    }
    const room = serving.room(roomId);
    const isKnown =
      presentedToken === null
        ? room?.program.hasReservation(sessionId)
        : room?.seats.get(sessionId)?.accepts(presentedToken);
    // As the transport's gate: what is not known here is asked about first.
    if (isKnown === true) return this.#attach(serving);
    serving.caughtUp(group).then(
      () => this.#attach(serving),
      () => this.close(unavailable, "NO_LEADER"),
    );
  }

  #attach(sessions: Sessions): void {
    const { roomId, ...seat } = this.#claim;
    sessions
      .attach(roomId, this, { ...seat, skipHandshake: seat.presentedToken !== null, auth: unasked })
      .then(
        (attached) => {
          this.#attached = attached;
          if (this.#closeCode !== null) attached.closed(this.#closeCode);
          for (const frame of this.#early) attached.receive(frame);
        },
        (error: unknown) => {
          if (error instanceof ProcessEnded) return;
          const { code } = error as { code?: string };
          this.close(refused, code ?? String(error));
        },
      );
  }

  #received(bytes: Uint8Array): void {
    if (!this.#isOpenHere) return;
    if (this.#attached !== null) this.#attached.receive(bytes);
    else if (this.#early.length < sessionLimits.framesBeforeAttachMax) this.#early.push(bytes);
    else this.close(refused, "EARLY");
  }

  #nodeClosed(code: number): void {
    this.#isOpenHere = false;
    if (this.#closeCode !== null) return;
    this.#closeCode = code;
    this.#attached?.closed(code);
  }

  /** Of the seat, once the node has attached it. */
  get epoch(): number | null {
    return this.#attached?.epoch ?? null;
  }

  // ── the player's end ─────────────────────────────────────────────────────────────────────────────────────────────

  tell(bytes: Uint8Array): void {
    if (this.#isOpenThere) this.#toNode(() => this.#received(bytes));
  }

  /** The player's end goes; the node hears of it, or finds out later. */
  drop(code: number): void {
    if (!this.#isOpenThere) return;
    this.#isOpenThere = false;
    this.#forget();
    this.#toNode(() => this.#nodeClosed(code), this.#chance.hits(0.8) ? 0 : this.#chance.between(500, 4_000));
  }

  #playerClosed(code: number, reason: string): void {
    if (!this.#isOpenThere) return;
    this.#isOpenThere = false;
    this.#forget();
    this.#listener.closed(code, reason);
  }

  // ── the way between ──────────────────────────────────────────────────────────────────────────────────────────────

  #toPlayer(run: () => void, extraMs = 0): void {
    this.#arrivesThereMs = Math.max(
      this.#arrivesThereMs,
      this.#schedule.nowMs + extraMs + this.#chance.wait(this.#latencyMs),
    );
    this.#schedule.at(this.#arrivesThereMs, null, run);
  }

  #toNode(run: () => void, extraMs = 0): void {
    this.#arrivesHereMs = Math.max(
      this.#arrivesHereMs,
      this.#schedule.nowMs + extraMs + this.#chance.wait(this.#latencyMs),
    );
    this.#schedule.at(this.#arrivesHereMs, this.#process, run);
  }
}

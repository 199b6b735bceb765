import type { AppliedCommand, ApplyResult } from "../../server/group/machine.ts";
import type { RoomReplica } from "../../server/session/room-replica.ts";
import { isRefusal } from "../../server/session/session-error.ts";
import {
  type Allocate,
  type Attach,
  type Detach,
  type Forget,
  type Message,
  type NodeLost,
  sessionMenu,
} from "../../server/session/session-menu.ts";
import type { LedLaws, Synced } from "./led-laws.ts";
import { hold } from "./violation.ts";

/** Colyseus's frame by which a client says that it has its token. */
const joinedCode = 10;

/** What the group's own part decides, whatever has become of the room. */
const ofDirectory: ReadonlySet<string> = new Set(["allocate", "forget", "quarantine"]);

interface Origin {
  readonly nodeId: string;
  readonly bootCount: number;
}

type Verdict = "new" | "duplicate" | "gap" | "expired";

/** Design 5.3: of each node the last start, and of that one the last number. */
class OriginsModel {
  readonly #last = new Map<string, { bootCount: number; sequence: number }>();

  take({ nodeId, bootCount }: Origin, sequence: number): Verdict {
    const last = this.#last.get(nodeId) ?? { bootCount: 0, sequence: 0 };
    if (bootCount < last.bootCount) return "expired";
    const before = bootCount > last.bootCount ? 0 : last.sequence;
    if (sequence <= before) return "duplicate";
    if (sequence > before + 1) return "gap";
    this.#last.set(nodeId, { bootCount, sequence });
    return "new";
  }
}

/** A seat's tokens, in the order in which they were given; those before `goodFrom` are used up. */
interface SeatModel {
  epoch: number;
  attachedTo: Origin | null;
  tokens: string[];
  goodFrom: number;
  readonly sequences: { epoch: number; client: number };
}

interface RoomModel {
  readonly origins: OriginsModel;
  readonly seats: Map<string, SeatModel>;
}

/** What a replica made of a command. */
export interface Given {
  readonly result: ApplyResult;
  /** Those that are there then. */
  readonly rooms: ReadonlyMap<string, RoomReplica>;
  /** A room that is another one on each node by now. */
  readonly isLost: (roomId: string) => boolean;
  /** Seats whose clients the command sends the state, in a room that its leader runs. */
  readonly synced: Synced;
}

interface Command {
  readonly at: string;
  readonly origin: Origin;
  readonly result: ApplyResult;
  /** The code of the refusal that it gave; null: none. */
  readonly refused: string | null;
}

/**
 * What a group's log says about its sessions, worked out anew from the commands alone: which of them count, by their
 * numbers, epochs and tokens. What room code decides is taken as it comes; what it must not decide is held against this.
 */
export class SessionModel {
  readonly #led: LedLaws;
  readonly #directoryOrigins = new OriginsModel();
  readonly #keys = new Map<string, string>();
  /** Those that the directory lists, by their keys. */
  readonly #listed = new Map<string, string>();
  /** Those that exist. */
  readonly #rooms = new Map<string, RoomModel>();

  constructor(led: LedLaws) {
    this.#led = led;
  }

  /** In the order of the log, each once. */
  applied({ index, id, command }: AppliedCommand, { result, rooms, isLost, synced }: Given): void {
    const { name, argument } = sessionMenu.decode(command);
    const { roomId } = (argument ?? {}) as { roomId?: string };
    if (roomId !== undefined && !ofDirectory.has(name) && isLost(roomId)) {
      this.#rooms.delete(roomId);
      return;
    }
    const value = result.type === "done" ? result.value : null;
    const refused = isRefusal(value) ? value.refused : null;
    const { nodeId, bootCount } = id;
    const step = { at: `${name} at ${index}`, origin: { nodeId, bootCount }, result, refused };
    switch (name) {
      case "allocate":
        return this.#allocate(argument as Allocate, step);
      case "forget":
        return this.#forget(argument as Forget, step, rooms);
      case "nodeLost":
        return this.#nodeLost(argument as NodeLost);
      case "message":
        return this.#message(argument as Message, step);
      case "reserve":
      case "call":
      case "effectDone": {
        this.#proposed(argument as { roomId: string; sequence: number }, step);
        return;
      }
      case "attach":
        return this.#attach(argument as Attach, step);
      case "detach":
        return this.#detach(argument as Detach, step);
      case "step":
        for (const { sessionId, epoch } of synced) {
          const seat = this.#rooms.get(roomId as string)?.seats.get(sessionId);
          if (seat?.epoch === epoch) seat.goodFrom = seat.tokens.length - 1;
        }
        return;
      case "quarantine":
        this.#unlist((argument as { roomId: string }).roomId);
        return;
      default:
        return;
    }
  }

  // ── the directory ────────────────────────────────────────────────────────────────────────────────────────────────

  #allocate({ sequence, key, fresh, exclude, roomId }: Allocate, step: Command): void {
    if (!this.#counts(this.#directoryOrigins.take(step.origin, sequence), step)) return;
    const current = this.#keys.get(key);
    const isKnown = !fresh && current !== undefined && current !== exclude;
    if (!isKnown) {
      this.#keys.set(key, roomId);
      this.#listed.set(roomId, key);
      if (step.refused === "ROOM_CREATE_FAILED") return;
      this.#rooms.set(roomId, { origins: new OriginsModel(), seats: new Map() });
    }
    const given = step.result.type === "done" ? (step.result.value as { roomId?: string }).roomId : undefined;
    const expected = isKnown ? current : roomId;
    hold(given === expected, "X30", () => `${step.at} gives room ${given}, the key stands for ${expected}`);
  }

  #forget({ sequence, roomId }: Forget, { at, origin }: Command, rooms: ReadonlyMap<string, unknown>): void {
    if (this.#directoryOrigins.take(origin, sequence) !== "new") return;
    hold(!rooms.has(roomId), "X30", () => `${at}: room ${roomId} is there`);
    this.#unlist(roomId);
  }

  #unlist(roomId: string): void {
    const key = this.#listed.get(roomId);
    this.#listed.delete(roomId);
    this.#rooms.delete(roomId);
    if (key !== undefined && this.#keys.get(key) === roomId) this.#keys.delete(key);
  }

  // ── rooms ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** True: it is carried out. */
  #counts(verdict: Verdict, { at, result, refused }: Command): boolean {
    const answers: Record<Verdict, boolean> = {
      gap: result.type === "gap",
      duplicate: refused === "APPLIED_RESULT_FORGOTTEN",
      expired: refused === "SESSION_EXPIRED",
      new: result.type === "done" && refused !== "APPLIED_RESULT_FORGOTTEN" && refused !== "SESSION_EXPIRED",
    };
    hold(answers[verdict], "X30", () => `${at} is ${verdict}, but gives ${JSON.stringify(result)}`);
    return verdict === "new";
  }

  /** Null: there is no such room, or the command is none of its own. */
  #proposed({ roomId, sequence }: { roomId: string; sequence: number }, step: Command): RoomModel | null {
    const room = this.#room(roomId, step);
    if (room === null || !this.#counts(room.origins.take(step.origin, sequence), step)) return null;
    return room;
  }

  /** A room that its own code ended is gone for good. */
  #room(roomId: string, { at, refused, result }: Command): RoomModel | null {
    const room = this.#rooms.get(roomId);
    if (refused === "ROOM_NOT_FOUND") this.#rooms.delete(roomId);
    else
      hold(
        room !== undefined,
        "X30",
        () => `${at}: room ${roomId} is gone, and gives ${JSON.stringify(result)}`,
      );
    return refused === "ROOM_NOT_FOUND" ? null : (room ?? null);
  }

  #attach(argument: Attach, step: Command): void {
    const room = this.#proposed(argument, step);
    if (room === null) return;
    const { sessionId, presentedToken, token } = argument;
    const known = room.seats.get(sessionId);
    const { refused, at, origin } = step;
    if (presentedToken === null) {
      if (refused !== null && refused !== "APPLICATION") return;
      const seat: SeatModel = {
        epoch: 0,
        attachedTo: null,
        tokens: [],
        goodFrom: 0,
        sequences: { epoch: 0, client: 0 },
      };
      room.seats.set(sessionId, seat);
      this.#attached(seat, { token, origin, step });
      return;
    }
    const shown = known?.tokens.lastIndexOf(presentedToken) ?? -1;
    const isGood = known !== undefined && shown >= known.goodFrom;
    if (refused === "TOKEN_REFUSED")
      hold(!isGood, "X12", () => `${at} of ${sessionId} is refused with a token that is good`);
    if (refused === "SEAT_EXPIRED") {
      // The room kept it no longer, or never did.
      if (isGood) room.seats.delete(sessionId);
      return;
    }
    if (refused !== null && refused !== "APPLICATION") return;
    hold(
      isGood,
      "X30",
      () => `${at} of ${sessionId} succeeds with token ${shown} of ${known?.tokens.length ?? 0}`,
    );
    known.goodFrom = shown;
    this.#attached(known, { token, origin, step });
  }

  #attached(
    seat: SeatModel,
    { token, origin, step }: { token: string; origin: Origin; step: Command },
  ): void {
    seat.epoch += 1;
    seat.attachedTo = origin;
    hold(!seat.tokens.includes(token), "X30", () => `${step.at} gives a token for the second time`);
    seat.tokens.push(token);
    seat.sequences.epoch = 0;
    if (step.refused !== null || step.result.type !== "done") return;
    const { epoch } = step.result.value as { epoch: number };
    hold(epoch === seat.epoch, "X30", () => `${step.at} begins epoch ${epoch} instead of ${seat.epoch}`);
  }

  #detach(argument: Detach, step: Command): void {
    const room = this.#proposed(argument, step);
    if (room === null) return;
    const seat = room.seats.get(argument.sessionId);
    if (step.refused !== null) return;
    hold(
      seat?.epoch === argument.epoch,
      "X30",
      () => `${step.at} of epoch ${argument.epoch} is carried out in epoch ${seat?.epoch}`,
    );
    seat.attachedTo = null;
  }

  #nodeLost({ nodeId, bootCountMax }: NodeLost): void {
    for (const { seats } of this.#rooms.values()) {
      for (const seat of seats.values()) {
        const { attachedTo } = seat;
        if (attachedTo?.nodeId === nodeId && attachedTo.bootCount <= bootCountMax) seat.attachedTo = null;
      }
    }
  }

  #message(message: Message, step: Command): void {
    const { roomId, sessionId, epoch, stream, sequence, frame } = message;
    const room = this.#room(roomId, step);
    if (room === null) return;
    const seat = room.seats.get(sessionId);
    const { at, refused, result } = step;
    const isOpen = seat !== undefined && seat.epoch === epoch && seat.attachedTo !== null;
    if (refused === "SEAT_EXPIRED") {
      room.seats.delete(sessionId);
      return;
    }
    if (refused === "ROOM_BUSY") return;
    if (refused !== null) {
      // Room code may have sent the client away.
      if (isOpen) seat.attachedTo = null;
      return;
    }
    const state = seat === undefined ? "no seat" : `epoch ${seat.epoch}${isOpen ? "" : ", which has ended"}`;
    hold(isOpen, "X30", () => `${at} of ${sessionId}, epoch ${epoch}, is taken in ${state}`);
    const last = seat.sequences[stream];
    hold(
      (result.type === "gap") === sequence > last + 1,
      "X30",
      () => `${at} of ${sessionId}: ${stream} ${sequence} after ${last} gives ${JSON.stringify(result)}`,
    );
    if (sequence !== last + 1) return;
    seat.sequences[stream] = sequence;
    // Where the room's code has still to work it off, so do the tokens.
    if (this.#led.isLed(roomId)) this.#led.taken(message);
    else if (frame[0] === joinedCode) seat.goodFrom = seat.tokens.length - 1;
  }
}

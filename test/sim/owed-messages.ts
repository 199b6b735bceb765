import type { AppliedCommand, ApplyResult } from "../../server/group/machine.ts";
import type { RoomReplica } from "../../server/session/room-replica.ts";
import type { Attachment, Seat } from "../../server/session/seat.ts";
import { isRefusal } from "../../server/session/session-error.ts";
import {
  type Message,
  type NodeFound,
  type NodeMissing,
  sessionMenu,
} from "../../server/session/session-menu.ts";
import type { Coverage } from "./coverage.ts";

/** Colyseus's frame by which a client says that it has its token. */
const joinedCode = 10;
/** By which a seat comes to its next epoch. */
const attaching: ReadonlySet<string> = new Set(["attach", "step"]);
/** What is older may be kept no longer. */
const keptMs = 9_000;

interface Said {
  readonly number: number;
  readonly index: number;
  readonly atMs: number;
}

/** A stock client's seat, in one epoch. */
interface Owed {
  readonly group: number;
  readonly epoch: number;
  at: Attachment | null;
  hasJoined: boolean;
  isMissing: boolean;
  /** Said to it in this epoch, or carried over. */
  said: Said[];
  /** Nobody has sent them; null: its node sends what is said as it is said. */
  unsent: Said[] | null;
  released: { readonly index: number; readonly unsent: readonly Said[] } | null;
}

/**
 * What stock clients are owed, worked out anew from the log: whatever the room said to them by entries that their node had
 * surely not applied, they hear from where they are next. Numbers are the rooms' own, one for each broadcast.
 */
export class OwedMessages {
  readonly #coverage: Coverage;
  /** By session id. */
  readonly #seats = new Map<string, Owed>();
  /** By session id: in that epoch these must have come before any later one. */
  readonly #due = new Map<string, { readonly epoch: number; readonly numbers: Set<number> }>();

  constructor(coverage: Coverage) {
    this.#coverage = coverage;
  }

  /** While the entry is applied for the first time anywhere. */
  said(sessionIds: readonly string[], said: Said): void {
    for (const sessionId of sessionIds) {
      const seat = this.#seats.get(sessionId);
      if (seat === undefined || seat.at === null) continue;
      seat.said.push(said);
      seat.unsent?.push(said);
    }
  }

  /** Behind that. */
  applied(
    group: number,
    { index, term, logTimeMs, command }: AppliedCommand,
    result: ApplyResult,
    rooms: Iterable<RoomReplica>,
  ): void {
    const { name, argument } = sessionMenu.decode(command);
    const attaches = attaching.has(name);
    const here = new Set<string>();
    for (const { seats } of rooms)
      for (const seat of seats.values()) {
        here.add(seat.sessionId);
        this.#look(group, seat, attaches);
      }
    this.#passOver(group, here);
    const isDone = result.type === "done" && !isRefusal(result.value);
    if (name === "message" && isDone) {
      const { sessionId, epoch, frame } = argument as Message;
      const seat = this.#seats.get(sessionId);
      if (frame[0] !== joinedCode || seat?.epoch !== epoch || seat.hasJoined) return;
      seat.hasJoined = true;
      if (!seat.isMissing) this.#release(sessionId, seat, { index, logTimeMs });
    }
    if (name === "nodeMissing" && (argument as NodeMissing).term === term)
      this.#missing(group, argument as NodeMissing);
    if (name === "nodeFound") this.#found(group, argument as NodeFound, { index, logTimeMs });
  }

  /** @param attaches by this very entry, maybe; else whoever applied that first does not have the room (it is pinned elsewhere) */
  #look(group: number, { sessionId, epoch, attachment, wrapper }: Seat, attaches: boolean): void {
    const known = this.#seats.get(sessionId);
    if (wrapper) {
      this.#seats.delete(sessionId);
      return;
    }
    if (known !== undefined && known.epoch === epoch) {
      known.at = attachment;
      return;
    }
    const unsent = [...(known?.unsent ?? [])];
    const fresh = {
      group,
      epoch,
      at: attachment,
      // What was not seen may have been said and sent: nothing is owed for sure.
      hasJoined: !attaches,
      isMissing: false,
      said: [...unsent],
      unsent: attaches ? unsent : null,
      released: null,
    };
    this.#seats.set(sessionId, fresh);
  }

  /** Whoever applied the entry first does not have their rooms (pinned elsewhere, say): what was said, or sent, is not seen. */
  #passOver(group: number, here: ReadonlySet<string>): void {
    for (const [sessionId, seat] of this.#seats) {
      if (seat.group !== group || here.has(sessionId)) continue;
      seat.hasJoined = true;
      seat.unsent = null;
      this.#due.delete(sessionId);
    }
  }

  #missing(group: number, { nodeId, bootCountMax, appliedAtMost }: NodeMissing): void {
    for (const [sessionId, seat] of this.#seats) {
      if (seat.group !== group) continue;
      if (seat.at?.nodeId !== nodeId || seat.at.bootCount > bootCountMax || seat.isMissing) continue;
      this.#coverage.hit("seatsMissing");
      seat.isMissing = true;
      if (seat.unsent !== null) continue;
      const { released } = seat;
      const isUnsent = released !== null && released.index > appliedAtMost;
      const later = seat.said.filter(({ index }) => index > appliedAtMost);
      seat.unsent = isUnsent ? [...new Set([...released.unsent, ...later])] : later;
      const due = this.#due.get(sessionId);
      for (const { number } of seat.unsent) due?.numbers.delete(number);
    }
  }

  #found(group: number, { nodeId, bootCount }: NodeFound, at: { index: number; logTimeMs: number }): void {
    for (const [sessionId, seat] of this.#seats) {
      if (seat.group !== group) continue;
      if (seat.at?.nodeId !== nodeId || seat.at.bootCount !== bootCount || !seat.isMissing) continue;
      this.#coverage.hit("seatsFound");
      seat.isMissing = false;
      if (seat.hasJoined) this.#release(sessionId, seat, at);
    }
  }

  #release(sessionId: string, seat: Owed, { index, logTimeMs }: { index: number; logTimeMs: number }): void {
    if (seat.unsent === null) return;
    seat.released = { index, unsent: seat.unsent };
    const { epoch } = seat;
    const known = this.#due.get(sessionId);
    const due = known?.epoch === epoch ? known : { epoch, numbers: new Set<number>() };
    for (const { number, atMs } of seat.unsent) if (logTimeMs - atMs < keptMs) due.numbers.add(number);
    this.#due.set(sessionId, due);
    this.#coverage.hit("messagesOwed", seat.unsent.length);
    seat.unsent = null;
  }

  /** What a client that hears `number` in that epoch should have heard before, and has not. */
  lacking(sessionId: string, epoch: number, number: number, heard: ReadonlySet<number>): number[] {
    const due = this.#due.get(sessionId);
    if (due?.epoch !== epoch) return [];
    return [...due.numbers].filter((each) => each < number && !heard.has(each));
  }
}

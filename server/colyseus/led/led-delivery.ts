import { Protocol } from "@colyseus/core";
import { decode } from "@colyseus/schema";
import type { RoomEnvironment } from "../../session/room-program.ts";
import type { Seat } from "../../session/seat.ts";
import { isMessage } from "../logged-client.ts";
import type { LedPerson, LedRoomData } from "./led-room-data.ts";
import type { Asker, Step } from "./led-step.ts";

export type LedEnvironment = RoomEnvironment & { readonly seats: ReadonlyMap<string, Seat> };

/** What a step says to clients, once it is agreed: each replica keeps all of it, and sends what is for its own. */
export class LedDelivery {
  readonly #environment: LedEnvironment;
  readonly #data: LedRoomData;

  constructor(environment: LedEnvironment, data: LedRoomData) {
    this.#environment = environment;
    this.#data = data;
  }

  send({ frames, connections, full, synced }: Step): void {
    const data = this.#data;
    const environment = this.#environment;
    for (const { bytes, to } of frames) {
      if (to === null) this.#patch(bytes);
      for (const at of to ?? []) this.#tell(connections[at] as Asker, bytes);
    }
    if (full !== null) {
      const nextIndexes = full.nextIndexes.map(([refId, next]) => [refId, next] as const);
      data.state = { full: { frame: Uint8Array.from(full.frame), nextIndexes }, patches: [] };
    }
    for (const { sessionId, epoch } of synced) {
      const person = data.people.get(sessionId);
      const seat = environment.seats.get(sessionId);
      if (person === undefined || seat?.epoch !== epoch || person.isSynced) continue;
      environment.acknowledged(seat);
      if (data.state !== null) environment.deliver(seat, epoch, data.state.full.frame);
      for (const frame of person.held) environment.say(seat, epoch, frame);
      person.held = [];
      person.isSynced = true;
    }
  }

  #patch(bytes: Uint8Array): void {
    this.#data.state?.patches.push(Uint8Array.from(bytes));
    for (const [sessionId, { isSynced }] of this.#data.people) {
      const seat = this.#environment.seats.get(sessionId);
      if (isSynced && seat !== undefined) this.#environment.deliver(seat, seat.epoch, bytes);
    }
  }

  #tell({ sessionId, epoch, isWrapper }: Asker, bytes: Uint8Array): void {
    const environment = this.#environment;
    const seat = environment.seats.get(sessionId);
    const person = this.#data.people.get(sessionId);
    if (seat === undefined || person === undefined) return;
    if (isMessage(bytes)) this.#message(seat, person, bytes);
    else if (bytes[0] === Protocol.ROOM_RESPONSE && isWrapper) {
      // It gets the reply wherever it is by then. A client that numbers its requests otherwise may have the seat meanwhile.
      seat.rememberReply(decode.number(bytes, { offset: 1 }), Uint8Array.from(bytes));
      if (seat.wrapper) environment.deliver(seat, seat.epoch, bytes);
    } else environment.deliver(seat, epoch, bytes);
  }

  /** The room's code may not have heard yet that the player has moved: it is for the player all the same. */
  #message(seat: Seat, person: LedPerson, bytes: Uint8Array): void {
    if (seat.attachment === null) return;
    const environment = this.#environment;
    const kept = environment.keep(seat, seat.epoch, bytes);
    if (person.isSynced) environment.say(seat, seat.epoch, kept);
    else person.held.push(Uint8Array.from(kept));
  }
}

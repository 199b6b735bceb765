import { Protocol } from "@colyseus/core";
import { decode } from "@colyseus/schema";
import { UNANSWERED_MAX } from "../../shared/wrapper-protocol.ts";

/** What a client has asked and has no reply to yet: its handler may wait for long after the request is agreed. */
export class OpenRequests {
  readonly #ids = new Set<number>();

  get size(): number {
    return this.#ids.size;
  }

  received(frame: Uint8Array): void {
    // More of them nobody waits for.
    if (frame[0] === Protocol.ROOM_REQUEST && this.#ids.size < UNANSWERED_MAX) this.#ids.add(idOf(frame));
  }

  sent(frame: Uint8Array): void {
    if (frame[0] === Protocol.ROOM_RESPONSE) this.#ids.delete(idOf(frame));
  }
}

function idOf(frame: Uint8Array): number {
  return decode.number(frame, { offset: 1 });
}

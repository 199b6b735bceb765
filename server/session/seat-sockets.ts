import { encodeResumption } from "../../shared/wrapper-protocol.ts";
import type { LiveSocket } from "./live-socket.ts";
import { outsideWorld } from "./sandbox.ts";
import type { Resumption, Seat } from "./seat.ts";

/** The sockets of one room's clients that are attached to this node: the way out for what the room sends. */
export class SeatSockets {
  readonly #sockets = new Map<string, { readonly socket: LiveSocket; readonly epoch: number }>();
  /** What a wrapper client is to be told: its last command that is committed and applied. */
  readonly #acks = new Map<string, number>();
  /** Sockets that were sent something since the last drain. */
  readonly #unflushed = new Set<LiveSocket>();

  set(seat: Seat, socket: LiveSocket): void {
    this.#sockets.set(seat.sessionId, { socket, epoch: seat.epoch });
  }

  forget(seat: Seat): void {
    this.#sockets.delete(seat.sessionId);
    this.#acks.delete(seat.sessionId);
  }

  /** Whoever is refused is told so by the answer to the attachment: what ends behind that is not this socket's end. */
  async join(seat: Seat, resumption: Resumption, join: () => Promise<void>): Promise<void> {
    try {
      await join();
    } catch (error) {
      if (seat.epoch === resumption.epoch) this.forget(seat);
      throw error;
    }
    this.resume(seat, resumption);
  }

  /** The seat's client is attached here in the seat's present epoch. */
  has(seat: Seat): boolean {
    return this.#sockets.get(seat.sessionId)?.epoch === seat.epoch;
  }

  deliver(seat: Seat, epoch: number, frame: Uint8Array): void {
    const here = this.#sockets.get(seat.sessionId);
    if (here === undefined || here.epoch !== epoch) return;
    this.#unflushed.add(here.socket);
    outsideWorld(() => here.socket.send(frame));
  }

  close(seat: Seat, code: number, reason: string): void {
    const here = this.#sockets.get(seat.sessionId);
    if (here === undefined) return;
    this.forget(seat);
    outsideWorld(() => here.socket.close(code, reason));
  }

  closeAll(code: number, reason: string): void {
    const closing = [...this.#sockets.values()];
    this.#sockets.clear();
    this.#acks.clear();
    for (const { socket } of closing) socket.close(code, reason);
  }

  /**
   * What a wrapper client may have missed: the replies to its last requests, then how far its commands have come, and
   * where it stands in the room's messages.
   */
  resume(seat: Seat, { epoch, received, lost }: Resumption): void {
    if (!seat.wrapper || seat.epoch !== epoch) return;
    for (const frame of seat.replies.values()) this.deliver(seat, epoch, frame);
    this.deliver(seat, epoch, encodeResumption({ sequence: seat.clientSequence, received, lost }));
  }

  acknowledge(seat: Seat): void {
    if (this.has(seat)) this.#acks.set(seat.sessionId, seat.clientSequence);
  }

  /** One acknowledgement, and one write, a client and drain, however many commands were applied. */
  flushAcks(encode: (sequence: number) => Uint8Array): void {
    for (const [sessionId, sequence] of this.#acks) {
      const socket = this.#sockets.get(sessionId)?.socket;
      if (socket === undefined) continue;
      this.#unflushed.add(socket);
      socket.send(encode(sequence));
    }
    this.#acks.clear();
    for (const socket of this.#unflushed) socket.flush?.();
    this.#unflushed.clear();
  }
}

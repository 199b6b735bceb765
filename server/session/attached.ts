import { decodeSequenced, TESTUDO_CODE } from "../../shared/wrapper-protocol.ts";
import type { Eventuals } from "./eventuals.ts";
import { sessionLimits } from "./limits.ts";
import { type LiveSocket, mayTryReconnect } from "./live-socket.ts";
import type { RoomReplica } from "./room-replica.ts";
import { isRefusal } from "./session-error.ts";

/** CloseCode.WITH_ERROR: the SDK does not reconnect by itself. */
const withError = 4002;

interface MessageRoute {
  room(roomId: string): RoomReplica | undefined;
  message(frame: {
    roomId: string;
    sessionId: string;
    epoch: number;
    stream: "epoch" | "client";
    sequence: number;
    frame: Uint8Array;
  }): Promise<unknown> | null;
  readonly eventuals: Pick<Eventuals, "say">;
  nowMs(): number;
  detachSurely(roomId: string, sessionId: string, epoch: number, code: number): void;
}

/** A client's socket, attached to its seat in one epoch: numbers its frames and puts them on their way into the log. */
export class Attached {
  readonly epoch: number;
  readonly #route: MessageRoute;
  readonly #roomId: string;
  readonly #sessionId: string;
  readonly #socket: LiveSocket;
  #epochSequence = 0;
  /** The next number that a wrapper client may use: it cannot leave one out. */
  #clientSequenceMax: number;
  #inFlight = 0;
  #eventualSequence = 0;
  #eventualSecond = { endsMs: 0, count: 0 };
  /** By type, of messages of which only the newest counts: what waits while one is on its way; null: nothing. */
  readonly #latest = new Map<string, Uint8Array | null>();
  #closed = false;
  /** The socket is being closed from here: what it still brings would go on past what was left out. */
  #ended = false;

  constructor(
    route: MessageRoute,
    attached: { roomId: string; sessionId: string; epoch: number; socket: LiveSocket },
  ) {
    this.#route = route;
    this.#roomId = attached.roomId;
    this.#sessionId = attached.sessionId;
    this.#socket = attached.socket;
    this.epoch = attached.epoch;
    this.#clientSequenceMax =
      (route.room(attached.roomId)?.seats.get(attached.sessionId)?.clientSequence ?? 0) + 1;
  }

  /** Something of it is on its way through the log. */
  get isBusy(): boolean {
    return this.#inFlight > 0;
  }

  /** A frame from the client, Colyseus's own or the wrapper's. */
  receive(bytes: Uint8Array): void {
    if (this.#closed || this.#ended) return;
    if (bytes.length > sessionLimits.frameBytesMax) {
      this.#refuse(
        `a message has at most ${sessionLimits.frameBytesMax} bytes, this one has ${bytes.length}: send less at once`,
      );
      return;
    }
    if (this.#inFlight >= sessionLimits.framesInFlightMax) {
      this.#refuse(
        `more than ${sessionLimits.framesInFlightMax} messages are waiting to be agreed: send more slowly`,
      );
      return;
    }
    const sequenced = decodeSequenced(bytes);
    if (sequenced === null) {
      if (bytes.length === 0 || bytes[0] === TESTUDO_CODE) this.#refuse("a frame is empty or garbled");
      else this.#receiveUnnumbered(bytes);
      return;
    }
    const { sequence, frame } = sequenced;
    if (sequence < 1 || sequence > this.#clientSequenceMax || frame.length === 0) {
      this.#refuse(`command ${sequence} is out of order: the next one is ${this.#clientSequenceMax}`);
      return;
    }
    if (this.#isEventual(frame) && !this.#takesEventual()) return;
    this.#sendWaiting();
    void this.#send("client", sequence, frame);
  }

  #receiveUnnumbered(frame: Uint8Array): void {
    if (this.#isEventual(frame)) {
      if (this.#takesEventual()) this.#sendEventual(frame);
      return;
    }
    const type = this.#route.room(this.#roomId)?.program.latestType(frame) ?? null;
    if (type !== null && this.#latest.has(type)) {
      this.#latest.set(type, Uint8Array.from(frame));
      return;
    }
    this.#sendWaiting();
    if (type === null) void this.#send("epoch", this.#epochSequence + 1, frame);
    else this.#sendLatest(type, frame);
  }

  #isEventual(frame: Uint8Array): boolean {
    return (this.#route.room(this.#roomId)?.program.eventualType(frame) ?? null) !== null;
  }

  /** Counted here: the room's own count is in the log. */
  #takesEventual(): boolean {
    const perSecondMax = this.#route.room(this.#roomId)?.program.messagesPerSecondMax ?? 0;
    const nowMs = this.#route.nowMs();
    if (nowMs >= this.#eventualSecond.endsMs) this.#eventualSecond = { endsMs: nowMs + 1_000, count: 0 };
    this.#eventualSecond.count++;
    const takes = this.#eventualSecond.count <= perSecondMax;
    if (!takes) this.#refuse(`more than ${perSecondMax} messages a second: send more slowly`);
    return takes;
  }

  #sendEventual(frame: Uint8Array): void {
    const from = { roomId: this.#roomId, sessionId: this.#sessionId, epoch: this.epoch };
    const sequence = ++this.#eventualSequence;
    // The socket uses its buffer again.
    const message = { ...from, stream: "epoch", sequence, frame: Uint8Array.from(frame) } as const;
    this.#route.eventuals.say(message, (reason) => {
      if (!this.#closed) this.#refuse(reason);
    });
  }

  /** What a client says goes in as it was said: nothing overtakes what waits. */
  #sendWaiting(): void {
    for (const [type, newest] of this.#latest) if (newest !== null) this.#sendLatest(type, newest);
  }

  #sendLatest(type: string, frame: Uint8Array): void {
    this.#latest.set(type, null);
    void this.#send("epoch", this.#epochSequence + 1, frame).then(() => {
      const newest = this.#latest.get(type) ?? null;
      this.#latest.delete(type);
      if (newest !== null && !this.#closed && !this.#ended) this.#sendLatest(type, newest);
    });
  }

  /** The socket is closed: the seat is detached through the log, whatever it takes. */
  closed(code: number): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#route.detachSurely(this.#roomId, this.#sessionId, this.epoch, code);
  }

  /** Resolves once it is answered, or is not sent at all. */
  async #send(stream: "epoch" | "client", sequence: number, frame: Uint8Array): Promise<void> {
    const sent = this.#route.message({
      roomId: this.#roomId,
      sessionId: this.#sessionId,
      epoch: this.epoch,
      stream,
      sequence,
      frame,
    });
    if (sent === null) {
      // Nothing was lost yet: the client goes on from here, or from another node, and sends again what it has.
      this.#end(mayTryReconnect, "OVERLOADED: too much is waiting to be agreed");
      return;
    }
    if (stream === "epoch") this.#epochSequence = sequence;
    else this.#clientSequenceMax = Math.max(this.#clientSequenceMax, sequence + 1);
    this.#inFlight++;
    try {
      const result = await sent;
      if (isRefusal(result) && !this.#closed) this.#end(mayTryReconnect, result.refused);
    } catch {
      // No answer in time: whether it was applied is unknown, so this attachment must not go on as if it were.
      this.#end(mayTryReconnect, "no leader answered in time: go on elsewhere");
    } finally {
      this.#inFlight--;
    }
  }

  #refuse(reason: string): void {
    this.#end(withError, reason);
  }

  #end(code: number, reason: string): void {
    this.#ended = true;
    this.#socket.close(code, reason);
  }
}

import { sessionLimits } from "./limits.ts";
import type { Message } from "./message-codec.ts";
import { type KeptMessage, SeatOutbox } from "./seat-outbox.ts";
import { type Refusal, refusal } from "./session-error.ts";

/** Where a seat's client is: on which node, in which of its starts. */
export interface Attachment {
  readonly nodeId: string;
  readonly bootCount: number;
  /** The proposing node's own number for the socket. */
  readonly attachId: number;
}

/** What a seat is in a checkpoint. */
export interface SeatState {
  readonly sessionId: string;
  readonly epoch: number;
  readonly attachment: Attachment | null;
  readonly token: string;
  readonly earlierTokens: readonly string[];
  readonly wrapper: boolean;
  readonly epochSequence: number;
  readonly clientSequence: number;
  readonly replies: readonly (readonly [number, Uint8Array])[];
  /** Of the room's messages to it: the last one's number, and that of the last one that is kept no longer. */
  readonly sent: number;
  readonly dropped: number;
  readonly unsentFrom: number | null;
  readonly hasJoined: boolean;
  readonly isMissing: boolean;
  readonly released: Released | null;
}

/** All behind message `from`, unsent until then, were sent where the entry at `index` was applied. */
interface Released {
  readonly index: number;
  readonly from: number;
}

/** Where an attachment stands in the room's messages to its seat. */
export interface Resumption {
  readonly epoch: number;
  /** Its client has this one and all before, or will never get them; `missed` are those behind it. */
  readonly received: number;
  readonly missed: readonly Uint8Array[];
  /** Of what its client lacks, so many are kept no longer. */
  readonly lost: number;
}

export type SequenceVerdict = "new" | "duplicate" | "gap";

/**
 * A player's place in a room. It outlives connections: each attachment raises `epoch`, and what an older epoch still
 * has in flight is refused, so that it cannot overtake what the player did elsewhere (design 5.3).
 */
export class Seat {
  readonly sessionId: string;
  epoch = 0;
  attachment: Attachment | null = null;
  /** The reconnection token that the client was given last. */
  token = "";
  /**
   * Those before it that the client may still have, oldest first: the one that it showed last, and what it was given
   * since. Good until it acknowledges the newest, for a node may die between commit and send, and an attempt that the
   * client gave up may be applied after the one that reached it.
   */
  #earlierTokens: readonly string[] = [];
  /** Its client numbers its commands itself (the wrapper). */
  wrapper = false;
  /** Frames without a number of their own: counted by the attached node, from 1 in each epoch. */
  epochSequence = 0;
  /** The wrapper's commands: counted by the client, over all epochs. */
  clientSequence = 0;
  /** The room's messages to it. */
  readonly outbox: SeatOutbox;
  /** Those behind this one have surely not been sent to its client; null: all may have been. */
  unsentFrom: number | null = null;
  /** Its client has acknowledged the present attachment. */
  hasJoined = false;
  /** By which entry. Only of use to the node that has its client, so it is in no checkpoint. */
  joinedIndex = 0;
  /** Its node may be gone: nobody sends it the room's messages. Never a wrapper's seat, which says itself what it has. */
  isMissing = false;
  #released: Released | null = null;
  /** The wrapper's replies by request id, newest last: a command that is sent again gets its remembered result. */
  readonly #replies = new Map<number, Uint8Array>();

  constructor(sessionId: string, outbox = new SeatOutbox()) {
    this.sessionId = sessionId;
    this.outbox = outbox;
  }

  static from(state: SeatState): Seat {
    const seat = new Seat(state.sessionId, new SeatOutbox(state));
    seat.epoch = state.epoch;
    seat.attachment = state.attachment;
    seat.token = state.token;
    seat.#earlierTokens = state.earlierTokens;
    seat.wrapper = state.wrapper;
    seat.epochSequence = state.epochSequence;
    seat.clientSequence = state.clientSequence;
    seat.unsentFrom = state.unsentFrom;
    seat.hasJoined = state.hasJoined;
    seat.isMissing = state.isMissing;
    seat.#released = state.released;
    for (const [requestId, frame] of state.replies) seat.#replies.set(requestId, frame);
    return seat;
  }

  get state(): SeatState {
    return {
      sessionId: this.sessionId,
      epoch: this.epoch,
      attachment: this.attachment,
      token: this.token,
      earlierTokens: this.#earlierTokens,
      wrapper: this.wrapper,
      epochSequence: this.epochSequence,
      clientSequence: this.clientSequence,
      replies: [...this.#replies],
      sent: this.outbox.sent,
      dropped: this.outbox.dropped,
      unsentFrom: this.unsentFrom,
      hasJoined: this.hasJoined,
      isMissing: this.isMissing,
      released: this.#released,
    };
  }

  /** What the client has shown is what it surely has; a token in between may have reached it, or not. */
  attach(
    attachment: Attachment,
    { token, presentedToken }: { readonly token: string; readonly presentedToken: string | null },
  ): void {
    this.epoch++;
    this.attachment = attachment;
    this.#earlierTokens = presentedToken === null ? [] : this.#since(presentedToken);
    this.token = token;
    this.epochSequence = 0;
    this.hasJoined = false;
    this.isMissing = false;
    this.#released = null;
  }

  /**
   * Where the client goes on in the room's messages. One that cannot say what it has `received` gets what surely nobody has
   * sent it yet: nothing twice.
   */
  resume({
    wrapper,
    received: said,
  }: {
    readonly wrapper: boolean;
    readonly received: number | null;
  }): Resumption {
    const { outbox, epoch } = this;
    this.wrapper = wrapper;
    const surelySent = this.unsentFrom ?? outbox.sent;
    const has = wrapper && said !== null ? Math.min(said, outbox.sent) : surelySent;
    const received = Math.max(has, outbox.dropped);
    this.unsentFrom = received;
    return {
      epoch,
      received,
      lost: received - has,
      missed: outbox.after(received).map(({ bytes }) => bytes),
    };
  }

  /** The client has the new token: those before are used up, and by this entry it is sent what the room has said. */
  tokenAcknowledged(index: number): void {
    this.#earlierTokens = [];
    if (!this.hasJoined) this.joinedIndex = index;
    this.hasJoined = true;
    if (!this.isMissing) this.#release(index);
  }

  /** Its node cannot be reached, and has applied nothing behind `appliedAtMost`: what it would have sent there it has not. */
  nodeMissing(appliedAtMost: number): void {
    this.isMissing = true;
    const released = this.#released;
    const isUnsent = released !== null && released.index > appliedAtMost;
    this.unsentFrom ??= isUnsent ? released.from : this.outbox.saidBy(appliedAtMost);
  }

  /** Its node is there: what it sends by this entry. A client that has not joined yet gets it when it does. */
  nodeFound(index: number): readonly KeptMessage[] {
    if (!this.isMissing) return [];
    this.isMissing = false;
    return this.hasJoined ? this.#release(index) : [];
  }

  #release(index: number): readonly KeptMessage[] {
    const from = this.unsentFrom;
    if (from === null) return [];
    this.#released = { index, from };
    this.unsentFrom = null;
    return this.outbox.after(from);
  }

  accepts(token: string): boolean {
    return token !== "" && (token === this.token || this.#earlierTokens.includes(token));
  }

  #since(shown: string): readonly string[] {
    const given = [...this.#earlierTokens, this.token];
    const [first, ...later] = given.slice(given.indexOf(shown));
    return first === undefined ? [] : [first, ...later.slice(1 - sessionLimits.tokensKeptMax)];
  }

  take(stream: "epoch" | "client", sequence: number): SequenceVerdict {
    const last = stream === "epoch" ? this.epochSequence : this.clientSequence;
    if (sequence <= last) return "duplicate";
    if (sequence !== last + 1) return "gap";
    if (stream === "epoch") this.epochSequence = sequence;
    else this.clientSequence = sequence;
    return "new";
  }

  rememberReply(requestId: number, frame: Uint8Array): void {
    this.#replies.delete(requestId);
    this.#replies.set(requestId, frame);
    if (this.#replies.size > sessionLimits.repliesKeptMax) {
      const oldest = this.#replies.keys().next();
      if (!oldest.done) this.#replies.delete(oldest.value);
    }
  }

  get replies(): ReadonlyMap<number, Uint8Array> {
    return this.#replies;
  }
}

/** Those that are attached to this node's starts up to `bootCountMax`. */
export function seatsAt(
  seats: ReadonlyMap<string, Seat>,
  { nodeId, bootCountMax }: { readonly nodeId: string; readonly bootCountMax: number },
): readonly Seat[] {
  return [...seats.values()].filter(
    ({ attachment }) => attachment?.nodeId === nodeId && attachment.bootCount <= bootCountMax,
  );
}

/** Whose frame it is, if that seat is in that epoch, with a client. */
export function speaker(
  seats: ReadonlyMap<string, Seat>,
  { roomId, sessionId, epoch }: Pick<Message, "roomId" | "sessionId" | "epoch">,
): Seat | Refusal {
  const seat = seats.get(sessionId);
  if (seat === undefined) return refusal("SEAT_EXPIRED", `room ${roomId} has no seat ${sessionId}`);
  const past = (why: string) => refusal("EPOCH_PAST", why);
  if (seat.epoch !== epoch) return past(`the seat is in epoch ${seat.epoch}, the frame is of epoch ${epoch}`);
  // The stock room hears nothing from a client that is gone: the frame must not count as taken, so that it can be sent
  // again from where the client is next.
  return seat.attachment === null ? past(`epoch ${epoch} of the seat has ended`) : seat;
}

import { sessionLimits } from "./limits.ts";
import type { KeptMessage, SeatOutbox } from "./seat-outbox.ts";

/**
 * What is kept in a checkpoint: each message once, oldest first; of each seat, by its id, which ones it has, as runs: the
 * place of the first one and how many, the next run's first and how many, and so on. With broadcasts alone it is one run.
 */
export interface RoomOutboxState {
  readonly messages: readonly Pick<KeptMessage, "bytes" | "index" | "atMs">[];
  readonly seats: readonly (readonly [sessionId: string, runs: readonly number[]])[];
}

/** Stubs are swept out when there are more of them than messages, and than this. */
const stubsMin = 64;

interface SeatWithOutbox {
  readonly sessionId: string;
  readonly outbox: SeatOutbox;
}

/**
 * The messages of one room that some of its clients may still lack, because the node that they are attached to may be gone:
 * a client that is attached elsewhere is sent what it did not get (design 5.3). A broadcast is kept once for all seats. What
 * is dropped is a function of what was sent and of log time alone, and is always the oldest: so it is the same everywhere.
 */
export class RoomOutbox {
  /** In the order in which they were sent, from `#first` on; those that no seat has any more stay for a while as stubs. */
  #queue: KeptMessage[] = [];
  #first = 0;
  #kept = 0;
  #bytes = 0;
  /** The bytes that were sent last, as they came, and what was kept of them. */
  #source: Uint8Array | null = null;
  #last: KeptMessage | null = null;
  #lastIndex = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Numbers a message to a seat.
   * @param at the command at hand, and the room's log time
   * @returns the same bytes, which nobody changes any more
   */
  add(
    outbox: SeatOutbox,
    source: Uint8Array,
    at: { readonly index: number; readonly nowMs: number },
  ): Uint8Array {
    const message = this.#messageOf(source, at);
    outbox.add(message);
    while (this.#bytes > sessionLimits.roomOutboxBytesMax) this.#dropOldest();
    return message.bytes;
  }

  /** Drops what is too old by now. */
  expire(nowMs: number): void {
    for (let oldest = this.#queue[this.#first]; oldest !== undefined; oldest = this.#queue[this.#first]) {
      if (!oldest.isGone && nowMs - oldest.atMs < sessionLimits.outboxMsMax) break;
      this.#dropOldest();
    }
  }

  state(seats: Iterable<SeatWithOutbox>): RoomOutboxState {
    const kept = this.#queue.slice(this.#first).filter(({ isGone }) => !isGone);
    for (const [place, message] of kept.entries()) message.place = place;
    return {
      messages: kept.map(({ bytes, index, atMs }) => ({ bytes, index, atMs })),
      seats: [...seats].map(({ sessionId, outbox }) => [sessionId, runsOf(outbox.after(0))]),
    };
  }

  /** Fills the outboxes of seats that know their numbers already. */
  restore(
    { messages, seats }: RoomOutboxState,
    seatOf: (sessionId: string) => SeatWithOutbox | undefined,
  ): void {
    const kept = messages.map((message) => this.#newMessage(message));
    // The room's order, whatever that of the seats.
    for (const message of kept) this.hold(message);
    for (const [sessionId, runs] of seats) {
      const own: KeptMessage[] = [];
      for (let at = 0; at < runs.length; at += 2) {
        const [first = 0, count = 0] = runs.slice(at, at + 2);
        own.push(...kept.slice(first, first + count));
      }
      seatOf(sessionId)?.outbox.restore(own);
    }
    for (const message of kept) this.release(message);
  }

  /** Broadcasts hand the same bytes to one client after the other. */
  #messageOf(
    source: Uint8Array,
    { index, nowMs }: { readonly index: number; readonly nowMs: number },
  ): KeptMessage {
    const last = this.#last;
    // Across commands a replica that was restored meanwhile would not know them again.
    const isLast = source === this.#source && index === this.#lastIndex;
    if (isLast && last !== null && !last.isGone && Buffer.compare(last.bytes, source) === 0) return last;
    this.expire(nowMs);
    this.#source = source;
    this.#lastIndex = index;
    // A copy: Colyseus's own is a piece of a slab that it would keep alive, and room code may use its buffer again.
    this.#last = this.#newMessage({ bytes: source, index, atMs: nowMs });
    return this.#last;
  }

  #newMessage({ bytes, index, atMs }: Pick<KeptMessage, "bytes" | "index" | "atMs">): KeptMessage {
    return { bytes: new Uint8Array(bytes), index, atMs, seats: 0, isGone: false, place: 0, room: this };
  }

  // ---- what a seat's outbox tells ---------------------------------------------------------------------------------

  hold(message: KeptMessage): void {
    message.seats++;
    if (message.seats > 1) return;
    this.#queue.push(message);
    this.#kept++;
    this.#bytes += message.bytes.length;
  }

  release(message: KeptMessage): void {
    message.seats--;
    if (message.seats === 0) this.#forget(message);
  }

  #dropOldest(): void {
    const oldest = this.#queue[this.#first];
    if (oldest === undefined) return;
    this.#first++;
    this.#forget(oldest);
    this.#compact();
  }

  #forget(message: KeptMessage): void {
    if (message.isGone) return;
    message.isGone = true;
    this.#kept--;
    this.#bytes -= message.bytes.length;
    this.#compact();
  }

  #compact(): void {
    if (this.#queue.length <= 2 * this.#kept + stubsMin) return;
    this.#queue = this.#queue.slice(this.#first).filter(({ isGone }) => !isGone);
    this.#first = 0;
  }
}

function runsOf(messages: readonly KeptMessage[]): number[] {
  const runs: number[] = [];
  let next = -1;
  for (const { place } of messages) {
    if (place === next) runs[runs.length - 1] = (runs.at(-1) ?? 0) + 1;
    else runs.push(place, 1);
    next = place + 1;
  }
  return runs;
}

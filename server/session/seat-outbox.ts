import { sessionLimits } from "./limits.ts";

/** A message that was sent to `seats` seats which may still lack it. */
export interface KeptMessage {
  readonly bytes: Uint8Array;
  /** Of the entry that it was said by. */
  readonly index: number;
  /** The room's log time. */
  readonly atMs: number;
  readonly room: { hold(message: KeptMessage): void; release(message: KeptMessage): void };
  seats: number;
  /** Kept no longer, for anybody. */
  isGone: boolean;
  /** Among all that are kept, while they are saved. */
  place: number;
}

const { outboxMessagesMax, outboxBytesMax } = sessionLimits;

/** The room's messages to one seat: numbered 1, 2, 3, … over all its attachments, and the last ones kept. */
export class SeatOutbox {
  /** The last one's number. */
  sent = 0;
  /** The last one that is kept no longer; all after it are. */
  #dropped = 0;
  #bytes = 0;
  /** A message is at its number − 1, modulo the limit. */
  readonly #ring: (KeptMessage | undefined)[] = [];

  constructor(
    { sent, dropped }: { readonly sent: number; readonly dropped: number } = { sent: 0, dropped: 0 },
  ) {
    this.sent = sent;
    this.#dropped = dropped;
  }

  /** The room as a whole drops its oldest messages: a seat finds that out when it is asked. */
  get dropped(): number {
    while (this.#dropped < this.sent && this.#oldest?.isGone === true) this.#dropOldest();
    return this.#dropped;
  }

  add(message: KeptMessage): void {
    this.sent++;
    const length = message.bytes.length;
    if (length > outboxBytesMax) {
      // It, and with it all before: what a client lacks is told by a number.
      this.#dropUpTo(this.sent - 1);
      this.#dropped = this.sent;
      return;
    }
    this.#dropUpTo(this.sent - outboxMessagesMax);
    message.room.hold(message);
    this.#ring[(this.sent - 1) % outboxMessagesMax] = message;
    this.#bytes += length;
    while (this.#bytes > outboxBytesMax) this.#dropOldest();
  }

  /** Those behind this one that are kept, in order. */
  after(number: number): readonly KeptMessage[] {
    const messages: KeptMessage[] = [];
    for (let next = Math.max(number, this.dropped); next < this.sent; next++)
      messages.push(this.#ring[next % outboxMessagesMax] as KeptMessage);
    return messages;
  }

  /** The last one that was said by the entry at `index` or an earlier one, or is kept no longer. */
  saidBy(index: number): number {
    let number = this.sent;
    while (number > this.dropped && (this.#at(number)?.index ?? 0) > index) number--;
    return number;
  }

  #at(number: number): KeptMessage | undefined {
    return this.#ring[(number - 1) % outboxMessagesMax];
  }

  /** The last ones, as they were kept. */
  restore(messages: readonly KeptMessage[]): void {
    const first = this.sent - messages.length;
    for (const [at, message] of messages.entries()) {
      message.room.hold(message);
      this.#ring[(first + at) % outboxMessagesMax] = message;
      this.#bytes += message.bytes.length;
    }
  }

  /** The seat is gone. */
  clear(): void {
    this.#dropUpTo(this.sent);
  }

  get #oldest(): KeptMessage | undefined {
    return this.#ring[this.#dropped % outboxMessagesMax];
  }

  #dropUpTo(number: number): void {
    while (this.#dropped < number) this.#dropOldest();
  }

  #dropOldest(): void {
    const oldest = this.#oldest;
    this.#ring[this.#dropped % outboxMessagesMax] = undefined;
    this.#dropped++;
    if (oldest === undefined) return;
    this.#bytes -= oldest.bytes.length;
    oldest.room.release(oldest);
  }
}

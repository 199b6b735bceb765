import { encodeCommand, UNANSWERED_MAX } from "../shared/wrapper-protocol.ts";

/** Thrown by `send`, and what `request` rejects with, when too many commands wait for their acknowledgement. */
export class OutboxFullError extends Error {
  readonly code = "OUTBOX_FULL";

  /** @param full what there is too much of, and what to do */
  constructor(full: string) {
    super(`OUTBOX_FULL: ${full}`);
    this.name = "OutboxFullError";
  }
}

interface Command {
  /** Null until the seat's last number is known. */
  sequence: number | null;
  readonly frame: Uint8Array;
  /** Of a request: it stays, to be asked again, until it is answered too. */
  requestId: number | null;
  acknowledged: boolean;
}

const sequenceMax = 0xffff_ffff;

/**
 * The commands of one seat that are not known to be applied, in order. A seat's numbers go on over all its
 * attachments, also those of an earlier page: so none is given before the first acknowledgement, which tells
 * the last one applied.
 */
export class Outbox {
  #commands: Command[] = [];
  #bytes = 0;
  #lastSequence: number | null = null;
  readonly #limits: { readonly commandsMax: number; readonly bytesMax: number };

  constructor(limits: { readonly commandsMax: number; readonly bytesMax: number }) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#commands.length;
  }

  get #unanswered(): number {
    return this.#commands.reduce((count, { requestId }) => (requestId === null ? count : count + 1), 0);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The frame is copied: the SDK encodes the next one into the same buffer. @throws OutboxFullError */
  add(frame: Uint8Array, requestId: number | null): Command {
    const { commandsMax, bytesMax } = this.#limits;
    if (this.#commands.length >= commandsMax || this.#bytes + frame.length > bytesMax) {
      throw new OutboxFullError(
        `${commandsMax} commands or ${bytesMax} bytes wait for the cluster's acknowledgement; ` +
          "send less often, name the type in `latest`, or wait for room.onFailover",
      );
    }
    if (requestId !== null && this.#unanswered >= UNANSWERED_MAX)
      throw new OutboxFullError(
        `${UNANSWERED_MAX} requests wait for their answers; ask less often, or wait for room.onFailover`,
      );
    const command: Command = { sequence: null, frame: frame.slice(), requestId, acknowledged: false };
    this.#commands.push(command);
    this.#bytes += frame.length;
    return command;
  }

  /** Every command up to `sequence` is applied. */
  acknowledge(sequence: number): void {
    this.#lastSequence = Math.max(this.#lastSequence ?? 0, sequence);
    for (const command of this.#commands) {
      if (command.sequence !== null && command.sequence <= sequence) command.acknowledged = true;
    }
    this.#forget((command) => command.acknowledged && command.requestId === null);
  }

  /** The request is answered, or nobody waits for its answer any more. */
  answered(requestId: number): void {
    // One that is not acknowledged keeps its place: without it the numbers would have a gap.
    this.#forget((command) => command.requestId === requestId && command.acknowledged);
    for (const command of this.#commands) {
      if (command.requestId === requestId) command.requestId = null;
    }
  }

  /** What goes to a node that was just attached: all that is kept, in order. */
  resend(): Uint8Array[] {
    return this.#commands.map((command) => this.encode(command));
  }

  /** Gives the command its number, if it has none yet. */
  encode(command: Command): Uint8Array {
    if (command.sequence === null) {
      const last = this.#lastSequence;
      if (last === null || last >= sequenceMax) throw new RangeError(`no sequence number follows ${last}`);
      command.sequence = last + 1;
      this.#lastSequence = command.sequence;
    }
    return encodeCommand(command.sequence, command.frame);
  }

  clear(): void {
    this.#forget(() => true);
  }

  #forget(which: (command: Command) => boolean): void {
    this.#commands = this.#commands.filter((command) => {
      if (!which(command)) return true;
      this.#bytes -= command.frame.length;
      return false;
    });
  }
}

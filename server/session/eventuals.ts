import { sessionLimits } from "./limits.ts";
import { type Message, messageCodec } from "./message-codec.ts";
import type { RoomReplica } from "./room-replica.ts";
import type { Seat } from "./seat.ts";
import type { SessionError } from "./session-error.ts";
import type { SessionGroups } from "./session-groups.ts";
import type { SessionMachine } from "./session-machine.ts";

/** In front of a body of `tell`: no value of msgpack begins so, as all other words of the session layer do. */
const eventualByte = 0xc1;
const headerBytes = 9;

export interface EventualsParts {
  readonly nodeId: string;
  readonly machines: readonly SessionMachine[];
  readonly groups: () => Pick<SessionGroups, "tell" | "isBusy">;
  /** Calls `act` from a macrotask of its own. */
  readonly soon: (act: () => void) => void;
  readonly log: { warn(fields: object, message: string): void };
}

interface Waiting {
  readonly group: number;
  readonly message: Message;
  /** Null: it is this node's own client's; else who told of it, and where the room was there. */
  readonly from: { readonly nodeId: string; readonly index: number } | null;
  readonly refuse: (reason: string) => void;
}

/** How many of them did not go further: not to be missed by whoever runs the node. */
export interface EventualCounts {
  /** Run on this node. */
  readonly run: number;
  /** Too many waited here, or too much on the way to another node. */
  readonly dropped: number;
}

/**
 * Messages that are in no log (design 5.7): the node that has the client runs them on its replica and tells the other nodes
 * that have clients of the room; each speaks to its own clients only. Perhaps never, at most once, in each client's order.
 */
export class Eventuals {
  readonly #parts: EventualsParts;
  #waiting: Waiting[] = [];
  #isAwaited = false;
  /** The last one that was run for a seat, in which epoch: a link may bring one twice. */
  readonly #last = new WeakMap<Seat, { readonly epoch: number; readonly sequence: number }>();
  #run = 0;
  #dropped = 0;

  constructor(parts: EventualsParts) {
    this.#parts = parts;
  }

  get counts(): EventualCounts {
    return { run: this.#run, dropped: this.#dropped };
  }

  /** From a client of this node. `refuse` is called if the room does not take it. */
  say(message: Message, refuse: (reason: string) => void): void {
    const group = this.#parts.machines.findIndex(({ rooms }) => rooms.has(message.roomId));
    if (group !== -1) this.#add({ group, message, from: null, refuse });
  }

  /** @returns false: it is another word of that node's */
  heard(group: number, from: string, body: Uint8Array): boolean {
    if (body[0] !== eventualByte) return false;
    const told = decodeEventual(body);
    if (told === null)
      this.#parts.log.warn({ from, bytes: body.length }, "an eventual message that a node tells is garbled");
    else {
      const { message, index } = told;
      this.#add({ group, message, from: { nodeId: from, index }, refuse: () => {} });
    }
    return true;
  }

  #add(waiting: Waiting): void {
    if (this.#waiting.length >= sessionLimits.eventualWaitingMax) {
      this.#dropped++;
      return;
    }
    this.#waiting.push(waiting);
    this.#await();
  }

  #await(): void {
    if (this.#isAwaited) return;
    this.#isAwaited = true;
    this.#parts.soon(() => this.#turn());
  }

  /** Room code runs apart from what the groups do in a turn, and a few at a time: heartbeats must not wait for it. */
  #turn(): void {
    this.#isAwaited = false;
    const told = new Map<string, number>();
    for (const waiting of this.#waiting.splice(0, sessionLimits.eventualPerTurnMax)) {
      const { message, from, refuse } = waiting;
      const refused = this.#runHere(waiting);
      if (refused === null) {
        if (from === null) this.#tellOthers(waiting, told);
        continue;
      }
      refuse(refused.message);
      if (from !== null) {
        const why = refused.message;
        this.#parts.log.warn(
          { from: from.nodeId, roomId: message.roomId, why },
          "a node tells an eventual message",
        );
      }
    }
    if (this.#waiting.length > 0) this.#await();
  }

  #runHere({ group, message, from }: Waiting): SessionError | null {
    const { roomId, sessionId, epoch, sequence } = message;
    const machine = this.#parts.machines[group];
    const seat = machine?.rooms.get(roomId)?.seats.get(sessionId);
    if (machine === undefined || seat === undefined) return null;
    // Only who has the client speaks for it.
    if (from !== null && seat.attachment?.nodeId !== from.nodeId) return null;
    const last = this.#last.get(seat);
    if (last?.epoch === epoch && last.sequence >= sequence) return null;
    this.#last.set(seat, { epoch, sequence });
    const refused = machine.runEventual(message, { isEcho: from !== null, index: from?.index ?? null });
    if (refused === null) this.#run++;
    return refused;
  }

  #tellOthers({ group, message }: Waiting, told: Map<string, number>): void {
    const replica = this.#parts.machines[group]?.rooms.get(message.roomId);
    if (replica === undefined) return;
    const groups = this.#parts.groups();
    let body: Uint8Array | null = null;
    for (const nodeId of nodesOf(replica)) {
      if (nodeId === this.#parts.nodeId) continue;
      body ??= encodeEventual(message, replica.index);
      const bytes = (told.get(nodeId) ?? 0) + body.length;
      if (bytes > sessionLimits.eventualBytesPerTurnMax || groups.isBusy(nodeId)) {
        this.#dropped++;
        continue;
      }
      told.set(nodeId, bytes);
      groups.tell(group, nodeId, body);
    }
  }
}

/** Where its clients are. */
function nodesOf({ seats }: RoomReplica): Set<string> {
  const nodeIds = new Set<string>();
  for (const { attachment } of seats.values()) if (attachment !== null) nodeIds.add(attachment.nodeId);
  return nodeIds;
}

/** `[0xc1][float64 LE index][message]` */
function encodeEventual(message: Message, index: number): Uint8Array {
  const body = messageCodec.encode(message, headerBytes);
  body[0] = eventualByte;
  new DataView(body.buffer, body.byteOffset).setFloat64(1, index, true);
  return body;
}

/** Null: garbled, or longer than any client's frame. */
function decodeEventual(body: Uint8Array): { readonly message: Message; readonly index: number } | null {
  try {
    const index = new DataView(body.buffer, body.byteOffset, body.length).getFloat64(1, true);
    const message = messageCodec.decode(body.subarray(headerBytes));
    if (
      !Number.isSafeInteger(index) ||
      message.stream !== "epoch" ||
      message.frame.length > sessionLimits.frameBytesMax
    )
      return null;
    return { message, index };
  } catch {
    return null;
  }
}

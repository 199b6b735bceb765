import { Protocol, type Room } from "@colyseus/sdk";
import type { Endpoint } from "./endpoints.ts";
import { codeOf } from "./frame-codes.ts";
import type { MovingInputs } from "./moving-inputs.ts";
import type { Reattachment } from "./reattachment.ts";

type Connection = Room["connection"];
export type Transport = Connection["transport"];

export interface Closed {
  readonly code: number;
  readonly reason?: string;
}

export interface Message {
  readonly data: ArrayBuffer;
}

interface RelocationParts {
  readonly connection: Connection;
  readonly reattachment: Reattachment;
  readonly attachMs: number;
  /** None is on its way while the seat changes hands. */
  readonly inputs: Pick<MovingInputs, "pause" | "resume">;
  /** Where to try, the best first. */
  readonly nodes: () => readonly Endpoint[];
  readonly socketUrl: (to: Endpoint) => string;
  /** The seat is attached there; `first` is what its node said. Nothing of this acts any more. */
  readonly joined: (to: Endpoint, transport: Transport, first: Message) => void;
  /** It has come to nothing, and the old connection has ended meanwhile. Nothing of this acts any more. */
  readonly failed: (closed: Closed) => void;
}

type Events = Connection["events"];

/** From now on what happens to it is told there; the SDK's transport looks it up each time. */
export function redirect(transport: Transport, events: Events): void {
  (transport as Transport & { events: Events }).events = events;
}

/** Nothing that this socket says any more counts, and its close is not waited for. */
export function discardSocket({ ws }: { ws?: WebSocket & { terminate?: () => void } }): void {
  if (ws === undefined) return;
  ws.onmessage = null;
  ws.onopen = null;
  ws.onclose = null;
  ws.onerror = () => {};
  ws.close();
}

/**
 * One room's way to the next node while its present one still serves: the next connection is opened beside the old one, and
 * takes its place once the seat is attached there. That detaches the old one, whose close may come first.
 */
export class Relocation {
  readonly reattachment: Reattachment;
  readonly #parts: RelocationParts;
  #transport: Transport | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed: Closed | null = null;
  #isStopped = false;
  /** Its time is over. */
  #hasGivenUp = false;

  constructor(parts: RelocationParts) {
    this.#parts = parts;
    this.reattachment = parts.reattachment;
    this.#next();
  }

  /** The old connection has ended: if the try at hand fails, too, the room goes on in the usual way. */
  oldClosed(closed: Closed): void {
    this.#closed = closed;
    if (this.#hasGivenUp) this.#failed();
  }

  stop(): void {
    this.#isStopped = true;
    this.#endTry();
  }

  #endTry(): void {
    clearTimeout(this.#timer);
    if (this.#transport !== null) discardSocket(this.#transport as object);
    this.#transport = null;
    this.#parts.inputs.resume();
  }

  #next(): void {
    const { nodes } = this.#parts;
    const target = this.reattachment.next(nodes(), performance.now());
    if (target === null) this.#hasGivenUp = true;
    else this.#timer = setTimeout(() => void this.#begin(target.to), target.delayMs);
  }

  async #begin(to: Endpoint): Promise<void> {
    await this.#parts.inputs.pause();
    if (!this.#isStopped) this.#try(to);
  }

  #try(to: Endpoint): void {
    const { connection, socketUrl, attachMs, joined } = this.#parts;
    const events: Events = {};
    const Transport = connection.transport.constructor as new (given: Events) => Transport;
    const transport = new Transport(events);
    this.#transport = transport;
    const failed = () => {
      if (this.#transport === transport) this.#failed();
    };
    events.onclose = failed;
    events.onmessage = (message: Message) => {
      // A refusal is an error frame, and a close behind it.
      if (codeOf(new Uint8Array(message.data)) !== Protocol.JOIN_ROOM) return;
      this.#transport = null;
      this.stop();
      joined(to, transport, message);
    };
    this.#timer = setTimeout(failed, attachMs);
    try {
      transport.connect(socketUrl(to), connection.options);
    } catch {
      // A url that this environment refuses: as good as a dead node.
      setTimeout(failed, 0);
    }
  }

  #failed(): void {
    const closed = this.#closed;
    this.#endTry();
    if (closed === null) return this.#next();
    this.stop();
    this.#parts.failed(closed);
  }
}

import type { InferState } from "@colyseus/core";
import { decode, type Iterator } from "@colyseus/schema";
import { CloseCode, type InputHandle, type InputOptions, Protocol, Room } from "@colyseus/sdk";
import { decodeResumption, decodeSequenced, decodeUnnumbered, isMoveOn } from "../shared/wrapper-protocol.ts";
import type { FailoverOptions } from "./client-options.ts";
import type { Endpoint } from "./endpoints.ts";
import { codeOf, commandCodes, goneCodes, messageCodes, stateCodes } from "./frame-codes.ts";
import type { InputOf } from "./input-of.ts";
import { LatestMessages } from "./latest-messages.ts";
import { MessageCount } from "./message-count.ts";
import { MovingInputs } from "./moving-inputs.ts";
import { Outbox } from "./outbox.ts";
import { Reattachment, stableMs } from "./reattachment.ts";
import {
  type Closed,
  discardSocket,
  type Message,
  Relocation,
  redirect,
  type Transport,
} from "./relocation.ts";
import type { AttachedSeat, RoomNodes } from "./room-nodes.ts";
import { Vigil } from "./vigil.ts";

/** A room went on at another node (or, with one node, at the same one). */
export interface Failover {
  readonly from: Endpoint;
  readonly to: Endpoint;
  /** From the last frame received before to the first state received after. */
  readonly gapMs: number;
  /** What the room sent meanwhile comes right behind that state, but for so many messages: the nodes had to forget them. */
  readonly messagesLost: number;
  /** The node said that it was about to end, and served until the next one had taken over. */
  readonly planned: boolean;
}

type Phase =
  | { readonly type: "joining" }
  /** The node told what it has applied: commands flow. */
  | { readonly type: "attached"; readonly sinceMs: number; readonly after: Reattachment | null }
  /** `planned`: the next connection is there already, or about to be, and the game has heard of nothing. */
  | { readonly type: "moving"; readonly reattachment: Reattachment; readonly planned: boolean }
  | { readonly type: "left" };

type Connection = Room["connection"];
/** What the SDK had where this hooks in. */
type Stock = Pick<Connection["events"], "onopen" | "onmessage" | "onclose"> & Pick<Connection, "reconnect">;

/**
 * The SDK's room, with a connection that moves. It hooks in between the room and its `connection`: the SDK
 * itself does the reconnecting, with its token, into the same state; this decides where and when, keeps the
 * commands until they are applied, and notices silence. Against a plain Colyseus server (`nodes` null) it does
 * nothing.
 */
// biome-ignore lint/suspicious/noExplicitAny: the SDK's own default
export class FailoverRoom<T = any, State = InferState<T, never>> extends Room<T, State> {
  readonly #nodes: RoomNodes | null;
  readonly #outbox: Outbox;
  readonly #failoverCallbacks = new Set<(failover: Failover) => void>();
  readonly #latestMessages = new LatestMessages();
  readonly #latest: ReadonlySet<string | number>;
  readonly #eventual: ReadonlySet<string | number>;
  #phase: Phase = { type: "joining" };
  #endpoint: Endpoint | null;
  #target: { readonly to: Endpoint; readonly delayMs: number } | null = null;
  #heardMs = 0;
  readonly #messages = new MessageCount();
  #socketLives = false;
  #joinedHere = false;
  #leaving = false;
  /** A move that is complete but for the first state. */
  #failover: (Pick<Failover, "from" | "to" | "planned"> & { readonly heardMs: number }) | null = null;
  #relocation: Relocation | null = null;
  readonly #inputs = new MovingInputs(() => this.#joinedHere);
  #vigil: Vigil | null = null;
  #attachTimer: ReturnType<typeof setTimeout> | undefined;
  #stock: Stock = { reconnect: () => {} };

  constructor(name: string, rootSchema: (new () => State) | undefined, nodes: RoomNodes | null) {
    super(name, rootSchema as ConstructorParameters<typeof Room<T, State>>[1]);
    this.#nodes = nodes;
    this.#endpoint = nodes?.first ?? null;
    this.#latest = new Set(nodes?.options.latest[name] ?? []);
    this.#eventual = new Set(nodes?.options.eventual[name] ?? []);
    this.#outbox = new Outbox({
      commandsMax: nodes?.options.outboxCommandsMax ?? 1,
      bytesMax: nodes?.options.outboxBytesMax ?? 1,
    });
    if (nodes !== null) {
      // The SDK's tries end when ours do, and wait as long as ours.
      Object.assign(this.reconnection, {
        minUptime: Number.NEGATIVE_INFINITY,
        maxRetries: Number.POSITIVE_INFINITY,
        minDelay: 0,
        backoff: () => this.#target?.delayMs ?? 0,
      });
    }
    this.onLeave(() => this.#stop());
  }

  /** Where this room is attached, or was last; null against a plain Colyseus server. */
  get endpoint(): Endpoint | null {
    return this.#endpoint;
  }

  /** Commands that are not known to be applied. */
  get unacknowledged(): number {
    return this.#outbox.size;
  }

  /** Calls back after each move, once the first state has come. Returns what unsubscribes. */
  onFailover(callback: (failover: Failover) => void): () => void {
    this.#failoverCallbacks.add(callback);
    return () => this.#failoverCallbacks.delete(callback);
  }

  // biome-ignore lint/suspicious/noExplicitAny: the SDK's signature
  override connect(endpoint: string, options?: any, headers?: any): void {
    super.connect(endpoint, options, headers);
    if (this.#nodes === null) return;
    this.#hook(this.connection);
    this.#awaitAttachment(this.#nodes);
  }

  override input<I = InputOf<T>>(options?: InputOptions<I>): InputHandle<I> {
    const handle = super.input<I>(options);
    if (this.#nodes !== null) this.#inputs.take(handle);
    return handle;
  }

  // The SDK's, internal there: a request timed out, so nobody waits for its answer.
  protected cancelRequest(id: number): void {
    (Room.prototype as unknown as { cancelRequest(id: number): void }).cancelRequest.call(this, id);
    this.#outbox.answered(id);
  }

  #hook(connection: Connection): void {
    const { onopen = null, onmessage = null, onclose = null } = connection.events;
    this.#stock = { onopen, onmessage, onclose, reconnect: connection.reconnect.bind(connection) };
    // In a browser the SDK lists the connection for its "offline" event at each opening; once is enough.
    connection.events.onopen = (event: unknown) => {
      this.#stock.onopen?.(event);
      connection.events.onopen = null;
    };
    connection.events.onmessage = (event: Message) => this.#received(event);
    connection.events.onclose = (event: Closed) => this.#closed(event);
    // A close always follows, and is what counts; a try that fails on the way is not the game's error.
    connection.events.onerror = () => {};
    connection.send = (frame: Uint8Array) => this.#send(frame);
    connection.sendUnreliable = (frame: Uint8Array) => {
      if (connection.transport.isOpen) connection.transport.sendUnreliable(frame);
    };
    connection.reconnect = (parameters) => this.#reconnect(parameters);
    // While the room moves it takes commands like an open one, else the SDK would keep ten and drop the rest.
    Object.defineProperty(connection, "isOpen", {
      configurable: true,
      get: () =>
        this.#phase.type === "attached" || this.#phase.type === "moving" || connection.transport.isOpen,
    });
  }

  #send(frame: Uint8Array): void {
    const code = codeOf(frame);
    if (code === Protocol.LEAVE_ROOM) this.#leaving = true;
    if (!commandCodes.includes(code)) {
      if (this.connection.transport.isOpen) this.connection.transport.send(frame);
      return;
    }
    const attached = this.#phase.type === "attached";
    const it: Iterator = { offset: 1 };
    const requestId = code === Protocol.ROOM_REQUEST ? decode.number(frame, it) : null;
    const type = decode.stringCheck(frame, it) ? decode.string(frame, it) : decode.number(frame, it);
    const isLatest = this.#latest.has(type);
    if (requestId === null && (isLatest || this.#eventual.has(type))) {
      if (attached) this.connection.transport.send(frame);
      if (isLatest) this.#latestMessages.add(type, frame, performance.now());
      return;
    }
    const command = this.#outbox.add(frame, requestId);
    if (!attached) return;
    this.connection.transport.send(this.#outbox.encode(command));
    this.#latestMessages.follow(command.sequence as number);
  }

  #received(event: Message): void {
    const frame = new Uint8Array(event.data);
    const heardMs = performance.now();
    this.#vigil?.heard();
    if (isMoveOn(frame)) return void this.#relocate();
    const sequenced = decodeSequenced(frame);
    if (sequenced !== null) {
      this.#heardMs = heardMs;
      this.#outbox.acknowledge(sequenced.sequence);
      this.#latestMessages.acknowledge(sequenced.sequence);
      const resumption = decodeResumption(sequenced.frame);
      if (resumption !== null) this.#messages.resumed(resumption);
      if (this.#joinedHere && this.#phase.type !== "attached") this.#attached();
      // Without a state nothing else says that the room goes on; before this it is not known what was lost.
      if (this.serializerId === "none") this.#tellFailover(heardMs);
      return;
    }
    const unnumbered = decodeUnnumbered(frame);
    if (unnumbered !== null) {
      this.#heardMs = heardMs;
      this.#stock.onmessage?.({ ...event, data: unnumbered.slice().buffer });
      return;
    }
    const code = codeOf(frame);
    if (code === Protocol.ROOM_RESPONSE) this.#outbox.answered(decode.number(frame, { offset: 1 }));
    if (code === Protocol.JOIN_ROOM) this.#joined();
    // Before the game hears of it: whatever it does then, this one has come.
    if (messageCodes.includes(code) && !this.#messages.take()) return;
    this.#stock.onmessage?.(event);
    if (stateCodes.includes(code)) this.#tellFailover(heardMs);
    this.#heardMs = heardMs;
  }

  #tellFailover(heardMs: number): void {
    if (this.#failover === null) return;
    const { heardMs: lastHeardMs, ...move } = this.#failover;
    const messagesLost = this.#messages.takeLost();
    this.#failover = null;
    const failover = { ...move, gapMs: heardMs - lastHeardMs, messagesLost };
    for (const callback of this.#failoverCallbacks) callback(failover);
  }

  #joined(): void {
    const nodes = this.#nodes;
    if (nodes === null || this.#endpoint === null) return;
    this.#joinedHere = true;
    this.#vigil?.stop();
    this.#vigil = new Vigil(nodes.options, {
      ping: () => this.#send(new Uint8Array([Protocol.PING])),
      silent: () => this.#abandon(),
    });
    if (this.#phase.type === "moving") {
      const { planned, reattachment } = this.#phase;
      const { from, heardMs } = reattachment;
      this.#failover = { from, to: this.#endpoint, planned, heardMs };
      void nodes.refresh(this.#endpoint);
    }
  }

  /** The node took the seat and told what it has applied. */
  #attached(): void {
    clearTimeout(this.#attachTimer);
    const after = this.#phase.type === "moving" ? this.#phase.reattachment : null;
    this.#phase = { type: "attached", sinceMs: performance.now(), after };
    const { transport } = this.connection;
    for (const frame of this.#outbox.resend()) transport.send(frame);
    for (const frame of this.#latestMessages.resend(after?.heardMs ?? 0, performance.now()))
      transport.send(frame);
    if (this.#leaving) transport.send(new Uint8Array([Protocol.LEAVE_ROOM]));
  }

  #closed(event: Closed): void {
    if (!this.#socketLives) return;
    this.#socketLives = false;
    this.#joinedHere = false;
    clearTimeout(this.#attachTimer);
    this.#vigil?.stop();
    const joined = this.joinedAtTime !== 0;
    if (!joined || !this.reconnection.enabled || !goneCodes.includes(event.code)) return this.#end(event);
    if (this.#relocation === null) return this.#move(event);
    this.#planMove(this.#relocation.reattachment);
    this.#relocation.oldClosed(event);
  }

  /** The node is about to end, and serves until the next one has taken over. */
  async #relocate(): Promise<void> {
    const nodes = this.#nodes;
    const from = this.#endpoint;
    if (nodes === null || from === null) return;
    await nodes.refresh(from);
    const stays = this.#leaving || !this.reconnection.enabled || this.#endpoint !== from;
    if (stays || this.#phase.type !== "attached" || this.#relocation !== null) return;
    this.#relocation = new Relocation({
      connection: this.connection,
      reattachment: this.#newReattachment(from, performance.now(), nodes.options),
      attachMs: nodes.options.attachMs,
      inputs: this.#inputs,
      nodes: () => nodes.after(from),
      socketUrl: (to) => {
        const url = new URL(nodes.socketUrl(to, this.#seat));
        url.searchParams.set("reconnectionToken", this.reconnectionToken.split(":")[1] ?? "");
        url.searchParams.set("skipHandshake", "true");
        return url.toString();
      },
      joined: (to, transport, first) => this.#takeOver(to, transport, first),
      failed: (closed) => {
        this.#relocation = null;
        this.#move(closed);
      },
    });
  }

  #planMove(reattachment: Reattachment): void {
    const { from } = reattachment;
    const begun = reattachment.again({ from, heardMs: this.#heardMs });
    this.#phase = { type: "moving", reattachment: begun, planned: true };
  }

  #takeOver(to: Endpoint, transport: Transport, first: Message): void {
    const { connection } = this;
    if (this.#nodes === null || this.#relocation === null) return;
    if (this.#phase.type === "attached") this.#planMove(this.#relocation.reattachment);
    this.#relocation = null;
    discardSocket(connection.transport as object);
    this.#endpoint = to;
    connection.transport = transport;
    redirect(transport, connection.events);
    this.#inputs.reset();
    this.#awaitAttachment(this.#nodes);
    this.#received(first);
  }

  #newReattachment(from: Endpoint, nowMs: number, { moveMsMax }: FailoverOptions): Reattachment {
    return new Reattachment({ from, heardMs: this.#heardMs, nowMs, moveMsMax, random: Math.random });
  }

  #move({ code, reason }: Closed): void {
    const nodes = this.#nodes;
    if (nodes === null || this.#endpoint === null || this.#phase.type === "left") return;
    const nowMs = performance.now();
    if (this.#phase.type !== "moving" || this.#phase.planned) {
      const begun = { from: this.#endpoint, heardMs: this.#heardMs };
      // A node that takes the seat and drops it at once must not be asked again at full speed.
      const again =
        this.#phase.type === "attached" && nowMs - this.#phase.sinceMs < stableMs ? this.#phase.after : null;
      const reattachment = again?.again(begun) ?? this.#newReattachment(begun.from, nowMs, nodes.options);
      this.#phase = { type: "moving", reattachment, planned: false };
      this.#failover = null;
      this.onDrop.invoke(code, reason);
    }
    if (this.#phase.type !== "moving") return; // left by the game, in onDrop
    this.#target = this.#phase.reattachment.next(nodes.after(this.#phase.reattachment.from), nowMs);
    if (this.#target !== null) {
      this["handleReconnection"](code, reason);
      return;
    }
    const given = `No node took this seat within ${nodes.options.moveMsMax} ms.`;
    this.reconnection.isReconnecting = false;
    this.#end({ code: CloseCode.FAILED_TO_RECONNECT, reason: given });
  }

  /** The SDK rejects what is pending, and leaves. */
  #end(event: Closed): void {
    this.#stop();
    this.#stock.onclose?.(event);
  }

  #reconnect(parameters: Parameters<Connection["reconnect"]>[0]): void {
    const nodes = this.#nodes;
    if (nodes === null || this.#target === null || this.#phase.type !== "moving") return;
    this.#endpoint = this.#target.to;
    this.connection.url = nodes.socketUrl(this.#endpoint, this.#seat);
    this.#awaitAttachment(nodes);
    try {
      this.#stock.reconnect(parameters);
    } catch {
      // A url that this environment refuses (an insecure one on a secure page): as good as a dead node.
      setTimeout(() => this.#closed({ code: CloseCode.ABNORMAL_CLOSURE }), 0);
    }
  }

  get #seat(): AttachedSeat {
    return { roomId: this.roomId, sessionId: this.sessionId, received: this.#messages.received };
  }

  #awaitAttachment(nodes: RoomNodes): void {
    this.#socketLives = true;
    this.#attachTimer = setTimeout(() => this.#abandon(), nodes.options.attachMs);
  }

  /** The node does not answer: nothing that it may say later counts, and its close is not waited for. */
  #abandon(): void {
    const { ws } = this.connection.transport as { ws?: WebSocket & { terminate?: () => void } };
    if (ws) {
      ws.onmessage = null;
      ws.onopen = null;
      ws.onerror = () => {};
    }
    // With this code the SDK reports the close at once.
    this.connection.close(CloseCode.MAY_TRY_RECONNECT);
    ws?.terminate?.();
  }

  #stop(): void {
    this.#phase = { type: "left" };
    this.#socketLives = false;
    clearTimeout(this.#attachTimer);
    this.#vigil?.stop();
    this.#relocation?.stop();
    this.#relocation = null;
    this.#outbox.clear();
    this.#latestMessages.clear();
    this.#failoverCallbacks.clear();
  }
}

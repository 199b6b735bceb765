import assert from "node:assert";
import type { Socket } from "node:net";
import type { WebSocket } from "ws";
import { type CloseReason, closeName } from "./close-reason.ts";
import { decodeFrame, FrameWriter } from "./frame.ts";
import { FrameDelay } from "./frame-delay.ts";
import { FrameError } from "./frame-error.ts";
import type { Impairment, LinkLimits } from "./links-options.ts";
import type { PeerIdentity } from "./network.ts";
import type { PeerMessage } from "./peer-message.ts";
import { allowFrames, type Sockets } from "./sockets.ts";

/** An authenticated connection that is about to become a link. */
export interface OpenConnection {
  readonly ws: WebSocket;
  /** Under `ws`: what counts the bytes that came in. */
  readonly socket: Socket;
  readonly peer: PeerIdentity;
}

export interface LinkTools {
  readonly limits: LinkLimits;
  readonly impairment: Impairment | undefined;
  readonly sockets: Sockets;
  monotonicMs(): number;
  random(): number;
  message(link: Link, message: PeerMessage): void;
  /** Once, whatever ends the link. `detail`: what exactly, for the log. */
  down(link: Link, reason: string, detail: string): void;
}

/** One open link to one peer. */
export class Link {
  readonly peer: PeerIdentity;
  readonly openedMs: number;
  readonly #ws: WebSocket;
  readonly #socket: Socket;
  readonly #tools: LinkTools;
  readonly #writer = new FrameWriter();
  readonly #delay: FrameDelay | null;
  readonly #pings = new Set<(alive: boolean) => void>();
  #state: "open" | "down" = "open";
  #bytesRead: number;
  #heardMs: number;

  constructor({ ws, socket, peer }: OpenConnection, tools: LinkTools) {
    this.peer = peer;
    this.#ws = ws;
    this.#socket = socket;
    this.#tools = tools;
    this.openedMs = tools.monotonicMs();
    this.#heardMs = this.openedMs;
    this.#bytesRead = socket.bytesRead;
    const send = (frame: Uint8Array) => this.#ws.send(frame);
    const { monotonicMs, random, impairment } = tools;
    this.#delay = impairment === undefined ? null : new FrameDelay(impairment, { send, monotonicMs, random });
    allowFrames(ws);
    ws.on("message", (data, isBinary) => this.#receive(data as Buffer, isBinary));
    ws.on("pong", () => this.#answerPings(true));
    ws.on("error", (error) => this.#failed(error));
    ws.on("close", (code, text) => this.#down(closeName(code), text.toString()));
  }

  /** Whether it may still be used; false from the moment that `down` is told. */
  get open(): boolean {
    return this.#state === "open";
  }

  /** Bytes that wait here: gathered, or not yet taken by the operating system. Imitated distance is not waiting. */
  get bufferedBytes(): number {
    return this.#writer.bytes + this.#ws.bufferedAmount;
  }

  /** Gathered until `flush`. Past the limit the link goes down. @throws FRAME_TOO_LONG for a message longer than a frame */
  send(message: PeerMessage): void {
    assert(this.open, "send on a link that is down");
    this.#writer.add(message);
    const waiting = this.bufferedBytes + (this.#delay?.bytes ?? 0);
    const { bufferedBytesMax } = this.#tools.limits;
    if (waiting <= bufferedBytesMax) return;
    // The other side reads too slowly or not at all: a close frame would wait behind all the rest.
    this.cut("OVERFLOW", `${waiting} bytes wait; allowed: ${bufferedBytesMax}`);
  }

  flush(): void {
    if (!this.open) return;
    for (const frame of this.#writer.take()) {
      if (this.#delay === null) this.#ws.send(frame);
      else this.#delay.push(frame);
    }
  }

  /** Ends the link and tells the other side why. */
  close(reason: CloseReason, detail: string): void {
    if (!this.open) return;
    this.#tools.sockets.close(this.#ws, reason, detail);
    this.#down(reason, detail);
  }

  /** Ends the link without a word: the other side sees a reset. */
  cut(reason: CloseReason, detail: string): void {
    if (!this.open) return;
    this.#ws.terminate();
    this.#down(reason, detail);
  }

  /** Any byte is a sign of life, also of a long frame that is still coming in. True if there was none for `silenceMs`. */
  silent(): boolean {
    const nowMs = this.#tools.monotonicMs();
    if (this.#socket.bytesRead !== this.#bytesRead) {
      this.#bytesRead = this.#socket.bytesRead;
      this.#heardMs = nowMs;
    }
    return nowMs - this.#heardMs >= this.#tools.limits.silenceMs;
  }

  /** Asks the other side for a sign of life, and waits for it up to `pingTimeoutMs`. */
  alive(): Promise<boolean> {
    if (!this.open) return Promise.resolve(false);
    return new Promise((resolve) => {
      const answer = (alive: boolean): void => {
        clearTimeout(timer);
        this.#pings.delete(answer);
        resolve(alive);
      };
      const timer = setTimeout(() => answer(false), this.#tools.limits.pingTimeoutMs);
      this.#pings.add(answer);
      this.#ws.ping();
    });
  }

  #receive(data: Buffer, isBinary: boolean): void {
    if (!this.open) return;
    let messages: PeerMessage[];
    try {
      if (!isBinary) {
        throw new FrameError("FRAME_GARBLED", { offset: 0, found: "a text message", allowed: "binary ones" });
      }
      messages = decodeFrame(data);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.close(error.code, `byte ${error.offset}: ${error.found}; allowed: ${error.allowed}`);
      return;
    }
    this.#answerPings(true);
    for (const message of messages) {
      // A handler may have ended this very link.
      if (!this.open) return;
      this.#tools.message(this, message);
    }
  }

  #failed(error: Error & { code?: string }): void {
    if (error.code !== "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH") {
      this.#down("RESET", error.message);
      return;
    }
    // ws has answered with 1009 already; this sets the limit for the other side's answer.
    this.close("FRAME_TOO_LONG", error.message);
  }

  #down(reason: string, detail: string): void {
    if (!this.open) return;
    this.#state = "down";
    this.#delay?.close();
    this.#writer.take();
    this.#answerPings(false);
    this.#tools.down(this, reason, detail);
  }

  #answerPings(alive: boolean): void {
    for (const answer of this.#pings) answer(alive);
  }
}

import assert from "node:assert";
import type { Socket } from "node:net";
import { WebSocket } from "ws";
import { closeName, LinkRefused } from "./close-reason.ts";
import { DialerHandshake, handshakeBytesMax, nonceBytes } from "./handshake.ts";
import type { OpenConnection } from "./link.ts";
import type { LinkLimits } from "./links-options.ts";
import type { PeerIdentity } from "./network.ts";
import type { Sockets } from "./sockets.ts";

export interface DialerTools {
  readonly nodeId: string;
  /** Where it listens now. */
  readonly url: () => string;
  /** Not before so long without a link, and so long between the attempts; null: at once, and then with growing pauses. */
  readonly lateMs: number | null;
  readonly secret: string;
  readonly limits: LinkLimits;
  /** @throws LinkRefused */
  check(peer: PeerIdentity): void;
  readonly sockets: Sockets;
  self(): PeerIdentity;
  random(): number;
  randomBytes(count: number): Uint8Array;
  opened(connection: OpenConnection): void;
  /** An attempt came to nothing; the next one is on its way. */
  failed(failure: { readonly reason: string; readonly detail: string }): void;
}

type DialerState =
  | { readonly type: "idle" }
  | { readonly type: "waiting"; readonly timer: NodeJS.Timeout }
  | { readonly type: "connecting"; readonly ws: WebSocket; readonly timer: NodeJS.Timeout }
  | { readonly type: "linked" }
  | { readonly type: "stopped" };

/** Keeps on dialling one peer until there is a link, and again when it is lost. */
export class Dialer {
  readonly #tools: DialerTools;
  #state: DialerState = { type: "idle" };
  /** In a row; decides how long the next attempt waits. */
  #failures = 0;

  constructor(tools: DialerTools) {
    this.#tools = tools;
  }

  get connecting(): boolean {
    return this.#state.type === "connecting";
  }

  start(): void {
    assert(this.#state.type === "idle", "a dialer starts once");
    if (this.#tools.lateMs === null) this.#dial();
    else this.#wait();
  }

  /** There is a link, whoever made it; an attempt that is still under way is one too many. */
  linkUp(): void {
    if (this.#state.type === "stopped") return;
    if (this.#state.type === "connecting")
      this.#tools.sockets.close(this.#state.ws, "REPLACED", "there is a link already");
    this.#linked();
  }

  #linked(): void {
    this.#settle();
    this.#state = { type: "linked" };
  }

  /** The link is down. */
  linkDown({ livedMs }: { livedMs: number }): void {
    if (this.#state.type !== "linked") return;
    // A link that ends as soon as it opens is no success: without this it would be dialled for ever at the fast pace.
    if (livedMs >= this.#tools.limits.reconnectDelayMsMax) this.#failures = 0;
    this.#wait();
  }

  stop(): void {
    this.#settle();
    this.#state = { type: "stopped" };
  }

  #settle(): void {
    if (this.#state.type === "waiting" || this.#state.type === "connecting") clearTimeout(this.#state.timer);
  }

  #wait(): void {
    const { limits, random, lateMs } = this.#tools;
    const delayMs = lateMs ?? reconnectDelayMs(this.#failures, random(), limits);
    this.#failures++;
    this.#state = { type: "waiting", timer: setTimeout(() => this.#dial(), delayMs) };
  }

  #dial(): void {
    const { url, limits, sockets } = this.#tools;
    const ws = new WebSocket(url(), {
      perMessageDeflate: false,
      maxPayload: handshakeBytesMax,
      // Masks guard proxies against scripts in browsers; between nodes they would only cost a copy of every frame.
      generateMask: (mask) => mask.fill(0),
    });
    sockets.track(ws);
    const timer = setTimeout(() => {
      const detail = `no handshake in ${limits.handshakeTimeoutMs} ms`;
      this.#failed(ws, new LinkRefused("HANDSHAKE_TIMEOUT", detail));
    }, limits.handshakeTimeoutMs);
    this.#state = { type: "connecting", ws, timer };
    this.#converse(ws);
    ws.on("error", (error) => {
      if (!this.#isConnecting(ws)) return;
      sockets.close(ws, "HANDSHAKE_GARBLED", error.message);
      this.#lost(ws, "UNREACHABLE", error.message);
    });
    ws.on("close", (code, text) => this.#lost(ws, closeName(code), text.toString()));
  }

  #converse(ws: WebSocket): void {
    const { secret, self, randomBytes, nodeId, check } = this.#tools;
    const handshake = new DialerHandshake({
      secret,
      self: self(),
      nonce: randomBytes(nonceBytes),
      meant: nodeId,
    });
    let socket: Socket | null = null;
    ws.once("upgrade", (response) => {
      socket = response.socket;
    });
    const welcome = (bytes: Uint8Array): OpenConnection => {
      const peer = handshake.welcome(bytes);
      check(peer);
      if (peer.nodeId !== nodeId) {
        throw new LinkRefused("NODE_UNEXPECTED", `${nodeId} is dialled, but ${peer.nodeId} answers`);
      }
      assert(socket !== null, "a WebSocket opens with an upgrade");
      ws.send(handshake.ready);
      return { ws, socket, peer };
    };
    let step = (bytes: Uint8Array): OpenConnection | null => {
      step = welcome;
      ws.send(handshake.hello(bytes));
      return null;
    };
    const receive = (data: unknown): void => {
      if (!this.#isConnecting(ws)) return;
      let connection: OpenConnection | null;
      try {
        connection = step(data as Buffer);
      } catch (error) {
        if (!(error instanceof LinkRefused)) throw error;
        this.#failed(ws, error);
        return;
      }
      if (connection === null) return;
      ws.off("message", receive);
      this.#linked();
      this.#tools.opened(connection);
    };
    ws.on("message", receive);
  }

  /** This side gives the attempt up. */
  #failed(ws: WebSocket, { reason, message }: LinkRefused): void {
    this.#tools.sockets.close(ws, reason, message);
    this.#lost(ws, reason, message);
  }

  #lost(ws: WebSocket, reason: string, detail: string): void {
    if (!this.#isConnecting(ws)) return;
    this.#settle();
    this.#wait();
    this.#tools.failed({ reason, detail });
  }

  #isConnecting(ws: WebSocket): boolean {
    return this.#state.type === "connecting" && this.#state.ws === ws;
  }
}

/**
 * How long the next attempt waits after so many failures in a row: doubled each time up to the ceiling, and shortened at
 * random (0 ≤ x < 1) by up to half, so that nodes that lost each other together do not come back in step.
 */
export function reconnectDelayMs(
  failures: number,
  random: number,
  limits: Pick<LinkLimits, "reconnectDelayMsMin" | "reconnectDelayMsMax">,
): number {
  const ceilingMs = Math.min(limits.reconnectDelayMsMax, limits.reconnectDelayMsMin * 2 ** failures);
  return ceilingMs * (1 - random / 2);
}

import http from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import { LinkRefused } from "./close-reason.ts";
import { AcceptorHandshake, handshakeBytesMax, nonceBytes } from "./handshake.ts";
import type { OpenConnection } from "./link.ts";
import type { LinkLimits } from "./links-options.ts";
import type { PeerIdentity } from "./network.ts";
import { NetworkError } from "./network-error.ts";
import type { Sockets } from "./sockets.ts";

export interface AcceptorTools {
  readonly secret: string;
  readonly limits: LinkLimits;
  readonly sockets: Sockets;
  self(): PeerIdentity;
  randomBytes(count: number): Uint8Array;
  /** May this proven peer be linked? Resolves if so. @throws LinkRefused */
  admit(peer: PeerIdentity): Promise<void>;
  /** The peer agreed too. @throws LinkRefused if something has changed since `admit` */
  opened(connection: OpenConnection): void;
  refused(refusal: { readonly reason: string; readonly detail: string; readonly address: string }): void;
}

/** A connection from its first packet until it is a link. */
interface Pending {
  readonly socket: Socket;
  readonly timer: NodeJS.Timeout;
  ws: WebSocket | null;
}

/** Upgrade requests are short; anything longer is no node. */
const headerBytesMax = 4096;

/** Listens for the nodes that dial this one. */
export class Acceptor {
  readonly #tools: AcceptorTools;
  readonly #server: http.Server;
  readonly #upgrades = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: handshakeBytesMax,
  });
  /** Not authenticated yet, oldest first. */
  readonly #strangers = new Map<Socket, Pending>();
  /** Authenticated, but not yet a link. Only nodes that know the secret come here, each until its timer ends it. */
  readonly #proven = new Map<Socket, Pending>();
  #closing = false;

  constructor(tools: AcceptorTools) {
    this.#tools = tools;
    this.#server = http.createServer({ maxHeaderSize: headerBytesMax }, (_request, response) => {
      response.writeHead(426, { connection: "close" }).end();
    });
    this.#server.on("connection", (socket) => this.#connected(socket));
    this.#server.on("clientError", (_error, socket) => socket.destroy());
    this.#server.on("upgrade", (request, socket: Socket, head) => {
      this.#upgrades.handleUpgrade(request, socket, head, (ws) => this.#upgraded(ws, socket));
    });
  }

  /** @throws PORT_IN_USE, LISTEN_FAILED */
  async listen({ host, port }: { host: string; port: number }): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const failed = (error: NodeJS.ErrnoException): void => {
        const inUse = error.code === "EADDRINUSE";
        const message = inUse
          ? `port ${port} on ${host} is in use by another process; choose another one, or end that process`
          : `cannot listen on ${host}, port ${port}: ${error.message}`;
        reject(new NetworkError(inUse ? "PORT_IN_USE" : "LISTEN_FAILED", message, { cause: error }));
      };
      this.#server.once("error", failed);
      this.#server.listen(port, host, () => {
        this.#server.off("error", failed);
        resolve();
      });
    });
  }

  /** Only while listening. */
  get address(): { readonly host: string; readonly port: number } {
    const { address, port } = this.#server.address() as AddressInfo;
    return { host: address, port };
  }

  /** WebSockets are closed by their `Sockets`; this ends what is not one yet. */
  async close(): Promise<void> {
    this.#closing = true;
    for (const { socket, ws, timer } of [...this.#strangers.values(), ...this.#proven.values()]) {
      clearTimeout(timer);
      if (ws === null) socket.destroy();
    }
    this.#strangers.clear();
    this.#proven.clear();
    if (!this.#server.listening) return;
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #connected(socket: Socket): void {
    socket.on("error", () => socket.destroy());
    if (this.#closing) {
      socket.destroy();
      return;
    }
    const { pendingConnectionsMax, handshakeTimeoutMs } = this.#tools.limits;
    // The oldest goes, not the newest: a node that dials needs a slot for a round trip only, so a flood of silent
    // connections cannot lock it out.
    const [oldest] = this.#strangers.values();
    if (oldest !== undefined && this.#strangers.size >= pendingConnectionsMax) {
      const detail = `more than ${pendingConnectionsMax} connections that are not authenticated`;
      this.#refuse(oldest, new LinkRefused("CONNECTIONS_TOO_MANY", detail));
    }
    const timer = setTimeout(() => {
      this.#refuse(pending, new LinkRefused("HANDSHAKE_TIMEOUT", `no handshake in ${handshakeTimeoutMs} ms`));
    }, handshakeTimeoutMs);
    const pending: Pending = { socket, timer, ws: null };
    this.#strangers.set(socket, pending);
    socket.once("close", () => this.#forget(pending));
  }

  #upgraded(ws: WebSocket, socket: Socket): void {
    this.#tools.sockets.track(ws);
    const pending = this.#strangers.get(socket);
    if (pending === undefined || this.#closing) {
      ws.terminate();
      return;
    }
    pending.ws = ws;
    ws.on("error", (error) => {
      this.#refuse(pending, new LinkRefused("HANDSHAKE_GARBLED", error.message));
    });
    const { secret, self, randomBytes } = this.#tools;
    const handshake = new AcceptorHandshake({ secret, self: self(), nonce: randomBytes(nonceBytes) });
    let step: (bytes: Uint8Array) => void | Promise<void>;
    const welcome = async (bytes: Uint8Array): Promise<void> => {
      step = early;
      const { peer, meant } = handshake.hello(bytes);
      this.#prove(pending);
      const { nodeId } = self();
      if (meant !== nodeId && peer.nodeId !== nodeId) {
        throw new LinkRefused(
          "NODE_UNEXPECTED",
          `${peer.nodeId} means to reach ${meant}, but this is ${nodeId}`,
        );
      }
      await this.#tools.admit(peer);
      if (!this.#isPending(pending)) return;
      step = (ready) => {
        handshake.ready(ready);
        this.#tools.opened({ ws, socket, peer });
        this.#forget(pending);
        ws.off("message", receive);
      };
      ws.send(handshake.welcome);
    };
    const early = (): never => {
      throw new LinkRefused("HANDSHAKE_GARBLED", "a message before its turn");
    };
    const receive = (data: unknown): void => {
      if (!this.#isPending(pending)) return;
      this.#attempt(pending, () => step(data as Buffer));
    };
    step = welcome;
    ws.on("message", receive);
    ws.send(handshake.challenge);
  }

  /** Runs a step of the handshake; what it throws is an answer to the other side. */
  #attempt(pending: Pending, run: () => void | Promise<void>): void {
    const failed = (error: unknown): void => {
      if (!(error instanceof LinkRefused)) throw error;
      this.#refuse(pending, error);
    };
    try {
      // A rejection that is no refusal is a mistake of ours: it stays unhandled and ends the process.
      void Promise.resolve(run()).catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  #refuse(pending: Pending, { reason, message }: LinkRefused): void {
    const { socket, ws } = pending;
    if (!this.#isPending(pending)) return;
    const address = `${socket.remoteAddress}:${socket.remotePort}`;
    this.#forget(pending);
    if (ws === null) socket.destroy();
    else this.#tools.sockets.close(ws, reason, message);
    this.#tools.refused({ reason, detail: message, address });
  }

  #isPending(pending: Pending): boolean {
    return this.#strangers.has(pending.socket) || this.#proven.has(pending.socket);
  }

  #prove(pending: Pending): void {
    if (this.#strangers.delete(pending.socket)) this.#proven.set(pending.socket, pending);
  }

  #forget({ socket, timer }: Pending): void {
    clearTimeout(timer);
    this.#strangers.delete(socket);
    this.#proven.delete(socket);
  }
}

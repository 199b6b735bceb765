/**
 * A node that speaks what the wrapper relies on, and no more: listing, matchmaking, attaching, numbered
 * commands, acknowledgements, full states. Stub nodes of one cluster share the seats, as real ones do by their
 * log; each can be killed, frozen, or told to refuse.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { getMessageBytes, Protocol, ResponseStatus } from "@colyseus/core";
import { decode, Encoder, type Iterator, Reflection, schema, t } from "@colyseus/schema";
import { unpack } from "msgpackr";
import { type WebSocket, WebSocketServer } from "ws";
import {
  decodeSequenced,
  ENDPOINTS_PATH,
  encodeAck,
  encodeMoveOn,
  encodeResumption,
} from "../../shared/wrapper-protocol.ts";

export const StubState = schema({ shots: t.uint32().default(0), places: t.map("string") }, "StubState");

export interface Applied {
  readonly code: number;
  readonly type: string | number;
  readonly payload: unknown;
}

interface Seat {
  readonly sessionId: string;
  token: string;
  lastSequence: number;
  readonly results: Map<number, Uint8Array>;
  /** The room's messages to it, and how many of them are kept no longer. */
  readonly messages: Uint8Array[];
  forgotten: number;
}

/** What the nodes of a real cluster agree on. */
export class StubCluster {
  readonly nodes: StubNode[] = [];
  readonly seats = new Map<string, Seat>();
  readonly applied: Applied[] = [];
  readonly unnumbered: Applied[] = [];
  /** Frames of inputs, reliable and not. */
  readonly inputs: Uint8Array[] = [];
  readonly state = new StubState();
  #tokens = 0;

  readonly encoder = new Encoder(this.state);

  /** The room says something: to every client that is there, and kept for those whose node is gone. */
  say(n: number): void {
    const frame = getMessageBytes.raw(Protocol.ROOM_DATA, "said", n);
    for (const seat of this.seats.values()) seat.messages.push(frame);
    for (const node of this.nodes) node.deliver(frame);
  }

  nextToken(): string {
    this.#tokens += 1;
    return `token${this.#tokens}`;
  }

  async add(): Promise<StubNode> {
    const node = new StubNode(this, `n${this.nodes.length}`);
    this.nodes.push(node);
    await node.listen();
    return node;
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
  }
}

export class StubNode {
  readonly id: string;
  /** The query of each WebSocket that came. */
  readonly attachments: URLSearchParams[] = [];
  pings = 0;
  /** Takes what comes and says nothing, like a stopped process. */
  frozen = false;
  /** Drops each socket with this code instead of serving it. */
  closeWith: number | null = null;
  /** Answers matchmaking with this status. */
  refuseWith: number | null = null;
  /** Applies and acknowledges, but answers no request: the answer was lost on the way. */
  answers = true;
  /** Applies nothing that comes: it is lost on the way. */
  applies = true;
  /** What the room says here is lost on the way. */
  delivers = true;
  /** Takes the seat, tells where it stands, and drops the socket. */
  dropsAfterJoin = false;
  /** Does not tell where the room's messages stand. */
  tells = true;
  /** Is about to end, says so, and takes nobody back. */
  draining = false;
  /** An attachment waits for this, then is agreed. */
  attachesAfter: Promise<void> | null = null;
  /** A seat that is attached elsewhere is closed here: only after the other node has told its client. */
  noticesLate = false;
  readonly #cluster: StubCluster;
  readonly #http: Server;
  readonly #sockets = new Set<Socket>();
  readonly #webSockets = new WebSocketServer({ noServer: true });
  readonly #clients = new Set<WebSocket>();
  readonly #seatOf = new WeakMap<WebSocket, Seat>();
  /** Those that have acknowledged their join. */
  readonly #listening = new Set<WebSocket>();
  #port = 0;

  constructor(cluster: StubCluster, id: string) {
    this.id = id;
    this.#cluster = cluster;
    this.#http = createServer((request, response) => this.#answer(request, response));
    this.#http.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    this.#http.on("upgrade", (request, socket, head) => {
      if (this.frozen) return;
      this.#webSockets.handleUpgrade(request, socket, head, (client) => void this.#attach(client, request));
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get clients(): number {
    return this.#clients.size;
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#http.listen(this.#port, "127.0.0.1", resolve));
    this.#port = (this.#http.address() as AddressInfo).port;
  }

  /** Resets every socket, as the kernel does for a killed process. */
  async kill(): Promise<void> {
    const closed = new Promise((resolve) => this.#http.close(resolve));
    for (const socket of this.#sockets) socket.resetAndDestroy();
    this.#clients.clear();
    this.#listening.clear();
    await closed;
  }

  closeClients(code: number): void {
    for (const client of this.#clients) client.close(code);
  }

  deliver(frame: Uint8Array): void {
    for (const client of this.#listening) if (this.delivers && !this.frozen) client.send(frame);
  }

  askToMoveOn(): void {
    for (const client of this.#clients) client.send(encodeMoveOn());
  }

  /** The seat is attached elsewhere. */
  detach(seat: Seat): void {
    for (const client of this.#clients) {
      if (this.#seatOf.get(client) !== seat) continue;
      if (this.noticesLate) setTimeout(() => client.close(4010), 20);
      else client.close(4010);
    }
  }

  sendStates(): void {
    for (const client of this.#clients) this.#sendState(client);
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    if (this.frozen) return;
    request.resume();
    const json = (status: number, body: unknown): void => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    };
    if (request.url === ENDPOINTS_PATH) {
      const nodes = this.#cluster.nodes;
      const told = nodes.map(({ id, url, draining }) => ({ node: id, region: "here", url, draining }));
      json(200, { endpoints: told });
      return;
    }
    if (this.refuseWith !== null) {
      json(this.refuseWith, { code: this.refuseWith, error: `refused with ${this.refuseWith}` });
      return;
    }
    const [, , method, name] = (request.url ?? "").split("/");
    const sessionId = method === "reconnect" ? "s1" : `s${this.#cluster.seats.size + 1}`;
    if (method !== "reconnect") {
      const token = this.#cluster.nextToken();
      this.#cluster.seats.set(sessionId, {
        sessionId,
        token,
        lastSequence: 0,
        results: new Map(),
        messages: [],
        forgotten: 0,
      });
    }
    json(200, {
      name: method === "reconnect" ? "arena" : name,
      sessionId,
      roomId: "room1",
      processId: this.id,
    });
  }

  async #attach(client: WebSocket, request: IncomingMessage): Promise<void> {
    const query = new URL(request.url ?? "", "http://any").searchParams;
    if (!query.has("sessionId")) {
      // Colyseus's own way to measure the latency to a server.
      client.on("message", () => client.send(new Uint8Array([Protocol.PING])));
      return;
    }
    this.attachments.push(query);
    const seat = this.#cluster.seats.get(query.get("sessionId") ?? "");
    client.on("error", () => {});
    const token = query.get("reconnectionToken");
    const sentOn = this.draining && token !== null ? 4010 : null;
    if (this.closeWith !== null || sentOn !== null || seat === undefined) {
      client.close(this.closeWith ?? sentOn ?? 4002);
      return;
    }
    if (token !== null && token !== seat.token) {
      client.send(getMessageBytes[Protocol.ERROR](524, "the token is not this seat's"));
      client.close(4003);
      return;
    }
    await this.attachesAfter;
    for (const node of this.#cluster.nodes) node.detach(seat);
    this.#clients.add(client);
    this.#seatOf.set(client, seat);
    client.on("close", () => {
      this.#clients.delete(client);
      this.#listening.delete(client);
    });
    client.on("message", (data: Buffer) => {
      if (!this.frozen) this.#received(client, seat, new Uint8Array(data));
    });
    seat.token = this.#cluster.nextToken();
    const handshake = query.has("skipHandshake") ? undefined : Reflection.encode(this.#cluster.encoder);
    client.send(getMessageBytes[Protocol.JOIN_ROOM](seat.token, "schema", handshake).slice());
    if (query.has("testudo")) this.#resume(client, seat, query.get("received"));
  }

  #resume(client: WebSocket, seat: Seat, said: string | null): void {
    const has = said === null ? seat.messages.length : Number(said);
    const received = Math.max(has, seat.forgotten);
    const resumption = { sequence: seat.lastSequence, received, lost: received - has };
    client.send(this.tells ? encodeResumption(resumption) : encodeAck(seat.lastSequence));
    if (this.dropsAfterJoin) client.close(4010);
    client.once("message", () => {
      this.#listening.add(client);
      if (this.delivers) for (const frame of seat.messages.slice(received)) client.send(frame);
    });
  }

  #received(client: WebSocket, seat: Seat, frame: Uint8Array): void {
    const sequenced = decodeSequenced(frame);
    if (sequenced !== null) {
      if (this.applies) this.#command(client, seat, sequenced);
      return;
    }
    const code = frame[0];
    if (code === Protocol.PING) {
      this.pings += 1;
      client.send(new Uint8Array([Protocol.PING]));
    } else if (code === Protocol.JOIN_ROOM) this.#sendState(client);
    else if (code === Protocol.LEAVE_ROOM) client.close(4000);
    else if (code === Protocol.ROOM_INPUT_RELIABLE || code === Protocol.ROOM_INPUT_UNRELIABLE)
      this.#cluster.inputs.push(frame);
    else if (this.applies) this.#cluster.unnumbered.push(this.#read(frame).applied);
  }

  /** Exactly once: the next number is applied, an older one gets its remembered result. */
  #command(
    client: WebSocket,
    seat: Seat,
    given: { readonly sequence: number; readonly frame: Uint8Array },
  ): void {
    const { sequence, frame } = given;
    if (sequence > seat.lastSequence + 1) {
      client.close(4002, "GAP");
      return;
    }
    if (sequence === seat.lastSequence + 1) {
      const { applied, requestId } = this.#read(frame);
      this.#cluster.applied.push(applied);
      this.#cluster.state.shots += 1;
      seat.lastSequence = sequence;
      if (requestId !== null) {
        const value = { shots: this.#cluster.applied.length };
        // Copied: the next frame is encoded into the same buffer.
        seat.results.set(
          sequence,
          getMessageBytes[Protocol.ROOM_RESPONSE](requestId, ResponseStatus.OK, value).slice(),
        );
      }
    }
    const result = seat.results.get(sequence);
    if (result !== undefined && this.answers) client.send(result);
    client.send(encodeAck(seat.lastSequence));
  }

  #read(frame: Uint8Array): { readonly applied: Applied; readonly requestId: number | null } {
    const it: Iterator = { offset: 1 };
    const code = frame[0] ?? 0;
    const requestId = code === Protocol.ROOM_REQUEST ? decode.number(frame, it) : null;
    const type = decode.stringCheck(frame, it) ? decode.string(frame, it) : decode.number(frame, it);
    const rest = frame.subarray(it.offset);
    const payload =
      code === Protocol.ROOM_DATA_BYTES ? [...rest] : rest.length > 0 ? unpack(rest) : undefined;
    return { applied: { code, type, payload }, requestId };
  }

  #sendState(client: WebSocket): void {
    const it: Iterator = { offset: 1 };
    const frame = Uint8Array.from(this.#cluster.encoder.encodeAll(it));
    frame[0] = Protocol.ROOM_STATE;
    client.send(frame);
  }
}

import { Protocol } from "@colyseus/core";
import { decode, encode } from "@colyseus/schema";
import { WebSocket } from "ws";
import type { Connection } from "./connection.ts";

const statusOk = 0;
const uint32Prefix = 0xce;

/**
 * A client that speaks Colyseus's protocol and does nothing else, so that it costs little beside what it measures:
 * `[ROOM_REQUEST][request id][type]`, answered by `[ROOM_RESPONSE][request id][status][reply]` after the commit.
 */
export class RoomConnection implements Connection {
  replied: (sentMs: number) => void = () => {};
  failed: (reason: string) => void = () => {};
  readonly #socket: WebSocket;
  readonly #frame: Buffer;
  readonly #sentMs = new Map<number, number>();
  #requestId = 0;
  #corked = false;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    const type: number[] = [];
    encode.string(type as unknown as Uint8Array, "add", { offset: 0 });
    this.#frame = Buffer.from([Protocol.ROOM_REQUEST, uint32Prefix, 0, 0, 0, 0, ...type]);
    socket.on("message", (data: Buffer) => this.#receive(data));
    socket.on("close", (code, reason) => this.failed(`closed with ${code} ${reason.toString()}`));
    socket.on("error", (error) => this.failed(error.message));
  }

  /** Takes the seat; resolves once the room has sent its state. */
  static async open(url: string): Promise<RoomConnection> {
    const socket = new WebSocket(url, { perMessageDeflate: false });
    return await new Promise((resolve, reject) => {
      socket.once("error", reject);
      socket.once("close", (code, reason) => reject(new Error(`closed with ${code} ${reason.toString()}`)));
      socket.on("message", function joining(data: Buffer) {
        if (data[0] === Protocol.JOIN_ROOM) socket.send(Buffer.from([Protocol.JOIN_ROOM]));
        if (data[0] !== Protocol.ROOM_STATE) return;
        socket.off("message", joining);
        socket.removeAllListeners("error").removeAllListeners("close");
        resolve(new RoomConnection(socket));
      });
    });
  }

  send(): void {
    this.#cork();
    const requestId = ++this.#requestId;
    this.#sentMs.set(requestId, performance.now());
    const frame = Buffer.from(this.#frame);
    frame.writeUInt32LE(requestId, 2);
    this.#socket.send(frame);
  }

  close(): void {
    this.#socket.removeAllListeners("close");
    this.#socket.close();
  }

  /** What is sent in one turn leaves in one write. */
  #cork(): void {
    if (this.#corked) return;
    const { _socket: tcp } = this.#socket as unknown as { _socket: { cork(): void; uncork(): void } };
    this.#corked = true;
    tcp.cork();
    setImmediate(() => {
      this.#corked = false;
      tcp.uncork();
    });
  }

  #receive(data: Buffer): void {
    if (data[0] !== Protocol.ROOM_RESPONSE) return;
    const at = { offset: 1 };
    const requestId = decode.number(data, at);
    const sentMs = this.#sentMs.get(requestId);
    this.#sentMs.delete(requestId);
    if (data[at.offset] !== statusOk || sentMs === undefined) this.failed(`reply ${data.toString("hex")}`);
    else this.replied(sentMs);
  }
}

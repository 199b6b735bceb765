import { connect, type Socket } from "node:net";
import type { Connection } from "./connection.ts";

const frameHeaderBytes = 9;
const frameTypes = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goAway: 7, windowUpdate: 8 };
const flags = { ack: 1, endStream: 1, endHeaders: 4 };
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const windowMax = 2 ** 31 - 1 - 65_535;

function frame(type: number, flag: number, stream: number, payload: Buffer): Buffer {
  const bytes = Buffer.alloc(frameHeaderBytes + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flag;
  bytes.writeUInt32BE(stream, 5);
  payload.copy(bytes, frameHeaderBytes);
  return bytes;
}

const text = (value: string): Buffer => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);

/** HPACK, from its static table, nothing indexed: the same bytes for every call (RFC 7541 §6). */
const callHeaders = Buffer.concat([
  Buffer.from([0x83, 0x86, 0x04]), // POST, http, :path
  text("/etcdserverpb.KV/Put"),
  Buffer.from([0x01]), // :authority
  text("localhost"),
  Buffer.from([0x0f, 0x10]), // content-type
  text("application/grpc"),
  Buffer.from([0x00]),
  text("te"),
  text("trailers"),
]);

function putRequest(key: string, valueBytes: number): Buffer {
  const value = Buffer.alloc(valueBytes, "v");
  const message = Buffer.concat([Buffer.from([0x0a]), text(key), Buffer.from([0x12, valueBytes]), value]);
  const prefix = Buffer.alloc(5); // not compressed, length
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/**
 * A client of etcd's `KV.Put` by gRPC that does nothing else: HTTP/2 frames by hand, as light as the WebSocket client
 * beside it, because a whole gRPC client would cost more processor time than etcd itself and slow it down.
 */
export class EtcdConnection implements Connection {
  replied: (sentMs: number) => void = () => {};
  failed: (reason: string) => void = () => {};
  readonly #socket: Socket;
  readonly #call: Buffer;
  readonly #streams = new Map<number, { readonly sentMs: number; answered: boolean }>();
  #stream = 1;
  #corked = false;
  #waiting: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket, key: string) {
    this.#socket = socket;
    const put = putRequest(key, 32);
    this.#call = Buffer.concat([
      frame(frameTypes.headers, flags.endHeaders, 0, callHeaders),
      frame(frameTypes.data, flags.endStream, 0, put),
    ]);
    socket.on("data", (bytes) => this.#receive(bytes));
    socket.on("close", () => this.failed("closed"));
    socket.on("error", (error) => this.failed(error.message));
  }

  static async open(port: number, key: string): Promise<EtcdConnection> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    socket.removeAllListeners("error");
    const increment = Buffer.alloc(4);
    increment.writeUInt32BE(windowMax);
    socket.write(preface);
    socket.write(frame(frameTypes.settings, 0, 0, Buffer.alloc(0)));
    socket.write(frame(frameTypes.windowUpdate, 0, 0, increment));
    return new EtcdConnection(socket, key);
  }

  send(): void {
    if (!this.#corked) {
      this.#corked = true;
      this.#socket.cork();
      setImmediate(() => {
        this.#corked = false;
        this.#socket.uncork();
      });
    }
    const stream = this.#stream;
    this.#stream += 2;
    const bytes = Buffer.from(this.#call);
    bytes.writeUInt32BE(stream, 5);
    bytes.writeUInt32BE(stream, 2 * frameHeaderBytes + callHeaders.length - 4);
    this.#streams.set(stream, { sentMs: performance.now(), answered: false });
    this.#socket.write(bytes);
  }

  close(): void {
    this.#socket.removeAllListeners("close");
    this.#socket.destroy();
  }

  #receive(bytes: Buffer): void {
    let rest = this.#waiting.length === 0 ? bytes : Buffer.concat([this.#waiting, bytes]);
    while (rest.length >= frameHeaderBytes) {
      const end = frameHeaderBytes + rest.readUIntBE(0, 3);
      if (rest.length < end) break;
      this.#frame(rest[3] ?? 0, rest[4] ?? 0, rest.readUInt32BE(5), rest.subarray(frameHeaderBytes, end));
      rest = rest.subarray(end);
    }
    this.#waiting = rest;
  }

  #frame(type: number, flag: number, stream: number, payload: Buffer): void {
    const isAck = (flag & flags.ack) !== 0;
    if (type === frameTypes.settings && !isAck) {
      this.#socket.write(frame(frameTypes.settings, flags.ack, 0, Buffer.alloc(0)));
    }
    if (type === frameTypes.ping && !isAck) {
      this.#socket.write(frame(frameTypes.ping, flags.ack, 0, Buffer.from(payload)));
    }
    if (type === frameTypes.goAway) this.failed("etcd closes the connection");
    const call = this.#streams.get(stream);
    if (call === undefined) return;
    // A call that failed has trailers only: its status and no message.
    if (type === frameTypes.data) call.answered = true;
    const isOver =
      type === frameTypes.reset || (type === frameTypes.headers && (flag & flags.endStream) !== 0);
    if (!isOver) return;
    this.#streams.delete(stream);
    if (call.answered && type !== frameTypes.reset) this.replied(call.sentMs);
    else this.failed("a put was refused");
  }
}

import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/**
 * The network between the nodes of a real cluster: a proxy in front of each node's port for peers. What a connection
 * carries in one direction can be held back, as a lost line holds it back: nothing is reset, the bytes wait. Who dials is
 * read from the connection itself: the hello of the handshake (server/network/handshake) names it.
 */
export class Wire {
  readonly #gates = new Map<string, Gate>();
  /** "from>to" */
  readonly #cuts = new Set<string>();

  /** Begins to stand in front of `nodeId`'s real port. @returns the port that others dial */
  async place(nodeId: string, { port, target }: { port: number; target: number }): Promise<void> {
    const gate = new Gate(nodeId, target, (from, to) => this.isCut(from, to));
    this.#gates.set(nodeId, gate);
    await gate.listen(port);
  }

  isCut(from: string, to: string): boolean {
    return this.#cuts.has(`${from}>${to}`);
  }

  /** Nothing that `from` says reaches `to` any more. */
  cut(from: string, to: string): void {
    this.#cuts.add(`${from}>${to}`);
    this.#renew();
  }

  heal(from: string, to: string): void {
    this.#cuts.delete(`${from}>${to}`);
    this.#renew();
  }

  healAll(): void {
    this.#cuts.clear();
    this.#renew();
  }

  /** Connections between the two are reset. */
  drop(one: string, other: string): void {
    this.#gates.get(one)?.drop(other);
    this.#gates.get(other)?.drop(one);
  }

  #renew(): void {
    for (const gate of this.#gates.values()) gate.renew();
  }

  async end(): Promise<void> {
    await Promise.all([...this.#gates.values()].map((gate) => gate.end()));
  }
}

/** Where the hello's strings begin in its frame: the frame's head and mask, magic, version and step, proof and nonce. */
const helloHeadBytes = 4 + 2 + 32 + 32;
const maskBytes = 4;

/** The dialler that a client's bytes name, once its hello is there; null before. */
export function diallerOf(bytes: Buffer): string | null {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return null;
  const at = end + 4;
  const short = (bytes[at + 1] ?? 0) & 0x7f;
  if (bytes.length < at + 4) return null;
  const [length, head] = short === 126 ? [bytes.readUInt16BE(at + 2), 4] : [short, 2];
  const start = at + head + maskBytes;
  if (bytes.length < start + length) return null;
  const mask = bytes.subarray(start - maskBytes, start);
  const hello = bytes
    .subarray(start, start + length)
    .map((byte, k) => byte ^ (mask[k % maskBytes] as number));
  const meantBytes = hello[helloHeadBytes] ?? 0;
  const nameAt = helloHeadBytes + 1 + meantBytes;
  const nameBytes = hello[nameAt] ?? 0;
  return Buffer.from(hello.subarray(nameAt + 1, nameAt + 1 + nameBytes)).toString("utf8");
}

/** One node's proxy. */
class Gate {
  readonly #nodeId: string;
  readonly #target: number;
  readonly #isCut: (from: string, to: string) => boolean;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();

  constructor(nodeId: string, target: number, isCut: (from: string, to: string) => boolean) {
    this.#nodeId = nodeId;
    this.#target = target;
    this.#isCut = isCut;
    this.#server = createServer((client) => {
      const pair: Pair = new Pair(client, connect(this.#target, "127.0.0.1"), {
        isCutIn: (from) => this.#isCut(from, this.#nodeId),
        isCutOut: (to) => this.#isCut(this.#nodeId, to),
        ended: () => this.#pairs.delete(pair),
      });
      this.#pairs.add(pair);
    });
  }

  async listen(port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, "127.0.0.1", () => resolve());
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  renew(): void {
    for (const pair of this.#pairs) pair.renew();
  }

  drop(dialler: string): void {
    for (const pair of this.#pairs) if (pair.dialler === dialler) pair.end();
  }

  async end(): Promise<void> {
    for (const pair of this.#pairs) pair.end();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

interface PairParts {
  readonly isCutIn: (dialler: string) => boolean;
  readonly isCutOut: (dialler: string) => boolean;
  readonly ended: () => void;
}

/** One connection through a gate, both halves of it. */
class Pair {
  dialler: string | null = null;
  readonly #client: Socket;
  readonly #node: Socket;
  readonly #parts: PairParts;
  #first: Buffer = Buffer.alloc(0);

  constructor(client: Socket, node: Socket, parts: PairParts) {
    this.#client = client;
    this.#node = node;
    this.#parts = parts;
    for (const [socket, other] of [
      [client, node],
      [node, client],
    ] as const) {
      socket.setNoDelay(true);
      socket.on("error", () => socket.destroy());
      socket.on("end", () => other.end());
      socket.on("drain", () => this.renew());
      socket.on("close", () => {
        other.destroy();
        parts.ended();
      });
    }
    client.on("data", (bytes) => this.#fromClient(bytes));
    node.on("data", (bytes) => this.#carry(bytes, node, client));
  }

  #fromClient(bytes: Buffer): void {
    if (this.dialler === null) {
      this.#first = Buffer.concat([this.#first, bytes]);
      this.dialler = diallerOf(this.#first);
    }
    this.#carry(bytes, this.#client, this.#node);
    if (this.dialler !== null) this.renew();
  }

  #carry(bytes: Buffer, from: Socket, to: Socket): void {
    if (!to.write(bytes)) from.pause();
  }

  /** Holds back, or lets go on, each direction as the cuts are now. */
  renew(): void {
    const { dialler } = this;
    for (const [from, to, isCut] of [
      [this.#client, this.#node, dialler !== null && this.#parts.isCutIn(dialler)],
      [this.#node, this.#client, dialler !== null && this.#parts.isCutOut(dialler)],
    ] as const) {
      if (isCut || to.writableNeedDrain) from.pause();
      else from.resume();
    }
  }

  end(): void {
    this.#client.resetAndDestroy();
    this.#node.resetAndDestroy();
  }
}

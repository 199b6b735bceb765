import { randomBytes } from "node:crypto";
import net from "node:net";
import { WebSocket } from "ws";
import { DialerHandshake } from "../../server/network/handshake.ts";
import { Links, type NetworkLog } from "../../server/network/links.ts";
import type { LinksOptions } from "../../server/network/links-options.ts";
import type { MessageLevels } from "../../server/network/message-levels.ts";
import type { PeerIdentity } from "../../server/network/network.ts";
import type { PeerMessage } from "../../server/network/peer-message.ts";
import { levels } from "../../server/raft/level.ts";

/** Nodes with real sockets for tests, and strangers that come to them. */

export const secret = "a secret of the tests' own";

export type Event =
  | { readonly type: "linkUp"; readonly peer: PeerIdentity }
  | { readonly type: "linkDown"; readonly nodeId: string; readonly reason: string }
  | { readonly type: "message"; readonly from: string; readonly message: PeerMessage };

interface Line {
  readonly level: string;
  readonly fields: { readonly reason?: unknown };
  readonly message: string;
}

/** A node that writes down what its network tells it. */
export interface TestNode {
  readonly links: Links;
  readonly identity: PeerIdentity;
  readonly events: Event[];
  readonly lines: Line[];
  /** Messages from one peer, in order. */
  received(from: string): PeerMessage[];
  downs(nodeId: string): string[];
  ups(nodeId: string): number;
  url(): string;
}

export function identityOf(nodeId: string, more: Partial<PeerIdentity> = {}): PeerIdentity {
  return {
    nodeId,
    storeId: `store-${nodeId}`,
    bootId: randomBytes(8).toString("hex"),
    clusterId: null,
    levels,
    agreedLevel: null,
    ...more,
  };
}

/** A free port of 127.0.0.1: for a node that others must know before it listens. */
export async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Everything that one test started; `close` ends it all. */
export class LinkBench {
  readonly #nodes: TestNode[] = [];
  readonly #endings: (() => unknown)[] = [];

  /** A started node. It listens on any free port if none is given. */
  async node(
    nodeId: string,
    options: Partial<LinksOptions> & {
      port?: number;
      onUp?: () => void;
      onMessage?: () => void;
      messageLevels?: MessageLevels;
    } = {},
  ): Promise<TestNode> {
    const { port = 0, onUp, onMessage, messageLevels = {}, ...more } = options;
    const events: Event[] = [];
    const lines: Line[] = [];
    const write =
      (level: string) =>
      (fields: object, message: string): void => {
        lines.push({ level, fields: { ...fields }, message });
      };
    const log: NetworkLog = { info: write("info"), warn: write("warn"), error: write("error") };
    const identity = options.identity ?? identityOf(nodeId);
    const links = new Links(
      { identity, secret, listen: { host: "127.0.0.1", port }, peers: {}, ...more },
      {
        log,
        randomBytes: (count) => randomBytes(count),
        monotonicMs: () => performance.now(),
        messageLevels,
      },
    );
    const node: TestNode = {
      links,
      identity,
      events,
      lines,
      received: (from) =>
        events.flatMap((event) => (event.type === "message" && event.from === from ? [event.message] : [])),
      downs: (peer) =>
        events.flatMap((event) => (event.type === "linkDown" && event.nodeId === peer ? [event.reason] : [])),
      ups: (peer) => events.filter((event) => event.type === "linkUp" && event.peer.nodeId === peer).length,
      url: () => `ws://127.0.0.1:${links.address.port}`,
    };
    this.#nodes.push(node);
    await links.start({
      linkUp: (peer) => {
        events.push({ type: "linkUp", peer });
        onUp?.();
      },
      linkDown: (peer, reason) => events.push({ type: "linkDown", nodeId: peer, reason }),
      message: (from, message) => {
        events.push({ type: "message", from, message });
        onMessage?.();
      },
    });
    return node;
  }

  /** Nodes "a" (which dials) and "b", linked. */
  async pair(
    options: { a?: Partial<LinksOptions>; b?: Partial<LinksOptions> } = {},
  ): Promise<{ a: TestNode; b: TestNode }> {
    const b = await this.node("b", { peers: { a: "ws://127.0.0.1:1" }, ...options.b });
    const a = await this.node("a", { peers: { b: b.url() }, ...options.a });
    await until("a and b are linked", () => a.ups("b") === 1 && b.ups("a") === 1);
    return { a, b };
  }

  /** A WebSocket that is nobody's. */
  async stranger(url: string): Promise<Stranger> {
    const stranger = new Stranger(url);
    this.#endings.push(() => stranger.ws.terminate());
    await until("the stranger is connected", () => stranger.received.length > 0 || stranger.closed !== null);
    return stranger;
  }

  /** A stranger that shakes hands as the given node would; `after` lets a test change what is sent. */
  async impostor(
    url: string,
    self: PeerIdentity,
    more: { meant?: string; version?: number; secret?: string } = {},
  ): Promise<Stranger> {
    const stranger = await this.stranger(url);
    const handshake = new DialerHandshake({ secret, self, nonce: randomBytes(32), meant: "b", ...more });
    const challenge = stranger.received[0] as Buffer;
    // Seen in another version's eyes the challenge is of its own version.
    if (more.version !== undefined) challenge[4] = more.version;
    stranger.ws.send(handshake.hello(challenge));
    await until("an answer to the hello", () => stranger.received.length > 1 || stranger.closed !== null);
    if (stranger.closed === null) stranger.ws.send(handshake.ready);
    return stranger;
  }

  onClose(ending: () => unknown): void {
    this.#endings.push(ending);
  }

  async close(): Promise<void> {
    for (const ending of this.#endings) await ending();
    await Promise.all(this.#nodes.map(({ links }) => links.close()));
  }
}

export class Stranger {
  readonly ws: WebSocket;
  readonly received: Buffer[] = [];
  closed: { readonly code: number; readonly text: string } | null = null;

  constructor(url: string) {
    this.ws = new WebSocket(url, { perMessageDeflate: false });
    this.ws.on("message", (data) => this.received.push(Buffer.from(data as Buffer)));
    this.ws.on("error", () => {});
    this.ws.on("close", (code, text) => {
      this.closed = { code, text: text.toString() };
    });
  }

  async closeText(): Promise<string> {
    await until("the stranger is closed", () => this.closed !== null);
    return this.closed?.text ?? "";
  }
}

/** Waits for something that will happen; how soon is no part of any test. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  const giveUpMs = performance.now() + 10_000;
  while (!holds()) {
    if (performance.now() > giveUpMs) throw new Error(`this never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Runs a test with a bench of its own. */
export function withBench(run: (bench: LinkBench) => Promise<void>): () => Promise<void> {
  return async () => {
    const bench = new LinkBench();
    try {
      await run(bench);
    } finally {
      await bench.close();
    }
  };
}

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { Transform } from "node:stream";
import { Cluster, type ClusterOptions } from "./cluster.ts";

/**
 * A TCP balancer as simple as they come: each connection goes to the next node that takes it, and is never looked into. It
 * may be far away, or shut.
 */
export class FrontDoor {
  /** How long what is said takes through it, each way. */
  delayMs = 0;
  readonly #ports: readonly number[];
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  /** By session id, as the first line of a WebSocket's request has it: for the test, which must know whom to kill. */
  readonly #portOf = new Map<string, number>();
  #next = 0;
  #isShut = false;

  private constructor(ports: readonly number[]) {
    this.#ports = ports;
    this.#server = createServer((from) => this.#pass(from));
  }

  static async open(ports: readonly number[]): Promise<FrontDoor> {
    const door = new FrontDoor(ports);
    door.#server.listen(0, "127.0.0.1");
    await once(door.#server, "listening");
    return door;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Whoever is in is thrown out, and nobody is let in. */
  shut(): void {
    this.#isShut = true;
    for (const socket of this.#open) socket.destroy();
  }

  reopen(): void {
    this.#isShut = false;
  }

  portOf(sessionId: string): number {
    const port = this.#portOf.get(sessionId);
    if (port === undefined) throw new Error(`nobody came as ${sessionId}`);
    return port;
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const socket of this.#open) socket.destroy();
    await once(this.#server, "close");
  }

  #pass(from: Socket): void {
    if (this.#isShut) return void from.destroy();
    this.#watch(from);
    // Paused until somebody takes it: nothing is lost while nodes are tried.
    from.pause();
    this.#tryNode(from, this.#ports.length);
  }

  #tryNode(from: Socket, left: number): void {
    const port = this.#ports[this.#next++ % this.#ports.length] as number;
    const to = connect(port, "127.0.0.1");
    this.#watch(to);
    const refused = () => (left > 1 ? this.#tryNode(from, left - 1) : from.destroy());
    to.once("error", refused);
    to.once("connect", () => {
      to.off("error", refused);
      to.once("close", () => from.destroy());
      from.once("close", () => to.destroy());
      from.once("data", (head) => this.#note(head.toString("latin1"), port));
      from.pipe(this.#far()).pipe(to).pipe(this.#far()).pipe(from);
    });
  }

  #far(): Transform {
    return new Transform({
      transform: (bytes, _, done) => void setTimeout(() => done(null, bytes), this.delayMs),
    });
  }

  #note(head: string, port: number): void {
    const sessionId = /^GET \S*[?&]sessionId=([^& ]+)/.exec(head)?.[1];
    if (sessionId !== undefined) this.#portOf.set(sessionId, port);
  }

  #watch(socket: Socket): void {
    this.#open.add(socket);
    socket.on("error", () => socket.destroy());
    socket.once("close", () => this.#open.delete(socket));
  }
}

/** Runs `run` with a cluster that is ready and whose nodes are all known by one address; as `withCluster` else. */
export async function behindDoor(
  options: ClusterOptions,
  run: (world: { cluster: Cluster; door: FrontDoor; launch: (id: string) => void }) => Promise<void>,
): Promise<void> {
  const cluster = await Cluster.plan(options);
  const door = await FrontDoor.open(cluster.plans.map(({ url }) => Number(new URL(url).port)));
  const launch = (id: string): void => void cluster.launch(id, [`--public-url=${door.url}`]);
  try {
    for (const id of cluster.ids) launch(id);
    await cluster.ready();
    await run({ cluster, door, launch });
  } catch (error) {
    process.stderr.write(`${cluster.tail()}\n`);
    throw error;
  } finally {
    await cluster.end();
    await door.close();
  }
}

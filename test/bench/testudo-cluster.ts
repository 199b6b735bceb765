import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { StatusJson } from "../../server/admin/status.ts";
import { keeperGroups } from "../../server/colyseus/room-node.ts";
import { Cluster, freePort, nodesCount } from "./cluster.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const preload = pathToFileURL(join(root, "server/colyseus/register.ts")).href;
const main = join(root, "test/bench/bench-main.ts");
const peerPortOffset = 100;

interface Reservation {
  readonly roomId: string;
  readonly sessionId: string;
  readonly processId: string;
}

/** Three Testudo nodes with the benchmark's rooms. */
export class TestudoCluster extends Cluster {
  readonly #port: number;
  readonly #nodeFlags: readonly string[];

  private constructor(port: number, nodeFlags: readonly string[]) {
    super("testudo");
    this.#port = port;
    this.#nodeFlags = nodeFlags;
  }

  /** `nodeFlags`: for Node itself, as `--cpu-prof`. */
  static async make(nodeFlags: readonly string[]): Promise<TestudoCluster> {
    const offsets = Array.from({ length: nodesCount }, (_, node) => [node, peerPortOffset + node]).flat();
    return new TestudoCluster(await freePort(offsets), nodeFlags);
  }

  url(node: number): string {
    return `http://127.0.0.1:${this.#port + node}`;
  }

  protected override command(node: number): readonly [string, readonly string[]] {
    const id = (k: number) => `n${k + 1}`;
    const peers = Array.from(
      { length: nodesCount },
      (_, k) => `${id(k)}=ws://127.0.0.1:${this.#port + peerPortOffset + k}`,
    );
    const flags = {
      id: id(node),
      host: "127.0.0.1",
      port: this.#port + node,
      "peer-host": "127.0.0.1",
      "peer-port": this.#port + peerPortOffset + node,
      "public-url": this.url(node),
      peers: peers.join(","),
      data: join(this.folder, id(node)),
      secret: "benchmarkbenchmark",
      config: "none",
      "log-level": "warn",
    };
    const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
    return [process.execPath, [...this.#nodeFlags, "--import", preload, main, ...args]];
  }

  async status(node: number): Promise<StatusJson> {
    const answer = await fetch(`${this.url(node)}/testudo/status`, { signal: AbortSignal.timeout(2_000) });
    return (await answer.json()) as StatusJson;
  }

  protected override async isReady(): Promise<boolean> {
    const all = await Promise.all(Array.from({ length: nodesCount }, (_, node) => this.status(node)));
    return all.every(
      ({ state, groups }) =>
        state === "serving" &&
        groups.every(({ leader, id }) => leader !== null && leader === all[0]?.groups[id]?.leader),
    );
  }

  /** 0, 1 or 2: the node that leads a group. */
  async leaderOf(group: number, asked = 0): Promise<number> {
    const { groups } = await this.status(asked);
    return Number(groups[group]?.leader?.slice(1)) - 1;
  }

  /** A room in each group: room ids by group. */
  async roomPerGroup(): Promise<readonly string[]> {
    const { groups } = await this.status(0);
    // The last one is the keeper's.
    const rooms: (string | undefined)[] = groups.slice(keeperGroups).map(() => undefined);
    while (rooms.some((room) => room === undefined)) {
      const { roomId } = await this.#matchmake(0, "create", "bench");
      rooms[groupOf(roomId)] ??= roomId;
    }
    return rooms as string[];
  }

  /** A seat, and the address of its socket at the same node. */
  async seat(node: number, roomId: string): Promise<string> {
    const { sessionId, processId } = await this.#matchmake(node, "joinById", roomId);
    return `${this.url(node).replace("http", "ws")}/${processId}/${roomId}?sessionId=${sessionId}`;
  }

  async #matchmake(node: number, method: string, name: string): Promise<Reservation> {
    const answer = await fetch(`${this.url(node)}/matchmake/${method}/${name}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    const body = (await answer.json()) as Reservation;
    if (!answer.ok) throw new Error(`${method} ${name}: ${JSON.stringify(body)}`);
    return body;
  }
}

/** A room's id ends with its group: A is 0, B is 1, … */
export function groupOf(roomId: string): number {
  return roomId.charCodeAt(roomId.length - 1) - "A".charCodeAt(0);
}

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { Cluster, freePort, nodesCount } from "./cluster.ts";

const peerPortOffset = 100;

/** The version that is installed, or null. */
export function etcdVersion(): string | null {
  const { status, stdout } = spawnSync("etcd", ["--version"], { encoding: "utf8" });
  return status === 0 ? (/etcd Version: (\S+)/.exec(stdout)?.[1] ?? "?") : null;
}

/** Three members with etcd's own defaults: fsync on, heartbeat 100 ms, election 1,000 ms. */
export class EtcdCluster extends Cluster {
  readonly #port: number;

  private constructor(port: number) {
    super("etcd");
    this.#port = port;
  }

  static async make(): Promise<EtcdCluster> {
    const offsets = Array.from({ length: nodesCount }, (_, node) => [node, peerPortOffset + node]).flat();
    return new EtcdCluster(await freePort(offsets));
  }

  port(node: number): number {
    return this.#port + node;
  }

  protected override command(node: number): readonly [string, readonly string[]] {
    const peer = (k: number) => `http://127.0.0.1:${this.#port + peerPortOffset + k}`;
    const own = `http://127.0.0.1:${this.port(node)}`;
    const flags = {
      name: `e${node}`,
      "data-dir": join(this.folder, `e${node}`),
      "listen-client-urls": own,
      "advertise-client-urls": own,
      "listen-peer-urls": peer(node),
      "initial-advertise-peer-urls": peer(node),
      "initial-cluster": Array.from({ length: nodesCount }, (_, k) => `e${k}=${peer(k)}`).join(","),
      "initial-cluster-token": "testudo-bench",
      "log-level": "error",
    };
    return ["etcd", Object.entries(flags).map(([name, value]) => `--${name}=${value}`)];
  }

  /** The member's own id, and the leader's: "0" without one. */
  async #status(node: number): Promise<{ member: string; leader: string }> {
    const answer = await fetch(`http://127.0.0.1:${this.port(node)}/v3/maintenance/status`, {
      method: "POST",
      body: "{}",
      signal: AbortSignal.timeout(2_000),
    });
    const { header, leader } = (await answer.json()) as { header: { member_id: string }; leader?: string };
    return { member: header.member_id, leader: leader ?? "0" };
  }

  protected override async isReady(): Promise<boolean> {
    return (await this.leader()) >= 0;
  }

  /** 0, 1 or 2; -1: they do not agree. */
  async leader(): Promise<number> {
    const all = await Promise.all(Array.from({ length: nodesCount }, (_, node) => this.#status(node)));
    const leader = all[0]?.leader ?? "0";
    return all.every((one) => one.leader === leader) ? all.findIndex(({ member }) => member === leader) : -1;
  }
}

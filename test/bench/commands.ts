import { nodesCount } from "./cluster.ts";
import type { EtcdCluster } from "./etcd-cluster.ts";
import type { LoadResult } from "./load-job.ts";
import { LoadProcess } from "./load-process.ts";
import type { TestudoCluster } from "./testudo-cluster.ts";

/** One measurement of a cluster under load. */
export interface Load {
  readonly perSecond: number;
  readonly p50Ms: number;
  /** Processor time of the three nodes, and of the process that makes the load, in microseconds a command. */
  readonly nodesCpuUs: number;
  readonly loadCpuUs: number;
}

/** A set of connections to one cluster, open for the whole run. */
export interface Lane {
  readonly name: string;
  measure(durationMs: number): Promise<Load>;
  end(): Promise<void>;
  kill(): void;
}

interface LaneParts {
  readonly name: string;
  readonly cluster: { cpuMs(): number };
  readonly load: LoadProcess;
  readonly inFlight: number;
}

function lane({ name, cluster, load, inFlight }: LaneParts): Lane {
  return {
    name,
    measure: async (durationMs) => {
      const cpuMs = cluster.cpuMs();
      const result: LoadResult = await load.run(inFlight, durationMs);
      const { commands, seconds, p50Ms } = result;
      const nodesCpuUs = ((cluster.cpuMs() - cpuMs) * 1000) / commands;
      return {
        perSecond: commands / seconds,
        p50Ms,
        nodesCpuUs,
        loadCpuUs: (result.cpuMs * 1000) / commands,
      };
    },
    end: () => load.end(),
    kill: () => load.kill(),
  };
}

/** Connections over all nodes and rooms alike. */
export async function testudoLane(
  cluster: TestudoCluster,
  rooms: readonly string[],
  { connections, inFlight }: { connections: number; inFlight: number },
): Promise<Lane> {
  const urls: string[] = [];
  for (let at = 0; at < connections; at++) {
    const room = rooms[Math.floor(at / nodesCount) % rooms.length] as string;
    urls.push(await cluster.seat(at % nodesCount, room));
  }
  const name = `Testudo, ${connections} × ${inFlight}`;
  return lane({ name, cluster, load: await LoadProcess.withRooms(urls), inFlight });
}

/** One connection, to the node that leads the room's group. */
export async function testudoSingleLane(cluster: TestudoCluster, rooms: readonly string[]): Promise<Lane> {
  const url = await cluster.seat(await cluster.leaderOf(0), rooms[0] as string);
  return lane({ name: "Testudo, 1 × 1", cluster, load: await LoadProcess.withRooms([url]), inFlight: 1 });
}

/** Connections to the leader, which is etcd's fastest way: a follower would only forward. */
export async function etcdLane(
  cluster: EtcdCluster,
  { connections, inFlight }: { connections: number; inFlight: number },
): Promise<Lane> {
  const port = cluster.port(await cluster.leader());
  const load = await LoadProcess.withEtcd(Array.from({ length: connections }, () => port));
  return lane({ name: `etcd, ${connections} × ${inFlight}`, cluster, load, inFlight });
}

import {
  Client,
  type Failover,
  type FailoverRoom,
  type TestudoClientOptions,
} from "../../client/testudo-client.ts";
import { StubCluster, type StubNode } from "./stub-node.ts";

export type StubRoom = FailoverRoom<unknown, { shots: number }>;

export interface Scene {
  readonly cluster: StubCluster;
  readonly nodes: readonly [StubNode, StubNode, StubNode];
  readonly client: Client;
  readonly room: StubRoom;
  readonly failovers: Failover[];
}

/** Fast enough for a test, slow enough for a busy machine. */
export const quick: TestudoClientOptions = {
  pingIntervalMs: 60,
  silenceMs: 200,
  answerMs: 300,
  attachMs: 300,
};

export async function until(condition: () => boolean, what: string): Promise<void> {
  for (let attempt = 0; attempt < 1_000; attempt++) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`never: ${what}`);
}

/** Three nodes, one player in a room, attached to the first. */
export async function scene(
  run: (scene: Scene) => Promise<void>,
  options: TestudoClientOptions = {},
): Promise<void> {
  const cluster = new StubCluster();
  const nodes = [await cluster.add(), await cluster.add(), await cluster.add()] as const;
  const client = new Client(
    nodes.map(({ url }) => url),
    { ...quick, ...options },
  );
  const room = (await client.joinOrCreate("arena")) as StubRoom;
  const failovers: Failover[] = [];
  room.onFailover((failover) => failovers.push(failover));
  await until(() => room.state?.shots !== undefined, "the first state");
  try {
    await run({ cluster, nodes, client, room, failovers });
  } finally {
    for (const node of nodes) node.frozen = false;
    room.reconnection.enabled = false;
    if (room.connection.isOpen) await room.leave(false);
    await cluster.close();
  }
}

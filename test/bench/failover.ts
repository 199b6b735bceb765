import { nodesCount, sleep } from "./cluster.ts";
import type { Connection } from "./connection.ts";
import type { EtcdCluster } from "./etcd-cluster.ts";
import { EtcdConnection } from "./etcd-connection.ts";
import { RoomConnection } from "./room-connection.ts";
import { groupOf, type TestudoCluster } from "./testudo-cluster.ts";

/** The client does not wait for an answer before it sends the next one: a lost one must not hide the new leader. */
const sendEveryMs = 5;
const patienceMs = 20_000;
/** After a restart: until leads have settled and nobody catches up any more. */
const settleMs = 1_500;

/** From `kill` until the first command that was sent after it is committed, as its client sees it. */
async function gapMs(connection: Connection, kill: () => number): Promise<number> {
  let killedMs = Number.POSITIVE_INFINITY;
  const sending = setInterval(() => connection.send(), sendEveryMs);
  try {
    return await new Promise((resolve, reject) => {
      // A put that etcd refuses while it has no leader is an answer like none: the next one counts.
      connection.failed = () => {};
      connection.replied = (sentMs) => {
        if (sentMs > killedMs) resolve(performance.now() - killedMs);
      };
      setTimeout(() => {
        killedMs = kill();
      }, 500);
      setTimeout(
        () => reject(new Error(`no command was committed for ${patienceMs} ms`)),
        patienceMs,
      ).unref();
    });
  } finally {
    clearInterval(sending);
    connection.close();
  }
}

/** kill -9 of the leader of a room's group, with a client on a follower. */
export async function testudoGapMs(cluster: TestudoCluster, roomId: string): Promise<number> {
  const leader = await cluster.leaderOf(groupOf(roomId));
  const follower = (leader + 1) % nodesCount;
  const connection = await RoomConnection.open(await cluster.seat(follower, roomId));
  const gap = await gapMs(connection, () => cluster.kill(leader));
  await cluster.restart(leader);
  await sleep(settleMs);
  return gap;
}

export async function etcdGapMs(cluster: EtcdCluster): Promise<number> {
  const leader = await cluster.leader();
  const connection = await EtcdConnection.open(cluster.port((leader + 1) % nodesCount), "bench/failover");
  const gap = await gapMs(connection, () => cluster.kill(leader));
  await cluster.restart(leader);
  await sleep(settleMs);
  return gap;
}

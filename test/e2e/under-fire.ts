import { type Cluster, type ClusterOptions, withCluster } from "./cluster.ts";
import { HashWatch } from "./hash-watch.ts";
import { Load } from "./load-process.ts";

export interface UnderFire {
  readonly cluster: Cluster;
  readonly load: Load;
  readonly watch: HashWatch;
  /** Every player is answered a shot that it has fired after this call. */
  firesAgain(): Promise<void>;
}

/** Runs `run` with a cluster whose players fire all the time and whose rooms' hashes are compared. */
export async function underFire(
  options: ClusterOptions,
  players: { readonly stock: number; readonly wrapper: number },
  run: (world: UnderFire) => Promise<void>,
): Promise<void> {
  await withCluster(options, async (cluster) => {
    const load = await Load.start(cluster, players);
    const watch = new HashWatch(cluster);
    const firesAgain = async (): Promise<void> => {
      const since = load.journal().lines.length;
      await cluster.until("every player fires again", () => {
        const lines = load.journal().lines.slice(since);
        const answered = new Set(lines.flatMap((line) => (line.type === "ok" ? line.player : [])));
        return answered.size === players.stock + players.wrapper;
      });
    };
    try {
      await run({ cluster, load, watch, firesAgain });
    } catch (error) {
      process.stderr.write(`${load.tail()}\n`);
      throw error;
    } finally {
      await watch.stop();
      await load.end();
    }
  });
}

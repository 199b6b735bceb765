import { Cluster, type ClusterOptions } from "./cluster.ts";

interface Suite {
  before(hook: () => Promise<void>): void;
  after(hook: () => Promise<void>): void;
  (name: string, run: () => Promise<void>): void;
}

interface SharedOptions extends ClusterOptions {
  /** What its processes need beside it; the usual: nothing, and they are started as planned. */
  readonly launchAll?: (cluster: Cluster) => Promise<void>;
}

/**
 * One cluster for all tests of a suite, ready before the first of them; gone behind the last.
 * @param given called with it once it is planned
 * @returns what adds a test; one that fails shows the nodes' last lines
 */
export function shareCluster(
  suite: Suite,
  { launchAll, ...options }: SharedOptions,
  given: (cluster: Cluster) => void,
): (name: string, run: () => Promise<void>) => void {
  let cluster: Cluster | null = null;
  const shown = async (what: string, run: () => Promise<void>): Promise<void> => {
    try {
      await run();
    } catch (error) {
      // uvu itself says nothing of a failure before the first test.
      process.stderr.write(`\n==== ${what}: ${String(error)}\n${cluster?.tail() ?? ""}\n`);
      throw error;
    }
  };
  suite.before(async () => {
    const planned = await Cluster.plan(options);
    cluster = planned;
    given(planned);
    await shown("the cluster is not ready", async () => {
      await (launchAll?.(planned) ?? planned.launchAll());
      await planned.ready();
    });
  });
  suite.after(async () => {
    await cluster?.end();
  });
  return (name, run) => suite(name, () => shown(name, run));
}

// test-run: seconds=500
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Cluster, withCluster } from "./cluster.ts";
import { HashWatch } from "./hash-watch.ts";
import type { Journal } from "./journal.ts";
import { Load } from "./load-process.ts";
import { checkShots } from "./shots.ts";

const test = suite("nodes that are restarted one after the other");

/** Sorted; the nearest rank. */
function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN;
}

function figures(journal: Journal, kind: string): string {
  const gaps = journal.ofType("moved").flatMap(({ player, gapMs }) => (player.startsWith(kind) ? gapMs : []));
  const [p50, p99, most] = [0.5, 0.99, 1].map((part) => Math.round(quantile(gaps, part)));
  return `${kind}: ${gaps.length} moves, gap p50 ${p50} ms, p99 ${p99} ms, most ${most} ms`;
}

async function answeredAgain(cluster: Cluster, load: Load, players: number): Promise<void> {
  const since = load.journal().lines.length;
  await cluster.until("every player fires again", () => {
    const lines = load.journal().lines.slice(since);
    return new Set(lines.flatMap((line) => (line.type === "ok" ? line.player : []))).size === players;
  });
}

test("[C58] a rolling restart by SIGTERM under load: no error, nothing lost or doubled, all nodes end with 0", async () => {
  const players = { stock: 3, wrapper: 6 };
  await withCluster({}, async (cluster) => {
    const load = await Load.start(cluster, players);
    const watch = new HashWatch(cluster);
    try {
      for (const id of cluster.ids) {
        const begunMs = performance.now();
        assert.equal(await cluster.process(id).end("SIGTERM"), { code: 0, signal: null });
        process.stdout.write(`${id} took ${Math.round(performance.now() - begunMs)} ms to end\n`);
        cluster.launch(id);
        await cluster.ready();
        await answeredAgain(cluster, load, players.stock + players.wrapper);
      }
      await checkShots(cluster, load);
      const journal = load.journal();
      assert.equal(journal.ofType("error"), []);
      const moved = journal.ofType("moved");
      const wrapperMoves = moved.filter(({ player }) => player.startsWith("wrapper"));
      assert.ok(wrapperMoves.length >= players.wrapper, "all that were on a node that ended have moved");
      assert.equal(
        wrapperMoves.filter(({ planned }) => !planned),
        [],
      );
      assert.equal(watch.differing, []);
      const unknown = journal.players().reduce((sum, player) => sum + player.unknown, 0);
      const ok = journal.players().reduce((sum, player) => sum + player.ok, 0);
      process.stdout.write(
        `${figures(journal, "wrapper")}\n${figures(journal, "stock")}\n${ok} commands acknowledged, ${unknown} unknown (stock), ${watch.compared} hashes compared\n`,
      );
    } catch (error) {
      process.stderr.write(`${load.tail()}\n`);
      throw error;
    } finally {
      await watch.stop();
      await load.end();
    }
  });
});

test.run();

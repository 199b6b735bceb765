// test-run: seconds=500
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { OperatorClient } from "../../server/admin/cli/operator-client.ts";
import { levels } from "../../server/raft/level.ts";
import { Cluster, type NodeProcess, sleep } from "./cluster.ts";
import { HashWatch } from "./hash-watch.ts";
import { Load } from "./load-process.ts";
import { NextVersion } from "./next-version.ts";
import { checkShots } from "./shots.ts";
import { flagOf, testudo, toNode } from "./testudo-process.ts";

const test = suite("a rolling upgrade of Testudo itself");

const founders = ["n1", "n2", "n3"];
const players = { stock: 3, wrapper: 6 };
const level = levels.max;
const writeEveryMs = 40;

let next: NextVersion;
let cluster: Cluster;
let isUpgraded = false;

test.before(() => {
  next = new NextVersion();
});

test.after(async () => {
  await cluster?.end();
  next?.remove();
});

function launch(id: string, build: "this" | "next"): NodeProcess {
  // n4 is planned with the others, and founds nothing.
  const args = [
    // Its files differ; that the game is another, too, is not what is tried here.
    "--code=game",
    `--peers=${founders.map((each) => `${each}=ws://127.0.0.1:${cluster.planOf(each).peerPort}`).join(",")}`,
  ];
  return cluster.launch(id, args, build === "next" ? { place: next.place } : {});
}

const operator = (id: string) =>
  new OperatorClient({ url: cluster.url(id), secretFile: flagOf(cluster, id, "secret-file") });
const kv = async (id: string, body: object) =>
  (await operator(id).ask("POST", "kv", body)) as Record<string, unknown>;
const leap = async (id: string) => (await kv(id, { type: "leap", key: "leaps" }))["value"];
const refusal = async (asked: Promise<unknown>) =>
  await asked.then(
    () => ({ code: "none", message: "it was taken" }),
    ({ code, message }: Error & { code: string }) => ({ code, message }),
  );

/** Puts one key after the other, each once, on all nodes by turns. */
class Writer {
  /** By key: the version that it was acknowledged with. */
  readonly acknowledged = new Map<string, number>();
  unknown = 0;
  #stopping = false;
  readonly #done = this.#run();

  async #run(): Promise<void> {
    for (let n = 0; !this.#stopping; n++) {
      const key = `write-${n}`;
      try {
        const { version } = await kv(founders[n % founders.length] as string, { type: "put", key, value: n });
        this.acknowledged.set(key, version as number);
      } catch {
        // Its node was going, or not there: it was done once, or not at all.
        this.unknown++;
      }
      await sleep(writeEveryMs);
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#done;
  }

  /** Lost: not there. Doubled: written again behind its acknowledgement. */
  async judged(id: string): Promise<{ readonly lost: number; readonly doubled: number }> {
    let [lost, doubled] = [0, 0];
    for (const [key, acknowledged] of this.acknowledged) {
      const { value, version } = await kv(id, { type: "get", key, consistency: "local" });
      if (value !== Number(key.slice("write-".length))) lost++;
      else if (version !== acknowledged) doubled++;
    }
    return { lost, doubled };
  }
}

/** Sorted; the nearest rank. */
function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return Math.round(sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN);
}

function figures(
  load: Load,
  writer: Writer,
  judged: { lost: number; doubled: number },
  compared: number,
): string {
  const journal = load.journal();
  const lines = ["wrapper", "stock"].map((kind) => {
    const gaps = journal
      .ofType("moved")
      .flatMap(({ player, gapMs }) => (player.startsWith(kind) ? gapMs : []));
    const all = journal.players().filter((player) => player.kind === kind);
    const sum = (what: "ok" | "unknown") => all.reduce((total, player) => total + player[what], 0);
    return `${kind}: ${sum("ok")} commands acknowledged, 0 lost, 0 doubled, ${sum("unknown")} unknown; ${gaps.length} moves of ${all.length} clients, gap p50 ${quantile(gaps, 0.5)} ms, p99 ${quantile(gaps, 0.99)} ms, max ${quantile(gaps, 1)} ms`;
  });
  const writes = `kv: ${writer.acknowledged.size} writes acknowledged, ${judged.lost} lost, ${judged.doubled} doubled, ${writer.unknown} unknown`;
  return [...lines, writes, `${compared} room hashes compared between nodes, none differed`, ""].join("\n");
}

async function answeredAgain(load: Load): Promise<void> {
  const since = load.journal().lines.length;
  await cluster.until("every player fires again", () => {
    const lines = load.journal().lines.slice(since);
    return new Set(lines.flatMap((line) => (line.type === "ok" ? line.player : []))).size === 9;
  });
}

const levelsOf = async (id: string) => (await cluster.status(id))?.groups.map(({ level }) => level) ?? [];

async function replaced(id: string): Promise<void> {
  cluster.process(id).signal("SIGTERM");
  assert.equal(await cluster.process(id).ended, { code: 0, signal: null });
  launch(id, "next");
  await cluster.ready(founders);
}

test("[V31] nodes of this and the next version in one cluster, under load: nothing is lost or doubled, and what is new is there once all have it", async () => {
  cluster = await Cluster.plan({ nodes: 4 });
  for (const id of founders) launch(id, "this");
  await shown(async () => {
    await cluster.ready(founders);
    const load = await Load.start(cluster, { ...players, ids: founders });
    const writer = new Writer();
    const watch = new HashWatch(cluster);
    try {
      for (const each of await levelsOf("n1")) assert.equal(each, { agreed: level, heldBackBy: [] });
      for (const [count, id] of founders.entries()) {
        assert.is((await refusal(leap("n3"))).code, "GARBLED", "this version does not know it");
        await replaced(id);
        await answeredAgain(load);
        if (count === founders.length - 1) break;
        const missing = founders.slice(count + 1);
        const { code, message } = await refusal(leap(id));
        assert.is(code, "MENU_TOO_NEW");
        const who = missing.map((old) => `${old} knows only ${level}`).join(", ");
        assert.match(
          message,
          new RegExp(`"kv.leap" needs level ${level + 1}, its group has agreed on ${level}: .*; ${who}$`),
        );
        const heldBackBy = missing.map((nodeId) => ({ nodeId, levelMax: level }));
        for (const each of await levelsOf(id)) assert.equal(each, { agreed: level, heldBackBy });
      }
      await cluster.until("all groups have agreed on it", async () => {
        const all = (await Promise.all(founders.map(levelsOf))).flat();
        return all.length > 0 && all.every(({ agreed }) => agreed === level + 1);
      });
      assert.equal([await leap("n1"), await leap("n2"), await leap("n3")], [1_000, 2_000, 3_000]);
      await answeredAgain(load);
      await writer.stop();
      await checkShots(cluster, load, founders);
      assert.equal(watch.differing, []);
      for (const id of founders) {
        await kv(id, { type: "get", key: "leaps" });
        assert.equal(await writer.judged(id), { lost: 0, doubled: 0 }, id);
      }
      assert.ok(writer.acknowledged.size > 0);
      isUpgraded = true;
      process.stdout.write(figures(load, writer, { lost: 0, doubled: 0 }, watch.compared));
    } catch (error) {
      process.stderr.write(`${load.tail()}\n`);
      throw error;
    } finally {
      await writer.stop();
      await watch.stop();
      await load.end();
    }
  });
});

test("[V32] after that a node of this version is refused: on its own data folder, and as one that wants to join", async () => {
  await shown(async () => {
    assert.ok(isUpgraded, "there is a cluster that was upgraded");
    cluster.process("n2").signal("SIGTERM");
    await cluster.process("n2").ended;
    const old = launch("n2", "this");
    await cluster.until("n2 ends", () => old.isOver);
    assert.equal(await old.ended, { code: 3, signal: null });
    const knows = `${levels.min} to ${level}`;
    const words = `needs level ${level + 1}, this version of Testudo knows ${knows}: start a newer version of Testudo on this node`;
    assert.match(old.lines.at(-1) ?? "", words);
    launch("n2", "next");
    await cluster.ready(founders);
    const joining = launch("n4", "this");
    const told = await cluster.until(
      "n4 says why it is not linked",
      () => joining.lines.find((line) => line.includes("LEVEL_DIFFERS")) ?? null,
    );
    assert.match(told, `agreed on level ${level + 1}, n4 knows ${knows}: start a newer version there`);
    await cluster.until("n1 says so, too", () =>
      cluster.process("n1").lines.some((line) => line.includes("LEVEL_DIFFERS") && line.includes("n4 knows")),
    );
    const added = await testudo(
      "members",
      "add",
      `n4=127.0.0.1:${cluster.planOf("n4").peerPort}`,
      "--wait",
      "5",
      ...toNode(cluster, "n1"),
    );
    assert.is.not(added.code, 0, added.out);
    assert.is(await leap("n2"), 4_000, "and nothing of it has harmed anybody");
  });
});

/** What the nodes said last, if it fails. */
async function shown(run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    process.stderr.write(`${cluster.tail()}\n`);
    throw error;
  }
}

test.run();

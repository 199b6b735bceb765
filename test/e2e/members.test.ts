// test-run: seconds=600 node=--import=./server/colyseus/register.ts
import { rmSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { finalCounts, PlayerProcess } from "../torture/player-process.ts";
import { judge } from "../torture/verdict.ts";
import { Cluster, type NodeProcess, unhurried, until } from "./cluster.ts";
import { HashWatch } from "./hash-watch.ts";
import { flagOf, type Ran, testudo, toNode } from "./testudo-process.ts";

const test = suite("members of real processes");

const founders = ["n1", "n2", "n3"];
/** Beyond what anything here takes. */
const wait = ["--wait", "100"];

/** Five nodes are planned; the first three found the cluster. */
class Growing {
  readonly cluster: Cluster;
  readonly players: PlayerProcess;
  readonly watch: HashWatch;

  private constructor(cluster: Cluster) {
    this.cluster = cluster;
    this.watch = new HashWatch(cluster);
    this.players = new PlayerProcess({
      file: join(cluster.data, "history.jsonl"),
      urls: founders.map((id) => cluster.url(id)),
      rooms: 2,
      stock: 4,
      wrapper: 4,
      rate: 200,
    });
  }

  static async run(then: (growing: Growing) => Promise<void>): Promise<void> {
    const cluster = await Cluster.plan({ nodes: 5, main: "test/torture/torture-main.ts" });
    let growing: Growing | null = null;
    try {
      for (const id of founders) launch(cluster, id);
      await cluster.ready(founders);
      growing = new Growing(cluster);
      await growing.players.joined();
      await then(growing);
    } catch (error) {
      process.stderr.write(`${cluster.tail()}\n`);
      throw error;
    } finally {
      await growing?.watch.stop();
      await growing?.players.end();
      await cluster.end();
    }
  }

  launch(id: string): NodeProcess {
    return launch(this.cluster, id);
  }

  address(id: string): string {
    return `${id}=127.0.0.1:${this.cluster.planOf(id).peerPort}`;
  }

  members(at: string, ...args: readonly string[]): Promise<Ran> {
    return testudo("members", ...args, ...wait, ...toNode(this.cluster, at));
  }

  /** To be made a member. */
  async waits(id: string): Promise<void> {
    const { lines } = this.cluster.process(id);
    await until(`${id} says that it waits`, () => lines.some((line) => line.includes('"not-a-member"')));
  }

  async leader(at: string): Promise<string> {
    return await until("group 0 has a leader", async () => {
      const status = await this.cluster.status(at);
      return status?.groups.find(({ id }) => id === 0)?.leader ?? null;
    });
  }

  /** Kills the leader of group 0 as soon as it has begun to change its members, and starts it again. */
  async killHalfWay(ids: readonly string[], change: (at: string) => Promise<Ran>): Promise<Ran> {
    const heard = () => ids.reduce((sum, id) => sum + changesHeard(this.cluster.process(id)), 0);
    const heardBefore = heard();
    const first = await this.leader(ids[0] ?? "");
    const asked = ids.find((id) => id !== first) ?? "";
    let early: Ran | null = null;
    const running = change(asked).then((ran) => {
      early = ran;
      return ran;
    });
    await until("a change has begun", () => early !== null || heard() > heardBefore);
    assert.is(early, null, `it was over at once: ${JSON.stringify(early)}`);
    const leader = await this.leader(asked);
    await this.cluster.kill(leader);
    this.launch(leader);
    return await running;
  }

  async agree(ids: readonly string[]): Promise<void> {
    await this.cluster.ready(ids);
    for (const id of ids) {
      await until(`${id} counts ${ids.join(", ")}`, async () => {
        const { out } = await testudo("members", "list", "--json", ...toNode(this.cluster, id));
        const told = JSON.parse(out) as { changing: []; members: { node: string; votes: number }[] };
        const voters = told.members.filter(({ votes }) => votes > 0).map(({ node }) => node);
        return told.changing.length === 0 && voters.join() === ids.join();
      });
    }
    await this.players.answersAgain();
  }

  /** Everything that was acknowledged is there once, on each of these nodes. */
  async judge(ids: readonly string[]): Promise<void> {
    await this.players.pause();
    const lines = this.players.history();
    const urls = new Map(ids.map((id) => [id, this.cluster.url(id)]));
    const { problems, ok, unknown, registers } = judge(lines, await finalCounts(urls, lines));
    assert.equal(problems, []);
    assert.equal(this.watch.differing, []);
    assert.ok(ok > 500 && registers > 0, `${ok} answered`);
    assert.ok(this.watch.compared > 0);
    process.stdout.write(
      `${ok} answered, ${unknown} unknown, ${registers} registers, ${this.watch.compared} hashes compared\n`,
    );
  }
}

function launch(cluster: Cluster, id: string): NodeProcess {
  const peers = founders.map((one) => `${one}=ws://127.0.0.1:${cluster.planOf(one).peerPort}`);
  return cluster.launch(id, [`--peers=${peers.join()}`, ...unhurried]);
}

function changesHeard({ lines }: NodeProcess): number {
  return lines.filter((line) => line.includes('"event":"members"')).length;
}

test("[C45] three nodes become five and three others under load, a leader is killed half-way each time, a lost disk is replaced: nothing is lost, nothing doubled", async () => {
  await Growing.run(async (growing) => {
    const { cluster, players } = growing;
    for (const id of ["n4", "n5"]) growing.launch(id);
    for (const id of ["n4", "n5"]) await growing.waits(id);
    const grown = await growing.killHalfWay(founders, (at) =>
      growing.members(at, "add", growing.address("n4"), growing.address("n5")),
    );
    assert.is(grown.code, 0, grown.err);
    await growing.agree(["n1", "n2", "n3", "n4", "n5"]);

    // Its disk is lost: it comes back with an empty one, and is made a member anew.
    await cluster.kill("n5");
    rmSync(flagOf(cluster, "n5", "data"), { recursive: true });
    growing.launch("n5");
    await growing.waits("n5");
    const readmitted = await growing.members("n1", "add", "n5");
    assert.is(readmitted.code, 0, readmitted.err);
    await growing.agree(["n1", "n2", "n3", "n4", "n5"]);

    const staying = ["n3", "n4", "n5"];
    await players.goTo(staying.map((id) => cluster.url(id)));
    const shrunk = await growing.killHalfWay(staying, (at) => growing.members(at, "remove", "n1", "n2"));
    assert.is(shrunk.code, 0, shrunk.err);
    await growing.agree(staying);
    for (const id of ["n1", "n2"]) {
      const { code } = await cluster.process(id).ended;
      assert.is(code, 4, `${id} was removed`);
      assert.match(cluster.process(id).lines.at(-1) ?? "", /ends: REMOVED: n\d .*members are n3, n4, n5/);
    }

    // Started again they are told again.
    for (const id of ["n1", "n2"]) {
      const { code } = await growing.launch(id).ended;
      assert.is(code, 4, `${id} is no member`);
    }
    await players.answersAgain();
    await growing.judge(staying);
  });
});

test.run();

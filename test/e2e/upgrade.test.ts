// test-run: seconds=500
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, type Room } from "@colyseus/sdk";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { gameOf } from "../../server/session/room-code.ts";
import { type Cluster, unhurried, withCluster } from "./cluster.ts";
import { HashWatch } from "./hash-watch.ts";
import { Load } from "./load-process.ts";
import { checkShots, joined } from "./shots.ts";
import { testudo, toNode } from "./testudo-process.ts";

const test = suite("deploys of new game code");

const game = { main: "test/e2e/upgrade-main.ts", args: [...unhurried, "--code=v1"] };

/** The node ends as orderly as it can, and comes back with the new code. */
async function deploy(cluster: Cluster, id: string): Promise<void> {
  const { process } = { process: cluster.process(id) };
  process.signal("SIGTERM");
  assert.equal(await process.ended, { code: 0, signal: null });
  cluster.launch(id, ["--code=v2"]);
  await cluster.ready();
}

const standings = async (cluster: Cluster, roomId: string) =>
  await Promise.all(
    cluster.ids.map(async (id) => (await cluster.room(id, roomId))?.standing?.type ?? "serving"),
  );

test("[U11] a deploy under load, the rooms switched: nothing lost or doubled, and all nodes run the new code in the end", async () => {
  await withCluster(game, async (cluster) => {
    const load = await Load.start(cluster, { stock: 3, wrapper: 6 });
    const watch = new HashWatch(cluster);
    try {
      const { roomId } = load;
      await deploy(cluster, "n1");
      assert.equal(await standings(cluster, roomId), ["foreign", "serving", "serving"]);
      await deploy(cluster, "n2");
      assert.equal(await standings(cluster, roomId), ["foreign", "foreign", "serving"]);
      const switched = await testudo("rooms", "switch", "--all", ...toNode(cluster, "n2"));
      assert.is(switched.code, 0, switched.out + switched.err);
      process.stdout.write(switched.out);
      await cluster.until(
        "both run it, and n3 does no more",
        async () => (await standings(cluster, roomId)).join() === "serving,serving,foreign",
      );
      await deploy(cluster, "n3");
      await cluster.until(
        "all run it",
        async () => (await standings(cluster, roomId)).join() === "serving,serving,serving",
      );
      const since = load.journal().lines.length;
      await cluster.until("every player fires again", () => {
        const lines = load.journal().lines.slice(since);
        return new Set(lines.flatMap((line) => (line.type === "ok" ? line.player : []))).size === 9;
      });
      await checkShots(cluster, load);
      for (const url of cluster.urls) {
        const witness = await joined(url);
        assert.equal(await witness.request("upgraded"), ["v1", 1], `onUpgrade, as ${url} has it`);
        await witness.leave();
      }
      const journal = load.journal();
      assert.equal(watch.differing, []);
      const gaps = journal
        .ofType("moved")
        .map(({ gapMs }) => gapMs)
        .sort((a, b) => a - b);
      const sum = (what: "ok" | "unknown") =>
        journal.players().reduce((all, player) => all + player[what], 0);
      const [half, most] = [gaps[gaps.length >> 1], gaps.at(-1)].map((ms) => Math.round(ms ?? 0));
      process.stdout.write(
        `${sum("ok")} commands acknowledged, ${sum("unknown")} unknown (stock), ${gaps.length} moves, gap p50 ${half} ms, most ${most} ms, ${watch.compared} hashes compared, ${journal.ofType("error").length} errors told\n`,
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

type Match = Room<unknown, { count: number }>;

test("[U12] a deploy in which rooms end on the old nodes: each is played to its end by its own code, new ones are the new code's", async () => {
  await withCluster(game, async (cluster) => {
    const match = (await new Client(cluster.url("n3")).create("match")) as Match;
    const { roomId } = match;
    const add = async (room: Match) => (await room.request("add")) as number;
    let count = 0;
    const play = async () =>
      assert.is(await add(match), ++count, "v1 adds one, and every command counts once");
    await play();
    for (const id of ["n1", "n2"]) {
      await deploy(cluster, id);
      await play();
    }
    assert.equal(await standings(cluster, roomId), ["foreign", "foreign", "serving"]);
    await cluster.until(
      "the door of n1 is open",
      async () => (await fetch(`${cluster.url("n1")}/testudo/open`)).status === 200,
    );
    const fresh = (await new Client(cluster.url("n1")).create("match")) as Match;
    assert.is(await add(fresh), 100);
    const refused = await new Client(cluster.url("n1")).joinById(roomId).then(
      () => "it was let in",
      ({ message }: Error) => message,
    );
    assert.match(refused, /runs under the game's code "v1", and this node has "v2"/);
    const old = cluster.process("n3");
    old.signal("SIGTERM");
    await cluster.until(
      "n3 drains",
      async () => (await fetch(`${cluster.url("n3")}/testudo/ready`)).status === 503,
    );
    for (let more = 0; more < 20; more++) await play();
    assert.is(old.isOver, false, "it waits for its last match");
    match.send("end");
    assert.equal(await old.ended, { code: 0, signal: null });
    cluster.launch("n3", ["--code=v2"]);
    await cluster.ready();
    await cluster.until("the old room is nowhere, the new one everywhere", async () => {
      const rooms = await Promise.all(cluster.ids.map((id) => cluster.room(id, roomId)));
      const isGone = rooms.every((room) => room === null);
      return isGone && (await standings(cluster, fresh.roomId)).join() === "serving,serving,serving";
    });
    assert.is(await add(fresh), 200);
    await fresh.leave();
  });
});

const server = join(import.meta.dirname, "../../server/index.ts");

/** A program in a folder of its own, as on a machine of its own: without --code its files say what it is. */
function programIn(folder: string, step: number): string {
  mkdirSync(folder);
  symlinkSync(join(import.meta.dirname, "../../node_modules"), join(folder, "node_modules"));
  writeFileSync(join(folder, "package.json"), `{"type":"module"}`);
  writeFileSync(join(folder, "step.ts"), `export const step = ${step};`);
  writeFileSync(
    join(folder, "main.ts"),
    `import { defineRoom, defineServer, Room } from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { replicated, testudo } from ${JSON.stringify(server)};
import { step } from "./step.ts";

const TallyState = schema({ count: t.number().default(0) }, "TallyState");

class TallyRoom extends Room {
  state = new TallyState();
  from = "";
  messages = { add: () => (this.state.count += step), from: () => this.from };
  onDrop(client) { this.allowReconnection(client, 60); }
  onUpgrade(_oldState, from) { this.from = from; }
}

const server = defineServer({ ...testudo(), rooms: { tally: defineRoom(replicated(TallyRoom)) } });
await server.listen(undefined);
`,
  );
  return join(folder, "main.ts");
}

test("[U21] the same files in two folders are one code; with a line changed a node votes, and rooms are switched to it", async () => {
  const folder = mkdtempSync(join(tmpdir(), "testudo-code-"));
  const main = {
    n1: programIn(join(folder, "here"), 1),
    n2: programIn(join(folder, "there"), 1),
    n3: programIn(join(folder, "changed"), 100),
  };
  const code = async (cluster: Cluster, id: string) =>
    (await cluster.status(id))?.codes.find(({ node }) => node === id)?.code ?? "";
  try {
    await withCluster({ main, args: unhurried }, async (cluster) => {
      const [same, alike, changed] = await Promise.all(cluster.ids.map((id) => code(cluster, id)));
      assert.match(same ?? "", /^[0-9a-f]{12}@[0-9a-f]{8}$/);
      assert.is(alike, same);
      assert.is.not(changed, same);
      await cluster.until("n3 says whose rooms it does not run, and what to do", () =>
        cluster
          .process("n3")
          .lines.some((line) =>
            /n1 runs other code: the game differs.*they run on n1, n2.*rooms switch/.test(line),
          ),
      );
      const room = await new Client(cluster.url("n1")).create("tally");
      const { roomId } = room;
      assert.is(await room.request("add"), 1);
      assert.equal(await standings(cluster, roomId), ["serving", "serving", "foreign"]);
      await cluster.kill("n2");
      assert.is(await room.request("add"), 2, "n1 and n3 are the majority");
      cluster.launch("n2");
      await cluster.ready();
      const bring = async (id: string) => {
        const switched = await testudo("rooms", "switch", roomId, ...toNode(cluster, id));
        assert.is(switched.code, 0, switched.out + switched.err);
      };
      await bring("n3");
      await cluster.until(
        "only n3 runs it",
        async () => (await standings(cluster, roomId)).join() === "foreign,foreign,serving",
      );
      const there = await new Client(cluster.url("n3")).joinById(roomId);
      assert.is(await there.request("add"), 102);
      assert.is(await there.request("from"), gameOf(same ?? ""));
      await there.leave();
      await bring("n1");
      await cluster.until(
        "only n1 and n2 run it",
        async () => (await standings(cluster, roomId)).join() === "serving,serving,foreign",
      );
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.run();

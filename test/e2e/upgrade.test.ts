// test-run: seconds=500
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, type Room } from "@colyseus/sdk";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { gameOf } from "../../server/session/room-code.ts";
import { type Cluster, unhurried, withCluster } from "./cluster.ts";
import type { Journal } from "./journal.ts";
import { checkShots, joined } from "./shots.ts";
import { testudo, toNode } from "./testudo-process.ts";
import { underFire } from "./under-fire.ts";

const test = suite("deploys of new game code");

const game = { main: "test/e2e/upgrade-main.ts", args: [...unhurried, "--code=v1"] };

/** The node ends as orderly as it can, and comes back with the new code. @returns when that was begun */
async function deploy(cluster: Cluster, id: string): Promise<number> {
  const { process } = { process: cluster.process(id) };
  process.signal("SIGTERM");
  assert.equal(await process.ended, { code: 0, signal: null });
  const launchedMs = Date.now();
  cluster.launch(id, ["--code=v2"]);
  await cluster.ready();
  return launchedMs;
}

/** Waits until the room stands so on n1, n2 and n3: a node may be behind the one that has just answered. */
async function stands(cluster: Cluster, roomId: string, expected: string): Promise<void> {
  const standing = async (id: string) => {
    const room = await cluster.room(id, roomId);
    return room === null ? "unknown" : (room.standing?.type ?? "serving");
  };
  await cluster.until(
    `room ${roomId} is ${expected}`,
    async () => (await Promise.all(cluster.ids.map(standing))).join() === expected,
  );
}

/** Of the moves since then, the wrapper's and the stock client's. */
function gapsOf(journal: Journal, sinceMs: number): string {
  const moved = journal.ofType("moved").filter(({ atMs }) => atMs >= sinceMs);
  const words = ["wrapper", "stock"].map((kind) => {
    const gaps = moved.flatMap(({ player, gapMs }) => (player.startsWith(kind) ? gapMs : []));
    gaps.sort((a, b) => a - b);
    const [half, most] = [gaps[gaps.length >> 1], gaps.at(-1)].map((ms) => Math.round(ms ?? 0));
    return `${kind} ${gaps.length} moves, gap p50 ${half} ms, most ${most} ms`;
  });
  return words.join("; ");
}

test("[U11] a deploy under load: rooms go over by themselves, back by an operator's word, and over again; nothing is lost or doubled, and all nodes run the new code in the end", async () => {
  await underFire(game, { stock: 3, wrapper: 6 }, async ({ cluster, load, watch, firesAgain }) => {
    const { roomId } = load;
    const moved = async (how: string, sinceMs: number) => {
      await cluster.until("all players are there", () => {
        const moves = load.journal().ofType("moved");
        return new Set(moves.flatMap(({ player, atMs }) => (atMs >= sinceMs ? player : []))).size === 9;
      });
      process.stdout.write(`switched ${how}: ${gapsOf(load.journal(), sinceMs)}\n`);
    };
    await deploy(cluster, "n1");
    await stands(cluster, roomId, "foreign,serving,serving");
    // By the time that its door opens the players of n2 are at n3, as those of n1 are.
    const beforeMs = await deploy(cluster, "n2");
    await stands(cluster, roomId, "serving,serving,foreign");
    await moved("by itself", beforeMs);
    // The new version is bad, says the operator; and then that it is not.
    for (const [nodeId, standing] of [
      ["n3", "foreign,foreign,serving"],
      ["n2", "serving,serving,foreign"],
    ] as const) {
      const askedMs = Date.now();
      const { code, out, err } = await testudo("rooms", "switch", roomId, ...toNode(cluster, nodeId));
      assert.is(code, 0, out + err);
      await moved(`by ${nodeId}`, askedMs);
      await stands(cluster, roomId, standing);
    }
    await deploy(cluster, "n3");
    await stands(cluster, roomId, "serving,serving,serving");
    await firesAgain();
    await checkShots(cluster, load);
    for (const url of cluster.urls) {
      const witness = await joined(url);
      assert.equal(await witness.request("upgraded"), ["v1", 2], `onUpgrade, as ${url} has it`);
      await witness.leave();
    }
    const journal = load.journal();
    assert.equal(watch.differing, []);
    const sum = (what: "ok" | "unknown") => journal.players().reduce((all, player) => all + player[what], 0);
    process.stdout.write(
      `${sum("ok")} commands acknowledged, ${sum("unknown")} unknown (stock), in all ${gapsOf(journal, 0)}, ${watch.compared} hashes compared, ${journal.ofType("error").length} errors told\n`,
    );
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
    await stands(cluster, roomId, "foreign,foreign,serving");
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
    await cluster.until("the old room is nowhere", async () => {
      const rooms = await Promise.all(cluster.ids.map((id) => cluster.room(id, roomId)));
      return rooms.every((room) => room === null);
    });
    await stands(cluster, fresh.roomId, "serving,serving,serving");
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
      await stands(cluster, roomId, "serving,serving,foreign");
      await cluster.kill("n2");
      assert.is(await room.request("add"), 2, "n1 and n3 are the majority");
      cluster.launch("n2");
      await cluster.ready();
      const bring = async (id: string) => {
        const switched = await testudo("rooms", "switch", roomId, ...toNode(cluster, id));
        assert.is(switched.code, 0, switched.out + switched.err);
      };
      await bring("n3");
      await stands(cluster, roomId, "foreign,foreign,serving");
      const there = await new Client(cluster.url("n3")).joinById(roomId);
      assert.is(await there.request("add"), 102);
      assert.is(await there.request("from"), gameOf(same ?? ""));
      await there.leave();
      await bring("n1");
      await stands(cluster, roomId, "serving,serving,foreign");
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.run();

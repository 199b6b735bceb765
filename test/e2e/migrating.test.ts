// test-run: seconds=150
import { Client, type Room } from "@colyseus/sdk";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { RedisServer } from "../colyseus/redis-server.ts";
import { Cluster, type NodeProcess, unhurried, until } from "./cluster.ts";

/** The steps of MIGRATING.md, each of them on three processes, with the same clients and the same rooms. */
const test = suite("migrating");

const redis = await RedisServer.start();
if (redis === null)
  process.stdout.write("no redis-server is installed: the steps that need one are skipped\n");

let cluster: Cluster;
test.before(async () => {
  cluster = await Cluster.plan({ main: "test/e2e/migrating-main.ts", args: unhurried });
});
test.after(async () => {
  await cluster.end();
  await redis?.stop();
});

/** All processes end, and begin anew with another configuration. */
async function change(step: string): Promise<void> {
  process.env["STEP"] = step;
  process.env["REDIS"] = redis?.url ?? "";
  for (const process of running) await process.end("SIGTERM");
  running = cluster.ids.map((id) => cluster.launch(id));
  for (const id of cluster.ids)
    await until(`${id} plays (${step})`, () => {
      const { lines, isOver } = cluster.process(id);
      if (isOver) throw new Error(`${id} has ended: ${lines.slice(-3).join("\n")}`);
      return lines.includes("ready to play");
    });
}
let running: readonly NodeProcess[] = [];

function alone(room: Room): Room {
  room.reconnection.enabled = false;
  return room;
}
const clientOf = (id: string) => new Client(cluster.url(id));

/** One match, whose players each ask another node. */
async function meet(name: string, mode: string): Promise<Room[]> {
  const first = alone(await clientOf("n1").create(name, { mode }));
  const byId = alone(await clientOf("n2").joinById(first.roomId));
  const byMode = alone(await clientOf("n3").joinOrCreate(name, { mode }));
  assert.equal([byId.roomId, byMode.roomId], [first.roomId, first.roomId]);
  return [first, byId, byMode];
}

async function play(step: string, ranks: Record<string, string>): Promise<void> {
  for (const name of ["table", "duel"]) {
    const players = await meet(name, step);
    const counts: unknown[] = [];
    for (const player of players) counts.push(await player.request("add"));
    assert.equal(counts, [1, 2, 3], `${name} (${step})`);
    assert.equal(await players[2]?.request("ranks"), ranks, `${name} (${step})`);
    await Promise.all(players.map((player) => player.leave()));
  }
}

async function win(name: string): Promise<void> {
  const room = alone(await clientOf("n2").create("table", { mode: "won" }));
  await room.request("won", name);
  await room.leave();
}

if (redis !== null)
  test("[T28] a project on Redis goes over to Testudo with all its rooms plain, and takes its keys along", async () => {
    await change("redis");
    await play("redis", {});
    await win("ann");
    await change("plain rooms only");
    await play("plain", { ann: "1" });
  });

test("[T28] one room type is replicated first: its matches outlive their servers, beside plain ones that do not", async () => {
  await change("duels replicated");
  await win("bob");
  const ranks = redis === null ? { bob: "1" } : { ann: "1", bob: "1" };
  await play("mixed", ranks);
  const duel = await meet("duel", "survives");
  const table = await meet("table", "does not");
  await duel[0]?.request("add");
  const left = new Promise((resolve) => table[1]?.onLeave(resolve));
  const { host } = new URL(table[0]?.connection.url as string);
  const home = cluster.ids.find((id) => new URL(cluster.url(id)).host === host) as string;
  const [other = "", third = ""] = cluster.ids.filter((id) => id !== home);
  await cluster.kill(home);
  await left;
  assert.is(await duel[cluster.ids.indexOf(other)]?.request("add"), 2);
  const back = alone(await clientOf(third).joinById(duel[0]?.roomId as string));
  assert.is(await back.request("add"), 3);
  await until("the table is gone", async () => {
    const gone = await clientOf(other)
      .joinById(table[0]?.roomId as string)
      .then(() => "", String);
    return /not found/.test(gone);
  });
});

if (redis !== null)
  test("[T28] the way back is the same way: Redis has what it had", async () => {
    await change("redis");
    await play("redis again", { ann: "1" });
  });

test.run();

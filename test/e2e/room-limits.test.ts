// test-run: seconds=300
import { join } from "node:path";
import { Client } from "@colyseus/sdk";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Cluster, NodeProcess, unhurried, until } from "./cluster.ts";
import { alone, killBetween, type Player, refused } from "./kill-between.ts";

/** Rooms that cannot be saved as they are: told clearly, and nothing is lost, though a node dies meanwhile. */
const test = suite("what cannot be saved");

let cluster: Cluster;
const { line, shown, playersOf } = killBetween(
  test,
  { main: "test/e2e/room-limits-main.ts", args: unhurried },
  (shared) => {
    cluster = shared;
  },
);

/** On this node, by its status and in its log. */
async function toldOf(id: string, { roomId }: Player, words: RegExp): Promise<void> {
  await until(`${id} says ${words}`, async () =>
    words.test((await cluster.room(id, roomId))?.restlessBecause ?? ""),
  );
  assert.ok(cluster.process(id).lines.some((each) => each.includes(roomId) && words.test(each)));
}

const atRest = async (id: string, { roomId }: Player) =>
  await until(`it is at rest on ${id}`, async () => (await cluster.room(id, roomId))?.atRest === true);

let lastHoarded: unknown;
const relicWords = /room\.\S*relic is .*Relic.*classes: \[Relic\]/;
const hoardWords = /bigger than 4194304 bytes \(checkpointBytesMax\).*hoard/;

line("[Y183] an instance of a class that nobody has listed", "relic", async (players) => {
  assert.is(await players.one.request("use"), null);
  await atRest("n1", players.one);
  await players.one.request("find");
  assert.is(await players.other.request("use"), 1);
  await toldOf("n1", players.one, relicWords);
  return async () => {
    assert.is(await players.one.request("use"), 2);
    assert.is(await players.other.request("use"), 3);
    await toldOf("n3", players.one, relicWords);
  };
});

line("[Y184] a checkpoint that is too big", "hoard", async (players) => {
  await atRest("n1", players.one);
  for (let each = 1; each <= 5; each++) assert.is(await players.one.request("hoard", 1_000_000), each);
  await toldOf("n1", players.one, hoardWords);
  const [n, length, last] = (await players.other.request("last")) as unknown[];
  assert.equal([n, length], [1, 5]);
  lastHoarded = last;
  return async () => {
    assert.equal(await players.one.request("last"), [2, 5, lastHoarded]);
    await toldOf("n2", players.one, hoardWords);
  };
});

shown(
  "[Y183, Y184] the node that was killed has them by their log; they rest again without what could not be saved",
  async () => {
    cluster.launch("n1");
    await cluster.ready();
    for (const [roomName, look, lose] of [
      ["relic", "use", "lose"],
      ["hoard", "last", "spend"],
    ] as const) {
      const { one, other } = await playersOf(roomName);
      const late = alone(await new Client(cluster.url("n1")).joinById(other.roomId, { name: "late" }));
      const seen = await late.request(look);
      assert.equal(seen, roomName === "relic" ? 4 : [3, 5, lastHoarded]);
      await other.request(lose);
      for (const id of cluster.ids) await atRest(id, other);
      for (const player of [late, one, other]) await player.leave();
    }
    for (const id of cluster.ids) assert.is((await cluster.status(id))?.divergences.count, 0);
  },
);

shown(
  "[Y185] a message type that is named and that nobody listens to: no such room is made, on any node",
  async () => {
    for (const id of cluster.ids)
      assert.match(
        await refused(new Client(cluster.url(id)).create("steered")),
        /SteeredRoom does not listen to "stear"; it listens to .*"steer"/,
      );
  },
);

test("[Y185] a #private field that the room does not save itself: the node does not start, and says what to do", async () => {
  const node = new NodeProcess(join(import.meta.dirname, "hidden-room-main.ts"), [
    "--config=none",
    "--memory",
  ]);
  const { code } = await node.ended;
  assert.is(code, 70);
  assert.match(
    node.lines.join("\n"),
    /HiddenRoom cannot be replicated: it keeps #drawn where nobody can see and save it\. Make it an ordinary field \(private drawn\), or save it by onCacheRoom and onRestoreRoom/,
  );
});

test.run();

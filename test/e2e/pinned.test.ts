// test-run: seconds=240
import { Client, type Room } from "@colyseus/sdk";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Cluster, unhurried, until } from "./cluster.ts";
import { shareCluster } from "./shared-cluster.ts";
import { testudo, toNode } from "./testudo-process.ts";

const test = suite("pinned rooms");

const limit = 64 * 1024;
const padding = "p".repeat(16 * 1024);

let cluster: Cluster;

const shown = shareCluster(
  test,
  { main: "test/e2e/pinned-main.ts", args: [...unhurried, `--room-log-bytes-max=${limit}`] },
  (shared) => {
    cluster = shared;
  },
);

type Player = Room<unknown, { count: number }>;

function alone(room: Room): Player {
  room.reconnection.enabled = false;
  return room as unknown as Player;
}

/** A room with a player on each node, that is not at rest any more, and whose log was cut. */
async function pinned(): Promise<{ roomId: string; players: Map<string, Player> }> {
  const creator = alone(await new Client(cluster.url("n1")).create("restless"));
  const { roomId } = creator;
  const players = new Map([["n1", creator]]);
  for (const id of ["n2", "n3"]) players.set(id, alone(await new Client(cluster.url(id)).joinById(roomId)));
  for (const room of players.values()) await add(room);
  assert.is(await creator.request("fidget"), true);
  for (let bytes = 0; bytes <= limit; bytes += padding.length) await creator.request("pad", padding);
  await cluster.until("every node has pinned it", async () => {
    const rooms = await Promise.all(cluster.ids.map((id) => cluster.room(id, roomId)));
    return rooms.every((room) => room?.pinned === true);
  });
  return { roomId, players };
}

const add = async (room: Player): Promise<number> => (await room.request("add")) as number;

const words = (asked: Promise<unknown>) =>
  asked.then(
    () => "it was let in",
    ({ message }: Error) => message,
  );

shown(
  "[V18] a room whose log was cut goes on; a node that is killed does not take its old checkpoint for it, and has it again when it is at rest",
  async () => {
    const { roomId, players } = await pinned();
    const [one, other, third] = ["n1", "n2", "n3"].map((id) => players.get(id) as Player);
    assert.ok(one && other && third);
    const told = cluster.process("n2").lines.find((line) => line.includes("room-pinned"));
    assert.match(told ?? "", /a clock timer made at .*pinned-main\.ts:\d+/);
    const listed = await testudo("rooms", "list", ...toNode(cluster, "n1"));
    assert.match(listed.out, new RegExp(`${roomId} .*serving, pinned: a clock timer made at`));
    assert.is(await add(one), 4);

    await cluster.kill("n3");
    const back = alone(await new Client(cluster.url("n2")).reconnect(third.reconnectionToken));
    assert.is(await add(back), 5);
    cluster.launch("n3");
    await cluster.ready();
    const room = await cluster.until("n3 knows of the room", async () => await cluster.room("n3", roomId));
    assert.equal([room.standing?.type, room.pinned, room.stateHash], ["absent", true, null]);
    assert.match(
      await words(new Client(cluster.url("n3")).joinById(roomId)),
      /is not on this node: it is pinned/,
    );
    assert.match(
      (await testudo("rooms", "list", ...toNode(cluster, "n3"))).out,
      /restless .*absent, pinned: a clock/,
    );
    for (const [at, player] of [one, other, back].entries()) assert.is(await add(player), 6 + at);
    // Effects run where the lead is: not on a node that has no such room.
    const moved = await testudo("transfer", "all", "n3", ...toNode(cluster, "n1"));
    assert.is(moved.code, 1, moved.out);
    const pids = ["n1", "n2"].map((id) => cluster.process(id).pid);
    assert.ok(pids.includes((await one.request("who")) as number));

    assert.is(await one.request("calm"), true);
    await cluster.until("n3 has it again, and nobody needs to keep it", async () => {
      const rooms = await Promise.all(cluster.ids.map((id) => cluster.room(id, roomId)));
      return rooms.every((each) => each?.standing === null && !each.pinned);
    });
    await cluster.until("all replicas have one hash at one entry", async () => {
      const rooms = await Promise.all(cluster.ids.map((id) => cluster.room(id, roomId)));
      const hashes = rooms.map((each) => `${each?.hashIndex} ${each?.stateHash}`);
      return (rooms[0]?.hashIndex ?? 0) > room.appliedIndex && new Set(hashes).size === 1;
    });
    const late = alone(await new Client(cluster.url("n3")).joinById(roomId));
    assert.is(await add(late), 9);
    await until("its steps come", () => (late.state.count ?? 0) === 9);
    await Promise.all([one, other, back, late].map((player) => player.leave()));
  },
);

shown("[V18] if all nodes that run it end, it is closed, and whoever comes for it is told why", async () => {
  const { roomId, players } = await pinned();
  const token = (players.get("n1") as Player).reconnectionToken;
  await Promise.all(cluster.ids.map((id) => cluster.kill(id)));
  cluster.launchAll();
  await cluster.ready();
  const quarantined = await cluster.until("it is closed everywhere", async () => {
    const statuses = await Promise.all(cluster.ids.map((id) => cluster.status(id)));
    const closed = statuses.map((status) =>
      status?.roomFailures.quarantined.find((room) => room.roomId === roomId),
    );
    return closed.every((room) => room !== undefined) ? closed[0] : null;
  });
  assert.equal([quarantined?.act, quarantined?.roomName], ["pin", "restless"]);
  for (const id of cluster.ids) {
    assert.is(await cluster.room(id, roomId), null);
    const refused = await words(new Client(cluster.url(id)).reconnect(token));
    assert.match(refused, "was closed: no node has its state any more: it was pinned");
    assert.match(refused, /it was not at rest: a clock timer made at .*pinned-main\.ts/);
  }
});

test.run();

// test-run: seconds=200
import { Client, type Room } from "@colyseus/sdk";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { freePort } from "../cluster/spawned.ts";
import { Cluster, unhurried, until } from "./cluster.ts";
import { PresenceServer } from "./presence-server.ts";
import { shareCluster } from "./shared-cluster.ts";

/** A room that asks matchmaker and presence, on three real nodes with a presence of their own choice; its leader is killed. */
const test = suite("host rooms");

const port = await freePort([]);
process.env["PRESENCE_PORT"] = String(port);
const store = await PresenceServer.listen(port);
let cluster: Cluster;

const feature = shareCluster(test, { main: "test/e2e/host-rooms-main.ts", args: unhurried }, (shared) => {
  cluster = shared;
});
test.after(() => store.close());

interface Seat {
  readonly roomId: string;
  readonly sessionId: string;
}

const clientOf = (id: string) => new Client(cluster.url(id));

function alone<T>(room: Room<unknown, T>): Room<unknown, T> {
  room.reconnection.enabled = false;
  return room;
}

async function ask<T>(id: string, what: string): Promise<T> {
  const answer = await fetch(`${cluster.url(id)}/test/${what}`);
  const { value, error } = (await answer.json()) as { value: T; error?: string };
  if (error !== undefined) throw new Error(error);
  return value;
}

const take = async (id: string, seat: Seat) =>
  alone(await clientOf(id).consumeSeatReservation(seat as never));

async function leaderOf(roomId: string): Promise<string> {
  return await until("the room's group has a leader", async () => {
    for (const id of cluster.ids) {
      const room = await cluster.room(id, roomId);
      const { groups = [] } = (await cluster.status(id)) ?? {};
      const leader = groups.find((group) => group.id === room?.group)?.leader;
      if (leader !== undefined && leader !== null) return leader;
    }
    return null;
  });
}

let host: Room;
let players: Room[];
const news = new Map<Room, string[]>();

function hears(room: Room): Room {
  const heard: string[] = [];
  news.set(room, heard);
  room.onMessage("news", (words: string) => heard.push(words));
  return room;
}

feature("[Y141] a room makes a match and gives its seats away, for stock clients on any node", async () => {
  host = hears(alone(await clientOf("n1").create("host")));
  players = [host];
  for (const id of ["n2", "n3"]) players.push(hears(alone(await clientOf(id).joinById(host.roomId))));
  const seats = [];
  for (const player of players) seats.push((await player.request("match", { mode: "first" })) as Seat);
  assert.is(new Set(seats.map(({ roomId }) => roomId)).size, 3);
  const duel = await take("n3", seats[0] as Seat);
  assert.equal(await duel.request("strike"), [1, { from: host.sessionId }]);
  const quick = [(await host.request("quick")) as Seat, (await players[1]?.request("quick")) as Seat];
  assert.is(quick[0]?.roomId, quick[1]?.roomId);
  assert.equal(await host.request("count"), [4, 3]);
  assert.equal(
    Object.keys(await store.presence.hgetall("matches")).sort(),
    seats.map(({ roomId }) => roomId).sort(),
  );
});

feature("[Y141] what is published, by whoever, comes to the players of all nodes, once", async () => {
  store.presence.publish("news", "from outside");
  host.send("say", "from within");
  for (const [room, heard] of news) {
    await until("the news", () => heard.length >= 2);
    assert.equal(heard.splice(0).sort(), ["from outside", "from within"], room.sessionId);
  }
});

feature(
  "[Y139] counts, lobbies and rooms that server code makes are the cluster's, whatever the presence",
  async () => {
    const told: string[] = [];
    const lobby = alone(await clientOf("n2").joinOrCreate("lobby"));
    lobby.onMessage("rooms", () => {});
    lobby.onMessage("-", () => {});
    lobby.onMessage("+", ([roomId]: [string]) => told.push(roomId));
    const before = (await ask<string[]>("n1", "duels")).length;
    const { roomId } = await ask<Seat>("n3", "create");
    await until("the lobby has it", () => told.length > 0);
    await until("all nodes have it", async () =>
      (await Promise.all(cluster.ids.map((id) => ask<string[]>(id, "duels")))).every(
        (duels) => duels.length === before + 1,
      ),
    );
    assert.equal(told, [roomId]);
    // Three in the host's room, one in a duel, one in the lobby.
    await until("each node counts all clients", async () =>
      (await Promise.all(cluster.ids.map((id) => ask<{ ccu: number; all: unknown[] }>(id, "stats")))).every(
        ({ ccu, all }) => ccu === 5 && all.length === 3,
      ),
    );
    assert.equal(await store.presence.hlen("roomcount"), 0, "nothing of that goes into the store");
    await lobby.leave();
  },
);

feature(
  "[Y141] the leader is killed while matches are being made: each is made once, none is lost",
  async () => {
    const leader = await leaderOf(host.roomId);
    const [player, other] = players.filter((_, at) => cluster.ids[at] !== leader) as [Room, Room];
    const [home = "", away = ""] = cluster.ids.filter((id) => id !== leader);
    const before = (await ask<string[]>(away, "duels")).length;
    const requested = Array.from({ length: 40 }, (_, at) => player.request("match", { mode: `m${at}` }));
    await until("some are made", async () => (await ask<string[]>(away, "duels")).length >= before + 5);
    const madeBefore = (await ask<string[]>(away, "duels")).length - before;
    await cluster.kill(leader);
    const seats = (await Promise.all(requested)) as Seat[];
    const made = await ask<string[]>(away, "duels");
    process.stderr.write(`${madeBefore} of 40 matches were listed when the leader was killed\n`);
    assert.is(new Set(seats.map(({ roomId }) => roomId)).size, 40);
    assert.is(made.length, before + 40, "no second match for any of them");
    const matches = (await player.request("matches")) as string[];
    assert.is(new Set(matches).size, matches.length);
    for (const { roomId } of seats) assert.ok(made.includes(roomId) && matches.includes(roomId));
    assert.equal(await other.request("matches"), matches);
    assert.is(await store.presence.hlen("matches"), matches.length);
    for (const [at, id] of [home, away].entries()) {
      const duel = await take(id, seats[at] as Seat);
      assert.equal(await duel.request("strike"), [1, { from: player.sessionId }]);
    }
    for (const words of ["again", "and again"]) {
      // The next leader subscribes anew: what is published before that is missed.
      await until(words, async () => {
        store.presence.publish("news", words);
        await new Promise((resolve) => setTimeout(resolve, 100));
        return [player, other].every((room) => news.get(room)?.includes(words));
      });
    }
  },
);

feature("[Y141] the node that comes back has the same matches, and hears the same", async () => {
  const down = cluster.ids.find((id) => cluster.process(id).isOver) as string;
  cluster.launch(down);
  await cluster.ready();
  const late = hears(alone(await clientOf(down).joinById(host.roomId)));
  const survivor = players.find((_, at) => cluster.ids[at] !== down) as Room;
  assert.equal(await late.request("matches"), await survivor.request("matches"));
  const hashes = async () =>
    (await Promise.all(cluster.ids.map((id) => cluster.status(id)))).map(
      (status) => status?.divergences?.count ?? 0,
    );
  assert.equal(await hashes(), [0, 0, 0]);
  store.presence.publish("news", "to all");
  await until("the news", () => [late, survivor].every((room) => news.get(room)?.includes("to all")));
});

feature(
  "[Y132] a server whose presence is each process's own does not start with a room that uses it",
  async () => {
    process.env["PRESENCE_PORT"] = "none";
    const other = await Cluster.plan({ main: "test/e2e/host-rooms-main.ts" });
    try {
      const { ended } = other.launch("n1");
      assert.is.not((await ended).code, 0);
      assert.ok(
        other.linesLike(/HostRoom cannot go on: it uses this\.presence.*new RedisPresence\(\)/).length > 0,
      );
    } finally {
      await other.end();
    }
  },
);

test.run();

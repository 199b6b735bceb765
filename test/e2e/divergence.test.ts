// test-run: seconds=240
import { Client, type Room } from "@colyseus/sdk";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { runCli } from "../../server/admin/cli/testudo-cli.ts";
import { type Cluster, unhurried } from "./cluster.ts";
import { shareCluster } from "./shared-cluster.ts";

const test = suite("replicas that differ");

interface Seen {
  readonly room: Room;
  /** How its socket ended; null: it has not. */
  closed: number | null;
}

let cluster: Cluster;

const shown = shareCluster(test, { main: "test/e2e/rooms-main.ts", args: unhurried }, (shared) => {
  cluster = shared;
});

function watched(room: Room): Seen {
  const seen: Seen = { room, closed: null };
  room.reconnection.enabled = false;
  room.onMessage("*", () => {});
  room.onLeave((code) => {
    seen.closed = code;
  });
  return seen;
}

/** A room with a player on each node. */
async function withPlayers(): Promise<{ roomId: string; players: Map<string, Seen> }> {
  const [first = "", ...others] = cluster.ids;
  const creator = watched(await new Client(cluster.url(first)).create("poison"));
  const { roomId } = creator.room;
  const players = new Map([[first, creator]]);
  for (const id of others) players.set(id, watched(await new Client(cluster.url(id)).joinById(roomId)));
  return { roomId, players };
}

async function add(players: Map<string, Seen>, id: string): Promise<number> {
  const told = (await players.get(id)?.room.request("add", { by: 1 })) as { count: number };
  return told.count;
}

async function corrupt(id: string, roomId: string): Promise<void> {
  assert.equal(await (await fetch(`${cluster.url(id)}/test/corrupt/${roomId}`)).json(), { value: null });
}

const countOf = async (id: string) => (await cluster.status(id))?.divergences;

/** Somebody new on each node is served, and all replicas have one hash. */
async function goesOn(roomId: string): Promise<number> {
  let last = 0;
  for (const id of cluster.ids) {
    const { room } = watched(await new Client(cluster.url(id)).joinById(roomId));
    const { count } = (await room.request("add", { by: 1 })) as { count: number };
    assert.ok(count > last, `${id} counts on from ${last}`);
    last = count;
    await room.leave();
  }
  await cluster.until("all replicas have one hash at one entry", async () => {
    const rooms = await Promise.all(cluster.ids.map((id) => cluster.room(id, roomId)));
    return new Set(rooms.map((room) => `${room?.hashIndex} ${room?.stateHash}`)).size === 1;
  });
  return last;
}

shown(
  "[V13] a replica that differs is found, named, put right and counted; its players are sent on, the others play on",
  async () => {
    const { roomId, players } = await withPlayers();
    assert.is(await add(players, "n3"), 1);
    await corrupt("n2", roomId);
    const { newest } = await cluster.until("n2's replica is found and put right", async () => {
      const divergences = await countOf("n2");
      return divergences?.healed === 1 ? divergences : null;
    });
    assert.is(newest.length, 1);
    assert.is(newest[0]?.roomId, roomId);
    assert.match(newest[0]?.firstDifference ?? "", /^room\.curses/);
    assert.is.not(newest[0]?.ownHash, newest[0]?.hash);
    assert.is(players.get("n2")?.closed, 4010);
    for (const id of ["n1", "n3"]) {
      assert.is(players.get(id)?.closed, null);
      assert.is((await countOf(id))?.count, 0, id);
    }
    assert.is(await add(players, "n1"), 2);
    await goesOn(roomId);
    assert.equal([(await countOf("n2"))?.count, (await countOf("n2"))?.healed], [1, 1]);
  },
);

shown(
  "[V13] without a majority the room stands still, and goes on as its operator says, with all that was acknowledged",
  async () => {
    const { roomId, players } = await withPlayers();
    for (const [at, id] of cluster.ids.entries()) assert.is(await add(players, id), at + 1);
    for (const id of ["n2", "n3"]) await corrupt(id, roomId);
    await cluster.until("it stands still everywhere", async () => {
      const rooms = await Promise.all(cluster.ids.map((id) => cluster.room(id, roomId)));
      return rooms.every((room) => room?.standing?.type === "frozen");
    });
    await cluster.until("every player has heard of it", async () =>
      cluster.ids.every((id) => players.get(id)?.closed !== null),
    );
    for (const id of cluster.ids) assert.is(players.get(id)?.closed, 4010);
    const secretFile = cluster.planOf("n1").args.find((arg) => arg.startsWith("--secret-file=")) ?? "";
    const rooms = async (...args: string[]): Promise<string> => {
      let out = "";
      let err = "";
      const write = (text: string) => {
        out += text;
      };
      const tell = (line: string) => {
        err += line;
      };
      const code = await runCli(["rooms", ...args, "--url", cluster.url("n1"), secretFile], {
        ...{ write, tell },
        cwd: "/",
      });
      assert.is(code, 0, err);
      return out;
    };
    // On a busy machine n2 is healed before n3 is corrupted: then it has n1's hash, and n1's word, which is one word still.
    assert.match(
      await rooms("list"),
      new RegExp(`${roomId} .*frozen: (n\\d(, n\\d)* \\(\\w+\\)( against )?){2,3}`),
    );
    assert.match(await rooms("thaw", roomId, "n1"), /goes on with what n1 has/);
    await cluster.until("it goes on everywhere", async () => {
      const all = await Promise.all(cluster.ids.map((id) => cluster.room(id, roomId)));
      return all.every((room) => room?.standing === null);
    });
    assert.is(await goesOn(roomId), 6);
  },
);

test.run();

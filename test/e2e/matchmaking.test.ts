// test-run: seconds=200
import { Client, type Room } from "@colyseus/sdk";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Cluster, unhurried, until } from "./cluster.ts";
import { shareCluster } from "./shared-cluster.ts";

/** How rooms are found and closed, and how they end: stock clients on three real nodes, with a kill in the middle. */
const test = suite("matchmaking");

let cluster: Cluster;
const shown = shareCluster(
  test,
  { main: "test/e2e/matchmaking-rooms-main.ts", args: unhurried },
  (shared) => {
    cluster = shared;
  },
);

interface Listing {
  readonly roomId: string;
  readonly name: string;
  readonly clients: number;
  readonly maxClients: number | null;
  readonly locked: boolean;
  readonly private?: boolean;
  readonly metadata?: unknown;
}

/** By what is listed there, or by the log. */
const isFull = /is locked|is full or locked/;

const clientOf = (id: string) => new Client(cluster.url(id));
const on = async (id: string, roomId: string) => alone(await clientOf(id).joinById(roomId));
const any = async (id: string, roomName: string) => alone(await clientOf(id).joinOrCreate(roomName));

function alone(room: Room): Room {
  room.reconnection.enabled = false;
  return room;
}

async function goOn(room: Room, id: string): Promise<Room> {
  return alone(await clientOf(id).reconnect(room.reconnectionToken));
}

async function refused(asked: Promise<Room>): Promise<string> {
  return await asked.then(
    ({ roomId }) => `got ${roomId}`,
    (error: Error) => error.message,
  );
}

async function ask<T>(id: string, what: string): Promise<T> {
  const response = await fetch(`${cluster.url(id)}/test/${what}`);
  assert.ok(response.ok, `${what} on ${id}: ${response.status}`);
  return (await response.json()) as T;
}

let alive = ["n1", "n2", "n3"];

async function listed(id: string, roomId: string): Promise<Listing | undefined> {
  return (await ask<Listing[]>(id, "listed")).find((listing) => listing.roomId === roomId);
}

/** Every node that is there lists the room like this. */
async function allList(roomId: string, expected: Partial<Listing>): Promise<void> {
  for (const id of alive) {
    let last: object | undefined;
    await until(`${id} lists it`, async () => {
      const listing = await listed(id, roomId);
      last = listing && Object.fromEntries(Object.keys(expected).map((key) => [key, listing[key as "name"]]));
      return JSON.stringify(last) === JSON.stringify(expected);
    }).catch(() => assert.equal(last, expected, id));
  }
}

/** Gone on every node that is there: the instance, its listing, and what `/testudo/status` tells. */
async function allForget(roomId: string, ids: readonly string[] = alive): Promise<void> {
  for (const id of ids) {
    await until(`${id} has ended ${roomId}`, async () => (await ask<string[]>(id, "ended")).includes(roomId));
    assert.is(await listed(id, roomId), undefined, id);
    assert.is(await cluster.room(id, roomId), null, id);
    assert.match(await refused(on(id, roomId)), "not found");
  }
}

/** Whoever duels: those who ask at once are let in in any order. */
const duelists: { readonly id: string; readonly level: number; readonly room: Room }[] = [];

async function duel(id: string, level: number): Promise<string> {
  const room = alone(await clientOf(id).joinOrCreate("filtered", { mode: "duel", level, name: id }));
  duelists.push({ id, level, room });
  return room.roomId;
}

/** With two of them, none of whom is on n1. */
let third: string;

shown(
  "[Y150] filterBy: who asks for the same meets, whichever nodes are asked, at once or later",
  async () => {
    const ids = ["n1", "n2", "n3"] as const;
    const atOnce = await Promise.all([1, 2].map((level) => Promise.all(ids.map((id) => duel(id, level)))));
    for (const rooms of atOnce) assert.is(new Set(rooms).size, 1, String(rooms));
    const [[first], [second]] = atOnce as [[string], [string]];
    assert.is.not(first, second);
    // Both are full: the next one gets a room of its own.
    third = await duel("n2", 1);
    assert.not([first, second].includes(third));
    assert.is(await duel("n3", 1), third);
    const other = clientOf("n1").join("filtered", { mode: "race", level: 1 });
    assert.match(await refused(other), "no rooms found");
    for (const roomId of [first, second]) await allList(roomId, { clients: 3, locked: true });
  },
);

const sorted: Room[] = [];

shown("[Y151] sortBy: of several rooms the one that the order puts first is filled first", async () => {
  for (const id of ["n1", "n2", "n3"]) sorted.push(alone(await clientOf(id).create("sorted")));
  const wanted = sorted[1] as Room;
  sorted.push(await on("n1", wanted.roomId));
  await allList(wanted.roomId, { clients: 2 });
  const asked = await Promise.all(["n3", "n2"].map((id) => any(id, "sorted")));
  // One got its last seat; the other one the next best.
  assert.is(asked.filter(({ roomId }) => roomId === wanted.roomId).length, 1);
  assert.ok(asked.every(({ roomId }) => sorted.some((room) => room.roomId === roomId)));
  await Promise.all(asked.map((room) => room.leave()));
  await allList(wanted.roomId, { clients: 2 });
});

let host: Room;

shown("[Y152] lock, privacy, metadata and seats are the same for whoever looks on any node", async () => {
  host = alone(await clientOf("n1").create("found"));
  const { roomId } = host;
  await host.request("lock", true);
  await allList(roomId, { locked: true });
  for (const id of alive) assert.match(await refused(clientOf(id).join("found")), "no rooms found");
  assert.match(await refused(on("n2", roomId)), isFull);
  await host.request("lock", false);
  await allList(roomId, { locked: false });
  await host.request("hide", true);
  await allList(roomId, { private: true });
  assert.match(await refused(clientOf("n2").join("found")), "no rooms found");
  const invited = await on("n2", roomId);
  await host.request("hide", false);
  await invited.request("describe", { map: "forum" });
  await allList(roomId, { clients: 2, locked: false, private: false, metadata: { map: "forum" } });
  const third = alone(await clientOf("n3").join("found"));
  assert.is(third.roomId, roomId);
  await allList(roomId, { clients: 3, locked: true });
  await third.leave();
  await allList(roomId, { clients: 2, locked: false });
  const all = { metadata: { map: "circus" }, maxClients: 2, private: true, locked: true };
  await invited.request("announce", all);
  await allList(roomId, { clients: 2, ...all });
  await invited.leave();
});

interface Seat {
  readonly roomId: string;
}

shown("[Y153] a seat that is kept for somebody is nobody else's, and free when it is not taken", async () => {
  const { roomId } = await ask<Seat>("n3", "create/reserved");
  assert.match(await refused(on("n2", roomId)), isFull);
  await allForget(roomId);
  const taken = alone(await clientOf("n1").create("reserved"));
  await taken.request("announce", { maxClients: 2 });
  // Who reserves looks at the listing of its own node, which may lag.
  await allList(taken.roomId, { clients: 1, locked: false });
  await ask<Seat>("n2", `reserve/${taken.roomId}`);
  await allList(taken.roomId, { clients: 2, locked: true });
  await allList(taken.roomId, { clients: 1, locked: false });
  const other = await on("n3", taken.roomId);
  await Promise.all([taken.leave(), other.leave()]);
  await allForget(taken.roomId);
});

/** Of each of them the last client leaves as the leaders of some have just been killed. */
const passing: Room[] = [];
let fallen: Room;
let untaken: Seat;
let lasting: Room;

async function ledBy(id: string): Promise<Room[]> {
  const status = await cluster.status("n2");
  const led = status?.groups.filter(({ leader }) => leader === id).map((group) => group.id);
  const rooms = status?.rooms.filter(({ group }) => led?.includes(group));
  return passing.filter(({ roomId }) => rooms?.some((room) => room.roomId === roomId));
}

shown("[Y154] autoDispose: a room ends everywhere when its last client has left, or was lost", async () => {
  lasting = alone(await clientOf("n3").create("lasting"));
  fallen = alone(await clientOf("n1").create("passing"));
  for (let each = 0; each < 8; each++)
    passing.push(alone(await clientOf(each % 2 === 0 ? "n2" : "n3").create("passing")));
  await (passing.pop() as Room).leave();
  await until("n1 leads some of them", async () => (await ledBy("n1")).length > 0);
  untaken = await ask<Seat>("n3", "create/reserved");
  await cluster.kill("n1");
  alive = ["n2", "n3"];
  await Promise.all([...passing, lasting].map((room) => room.leave()));
  for (const { roomId } of [...passing, fallen, untaken]) await allForget(roomId);
  await allList(lasting.roomId, { clients: 0, locked: false });
});

shown("[Y154] one that lasts is there until it is told otherwise", async () => {
  const [one, other] = [await on("n2", lasting.roomId), await on("n3", lasting.roomId)];
  await one.leave();
  await other.request("keep", false);
  await other.leave();
  await allForget(lasting.roomId);
});

shown("[Y150, Y151, Y152] when a node has died, rooms are found, filled and closed as before", async () => {
  const [first, second] = (await Promise.all(
    alive.map((id, at) => {
      const lost = duelists.find((each) => each.id === "n1" && each.level === at + 1);
      return goOn(lost?.room as Room, id);
    }),
  )) as [Room, Room];
  for (const room of [first, second]) await allList(room.roomId, { clients: 3, locked: true });
  await first.leave();
  await allList(first.roomId, { clients: 2, locked: false });
  const filled: string[] = [];
  for (const id of alive) {
    const roomId = await duel(id, 1);
    await allList(roomId, { clients: 3, locked: true });
    filled.push(roomId);
  }
  assert.equal(filled.sort(), [first.roomId, third].sort());
  assert.not(filled.includes(await duel("n2", 1)));

  // The best one has two: of who was on n1, too.
  assert.is((await any("n3", "sorted")).roomId, sorted[1]?.roomId);
  assert.is.not((await any("n2", "sorted")).roomId, sorted[1]?.roomId);

  const { roomId } = host;
  host = await goOn(host, "n3");
  await allList(roomId, {
    clients: 1,
    maxClients: 2,
    locked: true,
    private: true,
    metadata: { map: "circus" },
  });
  await host.request("announce", { locked: false, private: false });
  assert.is(alone(await clientOf("n2").join("found")).roomId, roomId);
  await allList(roomId, { clients: 2, locked: true });
});

shown(
  "[Y150, Y151, Y152, Y154] the node that comes back lists what the others list, and nothing else",
  async () => {
    cluster.launch("n1");
    await cluster.ready();
    alive = ["n1", "n2", "n3"];
    const shownOf = async (id: string) =>
      (await ask<Listing[]>(id, "listed"))
        .map(({ roomId, name, clients, maxClients, locked, metadata }) =>
          JSON.stringify([roomId, name, clients, maxClients, locked, metadata]),
        )
        .sort();
    await until("it lists them", async () => (await shownOf("n1")).length === (await shownOf("n2")).length);
    assert.equal(await shownOf("n1"), await shownOf("n2"));
    assert.equal(await shownOf("n3"), await shownOf("n2"));
    for (const room of [...passing, fallen, untaken, lasting])
      assert.match(await refused(on("n1", room.roomId)), "not found");
    for (const id of alive) assert.is((await cluster.status(id))?.divergences.count, 0, id);
  },
);

test.run();

// test-run: seconds=200
import { Client, type Room } from "@colyseus/sdk";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Cluster, unhurried, until } from "./cluster.ts";
import { shareCluster } from "./shared-cluster.ts";

/** Stock lobbies, queues and counts over replicated rooms, on three real nodes, with a kill in the middle. */
const test = suite("lobby rooms");

let cluster: Cluster;

const feature = shareCluster(test, { main: "test/e2e/lobby-rooms-main.ts", args: unhurried }, (shared) => {
  cluster = shared;
});

function alone<T>(room: Room<unknown, T>): Room<unknown, T> {
  room.reconnection.enabled = false;
  return room;
}

const clientOf = (id: string) => new Client(cluster.url(id));
const goOn = async (room: Room, id: string) => alone(await clientOf(id).reconnect(room.reconnectionToken));

interface Listing {
  readonly roomId: string;
  readonly name: string;
  readonly processId: string;
  readonly clients: number;
  readonly locked: boolean;
  readonly private: boolean;
  readonly metadata?: { readonly label: string };
}

interface Reservation {
  readonly name: string;
  readonly roomId: string;
  readonly sessionId: string;
  readonly processId: string;
  readonly publicAddress?: string;
}

interface Stats {
  readonly all: { readonly processId: string; readonly roomCount: number; readonly ccu: number }[];
  readonly ccu: number;
  readonly local: { readonly roomCount: number; readonly ccu: number };
}

/** @throws what the matchmaker says */
async function ask<T>(id: string, ...path: string[]): Promise<T> {
  const answer = await fetch(`${cluster.url(id)}/test/${path.join("/")}`);
  const { value, error } = (await answer.json()) as { value: T; error?: { code: unknown; message: string } };
  if (error !== undefined) throw Object.assign(new Error(error.message), { code: error.code });
  return value;
}

/** A player in a node's lobby, with everything that it was told. */
class Watcher {
  readonly id: string;
  readonly room: Room;
  readonly rooms = new Map<string, Listing>();
  readonly told: string[] = [];

  private constructor(id: string, room: Room) {
    this.id = id;
    this.room = room;
    room.onMessage("rooms", (rooms: Listing[]) => {
      for (const listing of rooms) this.rooms.set(listing.roomId, listing);
    });
    room.onMessage("+", ([roomId, listing]: [string, Listing]) => {
      this.rooms.set(roomId, listing);
      this.told.push(describe(listing));
    });
    room.onMessage("-", (roomId: string) => {
      this.rooms.delete(roomId);
      this.told.push("gone");
    });
  }

  static async on(id: string, options: object = {}): Promise<Watcher> {
    return new Watcher(id, alone(await clientOf(id).create("lobby", options)));
  }
}

const describe = ({ clients, locked, metadata }: Listing) =>
  `${clients}${locked ? " locked" : ""}${metadata === undefined ? "" : ` ${metadata.label}`}`;

let watchers: Watcher[] = [];

/** Each of these was told once and in this order, the last one at the end; one that came with the next need not be. */
async function allTold(what: string, expected: readonly string[]): Promise<void> {
  const last = expected.at(-1);
  for (const { id, told } of watchers) {
    await until(what, () => last === undefined || told.at(-1) === last).catch(() => {});
    const heard = told.splice(0);
    const inOrder = expected.filter((each) => heard.includes(each));
    assert.equal([heard, heard.at(-1)], [inOrder, last], `${what} on ${id}`);
  }
}

async function allCount(what: string, ids: readonly string[], { rooms, clients }: Record<string, number>) {
  let last: unknown;
  await until(what, async () => {
    const stats = await Promise.all(ids.map((id) => ask<Stats>(id, "stats")));
    last = stats;
    return stats.every(
      ({ all, ccu }) =>
        ccu === clients &&
        all.length === ids.length &&
        all.reduce((sum, { roomCount }) => sum + roomCount, 0) === rooms,
    );
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${JSON.stringify(last)}`);
  });
}

let one: Room;
let other: Room;

feature(
  "[Y56] a stock lobby on any node shows each replicated room's life, and each thing once",
  async () => {
    watchers = [await Watcher.on("n1"), await Watcher.on("n2")];
    one = alone(await clientOf("n3").create("duel"));
    await allTold("it appears", ["0", "1"]);
    other = alone(await clientOf("n1").joinById(one.roomId));
    await allTold("a client of another node", ["2"]);
    one.send("label", "first");
    await allTold("its metadata", ["2 first"]);
    other.send("lock");
    await allTold("it is locked", ["2 locked first"]);
    one.send("unlock");
    await allTold("it is unlocked", ["2 first"]);
    const choosy = await Watcher.on("n1", { filter: { name: "duel", metadata: { label: "first" } } });
    one.send("label", "other");
    await allTold("it is called otherwise", ["2 other"]);
    await until("a filter leaves it out", () => choosy.told.length > 0);
    assert.equal(choosy.told, ["gone"]);
    await choosy.room.leave();
    other.send("hide");
    await allTold("it goes private", ["gone"]);
    other.send("label", "second");
    await one.request("who");
    await allTold("what is private is nobody's business", []);
    one.send("show");
    await allTold("it is public again", ["2 second"]);
    for (const { id, rooms } of watchers) {
      const listing = rooms.get(one.roomId);
      const { name, processId, private: isPrivate } = listing as Listing;
      assert.equal([name, processId, isPrivate], ["duel", await ask(id, "process"), false]);
    }
  },
);

feature(
  "[Y59] counts are a node's own, and right in sum: a room counts once, a client where it is",
  async () => {
    // Beside the duel and its two players: a lobby with its watcher on two nodes.
    await allCount("before the kill", cluster.ids, { rooms: 3, clients: 4 });
    const locals = await Promise.all(cluster.ids.map(async (id) => (await ask<Stats>(id, "stats")).local));
    assert.equal(
      locals.map(({ ccu }) => ccu),
      [2, 1, 1],
    );
    for (const id of cluster.ids) {
      const [listing] = await ask<Listing[]>(id, "query", "duel");
      assert.equal([listing?.clients, listing?.processId], [2, await ask(id, "process")], id);
    }
  },
);

feature("[Y57] plain rooms live beside replicated ones, each on its own node", async () => {
  const plain = alone(await clientOf("n2").create("plain"));
  assert.is(await plain.request("where"), await ask("n2", "process"));
  const seat = await ask<Reservation>("n2", "joinById", plain.roomId);
  const guest = alone(await clientOf("n1").consumeSeatReservation(seat as never));
  assert.equal([guest.roomId, guest.sessionId], [plain.roomId, seat.sessionId]);
  const other = alone(await clientOf("n1").joinById(plain.roomId));
  assert.is(await other.request("where"), await ask("n2", "process"));
  for (const { id, rooms } of watchers)
    await until(`${id}'s lobby has it`, () => rooms.get(plain.roomId)?.clients === 3);
  await Promise.all([plain.leave(), guest.leave(), other.leave()]);
  await until("it has ended", async () => (await ask<string[]>("n2", "ended")).includes(plain.roomId));
  for (const { id, rooms } of watchers) await until(`${id}'s lobby knows`, () => !rooms.has(plain.roomId));
  for (const { told } of watchers) told.length = 0;
});

interface Waiting {
  readonly room: Room;
  readonly seat: Promise<Reservation>;
}

async function waitInQueue(id: string, rank: number): Promise<Waiting> {
  const room = alone(await clientOf(id).joinOrCreate("queue", { rank }));
  room.onMessage("clients", () => {});
  return { room, seat: new Promise((resolve) => room.onMessage("seat", resolve)) };
}

let match: Room[];

feature("[Y58] a stock queue ends in a replicated room; the seats may be taken on any node", async () => {
  const waiting = [await waitInQueue("n3", 1), await waitInQueue("n3", 1)];
  const seats = await Promise.all(waiting.map(({ seat }) => seat));
  const processId = await ask("n3", "process");
  assert.equal(
    seats.map((seat) => [seat.name, seat.processId, seat.roomId]),
    seats.map(() => ["duel", processId, seats[0]?.roomId]),
  );
  match = await Promise.all(
    seats.map(async (seat, at) => {
      const client = clientOf(at === 0 ? "n3" : "n1");
      return alone(await client.consumeSeatReservation(seat as never));
    }),
  );
  for (const { room } of waiting) {
    room.send("confirm");
    await new Promise((resolve) => room.onLeave(resolve));
  }
  assert.is(await match[0]?.request("strike"), 1);
  assert.is(await match[1]?.request("strike"), 2);
  await allTold("the match in the lobbies", ["0", "1", "2"]);
});

feature("[Y60] server code on any node asks the matchmaker about replicated rooms, as of now", async () => {
  const { roomId } = await ask<Listing>("n2", "createRoom", "duel");
  const found = await Promise.all(cluster.ids.map((id) => ask<Listing | null>(id, "getRoomById", roomId)));
  assert.equal(
    found.map((listing) => [listing?.roomId, listing?.processId]),
    await Promise.all(cluster.ids.map(async (id) => [roomId, await ask(id, "process")])),
  );
  assert.is(await ask("n1", "getRoomById", "nobodyHas"), null);
  const seats: Reservation[] = [];
  for (const [id, method, argument] of [
    ["n1", "reserveSeatFor", roomId],
    ["n3", "joinById", roomId],
    ["n2", "create", "duel"],
    ["n3", "join", "duel"],
    ["n1", "joinOrCreate", "duel"],
  ] as const) {
    const seat = await ask<Reservation>(id, method, argument);
    const address = id === "n2" ? new URL(cluster.url(id)).host : undefined;
    assert.equal([seat.processId, seat.publicAddress], [await ask(id, "process"), address], method);
    seats.push(seat);
  }
  const free = await ask<Listing>("n2", "findOneRoomAvailable", "duel");
  assert.equal([free.name, free.locked, free.private], ["duel", false, false]);
  // Most seats are taken on another node than the one that gave them.
  const players = await Promise.all(
    seats.map(async (seat, at) =>
      alone(await clientOf(at % 2 === 0 ? "n2" : "n1").consumeSeatReservation(seat as never)),
    ),
  );
  const [, token = ""] = players[0]?.reconnectionToken.split(":") ?? [];
  const again = await ask<Reservation>("n3", "reconnect", roomId, token);
  assert.equal([again.sessionId, again.processId], [players[0]?.sessionId, await ask("n3", "process")]);
  try {
    await ask("n2", "reconnect", roomId, "forged");
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, "invalid or expired");
  }
  await Promise.all(players.map((room) => room.leave()));
  const kept = [one.roomId, match[0]?.roomId];
  await until("those rooms have ended, and the lobbies know", () =>
    watchers.every(({ rooms }) => {
      const duels = [...rooms.values()].filter(({ name }) => name === "duel");
      return duels.every(({ roomId: id, clients }) => kept.includes(id) && clients === 2);
    }),
  );
  for (const { told } of watchers) told.length = 0;
});

feature(
  "[Y56, Y58, Y59] when a node is killed, the lobbies, the match and the counts go on without it",
  async () => {
    await cluster.kill("n3");
    const alive = ["n1", "n2"];
    // The duel, the match, two lobbies; who was on n3 is gone from the counts, not from the rooms.
    await allCount("after the kill", alive, { rooms: 4, clients: 4 });
    const back = [await goOn(one, "n2"), await goOn(match[0] as Room, "n1")];
    await allCount("they go on", alive, { rooms: 4, clients: 6 });
    assert.is(await back[1]?.request("strike"), 3);
    assert.is(await match[1]?.request("strike"), 4);
    await back[1]?.leave();
    await match[1]?.leave();
    await allTold("the match ends", ["1", "gone"]);
    other.send("label", "third");
    await allTold("the duel goes on", ["2 third"]);
  },
);

feature("[Y56, Y59] a node that comes back lists and counts with the others", async () => {
  cluster.launch("n3");
  await cluster.ready();
  await allCount("it is back", cluster.ids, { rooms: 3, clients: 4 });
  watchers = [...watchers, await Watcher.on("n3")];
  const { clients, metadata } = (await until(
    "its lobby has the duel",
    () => watchers.at(-1)?.rooms.get(one.roomId) ?? null,
  )) as Listing;
  assert.equal([clients, metadata?.label], [2, "third"]);
  other.send("label", "fourth");
  await allTold("the duel goes on", ["2 fourth"]);
});

feature("[Y61] a node that is shut down ends its plain rooms, and no replicated one", async () => {
  const plain = alone(await clientOf("n2").create("plain"));
  const results = await ask<{ status: string; reason?: { code: string } }[]>("n1", "disconnectAll");
  assert.equal(results.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
  await until("n1's lobby has ended", () => watchers[0]?.room.connection.isOpen === false);
  void ask("n2", "shutDown").catch(() => {});
  assert.equal(await cluster.process("n2").ended, { code: 0, signal: null });
  assert.is(cluster.linesLike(new RegExp(`plain room ${plain.roomId} has ended`)).length, 1);
  assert.equal(cluster.linesLike(/error during shutdown/), []);
  assert.is(cluster.linesLike(/this node has shut down/).length, 1);
  await allCount("without it", ["n1", "n3"], { rooms: 2, clients: 2 });
  assert.is(await other.request("strike"), 1);
  watchers = watchers.slice(2);
  for (const { told } of watchers) told.length = 0;
  other.send("end");
  await allTold("the duel ends", ["gone"]);
});

test.run();

// test-run: seconds=180 waits
import type { IRoomCache } from "@colyseus/core";
import { Client, type Room } from "@colyseus/sdk";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { driverContract } from "../colyseus/driver-contract.ts";
import { presenceContract } from "../colyseus/presence-contract.ts";
import { AskedNodes } from "./asked-nodes.ts";
import { Cluster, unhurried, until } from "./cluster.ts";
import { shareCluster } from "./shared-cluster.ts";

/** Plain rooms on three real nodes: each is on one of them, and all nodes know it; one is killed. */
const test = suite("plain rooms");

let cluster: Cluster;
let nodes: AskedNodes;
const feature = shareCluster(test, { main: "test/e2e/plain-rooms-main.ts", args: unhurried }, (shared) => {
  cluster = shared;
  nodes = new AskedNodes(shared);
});
const ask = <T>(id: string, what: string, ...args: unknown[]) => nodes.ask<T>(id, what, ...args);

async function refusal(act: () => Promise<unknown>): Promise<string> {
  try {
    await act();
  } catch (error) {
    return `${(error as { code?: unknown }).code}: ${(error as Error).message}`;
  }
  return "nothing was thrown";
}

/** Asked of n3, whose own function follows it: a room begins on this node. */
const on = async (id: string) => ({ on: await ask<string>(id, "process") });

interface Counts {
  readonly processId: string;
  readonly roomCount: number;
}

/** How many rooms each node has, in the cluster's order, once all nodes say the same. */
async function countsOf(ids: readonly string[]): Promise<number[]> {
  let agreed: number[] = [];
  await until("all nodes count the same", async () => {
    const processes = await Promise.all(ids.map((id) => ask<string>(id, "process")));
    const told = await Promise.all(
      ids.map(async (id) => {
        const counts = await ask<Counts[]>(id, "counts");
        return processes.map((process) => counts.find(({ processId }) => processId === process)?.roomCount);
      }),
    );
    agreed = told[0] as number[];
    return new Set(told.map((counts) => String(counts))).size === 1;
  });
  return agreed;
}

const clientOf = (id: string) => new Client(cluster.url(id));

function alone(room: Room): Room {
  room.reconnection.enabled = false;
  return room;
}

async function json<T>(id: string, path: string): Promise<T> {
  const answer = await fetch(`${cluster.url(id)}${path}`, { signal: AbortSignal.timeout(30_000) });
  assert.is(answer.status, 200, `${id} ${path}`);
  return (await answer.json()) as T;
}

const listedOn = async (id: string, conditions: object) =>
  (await ask<IRoomCache[]>(id, "driver", "query", conditions)).map(({ roomId }) => roomId).sort();

driverContract((name, run) => feature(`${name}, each call on another node`, run), {
  driver: () => nodes.driver,
  nodes: 3,
  isText: true,
});

feature("[T22] a plain room is found on every node, and joined by whoever asks any of them", async () => {
  const home = alone(await clientOf("n1").create("table", { mode: "duel" }));
  const { roomId } = home;
  const byId = alone(await clientOf("n2").joinById(roomId));
  const byMode = alone(await clientOf("n3").join("table", { mode: "duel" }));
  const process = await home.request("where");
  for (const room of [home, byId, byMode]) {
    assert.is(room.roomId, roomId);
    assert.is(await room.request("where"), process, "on the node that has it");
  }
  assert.match(await refusal(() => clientOf("n2").joinById(roomId)), /locked/);
  assert.match(await refusal(() => clientOf("n2").join("table", { mode: "teams" })), /no rooms found/);
  assert.match(await refusal(() => clientOf("n3").joinById("nowhere")), /not found/);
  await until("n3 knows who is there", async () => {
    const [listing] = await ask<IRoomCache[]>("n3", "driver", "query", { roomId });
    return listing?.clients === 3 && listing.locked === true && listing.processId === process;
  });
  await Promise.all([home, byId, byMode].map((room) => room.leave()));
  for (const id of cluster.ids)
    await until(`${id} forgets it`, async () => (await listedOn(id, { roomId })).length === 0);
});

feature("[T23] who wants the same plain room on all nodes at once gets one", async () => {
  for (const mode of ["a", "b", "c"]) {
    const rooms = await Promise.all(
      cluster.ids.map(async (id) => alone(await clientOf(id).joinOrCreate("table", { mode }))),
    );
    assert.is(new Set(rooms.map(({ roomId }) => roomId)).size, 1);
    await Promise.all(rooms.map((room) => room.leave()));
  }
});

feature("[T51] plain rooms begin on the least loaded nodes, whichever is asked", async () => {
  const before = await countsOf(cluster.ids);
  const most = Math.max(...before) + 2;
  const missing = before.reduce((sum, count) => sum + most - count, 0);
  const rooms: Room[] = [];
  for (let at = 0; at < missing; at++)
    rooms.push(alone(await clientOf(at % 2 === 0 ? "n1" : "n2").create("table", { mode: "spread" })));
  assert.equal(await countsOf(cluster.ids), [most, most, most]);
  await Promise.all(rooms.map((room) => room.leave()));
  await until("all have ended", async () => String(await countsOf(cluster.ids)) === String(before));
});

feature("[T52] where the studio's own function says, a plain room begins", async () => {
  for (const id of cluster.ids) {
    const wish = await on(id);
    const room = alone(await clientOf("n3").create("table", { mode: "wished", ...wish }));
    assert.is(await room.request("where"), wish.on, id);
    await room.leave();
  }
  const duel = await ask<string>("n3", "createRoom", "duel", {});
  assert.is((await listedOn("n1", { roomId: duel })).length, 1, "replicated ones are of no process");
  await ask("n1", "remoteRoomCall", duel, "disconnect", []);
});

feature("[T53] a frozen node was chosen: the room begins once, on the node that was asked", async () => {
  const wish = await on("n2");
  cluster.process("n2").signal("SIGSTOP");
  const rooms = await Promise.all(
    ["x", "y"].map(async (mode) => alone(await clientOf("n3").joinOrCreate("table", { mode, ...wish }))),
  );
  cluster.process("n2").signal("SIGCONT");
  const own = await ask("n3", "process");
  for (const room of rooms) assert.is(await room.request("where"), own);
  await cluster.ready();
  for (const id of cluster.ids)
    await until(`${id} lists them once`, async () => {
      const listed = await ask<IRoomCache[]>(id, "driver", "query", { name: "table" });
      const places = listed.map(({ roomId, processId }) => `${roomId} ${processId}`).sort();
      return String(places) === String(rooms.map(({ roomId }) => `${roomId} ${own}`).sort());
    });
  await Promise.all(rooms.map((room) => room.leave()));
});

feature("[T24] a room that cannot be listed is refused with words, and nothing is lost", async () => {
  const room = alone(await clientOf("n3").create("table", { mode: "big", ...(await on("n1")) }));
  const { roomId } = room;
  const label = (words: unknown) => ask("n1", "remoteRoomCall", roomId, "label", [words]);
  await label("small");
  assert.match(
    await refusal(() => label("x".repeat(40_000))),
    new RegExp(`room ${roomId} cannot be listed: .* takes \\d+ bytes, 32768 are allowed`),
  );
  for (const id of cluster.ids)
    await until(`${id} has it as it was`, async () => {
      const [listing] = await ask<IRoomCache[]>(id, "driver", "query", { roomId });
      return listing?.metadata.words === "small";
    });
  alone(await clientOf("n2").joinById(roomId));
  for (const [bad, words] of [
    [{ name: "table" }, /ARGUMENT: a room is listed by a roomId: undefined is none/],
    [{ roomId: "r", name: 7 }, /ARGUMENT: a room is listed by a name: 7 is none/],
    [{ roomId: "r", name: "t", metadata: "x".repeat(40_000) }, /VALUE_TOO_BIG: room r cannot be listed/],
  ] as const)
    assert.match(await refusal(() => ask("n1", "driver", "insert", bad)), words);
  assert.is(await ask("n1", "driver", "has", "r"), false);
  assert.is(await ask("n1", "driver", "insert", { roomId: "r", name: "t" }), true, "its id is free again");
  await room.leave();
});

feature("[T24] a server with another driver does not start, and says what to do", async () => {
  process.env["DRIVER"] = "local";
  const other = await Cluster.plan({ nodes: 1, main: "test/e2e/plain-rooms-main.ts" });
  try {
    const { ended } = other.launch("n1");
    assert.is.not((await ended).code, 0);
    assert.is(
      other.linesLike(/LocalDriver cannot list replicated rooms.*leave `driver` out/).length > 0,
      true,
    );
  } finally {
    process.env["DRIVER"] = "";
    await other.end();
  }
});

feature("[T24] the listing of a replicated room is not changed from outside", async () => {
  const roomId = await ask<string>("n1", "createRoom", "duel", {});
  const [listing] = await ask<IRoomCache[]>("n1", "driver", "query", { roomId });
  for (const method of ["update", "persist"])
    assert.match(
      await refusal(() => ask("n1", "driver", method, listing, { $set: { locked: true } })),
      /MUTATION_OUTSIDE_LOG: the listing of room .* was about to be changed/,
    );
  await ask("n1", "driver", "cleanup", await ask("n1", "process"));
  await ask("n1", "driver", "clear");
  for (const id of cluster.ids) {
    const [now] = await ask<IRoomCache[]>(id, "driver", "query", { roomId });
    assert.is(now?.locked, false, id);
  }
  await ask("n1", "remoteRoomCall", roomId, "disconnect", []);
});

interface MonitorApi {
  readonly rooms: readonly { readonly roomId: string; readonly name: string; readonly clients: number }[];
}

interface PlaygroundApi {
  readonly rooms: readonly string[];
  readonly roomsByType: Readonly<Record<string, number>>;
  readonly roomsById: Readonly<Record<string, unknown>>;
}

async function shown(id: string): Promise<{ monitor: string[]; playground: string[] }> {
  const { rooms } = await json<MonitorApi>(id, "/monitor/api");
  const { roomsById } = await json<PlaygroundApi>(id, "/playground/rooms");
  return { monitor: rooms.map(({ roomId }) => roomId).sort(), playground: Object.keys(roomsById).sort() };
}

async function allShow(ids: readonly string[], expected: readonly string[]): Promise<void> {
  const rooms = JSON.stringify([...expected].sort());
  for (const id of ids) {
    let last = "";
    await until(`${id} shows all`, async () => {
      const { monitor, playground } = await shown(id);
      last = JSON.stringify(monitor);
      return last === rooms && JSON.stringify(playground) === rooms;
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}, ${rooms}; it shows ${last}`);
    });
  }
}

/** As the monitor's page does it. */
async function act(id: string, roomId: string, method: string, ...args: unknown[]): Promise<void> {
  const query = new URLSearchParams({ roomId, method, args: JSON.stringify(args) });
  await json(id, `/monitor/api/room/call?${query}`);
}

interface Inspected {
  readonly clients: readonly { readonly sessionId: string }[];
  readonly state: { readonly words: string };
}

const inspect = (id: string, roomId: string) => json<Inspected>(id, `/monitor/api/room?roomId=${roomId}`);

feature(
  "[T27] what an operator does in the monitor of any node, to a replicated room too, happens once and everywhere",
  async () => {
    for (const name of ["table", "duel"]) {
      const one = alone(await clientOf("n1").create(name, { mode: "watched" }));
      const { roomId, sessionId } = one;
      const guest = alone(await clientOf("n2").joinById(roomId));
      const told: unknown[] = [];
      one.onMessage("words", (words: unknown) => told.push(words));
      guest.onMessage("__playground_message_types", () => {});
      await act("n3", roomId, "_sendMessageToClient", sessionId, "words", "from the monitor");
      await until(`${name}: it is told`, () => told.length > 0);
      await act("n2", roomId, "_editStateProperty", ["words"], "edited");
      for (const id of cluster.ids)
        await until(`${name}: ${id} shows what was edited`, async () => {
          const { state, clients } = await inspect(id, roomId);
          return state.words === "edited" && clients.length === 2;
        });
      await act("n3", roomId, "_forceClientDisconnect", guest.sessionId);
      for (const id of cluster.ids)
        await until(`${name}: it has left on ${id}`, async () => {
          const { clients } = await inspect(id, roomId);
          return clients.length === 1 && clients[0]?.sessionId === sessionId;
        });
      assert.equal(told, ["from the monitor"]);
      await one.leave();
      if (name === "duel") await ask("n1", "remoteRoomCall", roomId, "disconnect", []);
    }
  },
);

feature(
  "[T25, T26] monitor and playground on every node show all rooms; a killed node's plain rooms vanish from them, its replicated ones stay",
  async () => {
    await ask("n1", "driver", "clear");
    const plain = await Promise.all(
      cluster.ids.map(async (id) =>
        ask<string>("n3", "createRoom", "table", { mode: id, ...(await on(id)) }),
      ),
    );
    const duels = await Promise.all(cluster.ids.map((id) => ask<string>(id, "createRoom", "duel", {})));
    await allShow(cluster.ids, [...plain, ...duels]);
    for (const id of cluster.ids) {
      for (const [at, roomId] of plain.entries()) {
        const inspected = await json<{ state: { words: string } }>(id, `/monitor/api/room?roomId=${roomId}`);
        assert.is(inspected.state.words, `a table for n${at + 1}`, `plain room of n${at + 1} on ${id}`);
      }
      const inspected = await json<{ state: { words: string } }>(id, `/monitor/api/room?roomId=${duels[0]}`);
      assert.is(inspected.state.words, "a duel");
      assert.equal((await json<PlaygroundApi>(id, "/playground/rooms")).roomsByType, { table: 3, duel: 3 });
    }
    await cluster.kill("n2");
    const left = [plain[0], plain[2], ...duels] as string[];
    await allShow(["n1", "n3"], left);
    assert.match(await refusal(() => clientOf("n1").joinById(plain[1] as string)), /not found/);
    const guest = alone(await clientOf("n3").joinById(duels[1] as string));
    guest.send("say", "it goes on");
    await guest.leave();
    nodes.alive = ["n1", "n3"];
  },
);

driverContract((name, run) => feature(`${name}, while a node is dead`, run), {
  driver: () => nodes.driver,
  nodes: 2,
  isText: true,
});
presenceContract((name, run) => feature(`${name}, while a node is dead`, run), {
  presence: () => nodes.presence,
});

feature(
  "[T25, T26] a node that has come back shows all rooms, but not those that it had before",
  async () => {
    cluster.launch("n2");
    await cluster.ready();
    nodes.alive = cluster.ids;
    await ask("n1", "driver", "clear");
    const plain = await ask<string>("n3", "createRoom", "table", { mode: "late" });
    const duels = await listedOn("n1", { name: "duel" });
    await allShow(cluster.ids, [plain, ...duels]);
    await until("n2's replicas have what was said meanwhile", async () => {
      const paths = duels.map((roomId) => `/monitor/api/room?roomId=${roomId}`);
      const rooms = await Promise.all(paths.map((path) => json<{ state: { words: string } }>("n2", path)));
      return rooms.some(({ state }) => state.words === "it goes on");
    });
  },
);

feature("[T53] a node that drains begins none; it gives what its own code asks for to others", async () => {
  const wish = await on("n2");
  const last = alone(await clientOf("n3").create("table", { mode: "last round", lasts: true, ...wish }));
  const { ended } = cluster.process("n2");
  cluster.process("n2").signal("SIGTERM");
  const rooms: Room[] = [];
  await until("n2 drains", async () => (await fetch(`${cluster.url("n2")}/testudo/open`)).status === 404);
  for (const id of ["n1", "n3", "n1", "n3"])
    rooms.push(alone(await clientOf(id).create("table", { mode: "elsewhere", ...wish })));
  for (const room of rooms) assert.is.not(await room.request("where"), wish.on);
  assert.is(await last.request("where"), wish.on);
  const asked = await ask<string>("n2", "createRoom", "table", { mode: "asked" });
  const [listing] = await ask<IRoomCache[]>("n1", "driver", "query", { roomId: asked });
  assert.is.not(listing?.processId, wish.on);
  await Promise.all([...rooms, last].map((room) => room.leave()));
  assert.equal(await ended, { code: 0, signal: null });
  cluster.launch("n2");
  await cluster.ready();
});

feature(
  "[T29] where nothing can be agreed no plain room begins, and those that there are go on",
  async () => {
    const room = alone(await clientOf("n3").create("table", { mode: "goes on", ...(await on("n1")) }));
    for (const id of ["n2", "n3"]) await cluster.kill(id);
    const refused = await refusal(() => clientOf("n1").create("table", { mode: "new" }));
    assert.match(refused, /^5\d\d: no result before the deadline/);
    assert.is(await room.request("where"), await ask("n1", "process"));
    const guest = alone(await clientOf("n1").joinById(room.roomId));
    assert.is(await guest.request("where"), await ask("n1", "process"));
    for (const id of ["n2", "n3"]) cluster.launch(id);
    await cluster.ready();
    const late = alone(await clientOf("n3").join("table", { mode: "goes on" }));
    assert.is(late.roomId, room.roomId);
  },
);

test.run();

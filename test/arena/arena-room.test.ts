import type { AddressInfo } from "node:net";
import { LocalDriver, LocalPresence, matchMaker, Room, Server } from "@colyseus/core";
import { Client, type Room as ClientRoom } from "@colyseus/sdk";
import { WebSocketTransport } from "@colyseus/ws-transport";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { fireSchema, joinSchema, steerSchema } from "../../server/arena/arena-message.ts";
import { ArenaRoom } from "../../server/arena/arena-room.ts";
import { ArenaState } from "../../server/arena/arena-state.ts";
import { arenaRules } from "../../shared/arena/rules.ts";

const schemas = suite("arena messages");

schemas("steer takes an angle in radians and a thrust from 0 to 1, nothing else", () => {
  assert.equal(steerSchema.parse({ angle: -1.5, thrust: 1 }), { angle: -1.5, thrust: 1 });
  const refused = [
    undefined,
    null,
    7,
    "left",
    {},
    { angle: 1 },
    { thrust: 1 },
    { angle: "1", thrust: 1 },
    { angle: 1, thrust: 1.01 },
    { angle: 1, thrust: -0.1 },
    { angle: Number.NaN, thrust: 0 },
    { angle: Number.POSITIVE_INFINITY, thrust: 0 },
    { angle: 100, thrust: 0 },
    { angle: 0, thrust: Number.NaN },
  ];
  for (const message of refused)
    assert.is(steerSchema.safeParse(message).success, false, JSON.stringify(message));
});

schemas("fire says nothing", () => {
  for (const message of [undefined, null, {}]) assert.is(fireSchema.safeParse(message).success, true);
  for (const message of [1, "fire", true, []])
    assert.is(fireSchema.safeParse(message).success, false, JSON.stringify(message));
});

schemas("a name is 1 to 20 characters, or none is given", () => {
  assert.equal(joinSchema.parse({ name: "  Livia " }), { name: "Livia" });
  assert.equal(joinSchema.parse({}), { name: "Gladiator" });
  for (const name of ["", "   ", "x".repeat(21), 7, null, {}])
    assert.is(joinSchema.safeParse({ name }).success, false, JSON.stringify(name));
});

schemas.run();

const plain = suite("arena room on a plain Colyseus server");
let server: Server;
let url = "";

/** What any room with a state, messages and a tick has in its fields. */
class BareRoom extends Room<{ state: ArenaState }> {
  override state = new ArenaState();
  override messages = {};
  override onCreate(): void {
    this.setTimestep(() => {}, arenaRules.tickMs);
  }
}

plain.before(async () => {
  const transport = new WebSocketTransport();
  server = new Server({
    greet: false,
    gracefullyShutdown: false,
    driver: new LocalDriver(),
    presence: new LocalPresence(),
    transport,
  });
  server.define("arena", ArenaRoom);
  server.define("bare", BareRoom);
  await server.listen(0);
  const address = transport.server?.address() as AddressInfo | undefined;
  assert.ok(address);
  url = `http://127.0.0.1:${address.port}`;
});

plain.after(async () => {
  await server.gracefullyShutdown(false);
});

const join = (name?: unknown): Promise<ClientRoom<unknown, ArenaState>> =>
  new Client(url).joinOrCreate<ArenaState>("arena", name === undefined ? {} : { name });

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 500; turn += 1) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.unreachable(`never: ${what}`);
}

const serverRoom = (roomId: string): ArenaRoom => matchMaker.getLocalRoomById(roomId) as ArenaRoom;

plain("four ships at least: bots make room for people, and come back", async () => {
  const first = await join("Livia");
  const state = serverRoom(first.roomId).state;
  assert.equal([...state.players.keys()].sort(), [first.sessionId, "bot-1", "bot-2", "bot-3"].sort());
  assert.is(state.players.get(first.sessionId)!.name, "Livia");
  assert.is(state.players.get(first.sessionId)!.node, "");
  const second = await join();
  assert.is(second.roomId, first.roomId);
  assert.is(state.players.size, arenaRules.shipsMin);
  assert.is(state.players.has("bot-3"), false);
  await second.leave();
  await until("the bot comes back", () => state.players.has("bot-3") && !state.players.has(second.sessionId));
  await first.leave();
});

plain("fire is answered with all shots, each counted once; the clock is the sum of the ticks", async () => {
  const room = await join("Marcus");
  const replies = await Promise.all(
    Array.from({ length: 40 }, () => room.request<undefined, { shots: number }>("fire")),
  );
  assert.equal(
    replies.map(({ shots }) => shots),
    Array.from({ length: 40 }, (_, shot) => shot + 1),
  );
  const state = serverRoom(room.roomId).state;
  assert.is(state.players.get(room.sessionId)!.shots, 40);
  const before = state.clockMs;
  await until("the clock moves", () => state.clockMs > before + 100);
  room.send("steer", { angle: 1, thrust: 0.5 });
  await until("the ship obeys", () => state.players.get(room.sessionId)!.thrust === 0.5);
  await room.leave();
});

plain(
  "what its schema refuses is refused: fire with an error, a name at the door; the room lives on",
  async () => {
    const room = await join("Marcus");
    let message = "";
    await room.request("fire", "now").catch((error: Error) => {
      message = error.message;
    });
    assert.match(message, /expected object/i);
    await join("x".repeat(60)).then(
      () => assert.unreachable("joined with a name of 60 characters"),
      (error: Error) => assert.match(error.message, /^name: /),
    );
    assert.equal(await room.request("fire"), { shots: 1 });
    assert.is(serverRoom(room.roomId).clients.length, 1);
    await room.leave();
  },
);

plain("who drops keeps ship, score and shots until coming back", async () => {
  const room = await join("Cato");
  const keeper = await join("Keeper");
  room.reconnection.enabled = false;
  await room.request("fire");
  await until(
    "the door has closed behind",
    () => serverRoom(room.roomId).clients.get(room.sessionId)?.state === 1,
  );
  const token = room.reconnectionToken;
  const state = serverRoom(room.roomId).state;
  room.connection.close(4010);
  await until("offline", () => state.players.get(room.sessionId)?.online === false);
  const back = await new Client(url).reconnect<ArenaState>(token);
  assert.is(back.sessionId, room.sessionId);
  await until("online", () => state.players.get(room.sessionId)?.online === true);
  assert.equal(await back.request("fire"), { shots: 2 });
  await back.leave();
  await keeper.leave();
});

plain(
  "all that the room remembers is plain data, and no timer is left running: it can be saved at any tick",
  async () => {
    const room = await join("Livia");
    const inside = serverRoom(room.roomId);
    const bare = matchMaker.getLocalRoomById((await matchMaker.createRoom("bare", {})).roomId);
    const colyseusOwn = new Set(Object.keys(bare));
    const own = Object.keys(inside).filter((name) => !colyseusOwn.has(name));
    assert.equal(own.sort(), ["flights", "missileCount", "pilots"]);
    for (let shot = 0; shot < 3; shot += 1) await room.request("fire");
    await until("a bot thinks", () => inside.pilots.size === arenaRules.shipsMin && inside.flights.size > 0);
    for (const table of [inside.pilots, inside.flights]) {
      for (const [key, value] of table) {
        assert.type(key, "string");
        assert.is(Object.getPrototypeOf(value), Object.prototype);
        for (const number of Object.values(value)) assert.type(number, "number");
      }
    }
    assert.is(Number.isInteger(inside.missileCount), true);
    assert.is(inside.clock.delayed.length, 0);
    await bare.disconnect();
    await room.leave();
  },
);

plain.run();

/** One node with rooms for tests: what server/main.ts is to the sample game, and a route that changes a room from outside. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { defineRoom, defineServer, matchMaker } from "@colyseus/core";
import { replicated, startTestudo } from "../../server/index.ts";
import { DoomRoom } from "./doom-room.ts";
import { PoisonRoom } from "./poison-room.ts";
import { FleetingRoom, StrictRoom } from "./strict-room.ts";

type Act = (room: PoisonRoom) => unknown;

/** What a developer might do to a room from a route of their own. */
const acts: Readonly<Record<string, Act>> = {
  look: ({ state: { count, ticks, stains, players } }) => ({
    count,
    ticks,
    stains,
    players: [...players.keys()].sort(),
  }),
  setField: (room) => {
    room.state.count = 4_711;
  },
  setChild: (room) => {
    for (const player of room.state.players.values()) player.count = 4_711;
  },
  clearMap: (room) => room.state.players.clear(),
  broadcast: (room) => room.broadcast("lies", 1),
  lock: (room) => room.lock(),
  disconnect: (room) => room.disconnect(),
  leave: (room) => room.clients[0]?.leave(4_000),
  send: (room) => room.clients[0]?.send("lies", 1),
  timer: (room) => room.clock.setTimeout(() => room.stain(1), 10),
  interval: (room) => room.clock.setInterval(() => room.stain(1), 10),
  handler: (room) => room.onMessage("new", () => room.stain(1)),
  timestep: (room) => room.setTimestep(() => {}, 10),
  setMetadata: (room) => room.setMetadata({ lies: 1 }),
  reconnection: (room) => room.allowReconnection(room.clients[0] as never, 10),
  /** Not by the log, and not of the guarded state: this replica is another from now on, and nobody says so. */
  corrupt: (room) => {
    room.curses.set(`whoever ${process.pid} sees`, "nowhere");
  },
  propose: (room) => proposed(room, "stain", 5),
  proposeThrow: (room) => proposed(room, "explode"),
  proposeReject: (room) => proposed(room, "explodeLater"),
  proposeNothing: (room) => proposed(room, "no such method"),
};

function proposed(room: PoisonRoom, method: string, ...data: unknown[]): Promise<unknown> {
  return (room as unknown as { propose(method: string, ...data: unknown[]): Promise<unknown> }).propose(
    method,
    ...data,
  );
}

/** `/test/ACT/ROOM` */
function answer(request: IncomingMessage, response: ServerResponse): boolean {
  const [, act = "", roomId = ""] = /^\/test\/(\w+)\/([\w-]+)$/.exec(request.url ?? "") ?? [];
  if (acts[act] === undefined) return false;
  const reply = (body: unknown): void => {
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
  };
  const perform = async (): Promise<unknown> =>
    await acts[act]?.(matchMaker.getLocalRoomById(roomId) as unknown as PoisonRoom);
  perform().then(
    (value) => reply({ value: value ?? null }),
    (error: Error & { code?: unknown }) =>
      reply({ error: { name: error.name, code: error.code, message: error.message } }),
  );
  return true;
}

const testudo = startTestudo();
const server = defineServer({
  ...testudo.serverOptions,
  rooms: {
    poison: defineRoom(replicated(PoisonRoom)),
    strict: defineRoom(replicated(StrictRoom)),
    fleeting: defineRoom(replicated(FleetingRoom)),
    doom: defineRoom(replicated(DoomRoom)),
  },
});
testudo.handleFirst(answer);
await server.listen(undefined as never);

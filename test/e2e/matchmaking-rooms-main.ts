/** One node with rooms that are found by filters, in an order, that close and hide, and that end when nobody is there. */
import { type Client, defineRoom, defineServer, matchMaker, Room } from "@colyseus/core";
import { replicated, startTestudo } from "../../server/index.ts";

class FoundRoom extends Room {
  override maxClients = 3;
  override messages = {
    lock: async (_client: Client, on: boolean) => await (on ? this.lock() : this.unlock()),
    hide: async (_client: Client, on: boolean) => await this.setPrivate(on),
    describe: async (_client: Client, metadata: object) => await this.setMetadata(metadata),
    announce: async (_client: Client, all: object) => await this.setMatchmaking(all),
    keep: (_client: Client, on: boolean) => {
      this.autoDispose = !on;
    },
  };

  override onDrop(client: Client): void {
    // Longer than all that is tested between a node's end and its players' coming back, on however busy a machine.
    this.allowReconnection(client, 600);
  }
}

class LastingRoom extends FoundRoom {
  override autoDispose = false;
}

class ReservedRoom extends FoundRoom {
  // Long enough for a busy machine's nodes to be asked meanwhile.
  override seatReservationTimeout = 6;
  override maxClients = 1;
}

/** Whoever loses its node here is gone. */
class PassingRoom extends Room {}

/** What has ended on this node. */
const ended: string[] = [];

function found(roomClass: Parameters<typeof replicated>[0]) {
  return defineRoom(replicated(roomClass)).on("dispose", ({ roomId }) => ended.push(roomId));
}

const testudo = startTestudo();
const server = defineServer({
  ...testudo.serverOptions,
  rooms: {
    filtered: found(FoundRoom).filterBy(["mode", "level"]),
    sorted: found(FoundRoom).sortBy({ clients: -1 }),
    found: found(FoundRoom),
    lasting: found(LastingRoom),
    reserved: found(ReservedRoom),
    passing: found(PassingRoom),
  },
});

/** `/test/ASK/ROOM`: what this node knows by itself; and seats that nobody takes. */
const asks: Readonly<Record<string, (room: string) => unknown>> = {
  listed: () => matchMaker.query({}),
  ended: () => ended,
  create: (roomName) => matchMaker.create(roomName, {}),
  reserve: (roomId) => matchMaker.joinById(roomId, {}),
};
testudo.handleFirst((request, response) => {
  const [, act = "", room = ""] = /^\/test\/(\w+)\/?([\w-]*)$/.exec(request.url ?? "") ?? [];
  const ask = asks[act];
  if (ask === undefined) return false;
  const answer = async (): Promise<unknown> => await ask(room);
  answer().then(
    (value) => response.end(JSON.stringify(value)),
    (error: Error) => response.writeHead(500).end(JSON.stringify(error.message)),
  );
  return true;
});
await server.listen(undefined as never);

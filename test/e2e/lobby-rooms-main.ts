/** One node with replicated rooms that are listed, plain rooms beside them, and routes that ask the matchmaker. */
import type { IncomingMessage, ServerResponse } from "node:http";
import {
  type Client,
  defineRoom,
  defineServer,
  LobbyRoom,
  matchMaker,
  QueueRoom,
  Room,
} from "@colyseus/core";
import { schema, t } from "@colyseus/schema";
import { replicated, startTestudo } from "../../server/index.ts";

const DuelState = schema({ blows: t.number().default(0) }, "DuelState");

class DuelRoom extends Room<{ state: InstanceType<typeof DuelState> }> {
  override state = new DuelState();
  override maxClients = 4;
  override messages = {
    strike: () => ++this.state.blows,
    label: (_client: Client, label: string) => this.setMetadata({ label }),
    hide: () => this.setPrivate(true),
    show: () => this.setPrivate(false),
    lock: () => this.lock(),
    unlock: () => this.unlock(),
    end: () => void this.disconnect(),
    who: () => this.clients.map(({ sessionId }) => sessionId),
  };

  override onDrop(client: Client): void {
    this.allowReconnection(client, 60);
  }
}

class FastQueueRoom extends QueueRoom {
  override cycleTickInterval = 50;
}

const ended: string[] = [];

class PlainRoom extends Room {
  override messages = { where: () => matchMaker.processId };
  override onDispose(): void {
    ended.push(this.roomId);
    process.stderr.write(`plain room ${this.roomId} has ended\n`);
  }
}

type Ask = (...args: string[]) => unknown;

/** What a developer asks in a route of their own. */
const asks: Readonly<Record<string, Ask>> = {
  process: () => matchMaker.processId,
  stats: async () => ({
    all: await matchMaker.stats.fetchAll(),
    ccu: await matchMaker.stats.getGlobalCCU(),
    local: matchMaker.stats.local,
  }),
  query: (name) => matchMaker.query({ name: name as string }),
  createRoom: (name) => matchMaker.createRoom(name as string, {}),
  create: (name) => matchMaker.create(name as string, {}),
  joinOrCreate: (name) => matchMaker.joinOrCreate(name as string, {}),
  join: (name) => matchMaker.join(name as string, {}),
  joinById: (roomId) => matchMaker.joinById(roomId as string, {}),
  reconnect: (roomId, reconnectionToken) => matchMaker.reconnect(roomId as string, { reconnectionToken }),
  findOneRoomAvailable: (name) => matchMaker.findOneRoomAvailable(name as string, {}),
  getRoomById: async (roomId) => (await matchMaker.getRoomById(roomId as string)) ?? null,
  reserveSeatFor: async (roomId) =>
    await matchMaker.reserveSeatFor(await matchMaker.getRoomById(roomId as string), {}),
  disconnectAll: async () => await Promise.allSettled(matchMaker.disconnectAll()),
  ended: () => ended,
  shutDown: () => server.gracefullyShutdown(),
};

/** `/test/ASK/ARGUMENT/…` */
function answer(request: IncomingMessage, response: ServerResponse): boolean {
  const [, test, ask = "", ...args] = (request.url ?? "").split("/");
  const act = asks[ask];
  if (test !== "test" || act === undefined) return false;
  const reply = (body: object): void => {
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
  };
  (async () => await act(...args))().then(
    (value) => reply({ value }),
    ({ name, code, message }: Error & { code?: unknown }) => reply({ error: { name, code, message } }),
  );
  return true;
}

const testudo = startTestudo();
const { id, publicUrl } = testudo.roomNode.node.options;
const server = defineServer({
  ...testudo.serverOptions,
  // As behind one address for all: what n2 has to say leads to n2, whoever is asked.
  selectProcessIdToCreateRoom: async () => matchMaker.processId,
  publicAddress: id === "n2" ? new URL(publicUrl).host : "",
  rooms: {
    duel: defineRoom(replicated(DuelRoom)).enableRealtimeListing(),
    lobby: defineRoom(LobbyRoom),
    queue: defineRoom(FastQueueRoom, { matchRoomName: "duel", maxPlayers: 2 }),
    plain: defineRoom(PlainRoom).enableRealtimeListing(),
  },
});
server.onShutdown(() => {
  process.stderr.write("this node has shut down\n");
});
testudo.handleFirst(answer);
await server.listen(undefined as never);

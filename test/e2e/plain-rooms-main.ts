/** One node with plain and replicated rooms, Colyseus's monitor and playground, and routes: `POST /test/ASK`, arguments as JSON. */
import {
  createRouter,
  defineRoom,
  defineServer,
  LobbyRoom,
  LocalDriver,
  matchMaker,
  Room,
} from "@colyseus/core";
import { monitor } from "@colyseus/monitor";
import { playground } from "@colyseus/playground";
import { schema, t } from "@colyseus/schema";
import { replicated, startTestudo, TestudoDriver } from "../../server/index.ts";
import { type Ask, type Asks, answersTo } from "./asks.ts";

const TableState = schema({ words: t.string() }, "TableState");

class TableRoom extends Room {
  override state = new TableState();
  override maxClients = 3;
  override messages = { where: () => matchMaker.processId };

  #lasts = false;

  override onCreate({ mode, lasts = false }: { mode?: string; lasts?: boolean }): void {
    this.state.words = `a table for ${mode}`;
    this.#lasts = lasts;
  }

  override onBeforeShutdown(): void {
    // Until somebody ends it.
    if (!this.#lasts) super.onBeforeShutdown();
  }

  async label(words: unknown): Promise<void> {
    await this.setMetadata({ words });
  }
}

class DuelRoom extends Room {
  override state = new TableState();
  override autoDispose = false;

  override onCreate(): void {
    this.state.words = "a duel";
    this.onMessage("say", (_client, words: string) => {
      this.state.words = words;
    });
  }
}

const asks: Asks = {
  process: () => matchMaker.processId,
  counts: () => matchMaker.stats.fetchAll(),
  driver: async (method, ...args) => {
    const value = await (matchMaker.driver as unknown as Record<string, Ask>)[method]?.(...args);
    return value instanceof Map ? [...value] : value;
  },
  presence: (method, ...args) => (matchMaker.presence as unknown as Record<string, Ask>)[method]?.(...args),
  createRoom: async (name, options) => (await matchMaker.createRoom(name, options)).roomId,
  joinOrCreate: (name, options) => matchMaker.joinOrCreate(name, options),
  remoteRoomCall: (roomId, method, args) => matchMaker.remoteRoomCall(roomId, method, args),
};

const testudo = startTestudo();
// Of one node as a user may write it; the others have what testudo() gives.
const isOwn = testudo.roomNode.node.options.id === "n3";
const driver =
  process.env["DRIVER"] === "local" ? new LocalDriver() : isOwn ? new TestudoDriver() : undefined;
/** Where the room's options say. */
const selectProcessIdToCreateRoom = async (_name: string, { on }: { on?: string }): Promise<string> =>
  on ?? matchMaker.processId;
const server = defineServer({
  ...testudo.serverOptions,
  ...(driver === undefined ? {} : { driver }),
  ...(isOwn ? { selectProcessIdToCreateRoom } : {}),
  rooms: {
    table: defineRoom(TableRoom).filterBy(["mode"]).enableRealtimeListing(),
    duel: defineRoom(replicated(DuelRoom)),
    lobby: defineRoom(LobbyRoom),
  },
  routes: createRouter({ ...monitor(), ...playground({ prefix: "/playground" }) }),
});
testudo.handleFirst(answersTo(asks));
await server.listen(undefined as never);

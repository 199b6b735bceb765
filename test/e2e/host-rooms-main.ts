/** One node with a room that makes matches and gives their seats away, over a presence that all nodes share: the cluster's own, or another. */
import {
  type Client,
  defineRoom,
  defineServer,
  LobbyRoom,
  LocalPresence,
  matchMaker,
  Room,
} from "@colyseus/core";
import { replicated, startTestudo } from "../../server/index.ts";
import { remotePresence } from "./presence-server.ts";

/** Brings players together: each match is a room of its own. */
class HostRoom extends Room {
  matches: string[] = [];

  override onCreate(): void {
    this.autoDispose = false;
    void this.presence.subscribe("news", this.onNews);
    this.onMessage("match", async (client, { mode }: { mode: string }) => {
      const room = await matchMaker.createRoom("duel", { mode });
      const seat = await matchMaker.reserveSeatFor(room, {}, { from: client.sessionId });
      this.matches.push(room.roomId);
      await this.presence.hset("matches", room.roomId, mode);
      return seat;
    });
    this.onMessage("matches", () => this.matches);
    this.onMessage("quick", () => matchMaker.joinOrCreate("duel", { mode: "quick" }));
    this.onMessage("count", async () => {
      const listed = await matchMaker.query({ name: "duel" });
      return [listed.length, await this.presence.hlen("matches")];
    });
    this.onMessage("hit", () => this.presence.incr("hits"));
    this.onMessage("say", (_client, words: string) => this.presence.publish("news", words));
  }

  onNews(words: string): void {
    this.broadcast("news", words);
  }

  override onDrop(client: Client): void {
    this.allowReconnection(client, 60);
  }
}

class DuelRoom extends Room {
  blows = 0;
  override maxClients = 2;

  override onCreate(): void {
    // One too many must be seen.
    this.autoDispose = false;
    this.onMessage("strike", (client) => [++this.blows, client.auth]);
  }

  override onDrop(client: Client): void {
    this.allowReconnection(client, 60);
  }
}

/** `/test/ASK/N` */
const asks: Readonly<Record<string, (n: number) => unknown>> = {
  publish: (n) => matchMaker.presence.publish("news", n),
  hits: () => matchMaker.presence.get("hits"),
  duels: async () => (await matchMaker.query({ name: "duel" })).map(({ roomId }) => roomId),
  create: () => matchMaker.createRoom("duel", { mode: "route" }),
  stats: async () => ({
    ccu: await matchMaker.stats.getGlobalCCU(),
    all: await matchMaker.stats.fetchAll(),
  }),
};

const port = process.env["PRESENCE_PORT"];
const testudo = startTestudo();
const server = defineServer({
  ...testudo.serverOptions,
  ...(port === undefined
    ? {}
    : { presence: port === "none" ? new LocalPresence() : remotePresence(Number(port)) }),
  rooms: {
    host: defineRoom(replicated(HostRoom)),
    duel: defineRoom(replicated(DuelRoom)).filterBy(["mode"]).enableRealtimeListing(),
    lobby: defineRoom(LobbyRoom),
  },
});
testudo.handleFirst((request, response) => {
  const [, ask = "", n] = /^\/test\/(\w+)(?:\/(\d+))?$/.exec(request.url ?? "") ?? [];
  const act = asks[ask];
  if (act === undefined) return false;
  (async () => await act(Number(n)))().then(
    (value) => response.end(JSON.stringify({ value })),
    (error: unknown) => response.end(JSON.stringify({ error: String(error) })),
  );
  return true;
});
await server.listen(undefined as never);

/** One node of a project on its way from Redis to Testudo; `STEP` says how far it is. See MIGRATING.md. */
import { defineRoom, defineServer, matchMaker, Room, type ServerOptions } from "@colyseus/core";
import { RedisDriver } from "@colyseus/redis-driver";
import { RedisPresence } from "@colyseus/redis-presence";
import { schema, t } from "@colyseus/schema";
import { WebSocketTransport } from "@colyseus/ws-transport";
import { replicated, testudo } from "../../server/index.ts";

const CountState = schema({ count: t.number().default(0) }, "CountState");

class TableRoom extends Room<{ state: InstanceType<typeof CountState> }> {
  override state = new CountState();
  override messages = {
    add: () => ++this.state.count,
    won: async (_client: unknown, name: string) => await this.presence.hincrby("ranks", name, 1),
    ranks: async () => await this.presence.hgetall("ranks"),
  };
}

class DuelRoom extends TableRoom {}

const step = process.env["STEP"];
const redis = process.env["REDIS"] as string;
const portOf = (argv: string) => Number(/--port[= ](\d+)/.exec(argv)?.[1]);
const port = portOf(process.argv.join(" "));

const stock = (): ServerOptions => ({
  transport: new WebSocketTransport(),
  presence: new RedisPresence(redis) as never,
  driver: new RedisDriver(redis) as never,
  publicAddress: `localhost:${port}`,
  greet: false,
});

const server = defineServer({
  ...(step === "redis" ? stock() : testudo()),
  rooms: {
    table: defineRoom(TableRoom).filterBy(["mode"]),
    duel: defineRoom(step === "duels replicated" ? replicated(DuelRoom) : DuelRoom).filterBy(["mode"]),
  },
});
await server.listen(port, "127.0.0.1");

if (step === "plain rooms only") {
  const old = new RedisPresence(redis);
  const ranks = await old.hgetall("ranks");
  for (const [name, wins] of Object.entries(ranks)) await matchMaker.presence.hset("ranks", name, wins);
  await old.shutdown();
}
process.stdout.write("ready to play\n");

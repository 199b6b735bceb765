// test-run: seconds=60
import { LocalDriver, type MatchMakerDriver, type Presence } from "@colyseus/core";
import { RedisDriver } from "@colyseus/redis-driver";
import { RedisPresence } from "@colyseus/redis-presence";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TestudoDriver } from "../../server/colyseus/testudo-driver.ts";
import { driverContract } from "./driver-contract.ts";
import { channelContract, presenceContract } from "./presence-contract.ts";
import { RedisServer } from "./redis-server.ts";

/** One suite for Colyseus's own drivers and ours; Redis where the machine has one. */

const local = suite("LocalDriver");
driverContract(local, { driver: always(new LocalDriver()), isLocal: true });

const embedded = suite("TestudoDriver, alone");
driverContract(embedded, { driver: always(new TestudoDriver()) });

function always<T>(one: T): () => T {
  return () => one;
}

const test = suite("TestudoDriver");

test("[T24] what cannot be listed is refused with words, and nothing is listed", async () => {
  const driver = new TestudoDriver();
  for (const [room, words] of [
    [{ name: "duel" }, /a room is listed by a roomId: undefined is none/],
    [{ roomId: "", name: "duel" }, /a room is listed by a roomId: {2}is none/],
    [{ roomId: "r" }, /a room is listed by a name: undefined is none/],
    [{ roomId: 7, name: "duel" }, /a room is listed by a roomId: 7 is none/],
  ] as const)
    for (const act of [() => driver.insert(room as never), async () => driver.persist(room as never, true)])
      try {
        await act();
        assert.unreachable();
      } catch (error) {
        assert.is((error as { code: string }).code, "ARGUMENT");
        assert.match((error as Error).message, words);
      }
  assert.equal(driver.query({}), []);
});

const redis = await RedisServer.start();
const stock = suite("Redis");
if (redis === null)
  process.stdout.write("no redis-server is installed: RedisDriver and RedisPresence are skipped\n");
else {
  const driver = new RedisDriver(redis.url) as unknown as MatchMakerDriver;
  const presence = new RedisPresence(redis.url) as unknown as Presence;
  driverContract(stock, { driver: always(driver), isText: true });
  presenceContract(stock, { presence: always(presence) });
  channelContract(stock, { presence: always(presence) });
  stock.after(async () => {
    await driver.shutdown();
    await presence.shutdown();
    await redis.stop();
  });
}

local.run();
embedded.run();
test.run();
stock.run();

// test-run: seconds=60
import { type IRoomCache, LocalDriver, type MatchMakerDriver, type Presence } from "@colyseus/core";
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

test("[T54] what has a wrong type is refused with the room, the field and what is allowed, and the listing stays as it was", async () => {
  const driver = new TestudoDriver();
  const listed = { clients: 1, maxClients: 4, locked: false, private: false, processId: "p" };
  const room = { roomId: "r", name: "duel", ...listed } as IRoomCache;
  await driver.insert(room);
  // biome-ignore lint/suspicious/noExplicitAny: what no TypeScript would let through
  const wrong = (value: unknown): any => value;
  const update = (operations: unknown) => driver.update(room, wrong(operations));
  for (const [act, words] of [
    [() => driver.insert(wrong(null)), /the room is null: an object is expected, as \{ roomId: "r1"/],
    [
      () => driver.insert({ ...room, roomId: "r".repeat(257) }),
      /roomId of a room takes 257 bytes .* 1 to 256/,
    ],
    [
      () => driver.insert({ ...room, roomId: "r2", clients: Number.NaN }),
      /room r2: clients is NaN: a number from/,
    ],
    [
      () => driver.insert(wrong({ ...room, roomId: "r2", maxClients: "4" })),
      /maxClients is "4": .*or Infinity, is/,
    ],
    [
      () => driver.persist(wrong({ ...room, roomId: "r2", locked: 1 }), true),
      /locked is 1: true or false is/,
    ],
    [() => driver.persist(wrong(null)), /the room is null/],
    [
      () => driver.query(wrong("duel")),
      /looked up by is a string: an object is expected, as \{ name: "duel" \}/,
    ],
    [() => driver.findOne(wrong(null)), /looked up by is null/],
    [() => driver.findByIds(wrong("r")), /roomIds is a string: an array of rooms' ids is expected/],
    [
      () => driver.update(wrong(null), {}),
      /the room is null: an object is expected, as one that query\(\) has/,
    ],
    [() => update(null), /the update is null: .* \{ \$set: \{ locked: true \} \}/],
    [() => update({ $set: "locked" }), /\$set of an update is a string/],
    [
      () => update({ $set: { clients: 2, locked: "yes" } }),
      /room r: locked is "yes": true or false is expected/,
    ],
    [() => update({ $set: { name: 7 } }), /room r: its name cannot become 7: a listing keeps its name/],
    [() => update({ $set: { roomId: "r2" } }), /room r: its roomId cannot become r2/],
    [() => update({ $inc: { clients: "two" } }), /room r: clients cannot be counted up by "two": a number/],
  ] as const)
    try {
      await act();
      assert.unreachable(words.source);
    } catch (error) {
      assert.is((error as { code?: string }).code, "ARGUMENT", String(error));
      assert.match((error as Error).message, words);
    }
  const all = driver.query({});
  assert.is(all.length, 1);
  assert.equal({ ...all[0] }, { ...room, roomId: "r", name: "duel", ...listed });
  assert.is((await driver.findOne(wrong(undefined))).roomId, "r");
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

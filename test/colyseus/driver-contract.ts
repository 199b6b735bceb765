import { type IRoomCache, initializeRoomCache, type MatchMakerDriver } from "@colyseus/core";
import * as assert from "uvu/assert";
import type { Test } from "./presence-contract.ts";

interface Contract {
  readonly driver: () => MatchMakerDriver;
  /** Redis keeps rooms as text: no dates, no Infinity. By default the same values come back. */
  readonly isText?: boolean;
  /** The stock LocalDriver gives its own objects away, and lists a room twice that is persisted twice. */
  readonly isLocal?: boolean;
  /** So many nodes are asked in turn. */
  readonly nodes?: number;
}

let rooms = 0;
/** Of names and processes that nothing else uses: other rooms may be there, too. */
const unused = (what: string) => `${what}-${process.pid}-${++rooms}`;
const idsOf = (listings: readonly IRoomCache[]) => listings.map(({ roomId }) => roomId);
const sorted = (ids: readonly string[]) => [...ids].sort();
const patienceMs = 5_000;

function room(given: Partial<IRoomCache> & { name: string }): IRoomCache {
  return initializeRoomCache({ roomId: unused("room"), processId: "p1", ...given });
}

/** A listing may lag behind what another node has just changed: each in its turn has to come to this. */
async function settled<T>(look: () => T | Promise<T>, expected: T, nodes: number): Promise<void> {
  const endMs = performance.now() + patienceMs;
  for (let inARow = 0; inARow < nodes; ) {
    const found = await look();
    try {
      assert.equal(found, expected);
      inARow++;
    } catch (error) {
      if (performance.now() > endMs) throw error;
      inARow = 0;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

/** What Colyseus and its users expect of a driver, with the results of LocalDriver and RedisDriver. */
export function driverContract(
  test: Test,
  { driver, isText = false, isLocal = false, nodes = 1 }: Contract,
): void {
  const soon = <T>(look: () => T | Promise<T>, expected: T) => settled(look, expected, nodes);
  const found = async (name: string) => sorted(idsOf(await driver().query({ name })));
  const one = async (roomId: string) => (await driver().query({ roomId }))[0];

  test("[T19] a room is recorded once, however many ask at once; once it is removed its id is free", async () => {
    const name = unused("name");
    const first = room({ name });
    const given = await Promise.all(
      Array.from({ length: 6 }, () => driver().insert?.(room({ name, roomId: first.roomId }))),
    ).catch(async (error: unknown) => {
      // RedisDriver of this version has none: Colyseus persists then.
      if (driver().insert !== undefined) throw error;
      return [];
    });
    if (driver().insert === undefined) await driver().persist(first, true);
    else assert.is(given.filter(Boolean).length, 1);
    await soon(() => found(name), [first.roomId]);
    await soon(() => driver().has(first.roomId), true);
    assert.is(await driver().has(unused("room")), false);
    assert.is(await driver().remove(first.roomId), true);
    await soon(() => driver().has(first.roomId), false);
    assert.is(await driver().remove(first.roomId), false);
    if (driver().insert !== undefined) {
      assert.is(await driver().insert?.(room({ name, roomId: first.roomId })), true);
      await soon(() => found(name), [first.roomId]);
      await driver().remove(first.roomId);
    }
    await soon(() => found(name), []);
  });

  test("[T20] rooms are found by their fields and by their metadata's, and by both", async () => {
    const name = unused("name");
    const rooms = [
      room({ name, maxClients: 4, metadata: { mode: "duel", level: 1 } }),
      room({ name, maxClients: 4, locked: true, metadata: { mode: "duel", level: 2 } }),
      room({ name, maxClients: 8, private: true, metadata: { mode: "teams", level: 2 } }),
      room({ name, maxClients: 8 }),
    ];
    const ids = idsOf(rooms);
    for (const each of rooms) await driver().persist(each, true);
    await soon(() => found(name), sorted(ids));
    const query = async (conditions: object) => sorted(idsOf(await driver().query({ name, ...conditions })));
    const some = (...at: number[]) => sorted(at.map((each) => ids[each] as string));
    assert.equal(await query({ locked: false, private: false }), some(0, 3));
    assert.equal(await query({ maxClients: 8 }), some(2, 3));
    assert.equal(await query({ mode: "duel" }), some(0, 1));
    assert.equal(await query({ level: 2, locked: false }), some(2));
    assert.equal(await query({ mode: "none" }), []);
    assert.equal(await query({ noSuchField: 1 }), []);
    for (const roomId of ids) await driver().remove(roomId);
    await soon(() => found(name), []);
  });

  test("[T20] rooms are sorted by fields and by metadata, both ways, and the first is found", async () => {
    const name = unused("name");
    const rooms = [
      room({ name, clients: 2, metadata: { rank: 30 } }),
      room({ name, clients: 1, metadata: { rank: 10 } }),
      room({ name, clients: 2, metadata: { rank: 20 } }),
    ];
    const ids = idsOf(rooms);
    for (const each of rooms) await driver().insert?.(each);
    if (driver().insert === undefined) for (const each of rooms) await driver().persist(each, true);
    await soon(() => found(name), sorted(ids));
    const order = async (sort: object) => idsOf(await driver().query({ name }, sort as never));
    const some = (...at: number[]) => at.map((each) => ids[each] as string);
    assert.equal(await order({ clients: 1, rank: 1 }), some(1, 2, 0));
    assert.equal(await order({ clients: "desc", rank: "asc" }), some(2, 0, 1));
    assert.equal(await order({ rank: -1 }), some(0, 2, 1));
    assert.is((await driver().findOne({ name }, { rank: 1 }))?.roomId, ids[1]);
    assert.is((await driver().findOne({ name, clients: 2 }, { rank: "descending" }))?.roomId, ids[0]);
    assert.is((await driver().findOne({ roomId: ids[2] as string }))?.roomId, ids[2]);
    assert.not.ok(await driver().findOne({ roomId: unused("room") }));
    assert.not.ok(await driver().findOne({ name: unused("name") }));
    const byId = await driver().findByIds([ids[0] as string, unused("room"), ids[2] as string]);
    assert.equal(sorted([...byId.keys()]), sorted(some(0, 2)));
    assert.is(byId.get(ids[0] as string)?.clients, 2);
    assert.is((await driver().findByIds([])).size, 0);
    for (const roomId of ids) await driver().remove(roomId);
  });

  test("[T20] what was recorded comes back as it was", async () => {
    const whole = room({
      ...{ name: unused("name"), clients: 3, maxClients: 5, locked: true, private: true, unlisted: true },
      publicAddress: "game.example/2567",
      metadata: { words: ["a", { b: null }], n: -1.5, ключ: "ü" },
    });
    const endless = room({ name: unused("name") });
    for (const each of [whole, endless]) await driver().persist(each, true);
    await soon(async () => (await one(whole.roomId))?.roomId, whole.roomId);
    const back = (await one(whole.roomId)) as IRoomCache;
    const { createdAt, ...rest } = back;
    const { createdAt: madeAt, ...expected } = whole;
    assert.equal(rest, expected);
    assert.is(new Date(createdAt as Date).getTime(), (madeAt as Date).getTime());
    await soon(async () => (await one(endless.roomId))?.maxClients, isText ? (null as never) : Infinity);
    for (const { roomId } of [whole, endless]) await driver().remove(roomId);
  });

  test("[T21] fields are set and counted up", async () => {
    const name = unused("name");
    const listing = room({ name, clients: 1, metadata: { round: 1 } });
    await driver().persist(listing, true);
    await soon(() => found(name), [listing.roomId]);
    assert.is(await driver().update(listing, { $inc: { clients: 2 }, $set: { locked: true } }), true);
    assert.equal([listing.clients, listing.locked], [3, true], "the room's own listing, too");
    const look = async () => {
      const { clients, locked, metadata } = (await one(listing.roomId)) as IRoomCache;
      return [clients, locked, metadata?.round];
    };
    await soon(look, [3, true, 1]);
    await driver().update(listing, { $inc: { clients: -1 }, $set: { metadata: { round: 2 } } });
    await soon(look, [2, true, 2]);
    listing.locked = false;
    await driver().persist(listing);
    await soon(look, [2, false, 2]);
    if (!isLocal) {
      const copy = (await one(listing.roomId)) as IRoomCache;
      copy.clients = 9;
      assert.equal(await look(), [2, false, 2], "what is given away is a copy");
      copy.clients = 2;
      await driver().update(copy, { $set: { locked: true } });
      await soon(look, [2, true, 2]);
      await driver().persist(listing, true);
      await soon(() => found(name), [listing.roomId]);
    }
    await driver().remove(listing.roomId);
    await soon(() => found(name), []);
  });

  test("[T21] a process that is gone leaves no rooms; to clear leaves none at all", async () => {
    const [name, gone, other] = [unused("name"), unused("process"), unused("process")];
    const rooms = [gone, gone, other].map((processId) => room({ name, processId }));
    for (const each of rooms) await driver().persist(each, true);
    await soon(() => found(name), sorted(idsOf(rooms)));
    await driver().cleanup?.(gone);
    await soon(() => found(name), [rooms[2]?.roomId as string]);
    await driver().clear();
    await soon(() => found(name), []);
  });
}

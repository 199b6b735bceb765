// test-run: seconds=60 node=--import=./server/colyseus/register.ts
import { defineRoom, type IRoomCache, matchMaker, Room } from "@colyseus/core";
import * as stock from "@colyseus/core/MatchMaker";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { checkColyseus } from "../../server/colyseus/colyseus-version.ts";
import { KeyedIds } from "../../server/colyseus/presence/keyed-ids.ts";
import { replicated } from "../../server/colyseus/replicated.ts";
import { inMacrotask } from "../../server/session/macrotask.ts";
import { toldAs } from "./calling-room.ts";
import { defineTestRoom, Replica } from "./machine-harness.ts";
import { Scene } from "./scene.ts";
import { TwoNodes } from "./two-nodes.ts";

type Ask = (...args: never[]) => unknown;

class HostRoom extends Room {
  told: unknown[] = [];

  override onCreate({ asks, looks }: { asks?: boolean; looks?: boolean }) {
    this.autoDispose = false;
    if (asks) return matchMaker.createRoom("match", {});
    if (looks) matchMaker.getLocalRoomById(this.roomId);
  }

  /** What a lobby of one's own does. */
  async match(mode: string) {
    const room = await matchMaker.createRoom("match", { mode });
    const seat = await matchMaker.reserveSeatFor(room, { from: this.roomId }, { user: "Livia" });
    this.told.push([room, seat, Math.random()]);
    return { room, seat };
  }

  async ask(name: string, ...args: unknown[]) {
    const [owner, method] = name.startsWith("stats.")
      ? [matchMaker.stats, name.slice("stats.".length)]
      : [matchMaker, name];
    const call = (owner as unknown as Record<string, Ask>)[method] as Ask;
    try {
      const answer = await call(...(args as never[]));
      const told = answer instanceof Map ? ["Map", ...answer] : answer;
      this.told.push([name, told, Math.random()]);
      return told;
    } catch (error) {
      this.told.push(toldAs(error));
      return toldAs(error);
    }
  }

  look(what: string) {
    return what === "local" ? matchMaker.stats.local.ccu : matchMaker.driver.query({});
  }

  direct(key: string) {
    return matchMaker.presence.get(key);
  }
}

class MatchRoom extends Room {
  static made: string[] = [];
  override maxClients = 2;
  called: unknown[] = [];

  override onCreate({ mode }: { mode?: string }) {
    this.autoDispose = false;
    if (mode === "broken") throw new Error("the map is missing");
    MatchRoom.made.push(this.roomId);
  }

  note(what: unknown) {
    this.called.push(what);
    return this.called.length;
  }
}

await defineTestRoom("host", HostRoom);
const handler = defineRoom(replicated(MatchRoom)).filterBy(["mode"]);
handler.name = "match";
matchMaker.addRoomType(handler);
const plain = defineRoom(class extends Room {});
plain.name = "plain";
matchMaker.addRoomType(plain);

async function host(): Promise<{
  nodes: TwoNodes;
  roomId: string;
  call: (...args: unknown[]) => Promise<never>;
}> {
  const nodes = await new TwoNodes().begin();
  const wish = { key: "host", roomName: "host", options: {}, fresh: true, exclude: null };
  const roomId = await nodes.node("A").sessions.allocate(wish);
  MatchRoom.made = [];
  const call = ([method, ...data]: unknown[]) =>
    nodes.node("B").sessions.call(roomId, method as string, data) as Promise<never>;
  return { nodes, roomId, call: (...args) => call(args) };
}

/** Both replicas of the room, and what it was told there. */
function same(nodes: TwoNodes, roomId: string): void {
  const [a, b] = [...nodes.nodes.values()].map(({ sessions }) => sessions.room(roomId)?.program.hash());
  assert.ok(a);
  assert.is(a, b);
}

const matches = (nodes: TwoNodes) => nodes.node("B").programs.listings.query({ name: "match" });
const count = (nodes: TwoNodes, name: string) => nodes.agreed.filter((each) => each.name === name).length;
const taken = (nodes: TwoNodes, roomId: string, sessionId: string) =>
  nodes.node("B").sessions.room(roomId)?.program.hasReservation(sessionId);

test("[Y133] the matchmaker of rooms is Colyseus's own everywhere else", () => {
  assert.is.not(matchMaker.createRoom, stock.createRoom);
  const warned: object[] = [];
  checkColyseus((fields) => warned.push(fields), { given: stock });
  assert.equal(warned, [{ event: "stock-matchmaker" }]);
  checkColyseus((fields) => warned.push(fields));
  assert.is(warned.length, 1);
  assert.is(matchMaker.getHandler, stock.getHandler);
  assert.is(matchMaker.stats.local, stock.stats.local);
  assert.equal(Object.keys(matchMaker).sort(), Object.keys(stock).sort());
});

test("[Y133] a room makes another one and gives its seats away: once, and alike on every replica", async () => {
  const { nodes, roomId, call } = await host();
  const { room, seat } = (await call("match", "duel")) as { room: IRoomCache; seat: stock.ISeatReservation };
  assert.equal([room.name, seat.name, seat.roomId], ["match", "match", room.roomId]);
  assert.ok(room.createdAt instanceof Date);
  assert.equal([count(nodes, "allocate"), count(nodes, "reserve")], [2, 1]);
  assert.ok(taken(nodes, room.roomId, seat.sessionId));
  assert.is(matches(nodes).length, 1);
  same(nodes, roomId);
  same(nodes, room.roomId);
  nodes.end();
});

test("[Y133] joinOrCreate, join, create, joinById and the others go the same way", async () => {
  const { nodes, roomId, call } = await host();
  const first = (await call("ask", "joinOrCreate", "match", { mode: "a" })) as stock.ISeatReservation;
  const second = (await call("ask", "join", "match", { mode: "a" })) as stock.ISeatReservation;
  assert.is(second.roomId, first.roomId);
  assert.is.not(second.sessionId, first.sessionId);
  const none = (await call("ask", "join", "match", { mode: "a" })) as unknown[];
  assert.equal(none.slice(1), [521, "no rooms found with provided criteria"]);
  const next = (await call("ask", "joinOrCreate", "match", { mode: "a" })) as stock.ISeatReservation;
  assert.is.not(next.roomId, first.roomId);
  const own = (await call("ask", "create", "match", { mode: "a" })) as stock.ISeatReservation;
  assert.is(matches(nodes).length, 3);
  const byId = (await call("ask", "joinById", own.roomId, {})) as stock.ISeatReservation;
  assert.ok(taken(nodes, own.roomId, byId.sessionId));
  assert.match(((await call("ask", "joinById", own.roomId)) as unknown[])[2] as string, "is full or locked");
  const full = (await call("ask", "reserveSeatFor", { roomId: own.roomId }, {})) as unknown[];
  assert.match(full[2] as string, "is already full");
  const seats = ["x", "y"].map((sessionId) => ({ sessionId, options: {}, auth: null }));
  assert.equal(await call("ask", "reserveMultipleSeatsFor", { roomId: next.roomId }, seats), [true, false]);
  const found = (await call("ask", "findRoomsByIds", [own.roomId, "nobodyHas"])) as unknown[];
  assert.equal([found[0], found.length], ["Map", 2]);
  assert.is(((await call("ask", "query", { name: "match" })) as unknown[]).length, 3);
  assert.is(((await call("ask", "getRoomById", own.roomId)) as IRoomCache).roomId, own.roomId);
  assert.is(await call("ask", "getRoomById", "nobodyHas"), undefined);
  const free = (await call("ask", "findOneRoomAvailable", "match", { mode: "b" })) as unknown;
  assert.is(free, undefined);
  assert.is(await call("ask", "remoteRoomCall", own.roomId, "note", ["well"]), 1);
  assert.equal(await call("ask", "stats.fetchAll"), []);
  assert.is(await call("ask", "stats.getGlobalCCU"), 0);
  same(nodes, roomId);
  same(nodes, own.roomId);
  nodes.end();
});

test("[Y133] a room that cannot be made, or is no room, fails alike on every replica, in the words of its onCreate", async () => {
  const { nodes, roomId, call } = await host();
  const broken = (await call("ask", "createRoom", "match", { mode: "broken" })) as unknown[];
  assert.match(broken[2] as string, "the map is missing");
  const unknown = (await call("ask", "createRoom", "nothing", {})) as unknown[];
  assert.match(unknown[2] as string, 'provided room name "nothing" not defined');
  const notPlain = (await call("ask", "remoteRoomCall", roomId, "ask", "none")) as unknown[];
  assert.is(notPlain[0], "EffectError");
  same(nodes, roomId);
  nodes.end();
});

test("[Y133] not in onCreate; and what each node has for itself is refused inside, with what to do", async () => {
  const { nodes, roomId, call } = await host();
  const { sessions } = nodes.node("A");
  const make = (options: object) =>
    sessions
      .allocate({ key: "h", roomName: "host", options, fresh: true, exclude: null })
      .catch((error: Error) => error.message);
  assert.match(await make({ asks: true }), /effect "matchMaker\.createRoom" in onCreate/);
  assert.match(
    await make({ looks: true }),
    /getLocalRoomById\(\) inside room host .*await matchMaker\.getRoomById/,
  );
  const refused = async (...args: unknown[]) => await call(...args).catch((error: Error) => error.message);
  assert.match(await refused("look", "local"), /stats\.local inside room host .*stats\.fetchAll/);
  assert.match(await refused("look", "driver"), /"matchMaker\.driver\.query" inside room host/);
  for (const name of ["disconnectAll", "gracefullyShutdown", "addRoomType", "reconnect"])
    assert.match(
      ((await call("ask", name)) as unknown[])[2] as string,
      `matchMaker.${name}() inside room host`,
    );
  same(nodes, roomId);
  nodes.end();
});

for (const [what, falls] of [
  [
    "was made and nobody heard of it",
    (nodes: TwoNodes) => {
      nodes.silences = (id, name) => id === "A" && name === "allocate";
    },
  ],
  [
    "was made and not yet told to the room",
    (nodes: TwoNodes) => {
      nodes.swallows = (id, name) => id === "A" && name === "effectDone";
    },
  ],
] as const) {
  test(`[Y134] the leader falls when the room ${what}: there is no second one`, async () => {
    const { nodes, roomId, call } = await host();
    falls(nodes);
    const made = call("match", "duel") as Promise<{ room: IRoomCache; seat: stock.ISeatReservation }>;
    await nodes.quiet();
    assert.is(matches(nodes).length, 1);
    await nodes.fall();
    const { room } = await made;
    assert.is(count(nodes, "allocate"), 3, "it was asked for twice");
    assert.equal(
      matches(nodes).map((each) => each.roomId),
      [room.roomId],
    );
    assert.is(new Set(MatchRoom.made).size, 1);
    same(nodes, roomId);
    same(nodes, room.roomId);
    nodes.end();
  });
}

for (const method of ["reserve", "joinOrCreate"] as const) {
  test(`[Y134] the leader falls when a seat was reserved and not yet told (${method}): it is the same seat, also of a full room`, async () => {
    const { nodes, roomId, call } = await host();
    const { room } = (await call("match", "duel")) as { room: IRoomCache };
    nodes.swallows = (id, name) => id === "A" && name === "effectDone";
    const asked = (
      method === "reserve"
        ? call("ask", "reserveSeatFor", { roomId: room.roomId }, {})
        : call("ask", "joinOrCreate", "match", { mode: "duel" })
    ) as Promise<stock.ISeatReservation>;
    await nodes.quiet();
    const before = nodes.agreed.flatMap(({ name, argument }) =>
      name === "reserve" ? [(argument as { sessionId: string }).sessionId] : [],
    );
    assert.is(before.length, 2);
    await nodes.fall();
    const seat = await asked;
    assert.equal([seat.roomId, seat.sessionId], [room.roomId, before[1]]);
    assert.is(matches(nodes).length, 1);
    assert.is(nodes.node("B").sessions.room(room.roomId)?.program.reservedSeats, 2);
    same(nodes, roomId);
    same(nodes, room.roomId);
    nodes.end();
  });
}

test("[Y134] what nobody knows the outcome of is asked for again by the same leader, and comes to the same", async () => {
  const { nodes, roomId, call } = await host();
  const { propose } = nodes;
  let fails = 2;
  nodes.propose = (nodeId, group, command) => {
    const proposed = propose.call(nodes, nodeId, group, command);
    if (nodeId !== "A" || fails === 0 || nodes.agreed.length < 1) return proposed;
    fails -= 1;
    return proposed.then(() => Promise.reject(Object.assign(new Error("nobody knows"), { code: "TIMEOUT" })));
  };
  const { room } = (await call("match", "duel")) as { room: IRoomCache };
  assert.is(fails, 0);
  assert.equal(
    matches(nodes).map((each) => each.roomId),
    [room.roomId],
  );
  same(nodes, roomId);
  nodes.end();
});

test("[Y134] in a log that asks twice the room is made by the first entry, on every replica and at every restart", async () => {
  const scene = new Scene();
  const allocate = (nodeId: string, key: string) =>
    scene.value(scene.log.allocate(nodeId, scene.roomId, "match", {}, { key }));
  assert.equal(await allocate("A", "once"), { roomId: scene.roomId });
  await scene.call("note", "first");
  assert.equal(await allocate("B", "once"), { roomId: scene.roomId });
  assert.equal(scene.room<MatchRoom>("C").called, ["first"]);
  const reserve = (mayRepeat: boolean, sessionId = "p1") => {
    const wish = { roomId: scene.roomId, sessionId, options: {}, auth: null, seconds: 15, mayRepeat };
    return scene.value(scene.log.next("B", "reserve", wish, scene.roomId));
  };
  assert.equal([await reserve(true), await reserve(true)], [true, true]);
  await scene.attach("p1", "A");
  assert.is(await reserve(true), true, "it has its seat");
  assert.is(await reserve(true, "p2"), true);
  assert.is(await reserve(true, "p2"), true, "also where the room is full by it");
  assert.is(await reserve(true, "p3"), false);
  assert.is(scene.first.machine.rooms.get(scene.roomId)?.program.reservedSeats, 1);
  assert.ok(await scene.restore("C"));
  const late = new Replica("D");
  await inMacrotask(() => scene.first.restore(new Map()));
  for (const entry of scene.entries) await inMacrotask(() => late.apply(entry));
  assert.equal(scene.node("C").hash(scene.roomId), late.hash(scene.roomId));
  assert.is(await inMacrotask(() => late.machine.lists(scene.roomId)), true);
});

test("[Y134] who knows a call's key, and not the cluster's secret, does not know what it is named by", () => {
  const ids = new KeyedIds("one secret of a cluster", "room:1");
  const again = new KeyedIds("one secret of a cluster", "room:1");
  assert.is(ids.sessionId, again.sessionId);
  assert.is(ids.sessionId.length, 12);
  assert.equal([ids.bytes(6), ids.bytes(6)], [again.bytes(6), again.bytes(6)]);
  assert.not.equal(ids.bytes(6), ids.bytes(6), "each draw is another");
  const others = [
    new KeyedIds("one secret of a cluster", "room:2"),
    new KeyedIds("another secret", "room:1"),
  ];
  assert.is(new Set([ids, ...others].map(({ sessionId }) => sessionId)).size, 3);
});

test.run();
